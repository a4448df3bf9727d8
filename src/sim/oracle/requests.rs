//! Requests as the oracle sees them when they take effect, and the invariants that must hold at once (I2, I5, I9).

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use crate::format::name::{ClaimName, DataName, Mark, Span};
use crate::id::{Claim, Lsn};
use crate::store::adapters::memory::Request;

use super::super::sometimes::{Moment, saw};
use super::Oracle;

/// Deeds of the store, in order, as far as a promise may rest on them.
#[derive(Default)]
pub struct Trace {
    pub clock: u64,
    /// Times at which objects were first stored.
    pub stored: BTreeMap<String, u64>,
    /// Times since which claims and their marks are there: one that was withdrawn and comes late once more begins anew.
    pub there: BTreeMap<String, u64>,
    /// The data among them, by claim, in the order in which it was stored.
    pub data: BTreeMap<Claim, Vec<(DataName, u64)>>,
    /// Makers of claims: the number of the process.
    pub made: BTreeMap<Claim, u64>,
    /// Listings of claims by each process: the time, and the highest that was there then.
    pub listed: BTreeMap<u64, Vec<(u64, Option<Claim>)>>,
    pub highest: Option<Claim>,
    pub floor: Option<Claim>,
    /// The number of objects when these two were read: a story changes them as well.
    objects: usize,
}

impl Trace {
    /// Data that was ever stored under `claim`.
    pub fn data_of(&self, claim: Claim) -> impl Iterator<Item = &(DataName, u64)> {
        self.data.get(&claim).into_iter().flatten()
    }

    /// True if a base of `claim` was ever stored.
    pub fn has_base(&self, claim: Claim) -> bool {
        self.data_of(claim).any(|(name, _)| matches!(name.span, Span::Base(_)))
    }

    fn stores(&mut self, name: &str) {
        if self.stored.contains_key(name) {
            return;
        }
        self.stored.insert(name.to_owned(), self.clock);
        if let Some(data) = name.rsplit('/').next().and_then(DataName::parse) {
            self.data.entry(data.claim).or_default().push((data, self.clock));
        }
    }
}

impl Oracle {
    /// A request took effect.
    pub fn saw(&mut self, process: u64, request: Request, name: &str, objects: &BTreeMap<String, Bytes>) {
        // A listing of the whole folder of claims is everybody's.
        let is_shared = request == Request::List && name == "v1/claims/";
        if !is_shared && !self.is_own(name) {
            return;
        }
        self.changes_nothing(process, request, name);
        self.trace.clock += 1;
        let clock = self.trace.clock;
        let is_change = matches!(request, Request::Put | Request::Delete);
        if request == Request::Put {
            let claims = self.marks(objects, name);
            self.sequential(name);
            self.ends_nobody(process, name, &claims);
            self.buries_its_own(process, name);
            self.watch_for(name, &claims);
            self.trace.stores(name);
            if let Some((claim, _)) = self.mark(name) {
                self.trace.made.entry(claim).or_insert(process);
                self.trace.there.entry(name.to_owned()).or_insert(clock);
            }
        } else if request == Request::Delete {
            self.trace.there.remove(name);
        }
        // Most requests only look, and the marks are those that were there before.
        if is_change || objects.len() != self.trace.objects {
            self.reads_marks(process, request, objects);
        }
        if request == Request::List && name.starts_with("v1/claims/") {
            self.trace.listed.entry(process).or_default().push((clock, self.trace.highest));
        } else if request == Request::Delete && !self.is_harmed() {
            self.still_restorable(objects);
        }
    }

    /// True if a claim above `before` that `process` made has a base.
    pub fn has_base_above(&self, process: u64, before: Claim) -> bool {
        let above = self.trace.data.range((Bound::Excluded(before), Bound::Unbounded));
        let mut own = above.filter(|(claim, _)| self.trace.made.get(claim) == Some(&process));
        own.any(|(claim, _)| self.trace.has_base(*claim))
    }

