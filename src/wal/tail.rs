//! The file that a log is written to, and how much of it survives a power cut.
//!
//! What was synced is known of each file by itself: a log that was rewritten lies in two files, and a sync of one says
//! nothing about the other. After a failed sync nobody knows what is on the disk, and a later success would lie (I16).

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use crate::id::Lsn;
use crate::platform::disk::LogFile;
use crate::platform::host::Host;
use crate::platform::meter::METERS;
use crate::platform::sync::{AtomicBool, AtomicU64, Mutex};

/// A log's file. Appends come from one thread at a time, syncs from any.
pub struct Tail {
    file: Arc<dyn LogFile>,
    appended: AtomicU64,
    synced: AtomicU64,
    failed: AtomicBool,
    /// The system tells a failure to one of several who sync at once: one at a time.
    turn: Mutex<()>,
}

impl Tail {
    /// A tail of `file`, which has nothing of use yet.
    pub fn new(file: Arc<dyn LogFile>) -> Tail {
        let (appended, synced) = (AtomicU64::new(0), AtomicU64::new(0));
        Tail { file, appended, synced, failed: AtomicBool::new(false), turn: Mutex::new(()) }
    }

    /// Records that everything up to `lsn` was handed to the system.
    pub fn note_appended(&self, lsn: Lsn) {
        self.appended.store(lsn, Ordering::Release);
    }

    /// The highest LSN that survives a power cut in this file.
    pub fn synced(&self) -> Lsn {
        self.synced.load(Ordering::Acquire)
    }

    /// True if a sync failed.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Accepts nothing any more.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::Release);
    }
}

/// Syncs a log's file, and counts how long that took. Blocks.
pub fn sync(host: &dyn Host, file: &dyn LogFile) -> io::Result<()> {
    let began = host.now();
    let synced = file.sync();
    match synced {
        Ok(()) => METERS.syncs.observe(host.now().saturating_sub(began)),
        Err(_) => METERS.sync_failures.one(),
    }
    synced
}

impl LogFile for Tail {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.file.append(bytes)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.truncate(len)
    }

    fn sync(&self) -> io::Result<()> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if self.has_failed() {
            return Err(io::Error::other("an earlier sync failed"));
        }
        let appended = self.appended.load(Ordering::Acquire);
        match self.file.sync() {
            Ok(()) => {
                self.synced.fetch_max(appended, Ordering::AcqRel);
                Ok(())
            }
            Err(error) => {
                self.fail();
                Err(error)
            }
        }
    }

    fn linked(&self) -> bool {
        self.file.linked()
    }
}

#[cfg(test)]
mod interleaved;
