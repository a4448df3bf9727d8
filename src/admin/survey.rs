//! All tenants of a store, by listings, and by the marks that say who owns each and who ended.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Ownership, list, reach};
use crate::error::Result;
use crate::format::name::{CLAIMS, TenantName};
use crate::format::seal::visible_tag;
use crate::ownership::tenancy::Tenancy;
use crate::registry::{OpenRequest, Registry, store_of};
use futures::{StreamExt, TryStreamExt, stream};

/// Tenants whose data is listed at once.
const PARALLEL: usize = 16;

/// Standing of one tenant by the listings.
#[derive(Debug, Clone)]
pub struct TenantStanding {
    /// Its id; `None` where the store does not tell.
    pub tenant_id: Option<String>,
    /// Its name in the store.
    pub name: String,
    pub owner: Ownership,
    /// The highest claim: its epoch, and its text.
    pub epoch: Option<u64>,
    pub claim: Option<String>,
    /// The last write that the store has of it.
    pub lsn: Option<u64>,
    /// Time at which its newest object was stored, by the store's clock.
    pub stored_at: Option<u64>,
    /// The bytes of its newest base, as stored.
    pub base_bytes: Option<u64>,
    /// Names that nobody with a key made, and that mean nothing.
    pub forged: Vec<String>,
    /// Other names under which this tenant is in the store as well: each of them may have an owner of its own.
    pub also_named: Vec<String>,
}

/// Surveys the tenants of a store, or those called `tenants`. Hidden names are told apart by the ids in `known`.
pub async fn survey(
    registry: &Registry,
    request: OpenRequest,
    tenants: Option<Vec<String>>,
    known: Vec<String>,
) -> Result<Vec<TenantStanding>> {
    let site = registry.site(store_of(&request)?)?;
    let address = &request.settings.address;
    let named = |ids: Vec<String>| {
        let named = ids.into_iter().map(|tenant| Ok((address.name_of(&tenant)?.as_str().to_owned(), tenant)));
        named.collect::<Result<Vec<(String, String)>>>()
    };
    let asked: Vec<(TenantName, Option<String>)> = match tenants {
        Some(ids) => {
            let named = ids.into_iter().map(|tenant| Ok((address.name_of(&tenant)?, Some(tenant))));
            named.collect::<Result<_>>()?
        }
        None => {
            let known: BTreeMap<String, String> = named(known)?.into_iter().collect();
            let names = site.remote.list(CLAIMS, "").await?;
            let mut found: Vec<TenantName> =
                names.iter().filter_map(|name| TenantName::found(name)).collect();
            found.sort_unstable();
            found.dedup();
            let reveal = |name: &TenantName| {
                TenantName::reveal(&name.claims_prefix()).or_else(|| known.get(name.as_str()).cloned())
            };
            found.into_iter().map(|name| (reveal(&name), name)).map(|(id, name)| (name, id)).collect()
        }
    };
    // A tenant that is asked for by its id is looked for under the name that it has here; of all of them the names are known.
    let found: BTreeSet<TenantName> = asked.iter().map(|(name, _)| name.clone()).collect();
    let others = |name: &TenantName, id: Option<&str>| -> Vec<TenantName> {
        let Some(id) = id else { return Vec::new() };
        let hidden = address.ring.hidden_tags(id).into_iter().map(TenantName::hidden);
        let all = hidden.chain(TenantName::visible(id).ok());
        all.filter(|other| other != name && found.contains(other)).collect()
    };
    let tenancy_of = |name: &TenantName, id: Option<&str>| {
        let tag = name.tag().or_else(|| id.map(visible_tag));
        let tenancy = address.tenancy(site.clone(), name.clone());
        match tag {
            Some(tag) => Tenancy { tag, ..tenancy },
            // Whose it is nobody can tell: it is taken for what its names say.
            None => Tenancy { ring: Arc::default(), ..tenancy },
        }
    };
    let look = |(name, tenant_id): (TenantName, Option<String>)| {
        let tenancy = tenancy_of(&name, tenant_id.as_deref());
        let others: Vec<String> =
            others(&name, tenant_id.as_deref()).iter().map(|other| other.as_str().to_owned()).collect();
        async move {
            let listing = list(&tenancy).await?;
            let claims = &listing.survey.claims;
            let highest = claims.highest();
            let owner = Ownership::of(claims);
            let lsn = reach(&listing.survey).map(|(_, lsn)| lsn).filter(|_| owner != Ownership::Deleted);
            Ok(TenantStanding {
                tenant_id,
                name: name.as_str().to_owned(),
                owner,
                epoch: highest.map(|claim| claim.epoch),
                claim: highest.map(|claim| claim.to_string()),
                lsn,
                stored_at: listing.stored_ms,
                base_bytes: listing.base_bytes,
                forged: listing.forged,
                also_named: others,
            })
        }
    };
    stream::iter(asked).map(look).buffered(PARALLEL).try_collect().await
}
