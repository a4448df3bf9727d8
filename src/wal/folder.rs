//! A tenant's directory: locked for as long as the session lives, with the log and the claims made from it.
//!
//! The lock is advisory and the system lets go of it when the process ends, however it ends. Whoever holds it knows that
//! all claims recorded here are dead, and need not wait for them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{DirLock, Disk, LogFile};
use crate::error::{Code, Error, Result};
use crate::id::{Claim, TenantTag, number};
use crate::seal::Ring;

use super::recover::{Recovery, choose, read_log};
use super::writer::Wal;

const LOCK: &str = "lock";
const CLAIMS: &str = "claims";
const CLAIMS_NEW: &str = "claims.tmp";
const LOG: &str = "log";
const TEMPORARY: &str = "tmp";
const QUARANTINE: &str = "quarantine";
/// Claims remembered: more than can be waited for at once.
const MAX_CLAIMS: usize = 16;
/// Logs set aside that are kept.
const MAX_QUARANTINED: usize = 2;

/// A locked directory.
pub struct Folder {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    lock: Mutex<Option<Box<dyn DirLock>>>,
    next: AtomicU64,
}

/// A file operation that failed: nothing was changed by it that matters.
pub fn unavailable(doing: &str, error: &io::Error) -> Error {
    let advice = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "the disk is full; free some space",
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            "the directory is not writable; check its owner and the `directory` option"
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "something that is not a directory is in the way; check the `directory` option"
        }
        _ => "the disk refused",
    };
    Error::new(Code::LocalUnavailable, format!("{doing}: {advice} ({})", error.kind()))
}

fn held() -> Error {
    Error::new(
        Code::AlreadyOpen,
        "another process has this tenant's directory open; use the session there, or stop that process",
    )
}

/// `NNN.log` and the like: the sequence number of a name with this ending.
fn sequence(name: &str, ending: &str) -> Option<u64> {
    number(name.strip_suffix(ending)?.strip_suffix('.')?)
}

impl Folder {
    /// Makes and locks the directory at `path`.
    pub fn lock(disk: Arc<dyn Disk>, path: &Path) -> Result<Folder> {
        let lock = acquire(disk.as_ref(), path)?;
        let folder =
            Folder { disk, path: path.to_owned(), lock: Mutex::new(Some(lock)), next: AtomicU64::new(1) };
        let names = folder.names()?;
        let used =
            names.iter().flat_map(|name| [LOG, TEMPORARY, QUARANTINE].map(|ending| sequence(name, ending)));
        let last = used.flatten().max().unwrap_or(0);
        folder.next.store(last.saturating_add(1), Ordering::Relaxed);
        Ok(folder)
    }

    fn held(&self) -> MutexGuard<'_, Option<Box<dyn DirLock>>> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes and locks the directory once more, after it was removed while in use.
    pub fn relock(&self) -> Result<()> {
        let mut held = self.held();
        // The old lock is on a file that has no name any more; it protects nothing.
        *held = None;
        *held = Some(acquire(self.disk.as_ref(), &self.path)?);
        Ok(())
    }

    /// Lets go.
    pub fn unlock(&self) {
        *self.held() = None;
    }

    fn names(&self) -> Result<Vec<String>> {
        self.disk.list(&self.path).map_err(|error| unavailable("reading the session directory", &error))
    }

    fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The claims that former opens of this directory made.
    pub fn claims(&self) -> Vec<Claim> {
        // Unreadable claims are unknown claims: that costs a wait, and no safety.
        let text = self
            .disk
            .read(&self.at(CLAIMS))
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .unwrap_or_default();
        text.lines().filter_map(Claim::parse).collect()
    }

    /// Remembers that this directory makes `claim`. Durable when it returns, and before the store hears of the claim.
    pub fn record_claim(&self, claim: Claim) -> Result<()> {
        let mut claims = self.claims();
        claims.push(claim);
        let skip = claims.len().saturating_sub(MAX_CLAIMS);
        let text: String = claims.iter().skip(skip).map(|claim| format!("{claim}\n")).collect();
        let write = || {
            let new = self.at(CLAIMS_NEW);
            self.remove_if_there(&new)?;
            let file = self.disk.create(&new)?;
            file.append(text.as_bytes())?;
            file.sync()?;
            self.disk.rename(&new, &self.at(CLAIMS))?;
            self.disk.sync_dir(&self.path)
        };
        write().map_err(|error| unavailable("recording a claim", &error))
    }

