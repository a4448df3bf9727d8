//! The folder that a snapshot lives in: links to what never changes, copies of all else.
//!
//! Invariants: private to the account; removed with the snapshot, and by the next one if this process was killed; nothing else
//! in the folder around it is touched. What was linked once is not linked again, so that hardly anything is left to do while
//! a browser stands still.
#![expect(clippy::disallowed_methods, reason = "a browser keeps its profile on the real disk")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::error::{Code, Error, Result};
use crate::platform::host::{self, Host};
use crate::profile::scan::{self, FileMark, ScannedFile};

/// Beginning of the names of our folders.
const NAME: &str = "snap-";

/// Folders of snapshots that live, in this process.
static LIVING: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

const NO_LINKS: io::ErrorKind = io::ErrorKind::Unsupported;

/// A kept copy.
#[derive(Debug, Clone)]
pub struct StoredCopy {
    /// Place of its bytes.
    pub at: PathBuf,
    /// Length of it.
    pub size: u64,
}

/// Folder of one snapshot, which is removed when this is dropped.
#[derive(Debug)]
pub struct ScratchFolder {
    folder: PathBuf,
    /// Number of the next file in it.
    next: u64,
    /// False once the file system turned out to have none.
    links: bool,
    fixed: BTreeMap<String, (FileMark, StoredCopy)>,
}

impl ScratchFolder {
    /// Makes a folder within `around`, and removes those that a killed process left there.
    pub fn new(host: &dyn Host, around: &Path) -> Result<ScratchFolder> {
        let failed = |error: io::Error| {
            let advice = "check its permissions, and the room on its disk";
            Error::new(
                Code::LocalUnavailable,
                format!("the folder for snapshots cannot be used: {error}; {advice}"),
            )
            .with_source(error)
        };
        private_folder(around, true).map_err(failed)?;
        let mut living = LIVING.lock().unwrap_or_else(PoisonError::into_inner);
        remove_left(around, &living).map_err(failed)?;
        let number = u64::from_le_bytes(host::random(host));
        let folder = around.join(format!("{NAME}{number:016x}"));
        private_folder(&folder, false).map_err(failed)?;
        living.insert(folder.clone());
        Ok(ScratchFolder { folder, next: 0, links: true, fixed: BTreeMap::new() })
    }

    /// Keeps a file as it is now, as far as it was long when it was looked at.
    pub fn keep(&mut self, path: &str, found: &ScannedFile) -> io::Result<StoredCopy> {
        if let Some((mark, kept)) = self.fixed.get(path)
            && *mark == found.mark
        {
            return Ok(kept.clone());
        }
        let at = self.folder.join(self.next.to_string());
        self.next += 1;
        let size = found.mark.size;
        if !found.mark.is_fixed {
            let size = copy(&found.at, &at, size)?;
            return Ok(StoredCopy { at, size });
        }
        let linked = if self.links { std::fs::hard_link(&found.at, &at) } else { Err(NO_LINKS.into()) };
        if let Err(error) = linked {
            if scan::is_absence(&error) {
                return Err(error);
            }
            // There may only be too many of them to this file.
            self.links &= error.kind() != io::ErrorKind::CrossesDevices && error.kind() != NO_LINKS;
            if copy(&found.at, &at, size)? != size {
                return Err(io::ErrorKind::NotFound.into());
            }
        }
        let kept = StoredCopy { at, size };
        self.fixed.insert(path.to_owned(), (found.mark.clone(), kept.clone()));
        Ok(kept)
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next snapshot.
        let _ = std::fs::remove_dir_all(&self.folder);
        LIVING.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.folder);
    }
}

/// Removes the folders of snapshots in `around` that nobody uses.
fn remove_left(around: &Path, living: &BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(around)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(NAME));
        let is_ours = number.is_some_and(|number| {
            number.len() == 16 && number.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
        });
        if is_ours && entry.file_type()?.is_dir() && !living.contains(&entry.path()) {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Copies up to `size` bytes to a new private file. Gives how many there were.
fn copy(from: &Path, to: &Path, size: u64) -> io::Result<u64> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    io::copy(&mut scan::open(from)?.take(size), &mut options.open(to)?)
}

fn private_folder(path: &Path, recursive: bool) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(recursive);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests;
