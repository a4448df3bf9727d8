//! The location of a log: the tenant's folder, locked for the life of the session, or none.
//!
//! Nothing on the disk is changed for a session that keeps no log, and nothing of it is read but to find out whether a former
//! life left a log there: what only that one holds must not be passed over in silence (I17).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Cause, Error, Result};
use crate::id::{Claim, Lsn};
use crate::journal::Log;
use crate::journal::memtable::Memtable;
use crate::ownership::decide::{Local, OpenPlan, Overrides, Survey, only_on_disk, origin, origin_in_store};
use crate::platform::disk::Disk;
use crate::platform::host::{Host, blocking, sleep};
use crate::wal::{Folder, Lineage, Recovery, Wal, is_locked, is_missing, locked, read_unlocked};

use super::Address;

/// Wait for a lock that is taken: a look at it takes no longer, unless the machine holds it up.
const GLANCE: Duration = Duration::from_millis(20);
/// Number of these waits for a look.
const GLANCES: usize = 500;

/// Location of a session's log.
#[derive(Clone)]
pub enum LogLocation {
    /// In the tenant's folder. The lock is let go when it is dropped, whatever happens to an open.
    Folder(Arc<Folder>),
    /// Nowhere.
    Nowhere,
}

/// Part of the session's own log that has to be set aside, as it was not made use of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnusedLog {
    /// All of it was read.
    Nothing,
    /// A part that holds no batch.
    Stored,
    /// A part that may hold batches.
    Unsent,
}

impl UnusedLog {
    /// Says it of what was recovered.
    pub fn of(recovery: &Recovery) -> UnusedLog {
        match recovery {
            Recovery::Log(log) if log.unread && log.unsynced_lost == 0 => UnusedLog::Stored,
            Recovery::Log(log) if log.unread => UnusedLog::Unsent,
            _ => UnusedLog::Nothing,
        }
    }
}

impl LogLocation {
    /// True if there is a folder at `address` already.
    pub async fn is_there(host: &Arc<dyn Host>, disk: &Arc<dyn Disk>, address: &Address) -> bool {
        let (disk, path) = (Arc::clone(disk), address.folder.clone());
        blocking(host, move || !is_missing(disk.as_ref(), &path)).await
    }

    /// Finds the home, and what a former life left in it.
    pub async fn find(
        host: &Arc<dyn Host>,
        disk: Arc<dyn Disk>,
        address: &Address,
    ) -> Result<(LogLocation, Recovery)> {
        let (path, ring) = (address.folder.clone(), Arc::clone(&address.ring));
        let (tag, mode) = (address.log_tag(), address.mode);
        let look = || {
            let (disk, path, ring) = (Arc::clone(&disk), path.clone(), Arc::clone(&ring));
            blocking(host, move || {
                // What it says in the clear may be enough.
                let read = |recovery: Result<Recovery>| match recovery {
                    Err(error) if error.cause == Cause::Keyless => {
                        locked(disk.as_ref(), &path, &ring, tag)?.map(Recovery::Locked).ok_or(error)
                    }
                    recovery => recovery,
                };
                if !mode.keeps_log() {
                    return Ok::<_, Error>((
                        LogLocation::Nowhere,
                        read(read_unlocked(disk.as_ref(), &path, &ring, tag))?,
                    ));
                }
                let folder = Folder::lock(Arc::clone(&disk), &path)?;
                let recovery = read(folder.recover(&ring, tag))?;
                Ok((LogLocation::Folder(Arc::new(folder)), recovery))
            })
        };
        // Perhaps somebody only looked, just then, whether it is locked.
        let mut answer = look().await;
        for waited in 0..GLANCES {
            let is_taken = matches!(&answer, Err(error) if error.cause == Cause::InUse);
            if !is_taken || (waited > 0 && is_owned(host, &disk, &path).await?) {
                break;
            }
            sleep(GLANCE).await;
            answer = look().await;
        }
        answer
    }

    /// Leaves no trace of an open that failed, unless it wrote something that counts.
    pub async fn leave(&self, host: &Arc<dyn Host>) {
        if let LogLocation::Folder(folder) = self.clone() {
            blocking(host, move || folder.leave()).await;
        }
    }