    fn remove_if_there(&self, path: &Path) -> io::Result<()> {
        match self.disk.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Reads what former opens left.
    pub fn recover(&self, ring: &Ring, tag: TenantTag) -> Result<Recovery> {
        let mut files = Vec::new();
        for name in self.names()? {
            if let Some(sequence) = sequence(&name, LOG) {
                let bytes = self
                    .disk
                    .read(&self.at(&name))
                    .map_err(|error| unavailable("reading the local log", &error))?;
                files.push((sequence, read_log(&bytes, ring, tag)?));
            }
        }
        Ok(choose(files))
    }

    /// Sets the logs aside: they are not part of the history that goes on. The newest few are kept, for a person to look at.
    pub fn quarantine(&self) -> Result<()> {
        let work = || {
            for name in self.disk.list(&self.path)? {
                if sequence(&name, LOG).is_some() {
                    self.disk.rename(&self.at(&name), &self.at(&name.replace(LOG, QUARANTINE)))?;
                }
            }
            let mut aside = self.disk.list(&self.path)?;
            aside.retain(|name| sequence(name, QUARANTINE).is_some());
            aside.sort_unstable();
            for name in aside.iter().rev().skip(MAX_QUARANTINED) {
                self.remove_if_there(&self.at(name))?;
            }
            self.disk.sync_dir(&self.path)
        };
        work().map_err(|error| unavailable("setting the local log aside", &error))
    }

    /// Removes every log but the one being written, and what half-written ones left.
    pub fn remove_logs_before(&self, wal: &Wal) -> Result<()> {
        let work = || {
            for name in self.disk.list(&self.path)? {
                let old = sequence(&name, LOG).is_some_and(|sequence| sequence != wal.sequence());
                if old || sequence(&name, TEMPORARY).is_some() {
                    self.remove_if_there(&self.at(&name))?;
                }
            }
            Ok(())
        };
        work().map_err(|error| unavailable("removing an old log", &error))
    }

    /// Removes everything of ours, and the directory if nothing else is in it. The lock is held to the end.
    pub fn remove_all(&self) -> Result<()> {
        let ours = |name: &str| {
            [LOG, TEMPORARY, QUARANTINE].iter().any(|ending| sequence(name, ending).is_some())
                || [CLAIMS, CLAIMS_NEW].contains(&name)
        };
        let work = || {
            for name in self.disk.list(&self.path)?.iter().filter(|name| ours(name)) {
                self.remove_if_there(&self.at(name))?;
            }
            self.disk.sync_dir(&self.path)
        };
        match work() {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(unavailable("removing the local log", &error))
            }
            _ => {
                let _ = self.remove_if_there(&self.at(LOCK));
                // Imported originals or foreign files keep it.
                let _ = self.disk.remove_dir(&self.path);
                Ok(())
            }
        }
    }

    /// A file under a temporary name, with a sequence number that nothing here had before.
    pub(super) fn start_file(&self) -> io::Result<(u64, Arc<dyn LogFile>)> {
        let sequence = self.next.fetch_add(1, Ordering::Relaxed);
        Ok((sequence, self.disk.create(&self.at(&format!("{sequence:020}.{TEMPORARY}")))?))
    }

    /// Gives a complete file its name, durably.
    pub(super) fn publish(&self, sequence: u64) -> io::Result<()> {
        let [from, to] = [TEMPORARY, LOG].map(|ending| self.at(&format!("{sequence:020}.{ending}")));
        self.disk.rename(&from, &to)?;
        self.disk.sync_dir(&self.path)
    }

    /// Removes a log, or what was to become one.
    pub(super) fn discard(&self, sequence: u64) -> io::Result<()> {
        for ending in [TEMPORARY, LOG] {
            self.remove_if_there(&self.at(&format!("{sequence:020}.{ending}")))?;
        }
        Ok(())
    }
}

fn acquire(disk: &dyn Disk, path: &Path) -> Result<Box<dyn DirLock>> {
    disk.make_dir(path).map_err(|error| unavailable("making the session directory", &error))?;
    let lock =
        disk.lock(&path.join(LOCK)).map_err(|error| unavailable("locking the session directory", &error))?;
    lock.ok_or_else(held)
}
