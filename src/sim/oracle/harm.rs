//! The rule for a store that was damaged: nothing acknowledged is lost in silence.
//!
//! A promise is *shown* as long as names in the store still tell of it: its own claim is the newest that has a base or says that it had
//! one, and something of it lies there that reaches the promise, or its release; or the newest claim opened with all of the promise.
//! An open that begins while a promise is shown has all of it, or is refused. What no name tells of any more is known to nobody but its
//! owner, who stores it anew: once an outage is over and a minute has passed, a blank machine has all that a running owner ever
//! acknowledged. A restart from the log of a disk has all that was resolved there, whatever the store lacks.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use bytes::Bytes;

use crate::format::name::{DataName, Mark, Span};
use crate::id::{Claim, Lsn};
use crate::session::OriginSource;

use super::super::sometimes::{Moment, saw};
use super::{Found, Oracle, Writes};

/// Damage, as far as the oracle minds it.
#[derive(Default)]
pub struct Harms {
    /// Times at which the store was harmed.
    times: Vec<u64>,
    /// Tombstones that it lost, if only for a while: what they covered may come back.
    unburied: BTreeSet<Claim>,
    /// Set once somebody trusted a disk over the store.
    trusted: bool,
    /// Views of the store at the beginning of each process's open.
    shown: BTreeMap<u64, Shown>,
}

/// The view of the store at the beginning of an open.
struct Shown {
    count: usize,
    newest: Option<Claim>,
    /// The number of opens until then.
    opens: usize,
    /// Promises that it showed, and writes that resolved as stored.
    promises: Vec<usize>,
    kept: Vec<usize>,
}

type Objects = BTreeMap<String, Bytes>;

impl Oracle {
    /// Something befell the store, which has these objects now.
    pub fn harmed(&mut self, objects: &Objects) {
        self.harms.times.push(self.trace.clock);
        let marks = self.marks(objects, "");
        let marks: Vec<(Claim, Mark)> = marks.iter().filter_map(|name| self.mark(name)).collect();
        let there = |claim: &Claim| marks.contains(&(*claim, Mark::Deleted));
        let lost = self.tombstones.keys().filter(|claim| !there(claim)).copied();
        self.harms.unburied.extend(lost);
        self.tombstones.retain(|claim, _| there(claim));
        if self.deleted.is_some_and(|claim| !there(&claim)) {
            self.deleted = None;
        }
        self.trace.highest = marks.iter().map(|(claim, _)| *claim).max();
        self.trace.floor = marks.iter().filter(|(_, mark)| *mark == Mark::Deleted).map(|(it, _)| *it).max();
        for claim in marks.iter().filter(|(_, mark)| *mark == Mark::Deleted).map(|(claim, _)| *claim) {
            self.tombstones.entry(claim).or_insert(self.trace.clock);
        }
    }

    pub(super) fn is_harmed(&self) -> bool {
        !self.harms.times.is_empty()
    }

    /// True if the store was harmed between pages that were listed at these times: together they show what never was.
    pub(super) fn is_torn(&self, pages: impl Iterator<Item = u64> + Clone) -> bool {
        self.harms
            .times
            .iter()
            .any(|harm| pages.clone().any(|page| page <= *harm) && pages.clone().any(|page| page > *harm))
    }

    /// Somebody trusts a disk over a store that has forgotten owners: what was deleted there meanwhile may come back from now on.
    pub fn trusts_disk(&mut self) {
        self.harms.trusted = true;
    }

    /// True if what a tombstone covered may be back.
    pub(super) fn was_unburied(&self, tombstone: Claim) -> bool {
        self.harms.trusted || self.harms.unburied.contains(&tombstone)
    }

    /// True if the session was deleted, at some time.
    pub fn had_tombstones(&self) -> bool {
        !self.tombstones.is_empty() || !self.harms.unburied.is_empty()
    }

    fn data<'a>(&'a self, objects: &'a Objects) -> impl Iterator<Item = DataName> + 'a {
        let folder = self.own[1].as_str();
        let names = objects.range::<str, _>((Bound::Included(folder), Bound::Unbounded));
        names.map_while(move |(name, _)| name.strip_prefix(folder)).filter_map(DataName::parse)
    }

    /// The newest claim below `below` that has a base, or says that it had one, and that no tombstone covers.
    pub(super) fn newest(&self, objects: &Objects, below: Option<Claim>) -> Option<Claim> {
        let marks = self.marks(objects, "");
        let live = marks.iter().filter_map(|name| self.mark(name)).filter(|(_, mark)| *mark == Mark::Live);
        let bases = self.data(objects).filter(|name| matches!(name.span, Span::Base(_)));
        let claims = live.map(|(claim, _)| claim).chain(bases.map(|name| name.claim));
        claims.filter(|claim| below.is_none_or(|below| *claim < below) && !self.is_buried(*claim)).max()
    }