    /// Names of claims that are there, in their order. Those that no process stored were put there by a story, and mean nothing.
    pub(super) fn marks<'a>(&self, objects: &'a BTreeMap<String, Bytes>, new: &str) -> Vec<&'a str> {
        let [prefix, _] = &self.own;
        let names = objects.range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded));
        let names = names.map(|(name, _)| name.as_str()).take_while(|name| name.starts_with(prefix));
        names.filter(|seen| *seen == new || self.trace.stored.contains_key(*seen)).collect()
    }

    /// I2: the highest claim and the highest tombstone stay.
    fn reads_marks(&mut self, process: u64, request: Request, objects: &BTreeMap<String, Bytes>) {
        let claims = self.marks(objects, "");
        let highest = claims.iter().rev().find_map(|name| self.mark(name)).map(|(claim, _)| claim);
        let buried = claims.iter().filter(|name| name.ends_with(".deleted"));
        let buried: Vec<Claim> = buried.filter_map(|name| Some(self.mark(name)?.0)).collect();
        let floor = buried.iter().copied().max();
        for claim in buried {
            self.tombstones.entry(claim).or_insert(self.trace.clock);
        }
        // Only whoever made a claim takes it back, and only before anything was stored under it.
        let is_own = |claim: &Claim| self.trace.made.get(claim) == Some(&process);
        let back = || self.trace.highest.is_some_and(|claim| is_own(&claim) && !self.trace.has_base(claim));
        // What an owner had removed before the store went back, and forgot that owner, may be removed once more.
        let is_above =
            |(claim, maker): (&Claim, &u64)| *maker == process && Some(*claim) > self.trace.highest;
        let excused = self.is_harmed() && request == Request::Delete && self.trace.made.iter().any(is_above);
        let kept = highest >= self.trace.highest || excused || (request == Request::Delete && back());
        assert!(kept, "I2: the highest claim {:?} was deleted", self.trace.highest);
        assert!(
            floor >= self.trace.floor || excused,
            "I2: the highest tombstone {:?} was deleted",
            self.trace.floor
        );
        (self.trace.highest, self.trace.floor, self.trace.objects) = (highest, floor, objects.len());
    }

    /// The claim in the name of an object, and what it says about it.
    pub(super) fn mark(&self, name: &str) -> Option<(Claim, Mark)> {
        let name = ClaimName::parse(&self.tenant, name.strip_prefix("v1/claims/")?)?;
        Some((name.claim, name.mark))
    }

    /// Counts what is rare and matters.
    fn watch_for(&mut self, name: &str, claims: &[&str]) {
        let Some((claim, mark)) = self.mark(name) else { return };
        let mut marks = claims.iter().filter_map(|name| self.mark(name));
        if mark == Mark::Deleted && marks.any(|(other, mark)| other > claim && mark == Mark::Live) {
            saw(Moment::TombstoneOverLive);
        } else if mark == Mark::Leaving && self.leaving.insert(claim) {
            saw(Moment::Leaving);
        }
    }

    /// I5: a segment is stored only when what it continues was.
    fn sequential(&self, name: &str) {
        let Some(new) = name.rsplit('/').next().and_then(DataName::parse) else { return };
        let Span::Segment(first, _) = new.span else { return };
        let continues = self.trace.data_of(new.claim).any(|(old, _)| old.span.last() + 1 == first);
        assert!(continues, "I5: {name} was stored before what it continues");
    }

    /// I9: after a deletion, the newest claim that ever had a base still has one with everything after it, unless a tombstone covers it.
    fn still_restorable(&self, objects: &BTreeMap<String, Bytes>) {
        let bases = self.trace.data.iter().rev();
        let newest = bases.map(|(claim, _)| *claim).find(|claim| self.trace.has_base(*claim));
        let Some(newest) = newest.filter(|claim| self.trace.floor.is_none_or(|floor| *claim > floor)) else {
            return;
        };
        let folder = format!("{}{newest}", self.own[1]);
        let there = objects.range::<str, _>((Bound::Included(folder.as_str()), Bound::Unbounded));
        let there = there.map(|(name, _)| name).take_while(|name| name.starts_with(&folder));
        let there: Vec<DataName> =
            there.filter_map(|name| DataName::parse(name.strip_prefix(&self.own[1])?)).collect();
        let ever: Vec<DataName> = self.trace.data_of(newest).map(|(name, _)| *name).collect();
        let reach = |data: &[DataName]| -> Option<Lsn> {
            let bases = data.iter().filter(|name| matches!(name.span, Span::Base(_)));
            let mut reached = bases.map(|name| name.span.last()).max()?;
            while let Some(next) =
                data.iter().find(|name| matches!(name.span, Span::Segment(first, _) if first == reached + 1))
            {
                reached = next.span.last();
            }
            Some(reached)
        };
        assert_eq!(reach(&there), reach(&ever), "I9: a deletion took something that nothing kept dominates");
    }
}
