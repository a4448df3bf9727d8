//! Servers that take the place of others: a failover may forget what was acknowledged.
//!
//! A segment that was stored on the former server may be missing on this one, and what follows it would be beyond a hole. So the
//! whole state is the first that is stored of this session on this server, before any segment, acknowledgement or release (I4, I20).

use crate::error::Result;
use crate::event::Event;
use crate::id::Lsn;
use crate::journal::memtable::Snapshot;
use crate::platform::meter::METERS;

use super::chain::Chain;
use super::stop::Work;
use super::{Piece, Replicator};

impl Replicator {
    /// True if the store is served by another server than the one that has everything.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.owner.tenancy.remote.incarnation() != self.server
    }

    /// Stores marks and the whole state on this server.
    pub(super) async fn follow(&mut self) -> Work {
        let server = self.owner.tenancy.remote.incarnation();
        (self.events)(Event::ServerChanged);
        METERS.server_changes.one();
        self.suspect();
        self.store_marks().await?;
        let (lsn, state) = self.whole().await?;
        self.put_base(lsn, state, true).await?;
        self.server = server;
        Ok(())
    }

    /// Stores the whole state at the end of what a newer owner waits for, which may not have the way there.
    pub(super) async fn leave_whole(&mut self) -> Result<()> {
        let (lsn, state) = self.whole().await?;
        let (name, sealed) = self.seal_base(lsn, state).await?;
        let bytes = sealed.bytes.len() as u64;
        self.put_until_stored(&name.object(&self.owner.tenancy.name), sealed.bytes).await?;
        self.chain = Chain::of(Piece { name, bytes });
        Ok(())
    }

    /// The whole state and its LSN, at the end of the segments that lead there. Those that were not stored stay so: nobody could
    /// follow them over what this server lacks.
    async fn whole(&mut self) -> Result<(Lsn, Snapshot)> {
        loop {
            if let Some(segment) = self.on_the_way.take() {
                self.head = segment.end;
            }
            let (lsn, state) = match self.journal.cut(true)? {
                None => self.journal.view()?,
                Some(cut) => {
                    self.head = self.load(&cut).await?.end;
                    self.on_the_way = None;
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
