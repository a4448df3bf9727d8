//! Collection: packs that nothing names any more, packs that are gone, and packs that grow old.
//!
//! A pack that an acknowledged state does not name is never named again: pieces are found again only among the packs of the state.
//! So whoever is the owner removes it without waiting (I9); a newer owner began with this state, or a later one. A pack that is named is
//! stored again in time, under its name (I1), before a rule of the bucket removes it for its age.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::error::Result;
use crate::format::name::PackName;
use crate::id::Claim;
use crate::ownership::tenancy::Tenancy;

use super::catalog::Catalog;

/// Removes what `me`, the owner, finds in the store and the acknowledged `catalog` does not name, and stores again what is older than
/// `refresh`. No backup runs meanwhile. Gives the packs that the state names and the store does not have.
pub async fn collect(
    tenancy: &Tenancy,
    me: &Claim,
    catalog: &Catalog,
    refresh: Duration,
) -> Result<BTreeSet<PackName>> {
    let listed = tenancy.remote.details(&tenancy.name.packs_folder(), "").await?;
    let times: BTreeMap<PackName, Option<u64>> = listed
        .iter()
        .filter_map(|listed| PackName::parse(&listed.name).map(|name| (name, listed.modified_ms)))
        .collect();
    let there: BTreeSet<PackName> = times.keys().copied().collect();
    let named: BTreeSet<PackName> = catalog.packs.values().map(|pack| pack.name).collect();
    // What a newer owner stores is none of ours, and its state is not known here.
    let gone = there.difference(&named).filter(|name| name.claim <= *me);
    tenancy.remote.delete(gone.map(|name| name.object(&tenancy.name)).collect()).await?;
    let kept = times.into_iter().filter(|(name, _)| named.contains(name));
    renew(tenancy, kept.filter_map(|(name, at)| Some((name, at?))).collect(), refresh).await?;
    Ok(named.difference(&there).copied().collect())
}

/// Stores those of `packs` again that are older than `refresh` by the clock of the store, given the times at which it took them.
async fn renew(tenancy: &Tenancy, packs: Vec<(PackName, u64)>, refresh: Duration) -> Result<()> {
    let refresh = u64::try_from(refresh.as_millis()).unwrap_or(u64::MAX);
    let is_old = |now: u64| move |(_, at): &&(PackName, u64)| at.saturating_add(refresh) < now;
    // This machine's clock says whether the store is to be asked for its own.
    if !packs.iter().any(|pack| is_old(tenancy.host().wall_ms())(&pack)) {
        return Ok(());
    }
    let now = tenancy.remote.clock().await?;
    for (name, _) in packs.iter().filter(is_old(now)) {
        let name = name.object(&tenancy.name);
        // One that went meanwhile is found by the next look.
        if let Some(bytes) = tenancy.remote.get(&name).await? {
            tenancy.remote.put(&name, bytes).await?;
        }
    }
    Ok(())
}
