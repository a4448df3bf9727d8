//! The claims of one tenant, as one listing showed them: the owner, previous owners, and the marks of each.

use std::collections::BTreeMap;

use crate::format::name::{ClaimName, Mark};
use crate::id::Claim;

/// Marks of one claim.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Marks {
    /// The claim's own object exists.
    pub claimed: bool,
    /// Mark of a claim that has, or had, a base.
    pub live: bool,
    /// Mark of an owner that accepts no more writes and is still storing.
    pub leaving: bool,
    /// Mark of a clean end.
    pub released: bool,
    /// Tombstone: the session was deleted under this claim.
    pub deleted: bool,
    /// Tombstone of which nobody here can tell who made it: it ends no owner, and opens stop at it.
    pub doubted: bool,
}

/// The claims of one tenant, as one listing showed them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims(pub(super) BTreeMap<Claim, Marks>);

impl FromIterator<ClaimName> for Claims {
    fn from_iter<T: IntoIterator<Item = ClaimName>>(names: T) -> Self {
        let mut claims = BTreeMap::<Claim, Marks>::new();
        for ClaimName { claim, mark } in names {
            let marks = claims.entry(claim).or_default();
            match mark {
                Mark::Claimed => marks.claimed = true,
                Mark::Live => marks.live = true,
                Mark::Leaving => marks.leaving = true,
                Mark::Released => marks.released = true,
                Mark::Deleted => marks.deleted = true,
            }
        }
        Claims(claims)
    }
}

impl Claims {
    /// The highest claim: the owner, or whoever is about to be.
    pub fn highest(&self) -> Option<Claim> {
        self.0.keys().next_back().copied()
    }

    /// The next claim below `claim`, live or not.
    pub fn below(&self, claim: &Claim) -> Option<Claim> {
        self.0.range(..claim).next_back().map(|(claim, _)| *claim)
    }

    /// The epoch that a new claim takes.
    pub fn next_epoch(&self) -> u64 {
        self.highest().map_or(1, |claim| claim.epoch.saturating_add(1))
    }

    /// The highest tombstone that counts: nothing at or below it may come back.
    pub fn floor(&self) -> Option<Claim> {
        self.highest_that(|marks| marks.deleted)
    }

    /// The highest tombstone of which nobody here can tell who made it, if it is above the one that counts.
    pub fn doubt(&self) -> Option<Claim> {
        self.highest_that(|marks| marks.doubted).filter(|doubt| Some(*doubt) > self.floor())
    }

    /// The highest tombstone, whoever made it: an open goes on from nothing at or below it.
    pub fn cover(&self) -> Option<Claim> {
        self.floor().max(self.doubt())
    }

    /// The newest claim that has, or had, a base.
    pub fn newest_live(&self) -> Option<Claim> {
        self.highest_that(|marks| marks.live)
    }

    fn highest_that(&self, is: impl Fn(&Marks) -> bool) -> Option<Claim> {
        self.0.iter().rev().find(|(_, marks)| is(marks)).map(|(claim, _)| *claim)
    }

    /// The marks of `claim`.
    pub fn marks(&self, claim: &Claim) -> Marks {
        self.0.get(claim).copied().unwrap_or_default()
    }

    /// The claims, the highest first.
    pub fn descending(&self) -> impl Iterator<Item = Claim> {
        self.0.keys().rev().copied()
    }

    /// The names of what is said about `claim`.
    pub fn names(&self, claim: Claim) -> impl Iterator<Item = ClaimName> + use<> {
        let Marks { claimed, live, leaving, released, deleted, doubted } = self.marks(&claim);
        [
            (claimed, Mark::Claimed),
            (live, Mark::Live),
            (leaving, Mark::Leaving),
            (released, Mark::Released),
            (deleted || doubted, Mark::Deleted),
        ]
        .into_iter()
        .filter_map(move |(there, mark)| there.then_some(ClaimName { claim, mark }))
    }

    /// Counts `claim` as made, whatever else is said about it.
    pub fn admit(&mut self, claim: Claim) {
        self.0.entry(claim).or_default();
    }

    /// Takes back that `claim` was made, and all that is said about it.
    pub fn forget(&mut self, claim: Claim) {
        self.0.remove(&claim);
    }

    /// Takes back what `name` says.
    pub fn unsay(&mut self, name: ClaimName) {
        let Some(marks) = self.0.get_mut(&name.claim) else { return };
        match name.mark {
            Mark::Claimed => marks.claimed = false,
            Mark::Live => marks.live = false,
            Mark::Leaving => marks.leaving = false,
            Mark::Released => marks.released = false,
            Mark::Deleted => (marks.deleted, marks.doubted) = (false, false),
        }
    }

    /// Decides that the tombstone of `claim` counts, or that nobody can tell whether it does.
    pub fn judge_tombstone(&mut self, claim: Claim, counts: bool) {
        if let Some(marks) = self.0.get_mut(&claim) {
            (marks.deleted, marks.doubted) = (counts, !counts);
        }
    }

    /// The last owner before `me` that ended properly, if nobody went live after it.
    pub fn released_before(&self, me: &Claim) -> Option<Claim> {
        let (claim, marks) = self.0.range(..me).rev().find(|(_, marks)| marks.live || marks.deleted)?;
        (marks.released && !marks.deleted).then_some(*claim)
    }

    /// The last owner before `me` that went live and may still be alive: it has not released.
    pub fn predecessor(&self, me: &Claim) -> Option<Claim> {
        let (claim, marks) = self.0.range(..me).rev().find(|(_, marks)| marks.live || marks.deleted)?;
        (!marks.released && !marks.deleted).then_some(*claim)
    }

    pub(super) fn highest_live(&self, below: &Claim, above: Option<Claim>) -> Option<Claim> {
        let live = self.0.range(..below).rev().find(|(_, marks)| marks.live).map(|(claim, _)| *claim);
        live.filter(|claim| above.is_none_or(|floor| *claim > floor))
    }
}
