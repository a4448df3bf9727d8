//! Salvage of a damaged log: together with the store it may still be a whole state, and nothing of it is thrown away.
//!
//! A state at an LSN and batches that follow it without a gap, each under its seal, are the history itself (I17). Whatever is
//! set aside and may hold batches that no store has is kept until a person removes it.

use crate::error::{Cause, Error, Result};
use crate::event::Event;
use crate::format::object::Link;
use crate::id::{Claim, Lsn};
use crate::journal::Log;
use crate::journal::memtable::Memtable;
use crate::ownership::decide::{Claims, Local, Survey};
use crate::platform::meter::METERS;
use crate::replication::restore::RestoredState;
use crate::session::Origin;
use crate::wal::{Recovery, Suffix};

use super::log_location::UnusedLog;
use super::{LoadedState, Opening};

/// Fate of the log that an open found, once a new one is there.
#[derive(Debug, Clone, Copy)]
pub struct Leftover {
    aside: UnusedLog,
    /// The words in which that is told.
    told: Option<&'static str>,
}

impl Leftover {
    /// A log from which the session goes on.
    pub fn of(recovery: &Recovery) -> Leftover {
        let aside = UnusedLog::of(recovery);
        let told = "a part of the local log was unreadable; the file was set aside";
        Leftover { aside, told: (aside != UnusedLog::Nothing).then_some(told) }
    }

    /// A log of a session that goes on from elsewhere at `lsn`.
    pub fn whole(recovery: &Recovery, survey: &Survey, parent: Option<Claim>, lsn: Lsn) -> Leftover {
        let is_stored = is_stored(recovery, survey, parent, lsn);
        let told = if matches!(recovery, Recovery::Locked(_)) {
            Some(
                "the local log needs a key that is not configured; as far as known, the store has at least as much, and the log is kept as `*.unsent`",
            )
        } else if !is_stored {
            Some(
                "the local log is not part of the current history and may contain writes that no store has: it is kept as `*.unsent`",
            )
        } else if matches!(recovery, Recovery::Damaged(_)) {
            Some("the local log was damaged and is set aside: the session has all its contents")
        } else {
            None
        };
        Leftover { aside: if is_stored { UnusedLog::Stored } else { UnusedLog::Unsent }, told }
    }
}

impl Opening {
    /// Starts the log of this open. The old one is set aside where the session did not go on from all of it: not before, as an open
    /// that fails must leave what it found.
    pub(super) async fn start_log(
        &self,
        claim: Claim,
        lsn: Lsn,
        state: &Memtable,
        old: Leftover,
    ) -> Result<Log> {
        let log =
            self.home.start_log(&self.host, &self.settings.address, claim, lsn, state, old.aside).await?;
        if let Some(told) = old.told {
            self.tell_repaired(told.to_owned());
        }
        Ok(log)
    }

    /// Tells that the session goes on from damage.
    pub(super) fn tell_repaired(&self, message: String) {
        METERS.repairs.one();
        (self.events)(Event::Repaired(message));
    }

    /// State of the store, with the batches of a damaged log that follow it.
    pub(super) fn salvaged(
        &self,
        restored: RestoredState,
        parent: Claim,
        local: Local,
        recovery: &Recovery,
    ) -> Result<LoadedState> {
        let RestoredState { mut state, end, clean, damage } = restored;
        if let Some(error) = damage {
            self.tell_repaired(format!(
                "{}; an older base in the store led to the same state and was used",
                error.message
            ));
        }
        let suffix = suffix_of(recovery, parent).filter(|_| self.settings.address.mode.keeps_log());
        if let Some(suffix) = suffix
            && let Some(entries) = suffix.after(end.lsn)
        {
            state.absorb(entries)?;
            let previous = Link { claim: parent, lsn: suffix.last(), ..Link::default() };
            self.tell_repaired(format!(
                "the local log was damaged; LSN {} to {}, which the store did not have, were read from after the damage",
                end.lsn + 1,
                suffix.last()
            ));
            return Ok(LoadedState {
                state,
                lsn: previous.lsn,
                previous,
                origin: Origin::local(suffix.is_end),
            });
        }
        // The decision counted on it.
        local.require_reached(parent, end.lsn)?;
        Ok(LoadedState { state, lsn: end.lsn, previous: end, origin: Origin::remote(clean) })
    }
}

/// View of a log for the decision.
pub fn local_of(recovery: &Recovery) -> Local {
    match recovery {
        Recovery::None => Local::None,
        Recovery::Log(log) => Local::Log { claim: log.claim, lsn: log.lsn },
        Recovery::Locked(log) => {
            Local::Damaged { claim: Some(log.claim), good: 0, newest: log.newest, suffix: None }
        }
        Recovery::Damaged(damage) => Local::Damaged {
            claim: damage.claim,
            good: damage.good,
            newest: damage.newest.or(damage.is_bare.then_some(0)),
            suffix: damage.suffix.as_ref().map(Suffix::first),
        },
    }
}

/// The error of an open, in the words of the log where that could not be opened for want of a key.
pub fn explained(recovery: &Recovery, error: Error) -> Error {
    match recovery {
        Recovery::Locked(log) if matches!(error.cause, Cause::LocalDamage | Cause::Keyless) => {
            log.error.clone()
        }
        _ => error,
    }
}

/// Batches of the log that make a state of `claim` at `lsn` its last one.
fn suffix_of(recovery: &Recovery, claim: Claim) -> Option<&Suffix> {
    match recovery {
        Recovery::Log(log) if log.claim == claim => log.suffix.as_ref(),
        Recovery::Damaged(damage) if damage.claim == Some(claim) => damage.suffix.as_ref(),
        _ => None,
    }
}

/// True if all that a log of a former life may hold is elsewhere, when the history of `parent` goes on at `lsn`.
fn is_stored(recovery: &Recovery, survey: &Survey, parent: Option<Claim>, lsn: Lsn) -> bool {
    let (claim, newest) = match recovery {
        Recovery::None => return true,
        // Nobody could look into it.
        Recovery::Locked(_) => return false,
        // The session was closed, and says that the store had all of it.
        Recovery::Log(log) if log.closed.is_some_and(|stored| stored >= log.lsn) => return true,
        Recovery::Log(log) => (Some(log.claim), Some(log.lsn.saturating_add(log.unsynced_lost))),
        Recovery::Damaged(damage) => (damage.claim, damage.newest),
    };
    let (Some(claim), Some(newest)) = (claim, newest) else { return false };
    let in_store = survey.data.iter().filter(|name| name.claim == claim).map(|name| name.span.last()).max();
    is_buried(&survey.claims, claim)
        || (Some(claim) == parent && newest <= lsn)
        || in_store.is_some_and(|last| newest <= last)
}

/// True if a log belongs to a session that was deleted.
fn is_buried(claims: &Claims, claim: Claim) -> bool {
    claims.floor().is_some_and(|floor| claim <= floor)
}
