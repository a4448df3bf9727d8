//! A tenant's directory: locked for as long as the session lives, with the log and the claims made from it.
//!
//! The lock is advisory and the system lets go of it when the process ends, however it ends. Whoever holds it knows that
//! all claims recorded here are dead, and need not wait for them. Nothing is changed here without it. Files:
//! `lock`, `claims`, `NNN.log` (20 digits; a higher number is a later file), `NNN.tmp` (a log being made, never read),
//! `NNN.quarantine` (a log set aside), `NNN.unsent` (one that may hold what no store has). Any other name is none of ours and is left alone.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use crate::error::{Code, Error, Result};
use crate::format::seal::Ring;
use crate::id::{Claim, TenantTag};
use crate::platform::disk::{DirLock, Disk, LogFile};

use super::acquire::{acquire, is_missing};
use super::names::{Name, free};
use super::recover::{Recovery, verdict};

pub(super) const LOCK: &str = "lock";
const CLAIMS: &str = "claims";
const CLAIMS_NEW: &str = "claims.tmp";
/// Claims remembered: more than can be waited for at once.
const MAX_CLAIMS: usize = 16;
/// Logs set aside that are kept.
const MAX_QUARANTINED: usize = 2;

/// View of the holder of the lock.
struct HolderView {
    lock: Box<dyn DirLock>,
    /// The number of the next file.
    next: u64,
    /// The logs that were read when it was opened.
    found: Vec<u64>,
    /// Claims made in this life: they are recorded anew when the directory has to be made anew.
    made: Vec<Claim>,
}

/// A locked directory.
pub struct Folder {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// Directories that were made for it, from the deepest.
    made: Vec<PathBuf>,
    held: Mutex<Option<HolderView>>,
}

/// A file operation that failed: nothing was changed by it that matters.
pub(super) fn unavailable(doing: &str, error: io::Error) -> Error {
    let advice = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "the disk is full; free some space",
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            "the directory is not writable; check its owner and the `directory` option"
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "a file or directory is in the way; check the `directory` option"
        }
        _ => "the disk failed; fix it and try again",
    };
    let message = match error.get_ref() {
        Some(ours) if error.kind() == io::ErrorKind::InvalidInput => format!("{doing}: {ours}: remove it"),
        // The system's own text would name the path, and that the tenant.
        _ => format!("{doing}: {advice} ({})", error.kind()),
    };
    Error::new(Code::LocalUnavailable, message).with_source(error)
}

fn given_back() -> Error {
    Error::new(Code::Closed, "the session directory was already released")
}

impl Folder {
    /// Makes and locks the directory at `path`. `ALREADY_OPEN` if another process holds it.
    pub fn lock(disk: Arc<dyn Disk>, path: &Path) -> Result<Folder> {
        let missing = path.ancestors().take_while(|above| is_missing(disk.as_ref(), above));
        let made = missing.map(Path::to_owned).collect();
        let lock = acquire(disk.as_ref(), path)?;
        let folder = Folder { disk, path: path.to_owned(), made, held: Mutex::new(None) };
        let next = folder.next_sequence()?;
        *folder.held() = Some(HolderView { lock, next, found: Vec::new(), made: Vec::new() });
        Ok(folder)
    }

    /// Makes and locks the directory once more, after it was removed while in use. `ALREADY_OPEN` if somebody else was
    /// quicker: this session has nothing to stand on any more.
    pub fn relock(&self) -> Result<()> {
        let mut held = self.held();
        let Some(was) = held.take() else {
            return Err(given_back());
        };
        let HolderView { lock, next, found, made } = was;
        // A lock on a file without a name keeps nobody out; one that stands must not be let go for an instant.
        let lock = if lock.stands() {
            lock
        } else {
            drop(lock);
            acquire(self.disk.as_ref(), &self.path)?
        };
        let next = next.max(self.next_sequence()?);
        *held = Some(HolderView { lock, next, found, made: made.clone() });
        let missing: Vec<Claim> = made.into_iter().filter(|claim| !self.claims().contains(claim)).collect();
        if !missing.is_empty() {
            // Claims that are not recorded cost the next open a wait, and no safety.
            let _ = self.write_claims(&missing);
        }
        Ok(())
    }

    /// Lets go. Whatever still works on the log from here on can change nothing.
    pub fn unlock(&self) {
        *self.held() = None;
    }

    /// The same, unless somebody changes something in it just now: false.
    pub fn try_unlock(&self) -> bool {
        match self.held.try_lock() {
            Ok(mut held) => *held = None,
            Err(TryLockError::Poisoned(held)) => *held.into_inner() = None,
            Err(TryLockError::WouldBlock) => return false,
        }
        true
    }

