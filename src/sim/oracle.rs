//! The oracle: knows every write, every acknowledgement and every request, and judges what the engine does with them.
//!
//! It shares no code with the engine's decisions. A write has a number that only grows; the histories it accepts are sets of
//! writes, and the state of a history is what replaying its writes in order gives.

mod harm;
mod lineage;
mod requests;
mod tools;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::error::{Code, Error};
use crate::format::name::{Span, TenantName};
use crate::id::{Claim, Lsn};
use crate::journal::memtable::Memtable;
use crate::session::{Mode, OriginSource};

use super::harm::Objects;
use super::sometimes::{Moment, saw, saw_refusal};
use super::watch::Watch;
use harm::Harms;
use lineage::Lineage;
use requests::Trace;
use tools::Tools;
pub use tools::{Look, Seen};

/// A set of writes, by number.
pub type Writes = BTreeSet<u64>;

/// A promise: any later owner has these writes.
struct Acknowledged {
    claim: Claim,
    lsn: Lsn,
    writes: Writes,
    /// The clock when it was made.
    at: u64,
}

/// Knows everything.
pub struct Oracle {
    tenant: TenantName,
    /// Prefixes of the names of its claims and of its data.
    own: [String; 2],
    batches: BTreeMap<u64, Vec<u8>>,
    /// Writes that an owner resolved, by claim.
    resolved: BTreeMap<Claim, Writes>,
    acknowledged: Vec<Acknowledged>,
    /// Writes that resolved because the store has them: no later owner may lack them.
    kept: Vec<(Claim, Lsn, u64)>,
    /// Tombstones, and when they were stored.
    tombstones: BTreeMap<Claim, u64>,
    /// The highest claim whose `delete()` resolved.
    deleted: Option<Claim>,
    trace: Trace,
    tools: Tools,
    harms: Harms,
    lineage: Lineage,
    pub(super) watch: Watch,
    /// Owners that said that they were leaving.
    leaving: BTreeSet<Claim>,
    /// Opens that succeeded: who, when they began, and what they found.
    opens: Vec<(Claim, u64, Writes)>,
}

/// The find of a process when it opened.
pub struct Found<'a> {
    pub process: u64,
    pub claim: Claim,
    pub lsn: Lsn,
    pub source: OriginSource,
    pub clean: bool,
    /// Entries of the whole state.
    pub state: &'a [u8],
    /// Its writes.
    pub writes: &'a Writes,
    /// The last claim that lived on this disk.
    pub before: Option<Claim>,
    /// Set if one bit of the log rotted on that disk since.
    pub rotten: bool,
    /// Set if it was told to trust the disk over the store.
    pub seeded: bool,
    /// The clock when the open began.
    pub began: u64,
}

impl Oracle {
    pub fn new(tenant: TenantName) -> Oracle {
        Oracle {
            own: [format!("v1/claims/{}", tenant.claims_prefix()), format!("{}/", tenant.data_folder())],
            tenant,
            batches: BTreeMap::new(),
            resolved: BTreeMap::new(),
            acknowledged: Vec::new(),
            kept: Vec::new(),
            tombstones: BTreeMap::new(),
            deleted: None,
            trace: Trace::default(),
            tools: Tools::default(),
            harms: Harms::default(),
            lineage: Lineage::default(),
            watch: Watch::default(),
            leaving: BTreeSet::new(),
            opens: Vec::new(),
        }
    }

    /// Somebody empties the store: what it had to keep until now counts no more.
    pub fn emptied(&mut self) {
        (self.trace.highest, self.trace.floor) = (None, None);
    }

    /// Tenant of the session.
    pub fn tenant(&self) -> &TenantName {
        &self.tenant
    }

    /// True if an object belongs to it.
    pub(super) fn is_own(&self, name: &str) -> bool {
        self.own.iter().any(|own| name.starts_with(own))
    }

    /// The logical time.
    pub fn clock(&self) -> u64 {
        self.trace.clock
    }

    /// A write was resolved under `claim`.
    pub fn wrote(&mut self, claim: Claim, number: u64, batch: Vec<u8>) {
        if self.opens.last().is_some_and(|(last, ..)| *last > claim) {
            saw(Moment::Overlap);
        }
        self.batches.insert(number, batch);
        self.resolved.entry(claim).or_default().insert(number);
    }

    /// A write was resolved where no store is, or is in a folder to be imported.
    pub fn wrote_alone(&mut self, number: u64, batch: Vec<u8>) {
        self.batches.insert(number, batch);
    }

    /// Writes that were resolved under `claim`.
    pub fn resolved_under(&self, claim: Claim) -> Writes {
        self.resolved.get(&claim).cloned().unwrap_or_default()
    }

    /// True if replaying `writes` gives `state`.
    pub fn gives(&self, writes: &Writes, state: &[u8]) -> bool {
        self.state_of(writes) == state
    }

