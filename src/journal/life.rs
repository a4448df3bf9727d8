//! The life of a session, and what others wait for.
//!
//! A life only goes forward: live, perhaps fenced or closing, then over for good. Only a live session accepts changes (I16).

use crate::error::{Cause, Code, Error, Result};
use crate::id::Lsn;

/// Stage in the life of a session. Only `Live` accepts changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// Open: accepts changes.
    Live,
    /// A newer owner exists.
    Fenced,
    /// Ownership was not confirmed in time, and the strict policy was chosen.
    LeaseLost,
    /// Closing: the rest still goes to the store.
    Closing,
    /// Closed.
    Closed,
    /// The session was deleted.
    Deleted,
    /// The local log failed in a way that could not be taken back.
    Poisoned,
}

impl Life {
    /// The stable name that JavaScript sees.
    pub fn as_str(self) -> &'static str {
        match self {
            Life::Live => "live",
            Life::Fenced => "fenced",
            Life::LeaseLost => "lease-lost",
            Life::Closing => "closing",
            Life::Closed => "closed",
            Life::Deleted => "deleted",
            Life::Poisoned => "poisoned",
        }
    }

    /// Reason that a change is refused, if it is.
    pub fn refusal(self) -> Result<()> {
        let (cause, message) = match self {
            Life::Live => return Ok(()),
            Life::Fenced => (
                Code::Fenced.into(),
                "a newer instance owns this session; close the socket and do not reconnect here",
            ),
            Life::LeaseLost => (
                Code::LeaseLost.into(),
                "ownership could not be confirmed in time; close the socket and open again",
            ),
            Life::Closing | Life::Closed => (Code::Closed.into(), "this session was closed; open it again"),
            Life::Deleted => (Cause::Buried, "this session was deleted; pair again with `fresh: true`"),
            Life::Poisoned => (Cause::Poisoned, "the local log failed; open the session again"),
        };
        Err(Error::new(cause, message))
    }

    /// True if the journal takes no more changes and nothing more is to be shipped.
    pub fn is_over(self) -> bool {
        matches!(self, Life::Closed | Life::Deleted | Life::Poisoned | Life::LeaseLost)
    }
}

/// State that others wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Stage of the session's life.
    pub life: Life,
    /// The acknowledged LSN: any successor would restore up to here.
    pub stored: Lsn,
    /// The LSN known to survive a power cut of this machine: without a log, the acknowledged one.
    pub synced: Lsn,
    /// After the local log failed: what memory has, all of which is still shipped. 0: nothing is.
    pub rest: Lsn,
}

impl Progress {
    /// True if nothing more is to be shipped.
    pub fn is_done(&self) -> bool {
        self.life.is_over() && !(self.life == Life::Poisoned && self.stored < self.rest)
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;

    use super::*;
    use crate::journal::memtable::Memtable;
    use crate::journal::{Journal, Log};
    use crate::platform::host::RealHost;

    /// A journal in this stage, in the lock of which a thread has panicked.
    fn broken(life: Life) -> Journal {
        let host = Arc::new(RealHost::new(tokio::runtime::Handle::current()));
        let journal = Journal::local(host, Memtable::default(), 7, Log::None);
        journal.progress.send_modify(|progress| progress.life = life);
        let panic = catch_unwind(AssertUnwindSafe(|| {
            let _core = journal.core().expect("nobody has panicked");
            panic!("a bug within the lock");
        }));
        assert!(panic.is_err());
        journal
    }

    #[tokio::test]
    async fn a_panic_within_the_lock_poisons_the_session_and_notifies_waiters() {
        let journal = broken(Life::Live);
        let mut waits = journal.progress.subscribe();
        assert_eq!(journal.life(), Life::Poisoned);
        assert!(waits.has_changed().expect("the journal is there"));
        waits.mark_unchanged();
        assert_eq!(journal.life(), Life::Poisoned);
        assert!(!waits.has_changed().expect("the journal is there"), "nobody is woken twice for one fault");
        let refusal = journal.append(&[], false).expect_err("nothing can be trusted");
        assert_eq!(refusal.code(), Code::Internal);
    }

    #[tokio::test]
    async fn a_panic_within_the_lock_changes_nothing_of_a_session_that_is_over() {
        for life in [Life::Closed, Life::Deleted, Life::LeaseLost] {
            let journal = broken(life);
            let waits = journal.progress.subscribe();
            assert_eq!(journal.life(), life);
            assert!(!waits.has_changed().expect("the journal is there"));
        }
    }
}
