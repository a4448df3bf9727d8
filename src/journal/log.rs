//! Place of a batch before it is in memory: in a log on the disk, or nowhere.
//!
//! Without a log nothing is safe before the store has it: what is written then is shipped at once, and whoever wrote it waits
//! until it is acknowledged.

use crate::error::Result;
use crate::id::Lsn;
use crate::wal::{Appended, Wal};

/// The log of a journal.
#[expect(
    clippy::large_enum_variant,
    reason = "it lies in its journal, where nothing is between it and an append"
)]
pub enum Log {
    /// On the disk.
    Disk(Wal),
    /// There is none.
    None,
}

impl Log {
    /// Appends the batch `lsn`: see [`Wal::append`].
    pub fn append(&mut self, lsn: Lsn, entries: &[u8]) -> Result<Appended> {
        match self {
            Log::Disk(wal) => wal.append(lsn, entries),
            Log::None => Ok(Appended::Stored),
        }
    }

    /// True if garbage dominates, given the bytes of the live state.
    pub fn needs_roll(&self, live: usize) -> bool {
        matches!(self, Log::Disk(wal) if wal.needs_roll(live))
    }

    /// Its bytes on the disk.
    pub fn bytes(&self) -> u64 {
        match self {
            Log::Disk(wal) => wal.len(),
            Log::None => 0,
        }
    }

    /// The one on the disk, for what only that needs.
    pub fn on_disk(&mut self) -> Option<&mut Wal> {
        match self {
            Log::Disk(wal) => Some(wal),
            Log::None => None,
        }
    }
}
