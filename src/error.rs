//! Errors on two levels: a closed list of causes, on which the core decides, and a closed list of codes, each telling the caller what
//! to do next.
//!
//! Codes are API and never change their meaning; messages are for people and may. A message names what was
//! being done and what to do about it, and never holds a key, a value, a contact or a tenant id (I19).

use std::fmt;
use std::sync::Arc;

/// Code of an error, as far as a caller can act on it. The names are stable and reach JavaScript as `code`.
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

/// Cause of an error: what the core decides on. Each has one code, by which a caller decides.
///
/// A listing and the objects behind it are read one after another, so that some causes say no more than that a listing is behind: it
/// is read again. Bytes that are damaged stay so: that is answered at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// An object that was listed is gone: its owner removed it meanwhile.
    Stale,
    /// Data that must be in the store is not listed, or not there.
    Vanished,
    /// A chain does not reach its end: an object in it, or behind it, is not listed.
    Hole,
    /// An object is in parts, and not all of them are there.
    Partial,
    /// An object is not what its name says, or does not open.
    Damaged,
    /// A tombstone covers the session.
    Buried,
    /// Another instance made a higher claim.
    Outrun,
    /// The store did not answer.
    Unreachable,
    /// A key is needed that is not in the ring.
    Keyless,
    /// The tenant is open already: something has its lock.
    InUse,
    /// The local log, or another file of this machine, is damaged.
    LocalDamage,
    /// The local log failed half-way.
    Poisoned,
    /// Nothing that the core decides on: this code is all that there is to know.
    Plain(Code),
}

impl Cause {
    /// Causes with a code of their own: an error with such a code has one of them.
    pub const DECIDED: [Cause; 12] = [
        Cause::Stale,
        Cause::Vanished,
        Cause::Hole,
        Cause::Partial,
        Cause::Damaged,
        Cause::Buried,
        Cause::Outrun,
        Cause::Unreachable,
        Cause::Keyless,
        Cause::InUse,
        Cause::LocalDamage,
        Cause::Poisoned,
    ];

    /// The code that a caller sees.
    pub fn code(self) -> Code {
        match self {
            Cause::Stale | Cause::Unreachable => Code::RemoteUnavailable,
            Cause::Vanished | Cause::Hole | Cause::Partial | Cause::Damaged => Code::RemoteCorrupt,
            Cause::Buried => Code::Deleted,
            Cause::Outrun => Code::OwnedElsewhere,
            Cause::Keyless => Code::KeyUnavailable,
            Cause::InUse => Code::AlreadyOpen,
            Cause::LocalDamage => Code::LocalCorrupt,
            Cause::Poisoned => Code::IoPoisoned,
            Cause::Plain(code) => code,
        }
    }

    /// True if a newer listing may show it otherwise.
    pub fn is_stale(self) -> bool {
        matches!(self, Cause::Stale | Cause::Vanished | Cause::Hole | Cause::Partial)
    }

    /// True if the store lacks something, or has it damaged: another way to the same state may be whole.
    pub fn is_loss(self) -> bool {
        matches!(self, Cause::Vanished | Cause::Hole | Cause::Partial | Cause::Damaged)
    }
}

impl From<Code> for Cause {
    fn from(code: Code) -> Cause {
        debug_assert!(Cause::DECIDED.iter().all(|cause| cause.code() != code), "{code:?} needs a cause");
        Cause::Plain(code)
    }
}

/// A lower error.
type ErrorSource = Arc<dyn std::error::Error + Send + Sync>;

/// An error with its cause.
#[derive(Clone)]
pub struct Error {
    /// The cause that the core decides on.
    pub cause: Cause,
    /// The text that a person reads.
    pub message: String,
    source: Option<ErrorSource>,
}

impl Error {
    /// An error of `cause` that says `message`: a code stands for a cause that nothing decides on.
    pub fn new(cause: impl Into<Cause>, message: impl fmt::Display) -> Self {
        Error { cause: cause.into(), message: message.to_string(), source: None }
    }

    /// The code that a caller can branch on.
    pub fn code(&self) -> Code {
        self.cause.code()
    }

    /// The same error, in other words.
    pub fn reworded(self, words: impl FnOnce(&str) -> String) -> Error {
        Error { message: words(&self.message), ..self }
    }

    /// The same error, with another cause: who asked knows more of it.
    pub fn with_cause(self, cause: Cause) -> Error {
        Error { cause, ..self }
    }

    /// The same error, with the lower one that it comes from.
    pub fn with_source(self, source: impl std::error::Error + Send + Sync + 'static) -> Error {
        Error { source: Some(Arc::new(source)), ..self }
    }
}

