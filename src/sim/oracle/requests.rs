//! Requests as the oracle sees them when they take effect, and the invariants that must hold at once (I2, I5, I9).

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use crate::id::{Claim, Lsn};
use crate::name::{ClaimName, DataName, Mark, Span};
use crate::remote::memory::Request;

use super::super::sometimes::{Moment, saw};
use super::Oracle;

/// Deeds of the store, in order, as far as a promise may rest on them.
#[derive(Default)]
pub struct Trace {
    pub clock: u64,
    /// Times at which objects were first stored.
    pub stored: BTreeMap<String, u64>,
    /// Makers of claims: the number of the process.
    pub made: BTreeMap<Claim, u64>,
    /// Listings of claims by each process: the time, and the highest that was there then.
    pub listed: BTreeMap<u64, Vec<(u64, Option<Claim>)>>,
    pub highest: Option<Claim>,
    pub floor: Option<Claim>,
}

impl Oracle {
    /// A request took effect.
    pub fn saw(&mut self, process: u64, request: Request, name: &str, objects: &BTreeMap<String, Bytes>) {
        // A listing of the whole folder of claims is everybody's.
        let is_shared = request == Request::List && name == "v1/claims/";
        if !is_shared && !self.own.iter().any(|own| name.starts_with(own)) {
            return;
        }
        self.changes_nothing(process, request, name);
        self.trace.clock += 1;
        let clock = self.trace.clock;
        // Names lie in the order of claims, and there are many requests: only what matters is parsed.
        let [prefix, _] = &self.own;
        let names = objects
            .range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded))
            .map(|(name, _)| name.as_str());
        let names = names.take_while(|name| name.starts_with(prefix));
        // What no process stored was put there by a story, and means nothing.
        let is_stored =
            |seen: &&str| self.trace.stored.contains_key(*seen) || (request == Request::Put && *seen == name);
        let claims: Vec<&str> = names.filter(is_stored).collect();
        let highest = claims.iter().rev().find_map(|name| self.mark(name)).map(|(claim, _)| claim);
        let buried =
            claims.iter().filter(|name| name.ends_with(".deleted")).filter_map(|name| self.mark(name));
        let buried: Vec<Claim> = buried.map(|(claim, _)| claim).collect();
        let floor = buried.iter().copied().max();
        match request {
            Request::Put => {
                self.sequential(name);
                self.ends_nobody(process, name, &claims);
                self.watch_for(name, &claims);
                self.trace.stored.entry(name.to_owned()).or_insert(clock);
                if let Some((claim, _)) = self.mark(name) {
                    self.trace.made.entry(claim).or_insert(process);
                }
            }
            Request::List if name.starts_with("v1/claims/") => {
                self.trace.listed.entry(process).or_default().push((clock, highest))
            }
            Request::List | Request::Get | Request::Delete => {}
        }
        for claim in buried {
            self.tombstones.entry(claim).or_insert(clock);
        }
        // Only whoever made a claim takes it back, and only before anything was stored under it.
        let is_own = |claim: &Claim| self.trace.made.get(claim) == Some(&process);
        let back = self.trace.highest.filter(|claim| is_own(claim) && !self.has_base(*claim));
        let kept = highest >= self.trace.highest || (request == Request::Delete && back.is_some());
        assert!(kept, "I2: the highest claim {:?} was deleted", self.trace.highest);
        assert!(floor >= self.trace.floor, "I2: the highest tombstone {:?} was deleted", self.trace.floor);
        (self.trace.highest, self.trace.floor) = (highest, floor);
        if request == Request::Delete {
            self.still_restorable(objects);
        }
    }

    /// True if a base of `claim` was ever stored.
    fn has_base(&self, claim: Claim) -> bool {
        let mut names = self.trace.stored.keys().filter_map(|name| DataName::parse(name.rsplit('/').next()?));
        names.any(|name| name.claim == claim && matches!(name.span, Span::Base(_)))
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
        let mut stored =
            self.trace.stored.keys().filter_map(|name| DataName::parse(name.rsplit('/').next()?));
        let continues = stored.any(|old| old.claim == new.claim && old.span.last() + 1 == first);
        assert!(continues, "I5: {name} was stored before what it continues");
    }

    /// I9: after a deletion, the newest claim that ever had a base still has one with everything after it, unless a tombstone covers it.
    fn still_restorable(&self, objects: &BTreeMap<String, Bytes>) {
        let names = |objects: &mut dyn Iterator<Item = &String>| -> Vec<DataName> {
            objects
                .filter_map(|name| {
                    DataName::parse(name.strip_prefix(&format!("{}/", self.tenant.data_folder()))?)
                })
                .collect()
        };
        let ever = names(&mut self.trace.stored.keys());
        let there = names(&mut objects.keys());
        let buried = |claim: &Claim| self.trace.floor.is_some_and(|floor| *claim <= floor);
        let Some(newest) =
            ever.iter().filter(|name| matches!(name.span, Span::Base(_))).map(|name| name.claim).max()
        else {
            return;
        };
        if buried(&newest) {
            return;
        }
        let reach = |data: &[DataName]| -> Option<Lsn> {
            let own = || data.iter().filter(|name| name.claim == newest);
            let mut reached =
                own().filter(|name| matches!(name.span, Span::Base(_))).map(|name| name.span.last()).max()?;
            while let Some(next) =
                own().find(|name| matches!(name.span, Span::Segment(first, _) if first == reached + 1))
            {
                reached = next.span.last();
            }
            Some(reached)
        };
        assert_eq!(reach(&there), reach(&ever), "I9: a deletion took something that nothing kept dominates");
    }
}