    fn held(&self) -> MutexGuard<'_, Option<HolderView>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `work` under the lock: it cannot be given back meanwhile.
    fn change<T>(&self, doing: &str, work: impl FnOnce(&mut HolderView) -> io::Result<T>) -> Result<T> {
        let mut held = self.held();
        let held = held.as_mut().ok_or_else(given_back)?;
        work(held).map_err(|error| unavailable(doing, error))
    }

    /// Bytes that still fit here; `None` if the system does not tell.
    pub fn room(&self) -> Option<u64> {
        self.disk.room(&self.path)
    }

    /// The mark of this start of the machine.
    pub(super) fn boot(&self) -> u16 {
        self.disk.boot()
    }

    fn at(&self, name: impl ToString) -> PathBuf {
        self.path.join(name.to_string())
    }

    fn names(&self) -> io::Result<Vec<Name>> {
        Ok(self.disk.list(&self.path)?.iter().filter_map(|name| Name::parse(name)).collect())
    }

    fn next_sequence(&self) -> Result<u64> {
        let names = self.names().map_err(|error| unavailable("reading the session directory", error))?;
        Ok(free(&names))
    }

    fn remove_if_there(&self, name: impl ToString) -> io::Result<()> {
        match self.disk.remove(&self.at(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The claims that were made from this directory, oldest first: one per line, and a checksum of them all.
    pub fn claims(&self) -> Vec<Claim> {
        let read = || {
            let text = String::from_utf8(self.disk.read(&self.at(CLAIMS)).ok()?).ok()?;
            let (claims, sum) = text.split_at_checked(text.len().checked_sub(CLAIMS_SUM_LEN)?)?;
            if sum != claims_sum(claims) {
                return None;
            }
            claims.lines().map(Claim::parse).collect()
        };
        // Unreadable claims are unknown claims: that costs a wait, and no safety.
        read().unwrap_or_default()
    }

    /// Remembers that `claim` is made from this directory. Durable when it returns: the store hears of the claim after that,
    /// so that a restart here knows it for its own. The last 16 are kept.
    pub fn record_claim(&self, claim: Claim) -> Result<()> {
        self.change("recording a claim", |held| {
            self.write_claims(&[claim])?;
            held.made.push(claim);
            Ok(())
        })
    }

    fn write_claims(&self, more: &[Claim]) -> io::Result<()> {
        let claims = [&self.claims(), more].concat();
        let kept = claims.len().saturating_sub(MAX_CLAIMS);
        let text: String = claims.iter().skip(kept).map(|claim| format!("{claim}\n")).collect();
        self.remove_if_there(CLAIMS_NEW)?;
        let file = self.disk.create(&self.at(CLAIMS_NEW))?;
        file.append(format!("{text}{}", claims_sum(&text)).as_bytes())?;
        file.sync()?;
        self.disk.rename(&self.at(CLAIMS_NEW), &self.at(CLAIMS))?;
        self.disk.sync_dir(&self.path)
    }

    /// Reads what former opens left, and changes none of it. `KEY_UNAVAILABLE` if it needs a key that is not in `ring`,
    /// `LOCAL_CORRUPT` if it is another tenant's or of an unknown version; damage is an answer, and not an error.
    pub fn recover(&self, ring: &Ring, tag: TenantTag) -> Result<Recovery> {
        let files = self.change("reading the local log", |held| {
            let mut files = Vec::new();
            for name in self.names()? {
                match name {
                    Name::Log(sequence) => files.push((sequence, self.disk.read(&self.at(name))?)),
                    // Never complete, and its number is not used again: if it cannot be removed it does no harm.
                    Name::Temporary(_) => drop(self.remove_if_there(name)),
                    Name::Quarantined(_) | Name::Unsent(_) => {}
                }
            }
            held.found = files.iter().map(|(sequence, _)| *sequence).collect();
            Ok(files)
        })?;
        verdict(&files, ring, tag, self.disk.boot())
    }

    /// Sets the logs aside: they are not part of the history that goes on. If all that is in them `is_stored`, the newest two are
    /// kept, for a person to look at; if not, they stay until a person removes them.
    #[cfg(test)]
    pub fn quarantine(&self, is_stored: bool) -> Result<()> {
        self.set_aside(is_stored, |_, _| true)
    }

    /// The same for the logs that were read, but not for the one numbered `current`, which is being written.
    pub fn set_aside_but(&self, current: u64, is_stored: bool) -> Result<()> {
        self.set_aside(is_stored, |held, sequence| sequence != current && held.found.contains(&sequence))
    }

    fn set_aside(&self, is_stored: bool, goes: impl Fn(&HolderView, u64) -> bool) -> Result<()> {
        self.change("setting the local log aside", |held| {
            let aside = if is_stored { Name::Quarantined } else { Name::Unsent };
            let mut names = self.names()?;
            for name in names.clone() {
                if let Name::Log(sequence) = name
                    && goes(held, sequence)
                {
                    let taken = names.iter().any(|other| *other != name && other.sequence() == sequence);
                    let name_aside = aside(if taken { free(&names) } else { sequence });
                    self.disk.rename(&self.at(name), &self.at(name_aside))?;
                    names.push(name_aside);
                }
            }
            self.disk.sync_dir(&self.path)?;
            let mut old = self.names()?;
            old.retain(|name| matches!(name, Name::Quarantined(_)));
            old.sort_unstable_by_key(|name| std::cmp::Reverse(name.sequence()));
            old.into_iter().skip(MAX_QUARANTINED).try_for_each(|name| self.remove_if_there(name))
        })
    }

    /// Removes every log that was read and is not the one numbered `current`, which is being written, and what half-written ones
    /// left. What nobody has read stays: it may be the log of a rewrite that goes on.
    pub fn remove_logs_but(&self, current: u64) -> Result<()> {
        self.change("removing an old log", |held| {
            for name in self.names()? {
                let old = match name {
                    Name::Log(sequence) => sequence != current && held.found.contains(&sequence),
                    Name::Temporary(sequence) => sequence < current,
                    Name::Quarantined(_) | Name::Unsent(_) => false,
                };
                if old {
                    self.remove_if_there(name)?;
                }
            }
            Ok(())
        })
    }

    /// Removes everything of ours, and the directory if nothing else is in it, and lets go. If it fails, the lock is still
    /// held and it can be tried again.
    pub fn remove_all(&self) -> Result<()> {
        let mut held = self.held();
        if held.is_none() {
            return Err(given_back());
        }
        let removed = match self.names() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(names) => names
                .into_iter()
                .try_for_each(|name| self.remove_if_there(name))
                .and_then(|()| self.remove_if_there(CLAIMS))
                .and_then(|()| self.remove_if_there(CLAIMS_NEW))
                .and_then(|()| self.disk.sync_dir(&self.path)),
        };
        removed.map_err(|error| unavailable("removing the local log", error))?;
        // It was never free in between: a rewrite that still goes on makes nothing new here.
        // Imported originals and foreign files keep the directory.
        let _ = self.remove_if_there(LOCK);
        let _ = self.disk.remove_dir(&self.path);
        *held = None;
        Ok(())
    }

    /// Removes the directory if there is nothing in it but the lock, and those above that were made for it, and lets go: nobody finds a
    /// trace of an open that failed.
    pub fn leave(&self) {
        let mut held = self.held();
        let is_unused = self.disk.list(&self.path).is_ok_and(|names| names.iter().all(|name| name == LOCK));
        if held.is_some() && is_unused {
            let _ = self.remove_if_there(LOCK);
            let mut above = self.made.iter().skip(1);
            // Where others came in meanwhile, the rest is theirs.
            let _ = self
                .disk
                .remove_dir(&self.path)
                .and_then(|()| above.try_for_each(|made| self.disk.remove_dir(made)));
        }
        *held = None;
    }

    /// A file under a temporary name, with a sequence number that nothing here had before.
    pub(super) fn start_file(&self) -> Result<(u64, Arc<dyn LogFile>)> {
        self.change("starting a log", |held| {
            let names = self.names()?;
            // A number may be taken that nobody but us gives: nothing is ever written over.
            let is_taken = names.iter().any(|name| name.sequence() == held.next);
            let sequence = if is_taken { free(&names) } else { held.next };
            held.next = sequence.checked_add(1).unwrap_or(1);
            Ok((sequence, self.disk.create(&self.at(Name::Temporary(sequence)))?))
        })
    }

    /// Gives a complete and synced file its name, durably.
    pub(super) fn publish(&self, sequence: u64) -> Result<()> {
        self.change("starting a log", |_| {
            self.disk.rename(&self.at(Name::Temporary(sequence)), &self.at(Name::Log(sequence)))?;
            self.disk.sync_dir(&self.path)
        })
    }

    /// Removes a log, or what was to become one.
    pub(super) fn discard(&self, sequence: u64) -> Result<()> {
        self.change("removing an old log", |_| {
            self.remove_if_there(Name::Temporary(sequence))?;
            self.remove_if_there(Name::Log(sequence))
        })
    }
}

const CLAIMS_SUM_LEN: usize = 9;

fn claims_sum(claims: &str) -> String {
    format!("{:08x}\n", crc32fast::hash(claims.as_bytes()))
}