    /// True if a base of `claim` and the segments behind it lead to `lsn`.
    pub fn is_whole(&self, objects: &Objects, claim: Claim, lsn: Lsn) -> bool {
        let own: Vec<Span> =
            self.data(objects).filter(|name| name.claim == claim).map(|name| name.span).collect();
        let mut reached: BTreeSet<Lsn> =
            own.iter().filter(|span| matches!(span, Span::Base(_))).map(Span::last).collect();
        while let Some(at) = reached.pop_first() {
            if at >= lsn {
                return true;
            }
            let next = own.iter().filter(|span| matches!(span, Span::Segment(first, _) if *first <= at + 1));
            reached.extend(next.map(Span::last).filter(|last| *last > at));
        }
        false
    }

    /// An open begins; `stale` says that the store shows data as it was.
    pub fn begins(&mut self, process: u64, objects: &Objects, stale: bool) {
        self.harms.shown.remove(&process);
        if !self.is_harmed() || stale {
            return;
        }
        let Some(newest) = self.newest(objects, None) else { return };
        let reached: Option<Lsn> =
            self.data(objects).filter(|name| name.claim == newest).map(|name| name.span.last()).max();
        let released =
            self.marks(objects, "").iter().any(|name| self.mark(name) == Some((newest, Mark::Released)));
        let found = self.opens.iter().rev().find(|(claim, ..)| *claim == newest).map(|(.., writes)| writes);
        let tells = |claim: Claim, lsn: Lsn, within: &dyn Fn(&Writes) -> bool| {
            found.is_some_and(within) || (claim == newest && (released || reached >= Some(lsn)))
        };
        let promises = self.acknowledged.iter().enumerate().filter(|(_, promise)| {
            tells(promise.claim, promise.lsn, &|writes| promise.writes.is_subset(writes))
        });
        let promises = promises.map(|(at, _)| at).collect();
        let kept = self.kept.iter().enumerate();
        let kept =
            kept.filter(|(_, (claim, lsn, number))| tells(*claim, *lsn, &|writes| writes.contains(number)));
        let kept = kept.map(|(at, _)| at).collect();
        let shown = Shown {
            count: self.harms.times.len(),
            newest: Some(newest),
            opens: self.opens.len(),
            promises,
            kept,
        };
        self.harms.shown.insert(process, shown);
    }

    /// An open over a damaged store has all that was shown when it began, unless the store changed under it.
    pub(super) fn opened_over_harm(&mut self, found: &Found<'_>, objects: &Objects) {
        let parent = self.newest(objects, Some(found.claim));
        let shown = self.harms.shown.remove(&found.process);
        let shown = shown.filter(|shown| shown.count == self.harms.times.len() && !found.seeded);
        let Some(shown) = shown else { return };
        // An older owner that was forgotten is back, or is gone: what it goes on from is another history.
        let is_known = parent == shown.newest
            || self.opens.iter().skip(shown.opens).any(|(claim, ..)| Some(*claim) == parent);
        if !is_known {
            return;
        }
        let Found { claim, lsn, writes, .. } = *found;
        // So is that of one who came since, and went on from such an owner or from a disk that was trusted.
        let leads = self.leads_to(parent, shown.newest, shown.opens);
        let promises = shown.promises.iter().filter(|_| leads).map(|at| &self.acknowledged[*at]);
        for promise in promises.filter(|promise| !self.is_buried(promise.claim)) {
            let missing: Vec<&u64> = promise.writes.difference(writes).collect();
            assert!(
                missing.is_empty() && lsn >= promise.lsn,
                "{claim:?} at LSN {lsn} passes over {missing:?} in silence, acknowledged up to {} under {:?} and shown by the store",
                promise.lsn,
                promise.claim
            );
        }
        for at in shown.kept.into_iter().filter(|_| leads) {
            let (other, _, number) = self.kept[at];
            assert!(
                writes.contains(&number) || self.is_buried(other),
                "{claim:?} passes over write {number} in silence, which resolved under {other:?} and is shown by the store"
            );
        }
        if let (true, OriginSource::Remote, Some(parent)) = (found.clean, found.source, parent) {
            let theirs = self.resolved.get(&parent).cloned().unwrap_or_default();
            assert!(
                theirs.is_subset(writes),
                "I20: {claim:?} calls itself clean and lacks writes of {parent:?}"
            );
        }
        saw(Moment::OpenedOverHarm);
    }

    /// The owner of `claim` ran until now, with time to look at the store: the last open has all that it acknowledged.
    pub fn healed(&self, owner: Claim) {
        let Some((heir, _, writes)) = self.opens.last() else { return };
        for promise in self.acknowledged.iter().filter(|promise| promise.claim == owner) {
            let missing: Vec<&u64> = promise.writes.difference(writes).collect();
            assert!(
                missing.is_empty(),
                "{heir:?} lacks {missing:?}, which the store lost and {owner:?} did not heal"
            );
        }
        let kept = self.kept.iter().filter(|(claim, ..)| *claim == owner);
        let missing: Vec<u64> =
            kept.map(|(.., number)| *number).filter(|number| !writes.contains(number)).collect();
        assert!(
            missing.is_empty(),
            "{heir:?} lacks {missing:?}, which resolved under {owner:?}, who did not heal it"
        );
        saw(Moment::Healed);
    }
}
