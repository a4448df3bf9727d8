//! Collection: packs that nothing names any more, and packs that are gone.
//!
//! A pack that an acknowledged state does not name is never named again: pieces are found again only among the packs of the state.
//! So whoever is the owner removes it without waiting (I9); a newer owner began with this state, or a later one.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::format::name::PackName;
use crate::id::Claim;
use crate::ownership::tenancy::Tenancy;

use super::catalog::Catalog;

/// Outcome of a collection.
pub struct Collected {
    /// Numbers of packs that the state names and the store does not have.
    pub lost: BTreeSet<u64>,
}

/// Removes what `me`, the owner, finds in the store and the acknowledged `catalog` does not name. No backup runs meanwhile.
pub async fn collect(tenancy: &Tenancy, me: &Claim, catalog: &Catalog) -> Result<Collected> {
    let listed = tenancy.remote.list(&tenancy.name.packs_folder(), "").await?;
    let there: BTreeSet<PackName> = listed.iter().filter_map(|name| PackName::parse(name)).collect();
    let named: BTreeSet<PackName> = catalog.packs.values().map(|pack| pack.name).collect();
    // What a newer owner stores is none of ours, and its state is not known here.
    let gone = there.difference(&named).filter(|name| name.claim <= *me);
    tenancy.remote.delete(gone.map(|name| name.object(&tenancy.name)).collect()).await?;
    Ok(Collected { lost: named.difference(&there).map(|name| name.number).collect() })
}
