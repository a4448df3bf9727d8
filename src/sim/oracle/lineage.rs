//! Lineage: which owner each one went on from, as far as a judgement depends on it.
//!
//! A tombstone of a process that died over its `delete()` may come late. It covers the claim that it names and the owner that went on
//! from that one, and ends both, with all that they acknowledged. It ends nothing any more once a second owner went on. An owner that
//! trusted its disk goes on from nobody else: what the store had meanwhile was given up on purpose.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::format::name::{Mark, Span};
use crate::id::Claim;
use crate::session::OriginSource;

use super::super::harm::Objects;
use super::{Found, Oracle};

/// Lineage of all owners.
#[derive(Default)]
pub struct Lineage {
    /// The owner that each open went on from; none for a session that was made anew.
    parents: BTreeMap<Claim, Claim>,
    /// The same as the store showed it, whatever the session was made from; none for one that trusted its disk.
    shown: BTreeMap<Claim, Claim>,
    /// Owners that a late tombstone ended, and in whose place a new session was made.
    ended: BTreeSet<Claim>,
}

impl Oracle {
    /// The time at which a claim first had a base.
    fn first_base(&self, claim: Claim) -> Option<u64> {
        self.trace.data_of(claim).find(|(name, _)| matches!(name.span, Span::Base(_))).map(|(_, at)| *at)
    }

    /// The newest claim below `claim` that had a base before that one.
    fn newest_before(&self, claim: Claim) -> Option<Claim> {
        let own = self.first_base(claim);
        let mut below = self.trace.data.range(..claim).rev().map(|(below, _)| *below);
        below.find(|below| self.first_base(*below).is_some_and(|at| Some(at) < own))
    }

    /// Notes what an open went on from.
    pub(super) fn descends(&mut self, found: &Found<'_>, objects: &Objects) {
        let Found { claim, source, seeded, .. } = *found;
        let is_new = matches!(source, OriginSource::Fresh | OriginSource::Imported);
        let newest = self.newest_before(claim);
        match newest {
            Some(newest) if !is_new => _ = self.lineage.parents.insert(claim, newest),
            Some(newest) if self.is_covered(newest, claim) => _ = self.lineage.ended.insert(newest),
            _ => {}
        }
        if let Some(shown) =
            self.newest(objects, Some(claim)).filter(|_| !seeded || source != OriginSource::Local)
        {
            self.lineage.shown.insert(claim, shown);
        }
    }

    /// True if a tombstone that was there before the base of `claim` covers what an owner went on from, and not that owner itself.
    fn is_covered(&self, owner: Claim, claim: Claim) -> bool {
        let Some(parent) = self.lineage.parents.get(&owner) else { return false };
        let own = self.first_base(claim);
        self.tombstones.range(*parent..owner).any(|(_, at)| Some(*at) < own)
    }

    /// The owner with which a session began that `owner` went on with, if all in between opened.
    fn beginning(&self, owner: Claim) -> Option<Claim> {
        let mut at = owner;
        while let Some(parent) = self.lineage.parents.get(&at) {
            at = *parent;
        }
        self.opens.iter().any(|(other, ..)| *other == at).then_some(at)
    }

    /// True if `owner` has a session that began anew after the one of `claim`.
    pub(super) fn is_another(&self, owner: Claim, claim: Claim) -> bool {
        self.beginning(owner).is_some_and(|beginning| beginning > claim)
    }

    /// A process stores a tombstone: it ends nobody with a session that began anew since the process opened its own, and that got something
    /// acknowledged.
    pub(super) fn buries_its_own(&self, process: u64, name: &str) {
        let Some((tombstone, Mark::Deleted)) = self.mark(name) else { return };
        let own = self.opens.iter().map(|(claim, ..)| *claim).filter(|claim| *claim <= tombstone);
        let Some(own) = own.filter(|claim| self.trace.made.get(claim) == Some(&process)).max() else {
            return;
        };
        let promises = self.acknowledged.iter().map(|promise| promise.claim);
        let mut between = promises.filter(|claim| own < *claim && *claim <= tombstone);
        let other = between.find(|claim| self.is_another(*claim, own));
        assert!(
            self.is_harmed() || other.is_none(),
            "{own:?} is deleted, and takes {other:?} with it, which began anew"
        );
    }

    /// True if a late tombstone ended an owner, and a new session took its place.
    pub(super) fn has_ended(&self, owner: Claim) -> bool {
        self.lineage.ended.contains(&owner)
    }

    /// True if a tombstone of a process that died over its `delete()` came when the second owner after it had a base, or was opening
    /// already: nothing that goes on leads back to what it buries by then. The first may have been refused after it stored its base.
    pub(super) fn came_late(&self, tombstone: Claim, at: u64) -> bool {
        if self.deleted >= Some(tombstone) {
            return false;
        }
        // Whoever was refused left no more than the base.
        let parent = |claim: Claim| match self.opens.iter().find(|(other, ..)| *other == claim) {
            Some((_, began, _)) => self.lineage.parents.get(&claim).copied().filter(|_| *began < at),
            None => self.newest_before(claim).filter(|_| self.first_base(claim) < Some(at)),
        };
        let above = self.trace.data.range((Bound::Excluded(tombstone), Bound::Unbounded));
        above.filter_map(|(claim, _)| parent(*claim)).any(|parent| parent > tombstone)
    }

    /// True if a tombstone was made in a store that had forgotten an owner above it, of which its maker never heard: it covers nothing of
    /// that one, who stores its claim and its state again, and goes on.
    pub(super) fn was_ignorant(&self, tombstone: Claim, at: u64) -> bool {
        let mut above = self.trace.data.range((Bound::Excluded(tombstone), Bound::Unbounded));
        let is_forgotten = above.any(|(claim, _)| self.first_base(*claim).is_some_and(|base| base < at));
        let maker = self.trace.made.get(&tombstone).and_then(|process| self.trace.listed.get(process));
        let was_shown = maker.into_iter().flatten().any(|(_, highest)| *highest > Some(tombstone));
        self.is_harmed() && is_forgotten && !was_shown
    }

    /// True if an owner goes on from `from`, by way of nobody but owners that opened after the first `opens`.
    pub(super) fn leads_to(&self, owner: Option<Claim>, from: Option<Claim>, opens: usize) -> bool {
        let mut at = owner;
        while at != from {
            let since = |claim: &Claim| self.opens.iter().skip(opens).any(|(other, ..)| other == claim);
            let Some(claim) = at.filter(since) else { return false };
            at = self.lineage.shown.get(&claim).copied();
        }
        true
    }
}
