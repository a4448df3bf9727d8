//! The files of a directory store, one blocking operation each.
//!
//! Nothing is said to be missing before the store is known to be there (`presence`): a share that is not mounted would become an empty
//! store, and each session in it a new one.
//! What a writer that was killed left (`name#1` and the like) is in no listing, and is removed when it is an hour old by the
//! clock of the file system itself.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "an adapter reaches its own kind of store; times are the file system's own, no clock is read"
)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::presence::{FIRST, Presence, private_dir};
use crate::store::{Failure, ListedObject, Meaning};

/// Age of a file that was left by a writer that is gone. One that was only asleep fails, and tries again.
const ABANDONED: Duration = Duration::from_secs(3600);
/// Left files that are looked at behind one PUT, and that are kept in mind.
const SWEPT: usize = 16;
const NOTED: usize = 1024;

/// The files below a root.
pub struct FileTree {
    root: PathBuf,
    presence: Presence,
    /// Files of writers that may be gone.
    left: Mutex<BTreeSet<PathBuf>>,
}

impl FileTree {
    pub fn in_root(presence: Presence) -> FileTree {
        FileTree { root: presence.root().to_owned(), presence, left: Mutex::default() }
    }

    pub fn put(&self, path: &Path, bytes: &[u8], nonce: u64) -> Result<(), Failure> {
        let target = self.root.join(path);
        let mut staged = target.clone().into_os_string();
        staged.push(format!("#{nonce}"));
        let staged = PathBuf::from(staged);
        let mut created = create_new(&staged);
        if created.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            self.make_parents(path)?;
            created = create_new(&staged);
        }
        let file = created.map_err(|error| failure(&error))?;
        let written = write_whole(file, bytes).and_then(|now| {
            fs::rename(&staged, &target)?;
            sync_dir(target.parent())?;
            Ok(now)
        });
        match written {
            Ok(now) => {
                self.presence.stored(path);
                self.sweep(now);
                Ok(())
            }
            Err(error) => {
                let _ = fs::remove_file(&staged);
                Err(failure(&error))
            }
        }
    }

    /// Makes the folders between the root and an object, durably. What lies in the store is private even where its root is not.
    fn make_parents(&self, path: &Path) -> Result<(), Failure> {
        let is_begun = self.presence.require()?;
        let below: Vec<&Path> =
            path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()).collect();
        for folder in below.into_iter().rev() {
            // A store is known by it: where it is there it is not made, for the share may go just now.
            if is_begun && folder == Path::new(FIRST) {
                continue;
            }
            let folder = self.root.join(folder);
            private_dir(&folder, false)
                .and_then(|()| sync_dir(folder.parent()))
                .map_err(|error| failure(&error))?;
        }
        Ok(())
    }

    pub fn get(&self, path: &Path) -> Result<Option<Bytes>, Failure> {
        match fs::read(self.root.join(path)) {
            Ok(bytes) => {
                self.presence.notice();
                Ok(Some(bytes.into()))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => self.presence.require().map(|_| None),
            Err(error) => Err(failure(&error)),
        }
    }

    /// Calls `found` with each object in `folder`. The system is asked about an entry only where the listing does not tell whether it
    /// is a file, or where `found` does so.
    pub fn each(
        &self,
        folder: &Path,
        mut found: impl FnMut(&str, &fs::DirEntry) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let path = self.root.join(folder);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return self.presence.require().map(drop),
            Err(error) => return Err(failure(&error)),
        };
        self.presence.notice();
        for entry in entries {
            let entry = entry.map_err(|error| failure(&error))?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if is_staged(name) {
                let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
                if left.len() < NOTED {
                    left.insert(entry.path());
                }
                continue;
            }
            match found(name, &entry) {
                // It was removed just then.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                told => told.map_err(|error| failure(&error))?,
            }
        }
        Ok(())
    }

    pub fn details(&self, folder: &Path, prefix: &str) -> Result<Vec<ListedObject>, Failure> {
        let mut all = Vec::new();
        self.each(folder, |name, entry| {
            if name.starts_with(prefix) {
                let about = entry.metadata()?;
                let modified_ms = about.modified().ok().and_then(millis);
                if !about.is_dir() {
                    all.push(ListedObject { name: name.to_owned(), bytes: Some(about.len()), modified_ms });
                }
            }
            Ok(())
        })?;
        Ok(all)
    }

    pub fn delete(&self, paths: &[PathBuf]) -> Result<(), Failure> {
        for path in paths {
            match fs::remove_file(self.root.join(path)) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    self.presence.require()?;
                }
                removed => removed.map_err(|error| failure(&error))?,
            }
        }
        // A data folder belongs to one tenant, so nobody else's writers are disturbed: whoever is still at it fails, and tries
        // again.
        let data = paths.iter().filter(|path| path.starts_with("v1/data"));
        let folders: BTreeSet<&Path> = data.filter_map(|path| path.parent()).collect();
        for folder in folders {
            let Ok(entries) = fs::read_dir(self.root.join(folder)) else { continue };
            for entry in entries.flatten() {
                if entry.file_name().to_str().is_some_and(is_staged) {
                    let _ = fs::remove_file(entry.path());
                }
            }
        }
        Ok(())
    }

    /// Removes files that listings came across and that are old by now, which is when the file system says that it is.
    fn sweep(&self, now: SystemTime) {
        for _ in 0..SWEPT {
            let Some(path) = self.left.lock().unwrap_or_else(PoisonError::into_inner).pop_first() else {
                return;
            };
            let written = fs::symlink_metadata(&path).and_then(|about| about.modified());
            if written.is_ok_and(|written| now.duration_since(written).is_ok_and(|age| age > ABANDONED)) {
                let _ = fs::remove_file(&path);
            }
        }
    }
}

/// True if a file is one that a writer has not finished.
fn is_staged(name: &str) -> bool {
    name.split_once('#').is_some_and(|(_, rest)| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
}

fn create_new(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().write(true).create_new(true).open(path)
}

/// Writes and syncs a new file, and gives the time that its file system has.
fn write_whole(mut file: fs::File, bytes: &[u8]) -> io::Result<SystemTime> {
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(file.metadata().and_then(|about| about.modified()).unwrap_or(UNIX_EPOCH))
}

fn millis(time: SystemTime) -> Option<u64> {
    u64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

/// Makes the names in a directory survive a power cut.
pub(super) fn sync_dir(path: Option<&Path>) -> io::Result<()> {
    // Windows has no such thing, and keeps names by itself.
    #[cfg(unix)]
    if let Some(path) = path {
        match fs::File::open(path)?.sync_all() {
            // Some network and user-space file systems know no sync of directories.
            Err(error) if !matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => {
                return Err(error);
            }
            _ => {}
        }
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Meaning of a failed file operation, without the path, which holds the tenant.
pub(super) fn failure(error: &io::Error) -> Failure {
    let (meaning, detail) = match error.kind() {
        ErrorKind::PermissionDenied => (Meaning::Denied, "permission denied"),
        ErrorKind::InvalidInput | ErrorKind::InvalidFilename => {
            (Meaning::Impossible, "the name is not allowed")
        }
        _ => (Meaning::Transient, "a file operation failed"),
    };
    Failure::new(meaning, format!("{detail}: {}", error.kind()))
}
