//! Sealing anew: the packs of the newest generation under the present claim and the primary key.
//!
//! The new packs are stored before the batch that names them, and the old ones go only when any successor would begin with it: at no
//! moment is there less than a whole generation. Older generations are given up: their packs need the old keys.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::Result;
use crate::session::Session;

use super::backup::store;
use super::catalog::{Catalog, changes};
use super::collect::collect;
use super::restore::body;

/// Seals the profile anew. Resolves when nothing in the store needs another key than the primary one.
pub async fn reseal(session: &Session, timeout: Duration) -> Result<()> {
    let owner = session.owner()?;
    let before = session.journal().read(Catalog::read)??;
    let Some(mut head) = before.head else { return Ok(()) };
    let mut after = before.retaining(1);
    let mut renamed = BTreeMap::new();
    for (number, pack) in &before.retaining(1).packs {
        let body = body(&owner.tenancy, pack).await?;
        renamed.insert(*number, head.next_pack);
        after.packs.remove(number);
        after.packs.insert(head.next_pack, store(owner, head.next_pack, body).await?);
        head.next_pack += 1;
    }
    for version in after.files.values_mut().flat_map(BTreeMap::values_mut).flatten() {
        for piece in &mut version.pieces {
            piece.pack = renamed.get(&piece.pack).copied().unwrap_or(piece.pack);
        }
    }
    after.head = Some(head);
    session.journal().append(&changes(&before, &after), true)?;
    session.flush(timeout).await?;
    collect(&owner.tenancy, &owner.claim, &after, Duration::MAX).await.map(|_| ())
}
