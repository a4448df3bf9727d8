//! Shipping: what changed, as one segment after another, and now and then a base behind them.
//!
//! Nothing is stored after a segment before that one is (I5).

use crate::error::Result;
use crate::format::object::Link;
use crate::journal::Cut;

use super::audit::AUDIT_SEGMENTS;
use super::stop::Work;
use super::{ChainObject, MAX_SEGMENTS, Replicator, Shipment};

impl Replicator {
    pub(super) async fn ship(&mut self) -> Work {
        let (segments, bytes) = (self.chain.len() + 1, self.chain.segment_bytes());
        let worth_a_base = self.base_at <= self.now()
            && (segments >= MAX_SEGMENTS || bytes > self.chain.base().bytes.max(64 << 10));
        let Some(cut) = self.journal.cut(worth_a_base)? else { return Ok(()) };
        self.ship_cut(&cut).await?;
        match cut.base {
            // A store that was filled again meanwhile has a newer one.
            Some(base) if cut.last == self.head.lsn && self.chain.len() > 0 => {
                self.checkpoint(cut.last, base).await
            }
            _ => Ok(()),
        }
    }

    /// Stores a cut, and has it acknowledged.
    pub(super) async fn ship_cut(&mut self, cut: &Cut) -> Work {
        self.store_cut(cut).await?;
        if self.chain.len().is_multiple_of(AUDIT_SEGMENTS) {
            self.audits.hurry(self.now());
        }
        // On another server more than the cut is stored by now.
        self.acknowledge(Some((self.head.lsn, self.chain.newest().bytes)), true).await
    }

    /// Stores a cut, whoever owns the session by then.
    pub(super) async fn store_cut(&mut self, cut: &Cut) -> Work {
        self.shipped_at = Some(self.now());
        let Shipment { name, bytes, .. } = self.load(cut).await?;
        if !self.store(&name, bytes).await? {
            // The whole state there has this segment too.
            return self.follow().await;
        }
        self.landed();
        Ok(())
    }

    /// Seals a cut. It stays on the way until it has landed: nothing may be stored after it before it is (I5).
    pub(super) async fn load(&mut self, cut: &Cut) -> Result<Shipment> {
        let (data, sealed) = self.owner.seal_segment(cut.first, cut.last, self.head, &cut.entries).await?;
        let end = Link { claim: self.owner.claim, lsn: cut.last, digest: sealed.digest };
        let name = data.object(&self.owner.tenancy.name);
        let shipment = Shipment { data, name, bytes: sealed.bytes, end };
        self.on_the_way = Some(shipment.clone());
        Ok(shipment)
    }

    /// The shipment that was on the way is stored.
    pub(super) fn landed(&mut self) {
        let Some(Shipment { data, bytes, end, .. }) = self.on_the_way.take() else { return };
        let bytes = bytes.len() as u64;
        self.head = end;
        self.chain.push(ChainObject { name: data, bytes });
        self.note(|health| {
            health.segments += 1;
            health.bytes += bytes;
        });
    }
}
