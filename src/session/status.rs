//! The status of a session, as `status()` returns it.
//!
//! The names of fields and of lives are part of the public surface: `types/session.d.ts` says what each means.

use std::sync::PoisonError;

use serde::Serialize;

use super::{Mode, Origin, Session};
use crate::error::{Code, Error, Result};
use crate::id::Lsn;
use crate::journal::Life;
use crate::store::Durability;

/// Figures of `status()`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    mode: Mode,
    life: Life,
    lsn: Lsn,
    synced_lsn: Lsn,
    keys: usize,
    bytes: usize,
    max_bytes: usize,
    dirty_keys: usize,
    dirty_bytes: usize,
    log_bytes: u64,
    lag_ms: u64,
    restored: Origin,
    remote: Option<RemoteStatus>,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Degraded,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct RemoteStatus {
    state: State,
    epoch: u64,
    durable_lsn: Lsn,
    durability: Option<Durability>,
    handed_over: bool,
    last_backup_at: Option<u64>,
    last_error: Option<LastError>,
    base_refused: Option<LastError>,
    segments: u64,
    bases: u64,
    bytes: u64,
}

#[derive(Debug, Clone, Serialize)]
struct LastError {
    code: Code,
    message: String,
}

impl LastError {
    fn of(error: Error) -> LastError {
        LastError { code: error.code, message: error.message }
    }
}

impl Session {
    /// Status of the session.
    pub fn status(&self) -> Result<Status> {
        let (figures, progress) = (self.journal.figures()?, self.journal.progress());
        let remote = self.remote.as_ref().map(|remote| {
            let health = remote.health.lock().unwrap_or_else(PoisonError::into_inner).clone();
            RemoteStatus {
                state: if health.degraded { State::Degraded } else { State::Ok },
                epoch: remote.owner.claim.epoch,
                durable_lsn: progress.stored,
                durability: remote.owner.tenancy.remote.durability(),
                handed_over: health.handed_over,
                last_backup_at: health.last_backup_ms,
                last_error: health.last_error.map(LastError::of),
                base_refused: health.base_refused.map(LastError::of),
                segments: health.segments,
                bases: health.bases,
                bytes: health.bytes,
            }
        });
        Ok(Status {
            mode: self.mode(),
            life: progress.life,
            lsn: figures.lsn,
            synced_lsn: progress.synced,
            keys: figures.keys,
            bytes: figures.bytes,
            max_bytes: figures.room,
            dirty_keys: if remote.is_some() { figures.dirty_keys } else { 0 },
            dirty_bytes: if remote.is_some() { figures.dirty_bytes } else { 0 },
            log_bytes: figures.log_bytes,
            lag_ms: u64::try_from(figures.lag.as_millis()).unwrap_or(u64::MAX),
            restored: self.origin,
            remote,
        })
    }
}
