//! Making and locking of a tenant's directory, which others may remove just then.
//!
//! Invariant: a lock that is given is on a file that is still there under its name.

use std::io;
use std::path::Path;

use super::folder::{LOCK, unavailable};
use crate::error::{Cause, Error, Result};
use crate::platform::disk::{DirLock, Disk};

/// Attempts at a directory that its former holder, or an open that failed, removes just then.
const LOCK_ATTEMPTS: usize = 8;

/// Makes and locks the directory at `path`. `ALREADY_OPEN` if another process holds it.
pub(super) fn acquire(disk: &dyn Disk, path: &Path) -> Result<Box<dyn DirLock>> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        match disk.make_dir(path) {
            // An open that failed takes the directory above away just then.
            Err(error) if error.kind() == io::ErrorKind::NotFound && attempts < LOCK_ATTEMPTS => continue,
            made => made.map_err(|error| unavailable("making the session directory", error))?,
        }
        match disk.lock(&path.join(LOCK)) {
            Ok(Some(lock)) => return Ok(lock),
            Ok(None) => {
                return Err(Error::new(
                    Cause::InUse,
                    "another process has this tenant's directory open; use the session there, or stop that process",
                ));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && attempts < LOCK_ATTEMPTS => {}
            Err(error) => return Err(unavailable("locking the session directory", error)),
        }
    }
}

/// True if there is no directory at `path`.
pub fn is_missing(disk: &dyn Disk, path: &Path) -> bool {
    matches!(disk.list(path), Err(error) if error.kind() == io::ErrorKind::NotFound)
}