    /// A write resolved that is on no disk: whatever dies from now on, any later owner has it, also one that opened already.
    pub fn kept(&mut self, claim: Claim, lsn: Lsn, number: u64) {
        saw(Moment::KeptWrite);
        self.kept.push((claim, lsn, number));
        if self.is_harmed() {
            return;
        }
        let later = self.opens.iter().filter(|(other, ..)| *other > claim && self.same_life(claim, *other));
        for (other, _, writes) in later {
            assert!(
                writes.contains(&number),
                "{other:?} lacks write {number}, which resolved under {claim:?}"
            );
        }
    }

    /// The state that replaying `writes` gives.
    fn state_of(&self, writes: &Writes) -> Vec<u8> {
        let entries: Vec<u8> =
            writes.iter().flat_map(|number| self.batches[number].iter().copied()).collect();
        Memtable::replay(&entries).expect("batches are well formed").snapshot().encode()
    }

    /// True if a listing by `process` after `at` shows `claim` as the highest. One whose pages are of two stores may have shown it.
    fn is_confirmed(&self, process: u64, claim: Claim, at: u64) -> bool {
        let listed = self.trace.listed.get(&process).into_iter().flatten();
        let after = || listed.clone().rev().take_while(|(clock, _)| *clock > at);
        after().any(|(_, highest)| *highest == Some(claim)) || self.is_torn(after().map(|(clock, _)| *clock))
    }

    /// `process` was told that everything up to `lsn` is restorable.
    pub fn acknowledged(&mut self, process: u64, claim: Claim, lsn: Lsn, writes: Writes) {
        let at = self.trace.data_of(claim).find(|(name, _)| name.span.last() == lsn).map(|(_, at)| *at);
        let at = at.unwrap_or_else(|| panic!("I4: LSN {lsn} was acknowledged and never stored"));
        let checked = self.is_confirmed(process, claim, at);
        assert!(checked, "I4: LSN {lsn} was acknowledged without a later listing that shows its owner");
        // Two histories from one are nobody's fault where the store forgot one of them.
        let others = self.acknowledged.iter().filter(|_| !self.is_harmed());
        for other in others.filter(|other| self.same_life(other.claim, claim)) {
            let nested = other.writes.is_subset(&writes) || writes.is_subset(&other.writes);
            assert!(nested, "I8: acknowledged states fork: {:?} and {claim:?}", other.claim);
        }
        self.acknowledged.push(Acknowledged { claim, lsn, writes, at: self.trace.clock });
    }

    /// True if no tombstone lies between two claims, nor ended the lower one.
    fn same_life(&self, one: Claim, two: Claim) -> bool {
        let (low, high) = (one.min(two), one.max(two));
        let is_over = low < high && self.has_ended(low);
        !is_over && !self.tombstones.keys().any(|tombstone| low <= *tombstone && *tombstone < high)
    }

    /// The `delete()` of `claim` resolved.
    pub fn deleted(&mut self, claim: Claim) {
        self.deleted = self.deleted.max(Some(claim));
        if self.opens.iter().any(|(owner, ..)| self.is_another(*owner, claim)) {
            saw(Moment::LogoutBelowAnew);
        }
    }

