//! Bases: writing the whole state now and then, filling a store that was emptied, and storing again what grows old.
//!
//! A base is at the end of what is stored, or beyond a segment that leads there: a chain has no hole (I5, I20).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::error::{Cause, Error, Result};
use crate::event::{Event, Level};
use crate::format::name::{DataName, Mark};
use crate::format::object::{Link, SealedObject};
use crate::id::Lsn;
use crate::journal::memtable::Snapshot;
use crate::platform::host::{Lane, blocking_in, sleep};
use crate::platform::meter::METERS;
use crate::store::Failure;

use super::chain::Chain;
use super::outage::Put;
use super::stop::{NoAnswer, Stop, Work};
use super::{BASE_PAUSE, ChainObject, MAX_BASE_PAUSE, MAX_PAUSE, Replicator, spread};

impl Replicator {
    /// The store lost everything of this session, and no newer owner is there: write it all again, from memory.
    pub(super) async fn refill(&mut self) -> Work {
        let error = Error::new(
            Cause::Vanished,
            "the store was emptied while the session was running; its state is being stored again",
        );
        (self.events)(Event::Failed(error));
        METERS.store_repairs.one();
        self.suspect();
        self.rebuild().await?;
        Ok(())
    }

    /// Stores both marks of the claim.
    pub(super) async fn store_marks(&mut self) -> Work {
        for mark in [Mark::Claimed, Mark::Live] {
            let (name, bytes) = self.owner.mark(mark, Link::default())?;
            self.store(&name, bytes).await?;
        }
        Ok(())
    }

    /// Seals the whole state as a base at the end of the chain, away from the runtime's workers.
    pub(super) async fn seal_base(&self, lsn: Lsn, state: Snapshot) -> Result<(DataName, SealedObject)> {
        let (owner, head) = (Arc::clone(&self.owner), self.head);
        blocking_in(self.owner.tenancy.host(), Lane::Compute, move || owner.base(lsn, head, &state.encode()))
            .await
    }

    pub(super) async fn checkpoint(&mut self, lsn: Lsn, base: Snapshot) -> Work {
        if self.put_base(lsn, base).await? {
            self.collect().await;
        }
        Ok(())
    }

    /// Stores a base. Of one that the store can never accept nothing comes (`false`), and segments go on after the base before it.
    async fn put_base(&mut self, lsn: Lsn, state: Snapshot) -> Work<bool> {
        let (name, bytes) = self.prepare_base(lsn, state).await?;
        Ok(self.offer_base(name, bytes).await?.is_none())
    }

    /// Stores a base where objects of the chain are missing. One that the store refuses is tried again, and nothing is acknowledged
    /// meanwhile, unless a listing shows all of the chain: segments then go on after the base before it (`false`).
    pub(super) async fn replace_chain(&mut self, lsn: Lsn, state: Snapshot) -> Work<bool> {
        let (name, bytes) = self.prepare_base(lsn, state).await?;
        while let Some(failure) = self.offer_base(name, bytes.clone()).await? {
            let is_whole = tokio::select! {
                biased;
                () = self.over() => return Err(Stop::Ended),
                is_whole = self.is_whole() => is_whole,
            };
            if is_whole {
                return Ok(false);
            }
            // Only somebody who changes the bucket's limits can help; until then it all stays here.
            let until = self.now() + MAX_PAUSE;
            while self.now() < until {
                self.back_off(&failure, self.pace.check_interval).await?;
            }
        }
        Ok(true)
    }

    /// True if a listing shows all of the chain.
    pub(super) async fn is_whole(&self) -> bool {
        let survey = self.owner.tenancy.survey().await;
        survey.is_ok_and(|survey| self.chain.lost(&survey).pieces == 0)
    }

    /// Seals a base, and tells of one that comes near the limit of the store.
    async fn prepare_base(&self, lsn: Lsn, state: Snapshot) -> Result<(DataName, Bytes)> {
        let (name, SealedObject { bytes, .. }) = self.seal_base(lsn, state).await?;
        if let Some(note) = self.owner.tenancy.remote.tight(self.chain.base().bytes, bytes.len() as u64) {
            (self.events)(Event::Note(Level::Warn, note));
        }
        Ok((name, bytes))
    }

    /// Stores a sealed base, which is then the chain; gives the refusal of a store that can never accept it, once that is told.
    async fn offer_base(&mut self, name: DataName, sealed: Bytes) -> Work<Option<Failure>> {
        let bytes = sealed.len() as u64;
        let object = name.object(&self.owner.tenancy.name);
        if let Put::Refused(failure) = self.store_if_possible(&object, sealed).await? {
            self.refused(&failure);
            return Ok(Some(failure));
        }
        self.chain = Chain::of(ChainObject { name, bytes });
        self.refresh_at = self.now() + spread(self.owner.tenancy.host(), self.pace.refresh);
        let mut refused = None;
        self.note(|health| {
            health.bases += 1;
            health.bytes += bytes;
            refused = health.base_refused.take();
        });
        (self.base_at, self.base_pause) = (Duration::ZERO, BASE_PAUSE);
        if refused.is_some() {
            (self.events)(Event::Repaired("the store accepts the full state again".to_owned()));
        }
        Ok(None)
    }

