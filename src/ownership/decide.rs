//! Decisions: who owns (in `claims`), where a session comes from, what to load and, in `deletion`, what may go.
//!
//! Pure functions from listings to answers, without time, chance or I/O. They carry I2 (the highest claim stays), I9 (only what a
//! kept base dominates is deleted), I10 (nothing at or below a tombstone comes back) and I17 (never silently fresh or old).

mod chains;
mod claims;
mod gc;

use std::fmt;

use crate::error::{Cause, Code, Error, Result};
use crate::format::name::{DataName, PartName, Span};
use crate::id::{Claim, Lsn};

pub use chains::{chain, chains};
pub use claims::Claims;
pub use gc::{Garbage, OwnBases, dominated};

/// All that a listing of the store said about a tenant: claims first, data afterwards. The order matters: a base is
/// stored before its claim is marked live, so whoever sees the mark and then lists the data sees the base.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    /// The claims.
    pub claims: Claims,
    /// The data.
    pub data: Vec<DataName>,
    /// Parts of those that were too large for the store.
    pub parts: Vec<PartName>,
}

impl Survey {
    /// A listing of `claims`, and then of what `names` the data folder held.
    pub fn of<'a>(claims: Claims, names: impl Iterator<Item = &'a str> + Clone) -> Survey {
        Survey {
            claims,
            data: names.clone().filter_map(DataName::parse).collect(),
            parts: names.filter_map(PartName::parse).collect(),
        }
    }
}

/// Contents of the local disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Local {
    /// No log.
    None,
    /// A log that reads, up to an LSN.
    Log { claim: Claim, lsn: Lsn },
    /// A log that is damaged after an LSN (0 when nothing of it reads), may have held batches up to `newest`, if that is known,
    /// and has all of them from `suffix` on.
    Damaged { claim: Option<Claim>, good: Lsn, newest: Option<Lsn>, suffix: Option<Lsn> },
}

impl Local {
    /// The claim it was written under, if that is known.
    pub fn claim(&self) -> Option<Claim> {
        match *self {
            Local::None => None,
            Local::Log { claim, .. } => Some(claim),
            Local::Damaged { claim, .. } => claim,
        }
    }

    /// `LOCAL_CORRUPT` if a damaged log of `parent` may have held batches beyond `lsn`.
    pub fn require_reached(&self, parent: Claim, lsn: Lsn) -> Result<()> {
        match *self {
            Local::Damaged { claim, good, newest, .. }
                if claim.is_none_or(|claim| claim == parent) && newest.is_none_or(|newest| newest > lsn) =>
            {
                let known = newest.map_or_else(String::new, |newest| format!(" of up to {newest}"));
                let message = format!("{known} and the store has only up to LSN {lsn}");
                Err(log_is_damaged(good, message.trim_start()))
            }
            _ => Ok(()),
        }
    }
}

/// Permissions of the user, beyond the safe defaults.
#[derive(Debug, Clone, Copy, Default)]
pub struct Overrides {
    /// Start anew although the session was deleted.
    pub fresh: bool,
    /// Trust the local log although the store has lost its history.
    pub seed_from_disk: bool,
    /// Go on without a store although the session was in one.
    pub leave_store: bool,
}

/// Origin of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nothing exists anywhere.
    Fresh,
    /// The local log, which is at least as new as the store.
    Local,
    /// The store: these objects, in this order.
    Remote(Vec<DataName>),
}

/// Origin of a session, and its predecessor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenPlan {
    /// Objects to load.
    pub source: Source,
    /// The claim whose history goes on.
    pub parent: Option<Claim>,
    /// The local log is not part of that history: set it aside.
    pub quarantine: bool,
}

fn vanished(what: &str) -> Error {
    Error::new(
        Cause::Vanished,
        format!(
            "{what}: the history of this session is missing from the store. Restore the bucket's objects, or see the runbook"
        ),
    )
}

/// The error for a session that a tombstone covers.
pub fn deleted() -> Error {
    Error::new(Cause::Buried, "this session was logged out or deleted; pass `fresh: true` to pair again")
}

/// The error for a damaged log that nothing makes up for.
pub fn log_is_damaged(good: Lsn, what: impl fmt::Display) -> Error {
    Error::new(
        Cause::LocalDamage,
        format!("the local log is damaged after LSN {good} ({what}); see the runbook"),
    )
}