    /// A process opened the session.
    pub fn opened(&mut self, found: &Found<'_>, objects: &Objects) {
        let Found { claim, writes, .. } = *found;
        assert!(self.state_of(writes) == found.state, "the state of {claim:?} is not what its writes give");
        let at = self.trace.data_of(claim).find(|(name, _)| matches!(name.span, Span::Base(_)));
        let at = at.map(|(_, at)| *at).unwrap_or_else(|| panic!("I3: {claim:?} opened without a base"));
        let confirmed = self.is_confirmed(found.process, claim, at);
        assert!(confirmed, "I3: {claim:?} opened without confirming after its base");
        self.descends(found, objects);
        // A tombstone that was there before the open began counts; one that came meanwhile may.
        let buried = |other: Claim| {
            self.has_ended(other)
                || self.tombstones.keys().any(|tombstone| other <= *tombstone && *tombstone < claim)
        };
        for (tombstone, at) in self.tombstones.range(..claim).filter(|(_, at)| **at <= found.began) {
            let covers_less = self.came_late(*tombstone, *at) || self.was_ignorant(*tombstone, *at);
            if covers_less || self.was_unburied(*tombstone) {
                continue;
            }
            for (other, theirs) in self.resolved.range(..=*tombstone) {
                let back: Vec<&u64> = theirs.intersection(writes).collect();
                assert!(back.is_empty(), "I10: {claim:?} brought back {back:?}, deleted under {other:?}");
            }
        }
        let sound = !self.is_harmed();
        let promises = self.acknowledged.iter().filter(|promise| sound && promise.claim < claim);
        for promise in promises.filter(|promise| !buried(promise.claim)) {
            let missing: Vec<&u64> = promise.writes.difference(writes).collect();
            assert!(
                missing.is_empty(),
                "I7: {claim:?} lacks {missing:?}, acknowledged under {:?}",
                promise.claim
            );
            assert!(
                found.lsn >= promise.lsn,
                "I13: {claim:?} opens at {} below the acknowledged {}",
                found.lsn,
                promise.lsn
            );
        }
        let kept = self.kept.iter().filter(|(other, ..)| sound && *other < claim && !buried(*other));
        for (other, _, number) in kept {
            assert!(
                writes.contains(number),
                "{claim:?} lacks write {number}, which resolved under {other:?}"
            );
        }
        // Nobody else was there meanwhile: what the disk had is not passed over without a word, whatever it looks like now.
        if let Some(before) = found.before.filter(|before| found.rotten && self.is_last(*before, claim)) {
            let theirs = self.resolved.get(&before).cloned().unwrap_or_default();
            let missing: Vec<&u64> = theirs.difference(writes).collect();
            assert!(missing.is_empty(), "{claim:?} passes over {missing:?} in a rotten log of {before:?}");
        }
        if let (Some(before), OriginSource::Local) = (found.before, found.source) {
            let theirs = self.resolved.get(&before).cloned().unwrap_or_default();
            assert!(theirs.is_subset(writes), "a local restart of {before:?} lost resolved writes");
            let stored = self.acknowledged.iter().map(|promise| promise.lsn).max();
            if stored.is_some_and(|stored| stored < found.lsn) {
                saw(Moment::UnsentTail);
            }
        }
        if !sound {
            self.opened_over_harm(found, objects);
        }
        if sound && found.clean && found.source == OriginSource::Remote {
            let mut below = self.trace.data.range(..claim).map(|(below, _)| *below).rev();
            let parent =
                below.find(|below| self.trace.has_base(*below)).expect("what was restored had a base");
            let theirs = self.resolved.get(&parent).cloned().unwrap_or_default();
            assert!(
                theirs.is_subset(writes),
                "I20: {claim:?} calls itself clean and lacks writes of {parent:?}"
            );
            saw(if self.leaving.contains(&parent) {
                Moment::CleanAfterLeaving
            } else {
                Moment::CleanHandover
            });
        }
        if !found.clean && found.source == OriginSource::Remote {
            saw(Moment::UncleanHandover);
        }
        saw(Moment::Opened);
        self.opens.push((claim, found.began, writes.clone()));
    }

    /// True if nobody between two claims has a base, and no tombstone lies there.
    fn is_last(&self, before: Claim, claim: Claim) -> bool {
        let between = (Bound::Excluded(before), Bound::Excluded(claim));
        self.same_life(before, claim) && (before >= claim || self.trace.data.range(between).next().is_none())
    }

    /// A process could not open the session. `lacks_keys` says that others seal with one that it does not have, or that its disk
    /// needs one that was dropped, and the open began when the clock was `began`.
    pub fn refused(&self, claimless: &Error, mode: Mode, lacks_keys: bool, began: u64) {
        let buried = self.had_tombstones();
        saw_refusal(claimless.code());
        let fine = match claimless.code() {
            Code::OwnedElsewhere | Code::RemoteUnavailable => true,
            Code::Deleted => buried,
            // To whoever makes nothing.
            Code::NotFound if self.is_harmed() => true,
            Code::RemoteCorrupt if self.is_harmed() => true,
            // It is as of a moment during the open: the session may have been made since, by somebody else.
            Code::NotFound => {
                let mut before = self.acknowledged.iter().filter(|promise| promise.at <= began);
                before.all(|promise| self.is_buried(promise.claim))
            }
            // The disk has what the store lacks, and would not be read.
            Code::InvalidOption => !mode.keeps_log(),
            Code::KeyUnavailable => lacks_keys,
            _ => false,
        };
        assert!(fine, "an open failed with {claimless:?}, and nobody tampered with the store");
    }

    /// A rotten bit in the log of `before` stopped an open: it may, but not where the store has all that the log ever had.
    pub fn refused_rot(&self, before: Claim, error: &Error) {
        let theirs = self.resolved_under(before);
        let mut promises = self.acknowledged.iter().filter(|promise| promise.claim == before);
        let has_all = theirs.is_empty() || promises.any(|promise| theirs.is_subset(&promise.writes));
        assert!(
            !has_all || self.is_buried(before),
            "a rotten bit in the log of {before:?} stopped an open that the store could serve: {error:?}"
        );
        if !has_all {
            saw(Moment::RotHadMore);
        }
    }

    /// Numbers of opens that succeeded, of promises made, and of writes that resolved because they were stored.
    pub fn counts(&self) -> [usize; 3] {
        [self.opens.len(), self.acknowledged.len(), self.kept.len()]
    }
}
