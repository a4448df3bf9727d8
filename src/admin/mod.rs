//! Operator tools: the state of a tenant, the contents of a store, the test of a restore.
//!
//! Nothing here claims or writes anything, save scratch files that a drill was told to write and a scratch object that tells the
//! time. No owner of a session is disturbed, and each answer is as of a moment during the call.

mod drill;
mod inspect;
mod profile;
mod survey;
mod tenants;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::{Code, Error, Result};
use crate::format::name::{CLAIMS, ClaimName, DataName, Mark, PartName, Span};
use crate::format::seal::KeyId;
use crate::id::{Claim, hex};
use crate::ownership::decide::{Claims, Survey};
use crate::ownership::tenancy::Tenancy;
use crate::registry::{OpenRequest, Registry, store_of};
use crate::session::open::{self, StateReport, lacks_credentials, no_identity, report, whole};
use crate::store::{Examination, ListedObject, StoreSpec};

pub use drill::{Digests, Drill, drill};
pub use inspect::{Amount, Contents, Inspection, LocalContents, Share, StoreContents, inspect};
pub use profile::{Extraction, extract_profile};
pub use survey::{TenantStanding, survey};
pub use tenants::tenants;

/// Owner of a session, as the marks in the store tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// Somebody claimed it and did not release it: it runs, or its owner ended without a word.
    Live,
    /// Its last owner ended properly.
    Released,
    /// It was deleted.
    Deleted,
    /// There is none.
    None,
}

impl Ownership {
    /// The stable name that JavaScript sees.
    pub fn as_str(self) -> &'static str {
        match self {
            Ownership::Live => "live",
            Ownership::Released => "released",
            Ownership::Deleted => "deleted",
            Ownership::None => "none",
        }
    }

    fn of(claims: &Claims) -> Ownership {
        let Some(highest) = claims.highest() else { return Ownership::None };
        let marks = claims.marks(&highest);
        let is_buried =
            claims.floor().is_some_and(|floor| claims.newest_live().is_none_or(|live| live <= floor));
        // Of a tombstone that nobody can prove, beside marks of data, nothing is known before a person has looked.
        let is_gone = marks.deleted || (marks.doubted && claims.newest_live().is_none());
        if is_gone || (marks.released && is_buried) {
            Ownership::Deleted
        } else if marks.released {
            Ownership::Released
        } else {
            Ownership::Live
        }
    }
}

/// Checks all that the store holds of a tenant, without touching it.
pub async fn verify(registry: &Registry, request: OpenRequest) -> Result<StateReport> {
    let site = registry.site(store_of(&request)?)?;
    open::verify(&request.settings.address, site).await
}

/// A survey, and what the listings told beside the names.
struct Listing {
    survey: Survey,
    /// Time at which the newest object was stored, by the store's clock.
    stored_ms: Option<u64>,
    /// Bytes of the newest base.
    base_bytes: Option<u64>,
    marks: usize,
    /// Names that nobody with a key made, and that mean nothing.
    forged: Vec<String>,
}

/// Lists all that a tenant has: claims, then data, as every survey does, and leaves out what nobody with a key made.
async fn list(tenancy: &Tenancy) -> Result<Listing> {
    let (remote, name) = (&tenancy.remote, &tenancy.name);
    let marks = remote.details(CLAIMS, &name.claims_prefix()).await?;
    let data = remote.details(&name.data_folder(), "").await?;
    let claims: Vec<ClaimName> =
        marks.iter().filter_map(|listed| ClaimName::parse(name, &listed.name)).collect();
    let (stored_ms, marks) =
        (marks.iter().chain(&data).filter_map(|listed| listed.modified_ms).max(), claims.len());
    let mut survey = Survey::of(claims.into_iter().collect(), data.iter().map(|listed| listed.name.as_str()));
    tenancy.vet(&mut survey).await?;
    // Whoever is said to have ended is taken for ended by those who delete and seal anew.
    if let Some(claim) = survey.claims.highest().filter(|claim| survey.claims.marks(claim).released) {
        let released = ClaimName { claim, mark: Mark::Released };
        if !tenancy.is_said(released).await? {
            survey.claims.unsay(released);
        }
    }
    let base_bytes = base_bytes(&survey, &data);
    let forged = tenancy.known.take_news().iter().map(Error::to_string).collect();
    Ok(Listing { survey, stored_ms, base_bytes, marks, forged })
}

/// The bytes of the newest base by a listing, with its parts where it is in parts.
fn base_bytes(survey: &Survey, listing: &[ListedObject]) -> Option<u64> {
    let bases = survey.data.iter().filter(|name| matches!(name.span, Span::Base(_)));
    let newest = *bases.max_by_key(|name| (name.claim, name.span.last()))?;
    let own = listing.iter().filter(|listed| DataName::parse(&listed.name) == Some(newest));
    let mut most = own.filter_map(|listed| listed.bytes).max()?;
    // A base that was stored in parts of two sizes is there twice.
    let mut sizes: BTreeMap<usize, u64> = BTreeMap::new();
    for listed in listing {
        if let Some(part) = PartName::parse(&listed.name).filter(|part| part.of == newest) {
            let sum = sizes.entry(part.size).or_default();
            *sum += listed.bytes?;
            most = most.max(*sum);
        }
    }
    Some(most)
}

/// The last LSN of the newest history that has a base, and whose it is.
fn reach(survey: &Survey) -> Option<(Claim, u64)> {
    let floor = survey.claims.floor();
    let alive = survey.data.iter().filter(|name| floor.is_none_or(|floor| name.claim > floor));
    let claim = alive.map(|name| name.claim).max()?;
    let own = survey.data.iter().filter(|name| name.claim == claim);
    Some((claim, own.map(|name| name.span.last()).max()?))
}

fn hexes(ids: impl IntoIterator<Item = KeyId>) -> Vec<String> {
    let mut ids: Vec<String> = ids.into_iter().map(|id| hex(&id)).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// State that a new machine would restore: verified from end to end, and its entries.
pub async fn dump(registry: &Registry, request: OpenRequest) -> Result<(StateReport, Vec<u8>)> {
    let site = registry.site(store_of(&request)?)?;
    let (parent, audit) = whole(&request.settings.address, site).await?;
    if lacks_credentials(&audit.restored.state) {
        return Err(no_identity());
    }
    Ok((report(parent, &audit), audit.restored.state.snapshot().encode()))
}

/// Stores the whole state of a session that is open here anew.
pub async fn renew(registry: &Registry, request: OpenRequest, timeout: Duration) -> Result<()> {
    match registry.open_already(&request.settings.address, request.store.as_ref()).await {
        Some((session, _)) => session.renew(timeout).await,
        None => Err(Error::new(Code::Closed, "this session was closed; open it again")),
    }
}

/// The time by the clock of the store, for whoever asks how old something in it is.
pub async fn clock(registry: &Registry, request: OpenRequest) -> Result<u64> {
    registry.site(store_of(&request)?)?.remote.clock().await
}

/// Tries a store out.
pub async fn examine(registry: &Registry, spec: &StoreSpec) -> Result<Examination> {
    Ok(crate::store::examine(&registry.site(spec)?.remote).await)
}
