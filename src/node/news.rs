//! News of a session for its listener, as JavaScript gets them.

use napi_derive::napi;

use crate::event::Event;

/// News of a session: an event of `types/session.d.ts`, or a line for the log alone.
#[napi(object_from_js = false, discriminant = "event", discriminant_case = "camelCase")]
pub enum News {
    Waiting {
        /// The epoch of the predecessor.
        epoch: f64,
        /// The longest that is left to wait, in milliseconds.
        at_most_ms: f64,
    },
    Backup {
        /// The last write that the store has.
        lsn: f64,
        /// Bytes that were sent for it.
        bytes: f64,
    },
    Degraded {
        /// The stable code of the failure.
        #[napi(ts_type = "import('./types/error.js').HybridAuthErrorCode")]
        code: &'static str,
        message: String,
    },
    Recovered {
        /// The last write that the store has.
        lsn: f64,
    },
    ServerChanged {},
    Fenced {},
    Repaired {
        message: String,
    },
    Error {
        /// The stable code of the failure.
        #[napi(ts_type = "import('./types/error.js').HybridAuthErrorCode")]
        code: &'static str,
        message: String,
    },
    Note {
        /// The method of a logger.
        #[napi(ts_type = "'debug' | 'warn'")]
        level: &'static str,
        message: String,
    },
}

impl From<Event> for News {
    fn from(event: Event) -> News {
        match event {
            Event::Waiting { epoch, at_most } => {
                News::Waiting { epoch: epoch as f64, at_most_ms: at_most.as_millis() as f64 }
            }
            Event::Backup { lsn, bytes } => News::Backup { lsn: lsn as f64, bytes: bytes as f64 },
            Event::Degraded(error) => News::Degraded { code: error.code().as_str(), message: error.message },
            Event::Recovered { lsn } => News::Recovered { lsn: lsn as f64 },
            Event::ServerChanged => News::ServerChanged {},
            Event::Fenced => News::Fenced {},
            Event::Repaired(message) => News::Repaired { message },
            Event::Failed(error) => News::Error { code: error.code().as_str(), message: error.message },
            Event::Note(level, message) => News::Note { level: level.as_str(), message },
        }
    }
}
