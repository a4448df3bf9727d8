//! The status of a session, as `status()` returns it.
//!
//! The names of fields and of lives are part of the public surface: `types/session.d.ts` says what each means.

use std::sync::PoisonError;

use super::{Mode, Origin, Session};
use crate::error::{Error, Result};
use crate::id::Lsn;
use crate::journal::Life;
use crate::store::Durability;

/// Figures of `status()`. What is `None` without a store is `Some` with one.
#[derive(Debug, Clone)]
pub struct Status {
    pub mode: Mode,
    pub life: Life,
    /// The last write.
    pub lsn: Lsn,
    /// The last write that survives a power cut of this machine.
    pub local_durable_lsn: Lsn,
    /// The last write that a new machine could restore.
    pub remote_durable_lsn: Option<Lsn>,
    /// Age of the oldest write that a new machine could not restore.
    pub lag_ms: Option<u64>,
    /// Keys in memory, and their bytes with the values.
    pub keys: usize,
    pub bytes: usize,
    /// The most that `bytes` may be.
    pub max_bytes: usize,
    /// Keys whose value a new machine could not restore, and their bytes; 0 without a store.
    pub dirty_keys: usize,
    pub dirty_bytes: usize,
    /// Bytes of the local log.
    pub log_bytes: u64,
    /// The epoch of this owner.
    pub epoch: Option<u64>,
    /// Origin of the session.
    pub restored: Origin,
    pub store: StoreState,
    /// Survival of what the store has acknowledged, where it tells.
    pub store_durability: Option<Durability>,
    /// After a fence: true if the newer owner has everything.
    pub handed_over: bool,
    /// Time at which the store was last known to have everything.
    pub last_backup_at: Option<u64>,
    /// The last failure of the store.
    pub last_error: Option<Error>,
    /// Reason that the store takes no base.
    pub base_refused: Option<Error>,
    /// Objects that were stored.
    pub uploads: Option<Uploads>,
}

/// State of the store of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreState {
    /// There is no store.
    None,
    Ok,
    /// It fails.
    Degraded,
}

impl StoreState {
    /// The stable name that JavaScript sees.
    pub fn as_str(self) -> &'static str {
        match self {
            StoreState::None => "none",
            StoreState::Ok => "ok",
            StoreState::Degraded => "degraded",
        }
    }
}

/// Objects that a session has stored since its open, and their bytes.
#[derive(Debug, Clone, Copy)]
pub struct Uploads {
    pub segments: u64,
    pub bases: u64,
    pub bytes: u64,
}

impl Session {
    /// Status of the session.
    pub fn status(&self) -> Result<Status> {
        let (figures, progress) = (self.journal.figures()?, self.journal.progress());
        let local = Status {
            mode: self.mode(),
            life: progress.life,
            lsn: figures.lsn,
            local_durable_lsn: progress.synced,
            remote_durable_lsn: None,
            lag_ms: None,
            keys: figures.keys,
            bytes: figures.bytes,
            max_bytes: figures.room,
            dirty_keys: 0,
            dirty_bytes: 0,
            log_bytes: figures.log_bytes,
            epoch: None,
            restored: self.origin,
            store: StoreState::None,
            store_durability: None,
            handed_over: false,
            last_backup_at: None,
            last_error: None,
            base_refused: None,
            uploads: None,
        };
        let Some(remote) = &self.remote else { return Ok(local) };
        let health = remote.health.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Status {
            remote_durable_lsn: Some(progress.stored),
            lag_ms: Some(u64::try_from(figures.lag.as_millis()).unwrap_or(u64::MAX)),
            dirty_keys: figures.dirty_keys,
            dirty_bytes: figures.dirty_bytes,
            epoch: Some(remote.owner.claim.epoch),
            store: if health.degraded { StoreState::Degraded } else { StoreState::Ok },
            store_durability: remote.owner.tenancy.remote.durability(),
            handed_over: health.handed_over,
            last_backup_at: health.last_backup_ms,
            last_error: health.last_error,
            base_refused: health.base_refused,
            uploads: Some(Uploads { segments: health.segments, bases: health.bases, bytes: health.bytes }),
            ..local
        })
    }
}