    /// Claims that were made from here in former lives: all of them are dead.
    pub fn dead(&self) -> Vec<Claim> {
        match self {
            LogLocation::Folder(folder) => folder.claims(),
            LogLocation::Nowhere => Vec::new(),
        }
    }

    /// Remembers a claim that is made from here.
    pub async fn record(&self, host: &Arc<dyn Host>, claim: Claim) -> Result<()> {
        match self.clone() {
            LogLocation::Folder(folder) => blocking(host, move || folder.record_claim(claim)).await,
            LogLocation::Nowhere => Ok(()),
        }
    }

    /// Decides where the session comes from, before (`is_preflight`) or after it was claimed.
    pub fn decide(
        &self,
        survey: &Survey,
        me: &Claim,
        local: Local,
        allowed: Overrides,
        is_preflight: bool,
    ) -> Result<OpenPlan> {
        match self {
            LogLocation::Folder(_) => origin(survey, me, local, allowed),
            LogLocation::Nowhere => {
                // What a predecessor that may run has in its log is perhaps on its way to the store.
                let running =
                    is_preflight && survey.claims.predecessor(me).is_some_and(|it| local.claim() == Some(it));
                let left = if running { Local::None } else { local };
                origin_in_store(survey, me, left, allowed)
            }
        }
    }

    /// Error if what is to be imported cannot be: its originals would lie here for ever.
    pub fn takes_in(&self) -> Result<()> {
        match self {
            LogLocation::Folder(_) => Ok(()),
            LogLocation::Nowhere => Err(foreign()),
        }
    }

    /// Writes the new log, and then removes the old one, or sets it aside: never is there less on the disk than before.
    pub async fn start_log(
        &self,
        host: &Arc<dyn Host>,
        address: &Address,
        claim: Claim,
        lsn: Lsn,
        state: &Memtable,
        left: UnusedLog,
    ) -> Result<Log> {
        let LogLocation::Folder(folder) = self.clone() else { return Ok(Log::None) };
        let lineage = Lineage { ring: Arc::clone(&address.ring), tag: address.log_tag(), claim };
        let (machine, snapshot) = (Arc::clone(host), state.snapshot());
        blocking(host, move || {
            let wal = Wal::create(&folder, machine.as_ref(), lineage, lsn, &snapshot.encode())?;
            match left {
                UnusedLog::Nothing => folder.remove_logs_but(wal.sequence())?,
                UnusedLog::Stored | UnusedLog::Unsent => {
                    folder.set_aside_but(wal.sequence(), left == UnusedLog::Stored)?;
                }
            }
            Ok(Log::Disk(wal))
        })
        .await
    }
}

/// True if whoever holds the lock is an owner: those who look share it.
async fn is_owned(host: &Arc<dyn Host>, disk: &Arc<dyn Disk>, path: &Path) -> Result<bool> {
    let (disk, path) = (Arc::clone(disk), path.to_owned());
    blocking(host, move || is_locked(disk.as_ref(), &path)).await
}

fn foreign() -> Error {
    only_on_disk("this session is only in a folder of `useMultiFileAuthState`")
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::error::Code;
    use crate::platform::disk::RealDisk;
    use crate::platform::host::RealHost;
    use crate::sim::Cluster;

    #[tokio::test]
    async fn whoever_looks_at_a_lock_keeps_nobody_out_however_long_it_takes_and_an_owner_does_at_once() {
        let root = tempfile::tempdir().expect("room");
        let folder = root.path().join("tenant");
        let host: Arc<dyn Host> = Arc::new(RealHost::new(tokio::runtime::Handle::current()));
        let address = Cluster::settings_for_tests().in_folder(folder.clone()).address;
        let find = || LogLocation::find(&host, Arc::new(RealDisk), &address);

        let owner = find().await.expect("free");
        let refused = find().await.err().map(|error| error.code());
        assert_eq!(refused, Some(Code::AlreadyOpen));
        drop(owner);

        let look = File::open(folder.join("lock")).expect("it stays");
        look.try_lock_shared().expect("free");
        let looking = async {
            sleep(GLANCE * 10).await;
            drop(look);
        };
        let (found, ()) = tokio::join!(find(), looking);
        assert!(matches!(found, Ok((LogLocation::Folder(_), _))), "{:?}", found.err());
    }
}
