//! Events of a session for its user. Each is told once, in order, and never with a secret or a tenant id.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::id::Lsn;

/// Something worth telling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An open waits for a predecessor that did not release. Told again when the wait grows longer.
    Waiting {
        /// The epoch of the predecessor.
        epoch: u64,
        /// The longest that is left to wait.
        at_most: Duration,
    },
    /// All changes up to `lsn` are restorable from the store; `bytes` were sent for it.
    Backup {
        /// The acknowledged LSN.
        lsn: Lsn,
        /// Bytes of the object.
        bytes: u64,
    },
    /// The store does not answer or refuses; the session goes on locally.
    Degraded(Error),
    /// The store answers again, and has everything up to `lsn`.
    Recovered {
        /// The acknowledged LSN.
        lsn: Lsn,
    },
    /// Another server answers for the store, which may have forgotten what the former one acknowledged: the whole state is stored
    /// there before anything else is acknowledged.
    ServerChanged,
    /// A newer owner exists; this session accepts no more changes.
    Fenced,
    /// Something of the local disk was damaged, lost or set aside, and the session goes on; in words.
    Repaired(String),
    /// Something failed that needs a person.
    Failed(Error),
    /// A line for the log alone: a step that explains others, or a fault that was dealt with.
    Note(Level, String),
}

/// The weight of a [`Event::Note`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// For whoever follows one session closely.
    Debug,
    /// For an operator who looks for a cause.
    Warn,
}

impl Level {
    /// The name of the method of a logger.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Debug => "debug",
            Level::Warn => "warn",
        }
    }
}

/// A listener. Called from background threads; must not block.
pub type EventSink = Arc<dyn Fn(Event) + Send + Sync>;