/// Without the lower error, whose own words may name a path, and that a tenant.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("cause", &self.cause)
            .field("message", &self.message)
            .finish_non_exhaustive()
    }
}

/// Equal for whoever gets them: a lower error is for a person who looks closely.
impl PartialEq for Error {
    fn eq(&self, other: &Error) -> bool {
        (self.cause, &self.message) == (other.cause, &other.message)
    }
}

impl Eq for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// The error for an object that was listed and is gone.
pub fn stale() -> Error {
    Error::new(Cause::Stale, "the store changes faster than it can be read; retry later")
}

/// Listings that are read before the last one is believed.
const LISTINGS: usize = 4;

/// Errors of tries, each of which begins with a new listing.
#[derive(Debug, Default)]
pub struct Staleness {
    listings: usize,
    kept: Option<Error>,
}

impl Staleness {
    /// Lets a newer listing be read, which may show otherwise what `error` says. Any other error is the answer, and so is the one
    /// that is left when there were enough of them.
    pub fn again(&mut self, error: Error) -> Result<()> {
        if !error.cause.is_stale() {
            return Err(error);
        }
        self.listings += 1;
        // That one listing was behind says less than what another one lacked.
        let said = self.kept.take().filter(|_| error.cause == Cause::Stale).unwrap_or(error);
        if self.listings >= LISTINGS {
            return Err(said);
        }
        self.kept = Some(said);
        Ok(())
    }
}

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::io;

    use super::*;

    #[test]
    fn every_cause_has_one_code() {
        let codes = Cause::DECIDED.map(|cause| {
            // A new cause is listed, or this does not compile.
            let code = match cause {
                Cause::Stale | Cause::Unreachable => "REMOTE_UNAVAILABLE",
                Cause::Vanished | Cause::Hole | Cause::Partial | Cause::Damaged => "REMOTE_CORRUPT",
                Cause::Buried => "DELETED",
                Cause::Outrun => "OWNED_ELSEWHERE",
                Cause::Keyless => "KEY_UNAVAILABLE",
                Cause::InUse => "ALREADY_OPEN",
                Cause::LocalDamage => "LOCAL_CORRUPT",
                Cause::Poisoned => "IO_POISONED",
                Cause::Plain(code) => code.as_str(),
            };
            (cause, code)
        });
        for (at, (cause, code)) in codes.into_iter().enumerate() {
            assert_eq!(Error::new(cause, "").code().as_str(), code);
            assert!(!matches!(cause, Cause::Plain(_)) && !Cause::DECIDED[..at].contains(&cause), "{cause:?}");
        }
        assert_eq!(Error::new(Code::InvalidOption, "").code(), Code::InvalidOption);
    }

    #[test]
    #[should_panic(expected = "needs a cause")]
    fn a_code_that_something_decides_on_is_no_cause() {
        let _ = Error::new(Code::RemoteCorrupt, "an object");
    }

    #[test]
    fn what_a_newer_listing_may_show_otherwise_is_asked_again_and_damage_is_answered_at_once() {
        for cause in Cause::DECIDED {
            let (mut left, error) = (Staleness::default(), Error::new(cause, "an object"));
            let is_stale = matches!(cause, Cause::Stale | Cause::Vanished | Cause::Hole | Cause::Partial);
            let answers: Vec<bool> = (0..LISTINGS).map(|_| left.again(error.clone()).is_err()).collect();
            assert_eq!(answers, [!is_stale, !is_stale, !is_stale, true], "{cause:?}");
        }
    }

    #[test]
    fn of_several_listings_the_last_that_lacked_something_is_told() {
        let told = |causes: [Cause; LISTINGS]| {
            let mut left = Staleness::default();
            let answers = causes.map(|cause| left.again(Error::new(cause, "")).map_err(|error| error.cause));
            answers.into_iter().find_map(Result::err)
        };
        let (stale, hole, gone) = (Cause::Stale, Cause::Hole, Cause::Vanished);
        assert_eq!(told([stale; LISTINGS]), Some(stale));
        assert_eq!(told([hole, stale, stale, stale]), Some(hole));
        assert_eq!(told([stale, hole, stale, gone]), Some(gone));
        assert_eq!(told([gone, hole, stale, stale]), Some(hole));
    }

    #[test]
    fn a_lower_error_can_be_reached() {
        let error = Error::new(Code::LocalUnavailable, "reading").with_source(io::Error::other("full"));
        let error = error.reworded(|message| format!("{message} the log"));
        assert_eq!(error.source().map(ToString::to_string).as_deref(), Some("full"));
        assert_eq!(error, Error::new(Code::LocalUnavailable, "reading the log"));
    }
}
