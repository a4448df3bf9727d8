//! What is left of a damaged log: together with the store it may still be a whole state, and nothing of it is thrown away.
//!
//! A state at an LSN and batches that follow it without a gap, each under its seal, are the history itself (I17). Whatever is
//! set aside and may hold batches that no store has is kept until a person removes it.

use crate::error::Result;
use crate::id::{Claim, Lsn};
use crate::object::Link;
use crate::plan::{Claims, Local, Survey};
use crate::restore::Restored;
use crate::session::Origin;
use crate::wal::{Recovery, Suffix};

use super::{Loaded, Opening};

impl Opening {
    /// What the store gave, with the batches of a damaged log that follow it.
    pub(super) fn salvaged(
        &self,
        restored: Restored,
        parent: Claim,
        local: Local,
        recovery: &Recovery,
    ) -> Result<Loaded> {
        let Restored { mut state, end, clean } = restored;
        let suffix = suffix_of(recovery, parent).filter(|_| self.home.keeps_log());
        if let Some(suffix) = suffix
            && let Some(entries) = suffix.after(end.lsn)
        {
            state.absorb(entries)?;
            let previous = Link { claim: parent, lsn: suffix.last(), ..Link::default() };
            tracing::warn!(from = end.lsn + 1, to = suffix.last(), "a damaged log gave what the store lacks");
            return Ok(Loaded { state, lsn: previous.lsn, previous, origin: Origin::local(suffix.is_end) });
        }
        // The decision counted on it.
        local.require_reached(parent, end.lsn)?;
        Ok(Loaded { state, lsn: end.lsn, previous: end, origin: Origin::remote(clean) })
    }
}

/// What the decision must know of a log.
pub fn local_of(recovery: &Recovery) -> Local {
    match recovery {
        Recovery::None => Local::None,
        Recovery::Log(log) => Local::Log { claim: log.claim, lsn: log.lsn },
        Recovery::Damaged(damage) => Local::Damaged {
            claim: damage.claim,
            good: damage.good,
            newest: damage.newest.or(damage.is_bare.then_some(0)),
            suffix: damage.suffix.as_ref().map(Suffix::first),
        },
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

/// Whether all that a log of a former life may hold is elsewhere, when the history of `parent` goes on at `lsn`.
pub fn is_stored(recovery: &Recovery, survey: &Survey, parent: Option<Claim>, lsn: Lsn) -> bool {
    let (claim, newest) = match recovery {
        Recovery::None => return true,
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

/// Whether a log belongs to a session that was deleted.
fn is_buried(claims: &Claims, claim: Claim) -> bool {
    claims.floor().is_some_and(|floor| claim <= floor)
}
