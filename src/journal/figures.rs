//! Figures of a journal, all of one moment: they are read under its lock.

use std::time::Duration;

use crate::error::Result;
use crate::id::Lsn;

use super::Journal;

/// Figures of a journal.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// LSN of the last batch.
    pub lsn: Lsn,
    /// Keys, the credentials among them.
    pub keys: usize,
    /// Bytes of all entries.
    pub bytes: usize,
    /// Bytes that they may have.
    pub room: usize,
    /// Keys that the store may not have.
    pub dirty_keys: usize,
    /// Bytes of their entries.
    pub dirty_bytes: usize,
    /// Bytes of the log file.
    pub log_bytes: u64,
    /// Age of the oldest change that the store may not have.
    pub lag: Duration,
}

impl Journal {
    /// Figures for `status()`.
    pub fn figures(&self) -> Result<Figures> {
        let core = self.core()?;
        Ok(Figures {
            lsn: core.lsn,
            keys: core.state.len(),
            bytes: core.state.bytes(),
            room: self.room,
            dirty_keys: core.state.dirty_len(),
            dirty_bytes: core.state.dirty_bytes(),
            log_bytes: core.log.bytes(),
            lag: core
                .shipping_since
                .or(core.waiting_since)
                .map_or(Duration::ZERO, |since| self.host.now().saturating_sub(since)),
        })
    }
}
