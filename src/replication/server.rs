//! Servers that take the place of others: a failover may forget what was acknowledged.
//!
//! A segment that was stored on the former server may be missing on this one, and what follows it would be beyond a hole. So the
//! whole state is stored before anything is acknowledged here, or handed over (I4, I20).

use std::sync::Arc;

use crate::error::Result;
use crate::event::Event;
use crate::platform::host::{Lane, blocking_in};
use crate::platform::meter::METERS;

use super::chain::Chain;
use super::{Flow, Piece, Replicator};

impl Replicator {
    /// True if the store is served by another server than the one that has everything.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.owner.tenancy.remote.incarnation() != self.server
    }

    /// Stores marks, what waits and the whole state on this server, before anything is acknowledged there.
    pub(super) async fn follow(&mut self) -> Result<Flow> {
        self.server = self.owner.tenancy.remote.incarnation();
        (self.events)(Event::ServerChanged);
        METERS.server_changes.one();
        self.suspect();
        self.rebuild().await
    }

    /// Stores the whole state at the end of what a newer owner waits for, which may not have the way there.
    pub(super) async fn leave_whole(&mut self) -> Result<()> {
        let (lsn, state) = self.journal.view()?;
        if lsn != self.head.lsn {
            return Ok(());
        }
        let (owner, head) = (Arc::clone(&self.owner), self.head);
        let (name, sealed) = blocking_in(self.owner.tenancy.host(), Lane::Compute, move || {
            owner.base(lsn, head, &state.encode())
        })
        .await?;
        let bytes = sealed.bytes.len() as u64;
        self.put_until_stored(&name.object(&self.owner.tenancy.name), sealed.bytes).await?;
        self.chain = Chain::of(Piece { name, bytes });
        Ok(())
    }
}
