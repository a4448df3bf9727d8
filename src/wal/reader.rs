//! The reader of a log that another process may be writing: it locks nothing and changes nothing.
//!
//! Its end may be half a batch, which is no damage; its file may be replaced while it is read, and is then read again.

use std::io;
use std::path::Path;

use crate::error::{Error, Result};
use crate::format::seal::{KeyId, Ring};
use crate::id::{Claim, Lsn, TenantTag};
use crate::platform::disk::Disk;

use super::folder::{LOCK, unavailable};
use super::frame::Header;
use super::names::Name;
use super::recover::{Past, Recovery, state_at as state_in, verdict};

/// Attempts at reading a directory whose files are replaced just then.
const LOOKS: usize = 8;

/// Contents of a directory.
#[derive(Debug)]
pub struct FolderContents {
    /// Bytes of all logs.
    pub bytes: u64,
    /// The keys that they need.
    pub key_ids: Vec<KeyId>,
    /// Their state, or why that cannot be said.
    pub recovery: Result<Recovery, Error>,
    /// True if somebody holds the lock.
    pub is_locked: bool,
}

/// Looks at the directory at `path`; `None` if there is none.
pub fn look(disk: &dyn Disk, path: &Path, ring: &Ring, tag: TenantTag) -> Result<Option<FolderContents>> {
    let Some(files) = logs_in(disk, path)? else { return Ok(None) };
    let recovery = verdict(&files, ring, tag, disk.boot());
    let mut key_ids: Vec<KeyId> = files.iter().filter_map(|(_, bytes)| Header::key_id(bytes)).collect();
    key_ids.sort_unstable();
    key_ids.dedup();
    Ok(Some(FolderContents {
        bytes: files.iter().map(|(_, bytes)| bytes.len() as u64).sum(),
        key_ids,
        recovery,
        is_locked: is_locked(disk, path)?,
    }))
}

/// State of the logs at `path`: for whoever keeps none and must know what is left of one. A process that writes there may be
/// ahead of the answer.
pub fn read_unlocked(disk: &dyn Disk, path: &Path, ring: &Ring, tag: TenantTag) -> Result<Recovery> {
    logs_in(disk, path)?.map_or(Ok(Recovery::None), |files| verdict(&files, ring, tag, disk.boot()))
}

/// The state at `lsn` of the history of `claim`, if a log at `path` has it.
pub fn state_at(
    disk: &dyn Disk,
    path: &Path,
    ring: &Ring,
    tag: TenantTag,
    claim: Claim,
    lsn: Lsn,
) -> Result<Past> {
    let mut said = Past::Elsewhere;
    for (_, bytes) in logs_in(disk, path)?.unwrap_or_default() {
        match state_in(&bytes, ring, tag, claim, lsn)? {
            Past::Elsewhere => {}
            Past::Missing => said = Past::Missing,
            found @ Past::Found(_) => return Ok(found),
        }
    }
    Ok(said)
}

/// Files by their numbers.
pub(super) type NumberedFiles = Vec<(u64, Vec<u8>)>;

/// The logs in a directory that somebody else may be writing to, by number; `None` if there is no directory.
pub(super) fn logs_in(disk: &dyn Disk, path: &Path) -> Result<Option<NumberedFiles>> {
    let failed = |error: io::Error| unavailable("reading the local log", error);
    let mut attempts = 0;
    'again: loop {
        attempts += 1;
        let names = match disk.list(path) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            names => names.map_err(failed)?,
        };
        let mut files = Vec::new();
        for name in names.iter().filter_map(|name| Name::parse(name)) {
            let Name::Log(sequence) = name else { continue };
            match disk.read(&path.join(name.to_string())) {
                // It was rewritten just then: there is a newer one now.
                Err(error) if error.kind() == io::ErrorKind::NotFound && attempts < LOOKS => continue 'again,
                Err(error) => return Err(failed(error)),
                Ok(bytes) => files.push((sequence, bytes)),
            }
        }
        return Ok(Some(files));
    }
}

/// True if somebody holds the lock of a directory, and is not only looking at it.
pub fn is_locked(disk: &dyn Disk, path: &Path) -> Result<bool> {
    disk.is_locked(&path.join(LOCK)).map_err(|error| unavailable("checking the session directory", error))
}
