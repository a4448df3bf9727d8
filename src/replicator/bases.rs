//! Bases: writing the whole state now and then, filling a store that was emptied, and storing again what grows old.
//!
//! A base is at the end of what is stored, or beyond a segment that leads there: a chain has no hole (I5, I20).

use std::sync::Arc;
use std::time::Duration;

use crate::error::{Code, Error, Result};
use crate::event::{Event, Level};
use crate::host::{Lane, blocking_in, sleep};
use crate::id::Lsn;
use crate::name::Mark;
use crate::object::Link;
use crate::state::Snapshot;

use super::{Flow, MAX_PAUSE, Replicator, spread};

impl Replicator {
    /// The store lost everything of this session, and no newer owner is there: write it all again, from memory.
    pub(super) async fn refill(&mut self) -> Result<Flow> {
        let error = Error::new(
            Code::RemoteCorrupt,
            "the store was emptied under a running session; its state is being stored again",
        );
        (self.events)(Event::Failed(error));
        // Both marks before the state: to whoever comes meanwhile this must be a session whose state is missing, which nobody
        // claims, and not one that never began.
        for mark in [Mark::Claimed, Mark::Live] {
            let (name, bytes) = self.owner.mark(mark, Link::default())?;
            if self.store(&name, bytes).await? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        let (lsn, base) = self.journal.cut_base()?;
        self.head.lsn = lsn;
        self.put_base(lsn, base, true).await
    }

    pub(super) async fn checkpoint(&mut self, lsn: Lsn, base: Snapshot) -> Result<Flow> {
        let flow = self.put_base(lsn, base, false).await?;
        if flow == Flow::Go {
            self.collect().await;
        }
        Ok(flow)
    }

    /// Stores a base. One that the store can never accept is tried for ever if it `must` be there; else it is told of, and
    /// segments go on without it.
    pub(super) async fn put_base(&mut self, lsn: Lsn, base: Snapshot, must: bool) -> Result<Flow> {
        let (owner, head) = (Arc::clone(&self.owner), self.head);
        let (name, sealed) = blocking_in(self.owner.tenancy.host(), Lane::Compute, move || {
            owner.base(lsn, head, &base.encode())
        })
        .await?;
        let name = name.object(&self.owner.tenancy.name);
        self.base_bytes = sealed.bytes.len() as u64;
        self.segments = 0;
        self.segment_bytes = 0;
        let bytes = self.base_bytes;
        let flow = if must {
            self.store(&name, sealed.bytes).await?
        } else {
            match self.store_if_possible(&name, sealed.bytes).await? {
                Ok(flow) => flow,
                Err(failure) => {
                    (self.events)(Event::Failed(failure.error("storing the whole state")));
                    return Ok(Flow::Go);
                }
            }
        };
        if flow == Flow::Go {
            self.base = name;
            self.refresh_at = self.now() + spread(self.owner.tenancy.host(), self.pace.refresh);
            self.note(|health| {
                health.bases += 1;
                health.bytes += bytes;
            });
        }
        Ok(flow)
    }

    /// Stores again what has not changed for long, before a rule of the bucket removes it for its age: the marks under their
    /// names, and the state as a new base or, if nothing came since the last one, that one under its name (I1).
    pub(super) async fn refresh(&mut self) -> Result<Flow> {
        for mark in [Mark::Claimed, Mark::Live] {
            let (name, bytes) = self.owner.mark(mark, Link::default())?;
            if self.store(&name, bytes).await? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        let old = if self.segments == 0 && self.journal.pending()?.is_none() {
            let request = self.owner.tenancy.remote.get_once(&self.base);
            match self.answer(request).await {
                None => return Ok(Flow::Stop),
                Some(Ok(old)) => old,
                Some(Err(failure)) => return Ok(self.suffer(&failure, MAX_PAUSE).await),
            }
        } else {
            None
        };
        let name = self.base.clone();
        let flow = match old {
            Some(bytes) => self.store(&name, bytes).await?,
            None => self.put_whole().await?,
        };
        if flow == Flow::Go {
            self.refresh_at = self.now() + spread(self.owner.tenancy.host(), self.pace.refresh);
            let note = "what had not changed for long was stored again".to_owned();
            (self.events)(Event::Note(Level::Debug, note));
            self.collect().await;
        }
        Ok(flow)
    }

    /// Stores the whole state anew, for those who asked: with two bases of this owner nothing of a former one is kept.
    pub(super) async fn renew(&mut self) -> Result<Flow> {
        let waiting = self.journal.take_renewals();
        let flow = self.put_whole().await?;
        if flow == Flow::Go {
            self.collector.ask(waiting);
        }
        Ok(flow)
    }

    /// Stores what waits, and then the whole state at the end of it as a base. A base beyond the segments would leave the one before
    /// it without a way there, and a newer owner that shows up meanwhile without what was cut and is not stored (I20).
    async fn put_whole(&mut self) -> Result<Flow> {
        let (lsn, base) = loop {
            let (lsn, base) = match self.journal.cut(true)? {
                None => self.journal.view()?,
                Some(cut) => {
                    if self.ship_cut(&cut).await? == Flow::Stop {
                        return Ok(Flow::Stop);
                    }
                    let Some(base) = cut.base else { continue };
                    (cut.last, base)
                }
            };
            // Something may have been written, or the store been filled again, meanwhile.
            if lsn == self.head.lsn {
                break (lsn, base);
            }
        };
        if self.put_base(lsn, base, true).await? == Flow::Stop {
            return Ok(Flow::Stop);
        }
        let bytes = self.base_bytes;
        self.acknowledge(Some((lsn, bytes)), true).await
    }

    /// Has what is superfluous removed. A store that answers is done with it before the next step; one that does not is waited
    /// for shortly: a newer owner must be noticed in time.
    pub(super) async fn collect(&self) {
        self.collector.ask(Vec::new());
        self.settle(self.pace.check_interval / 4).await;
    }

    /// Waits for removals, but not for longer than `patience`.
    pub(super) async fn settle(&self, patience: Duration) {
        tokio::select! {
            biased;
            () = self.collector.settled() => {}
            () = sleep(patience) => {}
        }
    }
}