    /// The store can never take the whole state as it is: that is told once, stays in the status, and is tried again later.
    fn refused(&mut self, failure: &Failure) {
        let error = failure.error(
            "storing the full state, without which changes pile up in the store and opens take longer",
        );
        // One that is tried before its time, as objects are missing, does not put the next ones off.
        if self.base_at <= self.now() {
            self.base_at = self.now() + self.base_pause;
            self.base_pause = (self.base_pause * 2).min(MAX_BASE_PAUSE);
        }
        let mut first = false;
        self.note(|health| first = health.base_refused.replace(error.clone()).is_none());
        if first {
            (self.events)(Event::Failed(error));
        }
    }

    /// Stores again what has not changed for long, before a rule of the bucket removes it for its age: the marks under their
    /// names, and the state as a new base or, if nothing came since the last one, that one under its name (I1). Where the store takes
    /// no new base, the last one and all that follows it are.
    pub(super) async fn refresh(&mut self) -> Work {
        self.audit().await;
        if self.collector.has_losses() {
            return self.mend().await;
        }
        self.store_marks().await?;
        let base = self.chain.base();
        let is_whole = self.chain.len() == 0
            && self.chain.base().name.span.last() == self.head.lsn
            && self.journal.pending()?.is_none();
        if !(is_whole && self.again(base).await? || self.put_whole().await?) {
            for piece in self.chain.pieces().collect::<Vec<_>>() {
                self.again(piece).await?;
            }
        }
        self.refresh_at = self.now() + spread(self.owner.tenancy.host(), self.pace.refresh);
        let note = "unchanged data was re-uploaded".to_owned();
        (self.events)(Event::Note(Level::Debug, note));
        self.collect().await;
        Ok(())
    }

    /// Stores an object of the chain once more under its name; `false` if it is not there, or too large by now.
    async fn again(&mut self, piece: ChainObject) -> Work<bool> {
        let name = piece.name.object(&self.owner.tenancy.name);
        loop {
            let request = self.owner.tenancy.remote.get_once(&name);
            match self.answer(request).await {
                Ok(Some(bytes)) => {
                    let put = self.store_if_possible(&name, bytes).await?;
                    return Ok(!matches!(put, Put::Refused(_)));
                }
                Ok(None) => return Ok(false),
                Err(NoAnswer::Ended) => return Err(Stop::Ended),
                Err(NoAnswer::Failed(failure)) => self.back_off(&failure, MAX_PAUSE).await?,
            }
        }
    }

    /// Stores the whole state anew, for those who asked: with two bases of this owner nothing of a former one is kept. Where the
    /// store can never take it, they hear nothing more.
    pub(super) async fn renew(&mut self) -> Work {
        let waiting = self.journal.take_renewals();
        if self.put_whole().await? {
            self.collector.expect(&self.chain);
            self.collector.ask(waiting);
        }
        Ok(())
    }

    /// Stores what waits, and then the whole state at the end of it as a base. A base beyond the segments would leave the one before
    /// it without a way there, and a newer owner that shows up meanwhile without what was cut and is not stored (I20). `false`: the store
    /// can never take it.
    async fn put_whole(&mut self) -> Work<bool> {
        let (lsn, base) = loop {
            let (lsn, base) = match self.journal.cut(true)? {
                None => self.journal.view()?,
                Some(cut) => {
                    self.ship_cut(&cut).await?;
                    let Some(base) = cut.base else { continue };
                    (cut.last, base)
                }
            };
            // Something may have been written, or the store been filled again, meanwhile.
            if lsn == self.head.lsn {
                break (lsn, base);
            }
        };
        if !self.put_base(lsn, base).await? {
            return Ok(false);
        }
        let bytes = self.chain.base().bytes;
        self.acknowledge(Some((lsn, bytes)), true).await?;
        Ok(true)
    }

    /// Has what is superfluous removed. A store that answers is done with it before the next step; one that does not is waited
    /// for shortly: a newer owner must be noticed in time.
    pub(super) async fn collect(&self) {
        self.collector.expect(&self.chain);
        self.collector.ask(Vec::new());
        self.settle(self.pace.check_interval / 4).await;
    }

    /// Waits for removals, but not for longer than `within`, and not while a newer owner waits.
    pub(super) async fn settle(&self, within: Duration) {
        tokio::select! {
            biased;
            () = self.collector.settled() => {}
            () = self.over() => {}
            () = sleep(within) => {}
        }
    }
}
