//! The marker beside a profile: which generations the folder holds, so that a restart on the same disk downloads nothing.
//!
//! It is written before the generation that it announces can be anywhere, and removed before the folder is replaced. A folder counts
//! only if its marker names the newest generation, by number and claim: then it is that generation, or newer. No marker names a
//! generation that the folder was not known to hold: a backup of a folder that nobody vouches for announces its own one alone.
#![expect(clippy::disallowed_methods, reason = "a browser keeps its profile on the real disk")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};

use super::entry::Generation;

/// A generation by its number and the claim under which it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holds {
    generation: u64,
    claim: String,
}

#[derive(Serialize, Deserialize)]
struct Marker {
    format: u32,
    holds: Vec<Holds>,
}

impl Holds {
    /// The newest of `generations`, or another one; `None` if it is not kept.
    pub fn of(generations: &BTreeMap<u64, Generation>, generation: u64) -> Option<Holds> {
        let made = generations.get(&generation)?;
        Some(Holds { generation, claim: made.claim.to_string() })
    }

    fn newest(generations: &BTreeMap<u64, Generation>) -> Option<Holds> {
        Holds::of(generations, *generations.last_key_value()?.0)
    }
}

/// Says that the folder is about to be `next`, and may still be `had`, if it was before. Survives a power cut when this returns.
pub fn announce(marker: &Path, had: Option<Holds>, next: Option<Holds>) -> Result<()> {
    let known = read(marker);
    record(marker, had.filter(|had| known.contains(had)).into_iter().chain(next).collect())
}

fn record(marker: &Path, holds: Vec<Holds>) -> Result<()> {
    let write = || {
        let bytes = serde_json::to_vec(&Marker { format: 1, holds })?;
        let new = marker.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&new, marker)?;
        sync_folder(marker)
    };
    write().map_err(unwritten)
}

/// Says that the folder holds the newest of `generations`.
pub fn hold(marker: &Path, generations: &BTreeMap<u64, Generation>) -> Result<()> {
    record(marker, Holds::newest(generations).into_iter().collect())
}

/// Says that the folder holds nothing. Survives a power cut when this returns.
pub fn forget(marker: &Path) -> Result<()> {
    match fs::remove_file(marker) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(unwritten(error)),
        _ => sync_folder(marker).map_err(unwritten),
    }
}

/// True if the folder holds the newest of `generations`.
pub fn is_held(marker: &Path, generations: &BTreeMap<u64, Generation>) -> bool {
    Holds::newest(generations).is_some_and(|newest| read(marker).contains(&newest))
}

/// Generations that the marker names. One that does not read names none.
fn read(marker: &Path) -> Vec<Holds> {
    let marker = fs::read(marker).ok().and_then(|bytes| serde_json::from_slice::<Marker>(&bytes).ok());
    marker.filter(|marker| marker.format == 1).map(|marker| marker.holds).unwrap_or_default()
}

/// Makes the names beside `path` survive a power cut, where the system can.
pub fn sync_folder(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        #[cfg(unix)]
        Some(folder) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

fn unwritten(error: std::io::Error) -> Error {
    Error::new(
        Code::LocalUnavailable,
        format!(
            "the marker beside the profile could not be written ({error}); free space or fix its permissions"
        ),
    )
    .with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generation(number: u64) -> Holds {
        Holds { generation: number, claim: format!("claim of {number}") }
    }

    #[test]
    fn folder_that_no_marker_vouches_for_is_announced_by_its_next_generation_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let marker = folder.path().join("holds.json");
        for unknown in [None, Some("{"), Some(r#"{"format":2,"holds":[]}"#)] {
            if let Some(text) = unknown {
                fs::write(&marker, text).expect("room");
            }
            announce(&marker, Some(generation(2)), Some(generation(3))).expect("room");
            assert_eq!(read(&marker), [generation(3)], "{unknown:?}");
        }
        // The one after it may be stored or not: the folder is one of both.
        announce(&marker, Some(generation(3)), Some(generation(4))).expect("room");
        assert_eq!(read(&marker), [generation(3), generation(4)]);
        forget(&marker).expect("is gone");
        announce(&marker, Some(generation(4)), Some(generation(5))).expect("room");
        assert_eq!(read(&marker), [generation(5)]);
    }
}
