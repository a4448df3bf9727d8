//! Ownership: claim, wait, confirm, check, release, tombstone.
//!
//! At most one owner is live (I3, I8), and it rests on unique names and on LIST seeing completed PUTs alone. Claims are
//! never taken back: whoever sees a higher one than its own has lost, for good.

mod lock;
mod standing;
mod waits;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use crate::error::{Cause, Error, Result};
use crate::format::fields::put_claim;
use crate::format::name::{ClaimName, DataName, Mark, Span};
use crate::format::object::{Link, ObjectKind, SealedObject, Sealer};
use crate::id::{Claim, Lsn, OwnerId};
use crate::ownership::decide::Claims;
use crate::ownership::tenancy::{LARGE, Tenancy};
use crate::platform::host::{Lane, blocking_in, random};
use crate::store::Incarnation;

pub use standing::Standing;
pub use waits::{handover_wait, linger};

/// A claim, and the means to write under it.
pub struct Owner {
    /// Its address.
    pub tenancy: Tenancy,
    /// The claim.
    pub claim: Claim,
    /// The claim that it goes on from, once that is known.
    parent: OnceLock<Claim>,
    /// The claim under which its session began, once that is known.
    birth: OnceLock<Claim>,
    /// The claim that it judged, if it is a tool, and whether that one was letting go already.
    judged: Option<(Claim, bool)>,
    /// True once its session was ended by a higher claim.
    outrun: AtomicBool,
    interval: Duration,
    /// The lock that it holds while its process is connected to the store.
    lock: Option<u64>,
    /// The life of the store's server before this claim was made: another one may have forgotten it, and all that followed.
    pub server: Option<Incarnation>,
    sealer: Mutex<Sealer>,
    /// Statements about this claim. Made again it is the same bytes: a name has one content only (I1).
    said: Mutex<BTreeMap<Mark, Bytes>>,
}

/// The error of a claimant that lost.
pub fn lost() -> Error {
    Error::new(
        Cause::Outrun,
        "another instance claimed this session during the open; leave it there, or open again later",
    )
}

/// The error of a tool that found the session in use again.
pub fn came_back() -> Error {
    Error::new(
        Cause::Outrun,
        "the session was opened by another instance after the check: nothing was changed",
    )
}

/// True if an owner says that it ended, or that it is about to.
fn lets_go(claims: &Claims, claim: &Claim) -> bool {
    let marks = claims.marks(claim);
    marks.released || marks.leaving
}

impl Owner {
    /// Claims the tenant, above all that a listing showed `before`; or, as a tool, right after the claim that it `judged`, and
    /// only if nobody came back since. `locks`: a successor may go on as soon as this process is not connected any more, because nothing
    /// that was promised is here alone. `record` makes the claim known to this disk before the store hears of it. `interval` is
    /// how often this owner will look for a higher claim; successors wait by it.
    pub async fn claim<F>(
        tenancy: Tenancy,
        before: &Claims,
        judged: Option<Claim>,
        interval: Duration,
        locks: bool,
        record: impl FnOnce(Claim) -> F,
    ) -> Result<Owner>
    where
        F: Future<Output = Result<()>>,
    {
        let host = tenancy.host().clone();
        let claim = match judged {
            Some(judged) => judged.judged_by(random(host.as_ref())),
            None => Claim { epoch: before.next_epoch(), owner: OwnerId::of_user(random(host.as_ref())) },
        };
        record(claim).await?;
        let sealer = Mutex::new(Sealer::new(&tenancy.ring, tenancy.tag, claim));
        let (parent, birth) = (OnceLock::new(), OnceLock::new());
        let judged = judged.map(|judged| (judged, lets_go(before, &judged)));
        let (server, said) = (tenancy.remote.incarnation(), Mutex::default());
        let outrun = AtomicBool::new(false);
        let lock = if locks { lock::held(&tenancy, &claim).await } else { None };
        let owner =
            Owner { tenancy, claim, parent, birth, judged, outrun, interval, lock, server, sealer, said };
        if let Err(error) = owner.say(Mark::Claimed, Link::default()).await {
            // It may have arrived all the same.
            owner.give_up().await;
            return Err(error);
        }
        // For those who open, an early exit: whoever goes on here against a higher claim is stopped at confirm. For a tool it is the
        // moment that decides: who claims from now on sees this claim, and is above it.
        let claims = owner.tenancy.claims().await;
        let alone = claims.as_ref().is_ok_and(|claims| {
            claims.highest() == Some(claim)
                && judged.is_none_or(|(judged, _)| claims.below(&claim) == Some(judged))
        });
        match claims {
            _ if alone => Ok(owner),
            Err(error) if judged.is_none() => Err(error),
            claims => {
                owner.withdraw().await;
                claims?;
                Err(if judged.is_some() { came_back() } else { lost() })
            }
        }
    }

