//! Presence of a directory store: whether nothing is there because nothing was stored, or because the store itself is away.
//!
//! A mount point whose share is not mounted is an empty directory. A store is known by its first folder, `v1`: once this process saw it,
//! or a note on this machine says that a session was stored in it, a root without that folder is no store, and nothing is read, made or
//! said to be missing there. Only the very directory that was seen may have been emptied under a process.
#![expect(
    clippy::disallowed_methods,
    reason = "an adapter reaches its own kind of store, and its note lies on this machine"
)]

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use super::files::{failure, sync_dir};
use crate::id::hex;
use crate::store::{Failure, Meaning};

/// The folder that a store is known by: all of its objects are below it.
pub const FIRST: &str = "v1";
/// The folder of objects that sessions consist of: whatever stores one has a session there.
const DATA: &str = "v1/data";

const MISSING: &str = "the directory of the store does not exist: mount it, or create a new one once (`mkdir`, or `?create=true` behind its URL)";
const AWAY: &str = "the directory of the store is missing or empty, although sessions were stored in it before: mount it, or, if it was emptied on purpose, create an empty folder `v1` in it";
const NOTE: &str = "Sessions were stored in a directory from here. While this note is here, that directory is not taken for a new store when it is empty.\n";

/// The device and the number of a directory, where the system tells them: another one has others.
type DirectoryId = (u64, u64);

/// Knowledge about the root of a store.
pub struct Presence {
    root: PathBuf,
    create: bool,
    /// The note that sessions were stored in it.
    note: Option<PathBuf>,
    is_noted: AtomicBool,
    /// The root in which its first folder was seen; `Some(None)` where the system does not tell one from another.
    seen: Mutex<Option<Option<DirectoryId>>>,
}

impl Presence {
    /// The store at `root`, which is made if `create` says so and nothing is known of it in the folder `remembered_in`.
    pub fn of(root: PathBuf, create: bool, remembered_in: Option<&Path>) -> Presence {
        let digest = Sha256::digest(root.as_os_str().as_encoded_bytes());
        let name = digest.first_chunk::<8>().map(|start| format!(".store-{}", hex(start)));
        let note = remembered_in.zip(name).map(|(folder, name)| folder.join(name));
        Presence { root, create, note, is_noted: AtomicBool::new(false), seen: Mutex::default() }
    }

    /// The root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn seen(&self) -> MutexGuard<'_, Option<Option<DirectoryId>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if there was a store before, as far as this process or this machine knows.
    fn is_known(&self) -> bool {
        self.seen().is_some() || self.note.as_ref().is_some_and(|note| note.exists())
    }

    /// Makes sure that the store is there, or was never begun (`false`). Fails if something else is in its place.
    pub fn require(&self) -> Result<bool, Failure> {
        let found = match fs::metadata(&self.root) {
            Ok(found) if found.is_dir() => found,
            Ok(_) => {
                return Err(Failure::new(Meaning::NotConfigured, "not a directory")
                    .advise("the `store` is a file, but must be a directory"));
            }
            Err(error) if error.kind() == ErrorKind::NotFound && self.is_known() => return Err(away()),
            Err(error) if error.kind() == ErrorKind::NotFound && self.create => {
                return private_dir(&self.root, true).map(|()| false).map_err(|error| failure(&error));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(Failure::new(Meaning::NotConfigured, "no such directory").advise(MISSING));
            }
            Err(error) => return Err(failure(&error)),
        };
        let here = identity(&found);
        match fs::metadata(self.root.join(FIRST)) {
            Ok(_) => {
                self.notice();
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // Somebody removed all that was in the directory that was seen.
                let is_emptied = here.is_some() && *self.seen() == Some(here);
                if is_emptied || !self.is_known() { Ok(false) } else { Err(away()) }
            }
            Err(error) => Err(failure(&error)),
        }
    }

    /// Something was found in the store.
    pub fn notice(&self) {
        if self.seen().is_some() {
            return;
        }
        let root = || fs::metadata(&self.root).map(|found| identity(&found));
        // A share may come or go meanwhile.
        if let Ok(before) = root()
            && fs::metadata(self.root.join(FIRST)).is_ok()
            && root().is_ok_and(|after| after == before)
        {
            *self.seen() = Some(before);
        }
    }

    /// An object was stored under `path`: if it is part of a session, this machine keeps in mind that there is a store.
    pub fn stored(&self, path: &Path) {
        self.notice();
        let Some(note) = &self.note else { return };
        if !path.starts_with(DATA) || self.is_noted.load(Ordering::Relaxed) {
            return;
        }
        match write_note(note) {
            // The first session of this machine makes that folder behind its first objects.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // Without a note there is what there is without a folder of its own: the memory of this process.
            _ => self.is_noted.store(true, Ordering::Relaxed),
        }
    }
}

fn away() -> Failure {
    Failure::new(Meaning::NotConfigured, "the store is away").advise(AWAY)
}

/// Writes the note that there is a store, unless it is there.
fn write_note(note: &Path) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(note)?;
    file.write_all(NOTE.as_bytes())?;
    file.sync_all()?;
    sync_dir(note.parent())
}

/// Makes a private directory, and those above it if `above`. One that is there is left as it is.
pub fn private_dir(path: &Path, above: bool) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(above);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made,
    }
}

#[cfg(unix)]
fn identity(root: &fs::Metadata) -> Option<DirectoryId> {
    use std::os::unix::fs::MetadataExt;
    Some((root.dev(), root.ino()))
}

#[cfg(not(unix))]
fn identity(_: &fs::Metadata) -> Option<DirectoryId> {
    None
}
