//! Errors: one closed list of codes, each telling the caller what to do next.
//!
//! Codes are API and never change their meaning; messages are for people and may. A message names what was
//! being done and what to do about it, and never holds a key, a value, a contact or a tenant id (I19).

use std::fmt;

/// Cause of an error, as far as a caller can act on it. The names are stable and reach JavaScript as `code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// A bad argument: fix the call.
    InvalidOption,
    /// Another process holds this tenant's directory: use the handle that is open there.
    AlreadyOpen,
    /// Another instance claimed the session while this one was opening it: leave it there, or open again later.
    OwnedElsewhere,
    /// A newer owner exists: close the socket and do not reconnect here.
    Fenced,
    /// Ownership could not be confirmed in time and the strict policy was chosen: close the socket, reopen.
    LeaseLost,
    /// The store could not be reached: nothing is decided, retry later.
    RemoteUnavailable,
    /// The store answers and refuses: a key, a right, a bucket or a limit is not as it must be. Mend what the message names.
    RemoteRefused,
    /// A hole, a missing object or a digest that does not match: see the runbook, nothing is reset by itself.
    RemoteCorrupt,
    /// Damage in the local log or in the files to import: the remote copy or the runbook helps.
    LocalCorrupt,
    /// The local disk refused (full, read-only, not permitted): nothing changed, retry once it is mended.
    LocalUnavailable,
    /// A running browser left no moment for a whole copy of its profile: the last generation stays, try again.
    ProfileBusy,
    /// The encryption key needed is not in the ring: supply it.
    KeyUnavailable,
    /// There is no session anywhere, and `onMissing: 'error'` forbids making one: check where it should be.
    NotFound,
    /// The session was logged out or deleted: pair again with `fresh: true`.
    Deleted,
    /// A write failed half-way and could not be taken back: reopen the session.
    IoPoisoned,
    /// The handle was closed: a mistake in the caller.
    Closed,
    /// A panic in the core was caught: the handle is out of use, report it.
    Internal,
}

impl Code {
    /// The stable name that JavaScript sees.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::InvalidOption => "INVALID_OPTION",
            Code::AlreadyOpen => "ALREADY_OPEN",
            Code::OwnedElsewhere => "OWNED_ELSEWHERE",
            Code::Fenced => "FENCED",
            Code::LeaseLost => "LEASE_LOST",
            Code::RemoteUnavailable => "REMOTE_UNAVAILABLE",
            Code::RemoteRefused => "REMOTE_REFUSED",
            Code::RemoteCorrupt => "REMOTE_CORRUPT",
            Code::LocalCorrupt => "LOCAL_CORRUPT",
            Code::LocalUnavailable => "LOCAL_UNAVAILABLE",
            Code::ProfileBusy => "PROFILE_BUSY",
            Code::KeyUnavailable => "KEY_UNAVAILABLE",
            Code::NotFound => "NOT_FOUND",
            Code::Deleted => "DELETED",
            Code::IoPoisoned => "IO_POISONED",
            Code::Closed => "CLOSED",
            Code::Internal => "INTERNAL",
        }
    }
}

impl AsRef<str> for Code {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

/// An error with its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The code that a caller can branch on.
    pub code: Code,
    /// The text that a person reads.
    pub message: String,
}

impl Error {
    /// An error of `code` that says `message`.
    pub fn new(code: Code, message: impl fmt::Display) -> Self {
        Error { code, message: message.to_string() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;
