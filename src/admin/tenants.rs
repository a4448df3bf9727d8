//! The tenants of a store, by the names of their claims alone: no object is read.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::format::name::{CLAIMS, TenantName};
use crate::registry::Registry;
use crate::store::StoreSpec;

/// The tenants that have a session in a store, by id and in order; and how many more have names that do not tell.
pub async fn tenants(registry: &Registry, spec: &StoreSpec) -> Result<(Vec<String>, usize)> {
    let site = registry.site(spec)?;
    site.remote.require_fit().await?;
    let names = site.remote.list(CLAIMS, "").await?;
    let mut of_tenant = BTreeMap::<&str, (bool, bool)>::new();
    for name in &names {
        let Some((tenant, mark)) = name.split_once('.') else { continue };
        let (live, deleted) = of_tenant.entry(tenant).or_default();
        // The order of names is the order of claims: what is live after a tombstone is a new life.
        *deleted = (*deleted && !mark.ends_with(".live")) || mark.ends_with(".deleted");
        *live |= mark.ends_with(".live");
    }
    let alive = of_tenant.iter().filter(|(_, (live, deleted))| *live && !*deleted);
    let revealed: Vec<Option<String>> =
        alive.map(|(tenant, _)| TenantName::reveal(&format!("{tenant}."))).collect();
    let hidden = revealed.iter().filter(|id| id.is_none()).count();
    Ok((revealed.into_iter().flatten().collect(), hidden))
}
