//! Bases: writing the whole state now and then, deleting what it dominates, and filling a store that was emptied.
//!
//! Only what two kept bases dominate is deleted, and only by the owner (I9).

use std::sync::Arc;

use crate::error::{Code, Error, Result};
use crate::event::Event;
use crate::host::blocking;
use crate::id::Lsn;
use crate::name::{ClaimName, Mark};
use crate::object::Link;
use crate::owner::Standing;
use crate::plan::dominated;
use crate::state::Snapshot;

use super::{Flow, Replicator};

impl Replicator {
    /// The store lost everything of this session, and no newer owner is there: write it all again, from memory.
    pub(super) async fn refill(&mut self) -> Result<Flow> {
        let error = Error::new(
            Code::RemoteCorrupt,
            "the store was emptied under a running session; its state is being stored again",
        );
        tracing::error!(%error, "refilling the store");
        (self.events)(Event::Failed(error));
        let (name, bytes) = self.owner.mark(Mark::Claimed, Link::default())?;
        if self.store(&name, bytes).await? == Flow::Stop {
            return Ok(Flow::Stop);
        }
        let (lsn, base) = self.journal.cut_base()?;
        self.head.lsn = lsn;
        if self.put_base(lsn, base).await? == Flow::Stop {
            return Ok(Flow::Stop);
        }
        let (name, bytes) = self.owner.mark(Mark::Live, Link::default())?;
        self.store(&name, bytes).await
    }

    pub(super) async fn checkpoint(&mut self, lsn: Lsn, base: Snapshot) -> Result<Flow> {
        let flow = self.put_base(lsn, base).await?;
        if flow == Flow::Go {
            self.collect().await;
        }
        Ok(flow)
    }

    pub(super) async fn put_base(&mut self, lsn: Lsn, base: Snapshot) -> Result<Flow> {
        let (owner, head) = (Arc::clone(&self.owner), self.head);
        let (name, sealed) =
            blocking(self.owner.tenancy.host(), move || owner.base(lsn, head, &base.encode())).await?;
        self.base_bytes = sealed.bytes.len() as u64;
        self.segments = 0;
        self.segment_bytes = 0;
        let bytes = self.base_bytes;
        self.note(|health| {
            health.bases += 1;
            health.bytes += bytes;
        });
        self.store(&name.object(&self.owner.tenancy.name), sealed.bytes).await
    }

    /// Removes what two kept bases dominate (I9). What fails is done at the next base.
    pub(super) async fn collect(&self) {
        let tenancy = &self.owner.tenancy;
        let Ok(survey) = tenancy.survey().await else { return };
        if self.owner.standing(&survey.claims) != Standing::Owner {
            return;
        }
        let (data, marks) = dominated(&survey, &self.owner.claim, self.parent);
        let data = data.iter().map(|name| name.object(&tenancy.name)).collect();
        if tenancy.remote.delete(data).await.is_ok() {
            let marks = marks.iter().map(|mark: &ClaimName| mark.object(&tenancy.name)).collect();
            let _ = tenancy.remote.delete(marks).await;
        }
    }
}
