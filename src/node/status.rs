//! Status of a session, as JavaScript gets it: the names and the order of `status()` in `types/session.d.ts`.

use napi_derive::napi;

use super::promise::{Failure, Thrown};
use super::{Handle, engine};
use crate::session;

/// Status of a session.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct Status {
    /// Place of the session: on the disk, in the store, or both.
    #[napi(ts_type = "'local' | 'hybrid' | 'cloud'")]
    pub mode: &'static str,
    /// `live`, or how it ended or ends.
    #[napi(ts_type = "'live' | 'fenced' | 'lease-lost' | 'closing' | 'closed' | 'deleted' | 'poisoned'")]
    pub life: &'static str,
    /// Number of the last write.
    pub lsn: f64,
    /// Last write that is known to survive a power cut of this machine.
    pub local_durable_lsn: f64,
    /// Last write that a new machine could restore; `null` without a store.
    pub remote_durable_lsn: Option<f64>,
    /// Age of the oldest write that a new machine could not restore, in milliseconds; `null` without a store.
    pub lag_ms: Option<f64>,
    /// Keys in memory.
    pub keys: f64,
    /// Bytes of the keys and their values.
    pub bytes: f64,
    /// The most that `bytes` may be.
    pub max_bytes: f64,
    /// Keys whose value a new machine could not restore; 0 without a store.
    pub dirty_keys: f64,
    /// Bytes of those keys and their values.
    pub dirty_bytes: f64,
    /// Bytes of the local log; 0 without one.
    pub log_bytes: f64,
    /// The epoch of this owner; `null` without a store.
    pub epoch: Option<f64>,
    /// Origin of the session.
    pub restored: Origin,
    /// The store: `none` without one, `degraded` while it fails.
    #[napi(ts_type = "'none' | 'ok' | 'degraded'")]
    pub store: &'static str,
    /// Survival of what a database has acknowledged; `null` for other stores, and before it has told.
    #[napi(ts_type = "'replicated' | 'disk' | 'second' | 'memory'")]
    pub store_durability: Option<&'static str>,
    /// After a fence: true if the newer owner is known to have everything.
    pub handed_over: bool,
    /// Time at which the store was last known to have everything, in milliseconds since 1970; `null` if it never was.
    pub last_backup_at: Option<f64>,
    /// The last failure of the store; `null` if there was none.
    pub last_error: Option<Failure>,
    /// The reason why the store takes no base; `null` while it does.
    pub base_refused: Option<Failure>,
    /// Objects stored since the open; `null` without a store.
    pub uploads: Option<Uploads>,
}

/// Origin of a session when it was opened.
#[napi(object, object_from_js = false)]
pub struct Origin {
    /// Made new, taken over from files of another kind, from the local log, or from the store.
    #[napi(ts_type = "'fresh' | 'imported' | 'local' | 'remote'")]
    pub source: &'static str,
    /// True if no write that was ever resolved can be missing.
    pub clean: bool,
}

impl From<session::Origin> for Origin {
    fn from(session::Origin { source, clean }: session::Origin) -> Origin {
        Origin { source: source.as_str(), clean }
    }
}

/// Objects that a session has stored since its open.
#[napi(object, object_from_js = false)]
pub struct Uploads {
    /// Segments.
    pub segments: f64,
    /// Bases.
    pub bases: f64,
    /// Bytes of both.
    pub bytes: f64,
}

impl From<session::Uploads> for Uploads {
    fn from(session::Uploads { segments, bases, bytes }: session::Uploads) -> Uploads {
        Uploads { segments: segments as f64, bases: bases as f64, bytes: bytes as f64 }
    }
}

impl From<session::Status> for Status {
    fn from(status: session::Status) -> Status {
        Status {
            mode: status.mode.as_str(),
            life: status.life.as_str(),
            lsn: status.lsn as f64,
            local_durable_lsn: status.local_durable_lsn as f64,
            remote_durable_lsn: status.remote_durable_lsn.map(|lsn| lsn as f64),
            lag_ms: status.lag_ms.map(|ms| ms as f64),
            keys: status.keys as f64,
            bytes: status.bytes as f64,
            max_bytes: status.max_bytes as f64,
            dirty_keys: status.dirty_keys as f64,
            dirty_bytes: status.dirty_bytes as f64,
            log_bytes: status.log_bytes as f64,
            epoch: status.epoch.map(|epoch| epoch as f64),
            restored: status.restored.into(),
            store: status.store.as_str(),
            store_durability: status.store_durability.map(crate::store::Durability::as_str),
            handed_over: status.handed_over,
            last_backup_at: status.last_backup_at.map(|ms| ms as f64),
            last_error: status.last_error.map(Failure::from),
            base_refused: status.base_refused.map(Failure::from),
            uploads: status.uploads.map(Uploads::from),
        }
    }
}

/// Status of the session behind a handle.
#[napi(catch_unwind)]
pub fn status(handle: Handle) -> Result<Status, Thrown> {
    Ok(engine().registry.session(handle)?.status()?.into())
}