    /// Waits until the predecessor has handed over, or cannot be alive any more. `dead` are claims that this disk made in
    /// former lives: whoever holds its lock knows that they ended. `waiting` is told for whom, and how long at most.
    /// A tool withdraws if the predecessor hands over: it was running.
    pub async fn await_predecessor(
        &self,
        dead: &[Claim],
        interval: Duration,
        budget: Option<Duration>,
        waiting: impl Fn(&Claim, Duration),
    ) -> Result<()> {
        let host = self.tenancy.host().clone();
        let start = host.now();
        let (mut deadline, mut leaving, mut told) = (None, None, None);
        let mut noticed = self.tenancy.listing.attention(&self.tenancy.name);
        let mut absence = lock::Absence::default();
        loop {
            let claims = self.tenancy.claims().await?;
            if claims.highest() != Some(self.claim) {
                return Err(lost());
            }
            let predecessor = self.still_owing(&claims, dead).await?;
            let answered = predecessor.is_none_or(|claim| claims.marks(&claim).leaving);
            if answered && self.judged.is_some() && (deadline.is_some() || self.is_handed(&claims)) {
                return Err(self.leave_to_its_owner().await);
            }
            let Some(predecessor) = predecessor else { return Ok(()) };
            let within = match (deadline, budget) {
                (Some(within), _) | (None, Some(within)) => within,
                // It looks once per interval; twice that and a margin later it knows, or it is not running.
                (None, None) => {
                    handover_wait(interval.max(lock::terms_of(&self.tenancy, &predecessor).await?.interval))
                }
            };
            deadline = Some(within);
            let now = host.now();
            let mut until = start + within;
            if budget.is_none() && claims.marks(&predecessor).leaving {
                // It accepts nothing more, and says that it is still at it: what it accepted is worth a longer wait.
                let end = match leaving {
                    Some(end) => end,
                    None => {
                        now + linger(
                            lock::terms_of(&self.tenancy, &predecessor).await?.interval.max(interval),
                        )
                    }
                };
                leaving = Some(end);
                until = until.max(end);
            }
            if budget.is_none()
                && let Some(end) = absence.end(&self.tenancy, &predecessor).await?
            {
                until = until.min(end);
            }
            if now >= until {
                return Ok(());
            }
            if told != Some(until) {
                told = Some(until);
                waiting(&predecessor, until - now);
            }
            let pause = (interval / 10).clamp(Duration::from_millis(20), Duration::from_secs(1));
            let _ = timeout(pause.min(until - now), noticed.wait()).await;
        }
    }

    /// Withdraws, as a tool that cannot go on and has written nothing under its claim: the session stays with the owner that it judged.
    /// The claim of anybody else stays, as whoever was refused by it is gone.
    pub async fn give_up(&self) {
        if self.judged.is_some() {
            self.withdraw().await;
        }
    }

    /// True if the claim that was judged lets go only since: whoever made it runs, and saw this tool's claim.
    pub fn is_handed(&self, claims: &Claims) -> bool {
        self.judged.is_some_and(|(judged, before)| !before && lets_go(claims, &judged))
    }

    /// Withdraws, as a tool that found its session to run.
    pub async fn leave_to_its_owner(&self) -> Error {
        self.withdraw().await;
        Error::new(
            Cause::Outrun,
            "the owner of this session handed it over, so it was running: nothing was changed",
        )
    }

    /// The predecessor that may still hand something over. One that released has not, if that is true.
    async fn still_owing(&self, claims: &Claims, dead: &[Claim]) -> Result<Option<Claim>> {
        let is_alive = |claim: &Claim| !dead.contains(claim);
        if let Some(claim) = claims.released_before(&self.claim).filter(is_alive) {
            let released = ClaimName { claim, mark: Mark::Released };
            return Ok((!self.tenancy.is_said(released).await?).then_some(claim));
        }
        Ok(claims.predecessor(&self.claim).filter(is_alive))
    }

    /// Goes on from `parent`: a tombstone over that covers this claim as well.
    pub fn descend(&self, parent: Claim) {
        // It is said once.
        let _ = self.parent.set(parent);
    }

    /// Its session began under `birth`: `.live` says so.
    pub fn stem(&self, birth: Claim) {
        let _ = self.birth.set(birth);
    }

