//! Servers that take the place of others: a failover may forget what was acknowledged.
//!
//! A segment that was stored on the former server may be missing on this one, and what follows it would be beyond a hole. So the
//! whole state is the first that is stored of this session on this server, before any segment, acknowledgement or release (I4, I20). Where
//! the server takes no base, segments go on after the one before, once a listing shows all of them here.

use crate::error::Result;
use crate::event::Event;
use crate::id::Lsn;
use crate::journal::memtable::Snapshot;
use crate::platform::meter::METERS;

use super::chain::Chain;
use super::stop::Work;
use super::{ChainObject, Replicator};

impl Replicator {
    /// True if the store is served by another server than the one that has everything.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.owner.tenancy.remote.incarnation() != self.server
    }

    /// Stores marks and the whole state on this server.
    pub(super) async fn follow(&mut self) -> Work {
        loop {
            let server = self.owner.tenancy.remote.incarnation();
            (self.events)(Event::ServerChanged);
            METERS.server_changes.one();
            self.suspect();
            self.store_marks().await?;
            let stored = self.head;
            let (lsn, state) = self.whole().await?;
            let replaced = self.replace_chain(lsn, state).await;
            if matches!(replaced, Ok(true)) {
                self.skipped.clear();
                self.server = server;
                return Ok(());
            }
            self.head = stored;
            replaced?;
            self.server = server;
            if self.store_skipped().await? {
                return Ok(());
            }
        }
    }

    /// Stores the segments that a base was to replace, one after another; false if another server answers meanwhile.
    async fn store_skipped(&mut self) -> Work<bool> {
        while let Some(segment) = self.skipped.pop_front() {
            let (name, bytes) = (segment.name.clone(), segment.bytes.clone());
            self.on_the_way = Some(segment);
            if !self.store(&name, bytes).await? {
                return Ok(false);
            }
            self.landed();
        }
        Ok(true)
    }

    /// Stores the whole state at the end of what a newer owner waits for, which may not have the way there. Where the server takes no
    /// base and has the chain, the segments that lead there are still to be stored.
    pub(super) async fn leave_whole(&mut self) -> Result<()> {
        let stored = self.head;
        let (lsn, state) = self.whole().await?;
        let (name, sealed) = self.seal_base(lsn, state).await?;
        let bytes = sealed.bytes.len() as u64;
        match self.put_until_stored(&name.object(&self.owner.tenancy.name), sealed.bytes).await {
            Ok(()) => {
                self.skipped.clear();
                self.chain = Chain::of(ChainObject { name, bytes });
                Ok(())
            }
            Err(_) if self.is_whole().await => {
                self.head = stored;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The whole state and its LSN, at the end of the segments that lead there. Those are skipped: nobody could follow them over what
    /// this server lacks.
    async fn whole(&mut self) -> Result<(Lsn, Snapshot)> {
        if let Some(segment) = self.on_the_way.take() {
            self.skipped.push_front(segment);
        }
        self.head = self.skipped.back().map_or(self.head, |segment| segment.end);
        loop {
            let (lsn, state) = match self.journal.cut(true)? {
                None => self.journal.view()?,
                Some(cut) => {
                    let segment = self.load(&cut).await?;
                    self.on_the_way = None;
                    self.head = segment.end;
                    self.skipped.push_back(segment);
                    let Some(state) = cut.base else { continue };
                    (cut.last, state)
                }
            };
            // Something may have been written meanwhile.
            if lsn == self.head.lsn {
                return Ok((lsn, state));
            }
        }
    }
}