/// Decides where the session of `me` comes from: the table of `docs/protocol.md`.
pub fn origin(survey: &Survey, me: &Claim, local: Local, allowed: Overrides) -> Result<OpenPlan> {
    let floor = survey.claims.cover().filter(|floor| floor < me);
    let alive = |claim: &Claim| floor.is_none_or(|floor| *claim > floor);
    let parent = survey
        .data
        .iter()
        .filter(|name| matches!(name.span, Span::Base(_)) && name.claim < *me && alive(&name.claim));
    let parent = parent.map(|name| name.claim).max();
    // A damaged log of unknown claim is kept in sight: it may be all that is left.
    let known = local != Local::None && local.claim().is_none_or(|claim| alive(&claim));
    if let Some(newest) = survey.claims.highest_live(me, floor)
        && parent.is_none_or(|parent| parent < newest)
        && !(allowed.seed_from_disk && matches!(local, Local::Log { .. }) && known)
    {
        return Err(vanished("the newest owner's data is missing"));
    }
    let Some(parent) = parent else { return without_remote(survey, local, known, allowed) };
    let from_log = || Ok(OpenPlan { source: Source::Local, parent: Some(parent), quarantine: false });
    let ahead = local.claim().is_some_and(|claim| claim > parent && claim < *me);
    if ahead && !allowed.seed_from_disk {
        return Err(vanished("the local log continues an owner whose data is missing"));
    }
    if ahead && matches!(local, Local::Log { .. }) {
        return from_log();
    }
    let chain = match chain(&survey.data, parent) {
        Ok(chain) => chain,
        // The store has a hole, and this disk has all that was ever in it.
        Err(error) => {
            let newest =
                survey.data.iter().filter(|name| name.claim == parent).map(|name| name.span.last()).max();
            return match local {
                Local::Log { claim, lsn } if claim == parent && Some(lsn) >= newest => from_log(),
                _ => Err(error),
            };
        }
    };
    let reached = chain.last().map_or(0, |name| name.span.last());
    let remote =
        |quarantine| Ok(OpenPlan { source: Source::Remote(chain), parent: Some(parent), quarantine });
    match local {
        Local::Log { claim, lsn } if claim == parent && lsn >= reached => from_log(),
        Local::None => remote(false),
        // With what follows in the log, the store is the whole state.
        Local::Damaged { claim, newest: Some(_), suffix: Some(first), .. }
            if claim == Some(parent) && first <= reached.saturating_add(1) =>
        {
            remote(true)
        }
        Local::Log { .. } => remote(true),
        Local::Damaged { .. } => {
            local.require_reached(parent, reached)?;
            remote(true)
        }
    }
}

/// The same for a session that will keep no log. `left` is one that an earlier life left where it would lie: it is not read, so
/// it must hold nothing that the store lacks.
pub fn origin_in_store(survey: &Survey, me: &Claim, left: Local, allowed: Overrides) -> Result<OpenPlan> {
    let found = origin(survey, me, left, allowed)?;
    if let (Source::Remote(chain), Some(parent)) = (&found.source, found.parent) {
        left.require_reached(parent, chain.last().map_or(0, |name| name.span.last()))?;
    }
    if found.source != Source::Local {
        return Ok(OpenPlan { quarantine: false, ..found });
    }
    if found.parent.is_none() {
        return Err(only_on_disk("this session is only in its local log, and not in the store"));
    }
    let stored = origin(survey, me, Local::None, allowed)?;
    let Source::Remote(chain) = &stored.source else { return Err(vanished("the local log continues")) };
    let reached = chain.last().map_or(0, |name| name.span.last());
    match left {
        Local::Log { lsn, .. } if lsn > reached => Err(only_on_disk(&format!(
            "LSN {} to {lsn} of this session are only in its local log",
            reached + 1
        ))),
        _ => Ok(stored),
    }
}

/// The error for a session that would have to be read from a disk, where none is used.
pub fn only_on_disk(what: &str) -> Error {
    Error::new(
        Code::InvalidOption,
        format!(
            "{what}, which `mode: 'cloud'` does not read: open and close it once with `mode: 'hybrid'`, or move its folder away to abandon it"
        ),
    )
}

fn without_remote(survey: &Survey, local: Local, known: bool, allowed: Overrides) -> Result<OpenPlan> {
    let from = |source, quarantine| Ok(OpenPlan { source, parent: None, quarantine });
    match local {
        // Epoch 0 was never in a store: a session that was local so far.
        Local::Log { claim, .. } if known && (claim.epoch == 0 || allowed.seed_from_disk) => {
            from(Source::Local, false)
        }
        Local::Log { .. } if known => {
            Err(vanished("the local log was replicated, but the store has nothing of it"))
        }
        Local::Damaged { good, .. } if known => Err(log_is_damaged(good, "the store has nothing of it")),
        _ if survey.claims.cover().is_some() && !allowed.fresh => Err(deleted()),
        _ => from(Source::Fresh, local != Local::None),
    }
}

#[cfg(test)]
mod tests;