    /// Makes another claim, above all that a listing showed, by which the same one deletes what is there.
    pub async fn above(&self, claims: &Claims) -> Result<Owner> {
        Owner::claim(self.tenancy.clone(), claims, None, self.interval, false, |_| async { Ok(()) }).await
    }

    /// Seals a base at `lsn`.
    pub fn base(&self, lsn: Lsn, previous: Link, entries: &[u8]) -> Result<(DataName, SealedObject)> {
        let sealed = self.seal(ObjectKind::Base, (lsn, lsn), previous, entries)?;
        Ok((DataName { claim: self.claim, span: Span::Base(lsn), digest: sealed.digest.short() }, sealed))
    }

    /// Seals the segment `first..=last`.
    pub fn segment(
        &self,
        first: Lsn,
        last: Lsn,
        previous: Link,
        entries: &[u8],
    ) -> Result<(DataName, SealedObject)> {
        let sealed = self.seal(ObjectKind::Segment, (first, last), previous, entries)?;
        Ok((
            DataName { claim: self.claim, span: Span::Segment(first, last), digest: sealed.digest.short() },
            sealed,
        ))
    }

    /// The same, away from the runtime's workers where it is large.
    pub async fn seal_segment(
        self: &Arc<Self>,
        first: Lsn,
        last: Lsn,
        previous: Link,
        entries: &[u8],
    ) -> Result<(DataName, SealedObject)> {
        if entries.len() < LARGE {
            return self.segment(first, last, previous, entries);
        }
        let (owner, entries) = (Arc::clone(self), entries.to_vec());
        let seal = move || owner.segment(first, last, previous, &entries);
        blocking_in(self.tenancy.host(), Lane::Compute, seal).await
    }

    /// Says that this claim has a base.
    pub async fn mark_live(&self) -> Result<()> {
        self.say(Mark::Live, Link::default()).await
    }

    /// Says that this claim ended at `end`, and that nothing of it will follow.
    pub async fn release(&self, end: Link) -> Result<()> {
        self.say(Mark::Released, end).await
    }

    /// Says that the session is deleted: nothing at or below this claim comes back (I10).
    pub async fn bury(&self) -> Result<()> {
        self.say(Mark::Deleted, Link::default()).await
    }

    async fn say(&self, mark: Mark, end: Link) -> Result<()> {
        let (name, bytes) = self.mark(mark, end)?;
        self.tenancy.remote.put(&name, bytes).await
    }

    /// The object that says `mark` about this claim.
    pub fn mark(&self, mark: Mark, end: Link) -> Result<(String, Bytes)> {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = match said.get(&mark) {
            Some(bytes) => bytes.clone(),
            None => {
                let interval = u64::try_from(self.interval.as_millis()).unwrap_or(u64::MAX).to_le_bytes();
                let terms = [&interval[..], if self.lock.is_some() { &[1] } else { &[] }].concat();
                let mut birth = Vec::new();
                self.birth.get().into_iter().for_each(|claim| put_claim(&mut birth, claim));
                let (kind, body) = match mark {
                    Mark::Claimed => (ObjectKind::Claim, &terms[..]),
                    Mark::Live => (ObjectKind::Live, &birth[..]),
                    Mark::Leaving => (ObjectKind::Leaving, &[][..]),
                    Mark::Released => (ObjectKind::Released, &[][..]),
                    Mark::Deleted => (ObjectKind::Deleted, &[][..]),
                };
                let sealed = self.seal(kind, (end.lsn, end.lsn), end, body)?;
                self.tenancy.known.trust(ClaimName { claim: self.claim, mark });
                said.entry(mark).or_insert(sealed.bytes).clone()
            }
        };
        Ok((self.mark_name(mark), bytes))
    }

    /// Removes a claim that lost before it went live. It is garbage, so nobody minds if this fails.
    pub async fn withdraw(&self) {
        let _ = self.tenancy.remote.delete(vec![self.mark_name(Mark::Claimed)]).await;
    }

    fn mark_name(&self, mark: Mark) -> String {
        ClaimName { claim: self.claim, mark }.object(&self.tenancy.name)
    }

    /// Seals an object under this claim.
    pub fn seal(
        &self,
        kind: ObjectKind,
        span: (Lsn, Lsn),
        previous: Link,
        body: &[u8],
    ) -> Result<SealedObject> {
        let wall_ms = self.tenancy.host().wall_ms();
        let mut sealer = self.sealer.lock().unwrap_or_else(PoisonError::into_inner);
        sealer.seal(kind, span, previous, wall_ms, body)
    }
}
