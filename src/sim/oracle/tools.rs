//! Tools as the oracle sees them: who only looks stores nothing and calls nothing damaged that is whole, and who goes on after a
//! claim that was judged ends nobody who came back, nor, if it is gentle, who hands over.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Code, Error, Result};
use crate::format::name::{ClaimName, DataName, Mark, Span};
use crate::id::{Claim, Lsn};
use crate::session::open::NO_CREDENTIALS;
use crate::store::adapters::memory::Request;

use super::super::sometimes::{Moment, saw};
use super::{Oracle, Writes};

/// The tools at work.
#[derive(Default)]
pub struct Tools {
    /// Processes that only look.
    looking: BTreeSet<u64>,
    /// Claims that processes judged.
    judged: BTreeMap<u64, Judged>,
}

/// A claim that a process judged, and goes on after.
struct Judged {
    claim: Claim,
    /// Set if it ends nobody who runs.
    is_gentle: bool,
    /// Set if that owner was letting go before the process claimed, and if it was seen to do so after.
    before: bool,
    after: bool,
}

/// Promises that were made when a tool began to look.
pub struct Look {
    promises: usize,
    kept: usize,
}

/// Findings of a tool.
pub struct Seen {
    pub lsn: Option<Lsn>,
    /// The state, and its writes, where it gave that.
    pub entries: Option<(Vec<u8>, Writes)>,
    pub damage: Vec<String>,
}

impl Oracle {
    /// A process begins to look, and will do nothing else.
    pub fn look(&mut self, process: u64) -> Look {
        self.tools.looking.insert(process);
        Look { promises: self.acknowledged.len(), kept: self.kept.len() }
    }

    /// A process judged `claim`, and goes on right after it.
    pub fn judged(&mut self, process: u64, claim: Claim, is_gentle: bool) {
        self.tools.judged.insert(process, Judged { claim, is_gentle, before: false, after: false });
    }

    /// A tool saw something, or was refused.
    pub fn looked(&self, look: &Look, seen: Result<Seen>, lacks_keys: bool) {
        let seen = match seen {
            Ok(seen) => seen,
            Err(error) => return self.refused_look(look, &error, lacks_keys),
        };
        saw(Moment::ToolLooked);
        let damage: Vec<&String> = seen.damage.iter().filter(|what| *what != NO_CREDENTIALS).collect();
        assert!(damage.is_empty(), "a tool calls a session damaged that is whole: {damage:?}");
        let state = seen.entries.as_ref();
        for promise in self.standing_promises(look) {
            let lsn = seen.lsn.unwrap_or_default();
            assert!(lsn >= promise.lsn, "a tool saw LSN {lsn} below the acknowledged {}", promise.lsn);
            let missing: Vec<&u64> =
                state.iter().flat_map(|(_, writes)| promise.writes.difference(writes)).collect();
            assert!(
                missing.is_empty(),
                "a tool does not see {missing:?}, acknowledged under {:?}",
                promise.claim
            );
        }
        if let Some((entries, writes)) = state {
            assert!(self.state_of(writes) == *entries, "what a tool saw is not what its writes give");
            let mut kept = self.kept[..look.kept].iter().filter(|(claim, ..)| !self.is_buried(*claim));
            assert!(
                kept.all(|(.., number)| writes.contains(number)),
                "a tool does not see what resolved as stored"
            );
        }
    }

    pub(super) fn is_buried(&self, claim: Claim) -> bool {
        self.tombstones.keys().any(|tombstone| claim <= *tombstone)
    }

    fn standing_promises(&self, look: &Look) -> impl Iterator<Item = &super::Acknowledged> {
        self.acknowledged[..look.promises].iter().filter(|promise| !self.is_buried(promise.claim))
    }

    fn refused_look(&self, look: &Look, error: &Error, lacks_keys: bool) {
        let fine = match error.code() {
            Code::RemoteUnavailable => true,
            Code::NotFound => self.standing_promises(look).next().is_none(),
            Code::Deleted => !self.tombstones.is_empty(),
            Code::KeyUnavailable => lacks_keys,
            _ => false,
        };
        assert!(fine, "a tool failed with {error:?}, and nobody tampered with the store");
    }

    /// A process that only looks changes nothing.
    pub(super) fn changes_nothing(&self, process: u64, request: Request, name: &str) {
        let changes = matches!(request, Request::Put | Request::Delete);
        assert!(
            !changes || !self.tools.looking.contains(&process),
            "a tool that only looks made {request:?} of {name}"
        );
    }

    /// A process that judged a claim stores a base: from here on it ends whoever was there. `claims` are the names that are there.
    pub(super) fn ends_nobody(&self, process: u64, name: &str, claims: &[&str]) {
        let Some(Judged { claim: judged, is_gentle, after, .. }) = self.tools.judged.get(&process) else {
            return;
        };
        let Some(base) = name.rsplit('/').next().and_then(DataName::parse) else { return };
        let claim = base.claim;
        // It stores others later on, and may claim once more to delete what came above it.
        if !matches!(base.span, Span::Base(_))
            || claim.epoch != judged.epoch + 1
            || self.trace.made.get(&claim) != Some(&process)
            || self.trace.stored.contains_key(name)
        {
            return;
        }
        let marks =
            || claims.iter().filter_map(|name| Some((self.mark(name)?, *self.trace.there.get(*name)?)));
        let own = marks().find(|((other, mark), _)| *other == claim && *mark == Mark::Claimed);
        let Some((_, began)) = own else { return };
        for ((other, _), at) in marks() {
            let came_back = other > *judged && other != claim && at < began;
            assert!(!came_back, "a tool goes on as {claim:?} over {other:?}, which came back before");
        }
        assert!(
            !(*is_gentle && *after),
            "a tool goes on as {claim:?} after {judged:?}, which ran, and let go for it"
        );
    }

    /// A process was shown the names of all claims.
    pub fn was_shown(&mut self, process: u64, names: &[String]) {
        let Some(judged) = self.tools.judged.get(&process) else { return };
        let claim = judged.claim;
        let marks = || names.iter().filter_map(|name| ClaimName::parse(&self.tenant, name));
        let lets_go =
            marks().any(|name| name.claim == claim && [Mark::Leaving, Mark::Released].contains(&name.mark));
        let claimed = marks().any(|name| {
            name.claim.epoch == claim.epoch + 1 && self.trace.made.get(&name.claim) == Some(&process)
        });
        if let Some(judged) = self.tools.judged.get_mut(&process).filter(|_| lets_go) {
            if claimed {
                judged.after |= !judged.before;
            } else {
                judged.before = true;
            }
        }
    }
}
