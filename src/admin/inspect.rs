//! The inspection of one tenant: in the store, and on this machine.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Listing, Ownership, hexes, list, reach};
use crate::error::{Cause, Error, Result, Staleness};
use crate::format::name::{ClaimName, Mark, Span};
use crate::format::record::{Entries, kind};
use crate::id::{Claim, Digest, Lsn, hex};
use crate::journal::memtable::Memtable;
use crate::ownership::naming;
use crate::ownership::tenancy::Tenancy;
use crate::platform::host::blocking;
use crate::registry::{OpenRequest, Registry};
use crate::replication::restore::{Audit, Holdings, audit_of};
use crate::session::open::{Address, NO_CREDENTIALS, Site, lacks_credentials, no_identity};
use crate::store::StoreSpec;
use crate::wal::{FolderContents, Recovery, look};

/// Their number and size.
#[derive(Debug, Clone, Copy, Default)]
pub struct Amount {
    pub count: usize,
    pub bytes: usize,
}

impl Amount {
    fn add(&mut self, bytes: usize) {
        self.count += 1;
        self.bytes += bytes;
    }
}

/// Keys of one type.
#[derive(Debug, Clone, Copy, Default)]
pub struct Share {
    pub keys: usize,
    pub bytes: usize,
}

/// The state that a new machine would restore.
#[derive(Debug, Clone)]
pub struct Contents {
    pub keys: usize,
    pub bytes: usize,
    pub types: BTreeMap<String, Share>,
    pub clean: bool,
    pub digest: String,
    pub ways: usize,
    /// Told as damage.
    lacks_credentials: bool,
}

/// Contents of a store of a tenant.
#[derive(Debug, Clone)]
pub struct StoreContents {
    pub owner: Ownership,
    pub epoch: Option<u64>,
    pub claim: Option<String>,
    /// Times at which the highest claim was made, and released or deleted: by the clock of its machine.
    pub claimed_at: Option<u64>,
    pub ended_at: Option<u64>,
    pub lsn: Option<Lsn>,
    /// Times at which the newest object was made, by the clock of its machine, and stored, perhaps again, by that of the store.
    pub made_at: Option<u64>,
    pub stored_at: Option<u64>,
    pub bases: Amount,
    pub segments: Amount,
    pub marks: usize,
    pub key_ids: Vec<String>,
    pub contents: Option<Contents>,
    /// Objects that are damaged.
    pub damage: Vec<String>,
    /// Reason that there are no contents.
    pub error: Option<Error>,
}

/// Place in which a tenant is open.
#[derive(Debug, Clone, Copy)]
pub enum OpenIn {
    /// In this process.
    Here,
    /// In another process of this machine.
    Elsewhere,
    Nobody,
}

impl OpenIn {
    /// The stable name that JavaScript sees.
    pub fn as_str(self) -> &'static str {
        match self {
            OpenIn::Here => "here",
            OpenIn::Elsewhere => "elsewhere",
            OpenIn::Nobody => "nobody",
        }
    }
}

/// Contents of this machine of a tenant.
#[derive(Debug, Clone)]
pub struct LocalContents {
    pub open: OpenIn,
    pub log_bytes: u64,
    pub epoch: Option<u64>,
    pub lsn: Option<Lsn>,
    pub key_ids: Vec<String>,
    pub error: Option<Error>,
}

/// All of it.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// `None` without a store.
    pub store: Option<StoreContents>,
    /// `None` if there is no folder here.
    pub local: Option<LocalContents>,
}

/// Looks at a tenant.
pub async fn inspect(registry: &Registry, request: OpenRequest) -> Result<Inspection> {
    let OpenRequest { settings, store, .. } = request;
    let site = store.as_ref().map(|spec| registry.site(spec)).transpose()?;
    let stored = match site {
        Some(site) => Some(stored(&settings.address, site).await?),
        None => None,
    };
    Ok(Inspection { store: stored, local: here(registry, &settings.address, store.as_ref()).await? })
}

async fn stored(address: &Address, site: Site) -> Result<StoreContents> {
    let tenancy = address.tenancy(site, address.name()?);
    let (mut left, mut last) = (Staleness::default(), None);
    loop {
        let listing = list(&tenancy).await?;
        let holdings = Holdings::read(&tenancy, listing.survey.data.iter().copied()).await?;
        let (contents, problem) = match contents(&tenancy, &listing, &holdings).await {
            // It may be there under another name.
            Ok(None) if Ownership::of(&listing.survey.claims) == Ownership::None => {
                (None, naming::require_only(&tenancy, &address.tenant, address.hide_tenant).await.err())
            }
            Ok(contents) => (contents, None),
            // The listing was behind what it named.
            Err(error) if error.cause == Cause::Stale => match left.again(error) {
                Ok(()) => continue,
                Err(error) => return last.ok_or(error),
            },
            Err(error) => (None, Some(error)),
        };
        let seen = describe(&tenancy, &listing, &holdings, contents, problem.clone()).await?;
        match problem.map(|error| left.again(error)) {
            // What looks like a loss may be a listing that a collection went through. Damage is told as it was seen.
            Some(Ok(())) => last = Some(seen),
            _ => return Ok(seen),
        }
    }
}

/// State to which the last history restores; `None` if there is none.
async fn contents(tenancy: &Tenancy, listing: &Listing, holdings: &Holdings) -> Result<Option<Contents>> {
    let survey = &listing.survey;
    let owner = Ownership::of(&survey.claims);
    let Some((parent, _)) = reach(survey) else {
        let floor = survey.claims.floor();
        let is_lost = survey.claims.newest_live().is_some_and(|live| floor.is_none_or(|floor| live > floor));
        return if is_lost {
            let message =
                "the newest owner's data is missing: restore the bucket's objects, or see the runbook";
            Err(Error::new(Cause::Vanished, message))
        } else {
            Ok(None)
        };
    };
    if owner == Ownership::Deleted {
        return Ok(None);
    }
    let Audit { restored, ways, .. } = audit_of(tenancy, survey, parent, holdings).await?;
    let entries = restored.state.snapshot().encode();
    Ok(Some(Contents {
        keys: restored.state.len(),
        bytes: restored.state.bytes(),
        types: types_of(&entries),
        clean: restored.clean,
        digest: hex(&Digest::of(&entries).0),
        ways,
        lacks_credentials: lacks_credentials(&restored.state),
    }))
}

/// Keys and bytes by type, the credentials as `creds`.
fn types_of(entries: &[u8]) -> BTreeMap<String, Share> {
    let mut types = BTreeMap::<String, Share>::new();
    for entry in Entries::new(entries).map_while(Result::ok) {
        let name = match kind(entry.key) {
            [] => "creds".into(),
            kind => String::from_utf8_lossy(kind),
        };
        let share = types.entry(name.into_owned()).or_default();
        share.keys += 1;
        share.bytes += entry.bytes.len();
    }
    types
}

async fn describe(
    tenancy: &Tenancy,
    listing: &Listing,
    holdings: &Holdings,
    contents: Option<Contents>,
    problem: Option<Error>,
) -> Result<StoreContents> {
    let Listing { survey, stored_ms, marks, forged, .. } = listing;
    let highest = survey.claims.highest();
    let owner = Ownership::of(&survey.claims);
    let (mut bases, mut segments) = (Amount::default(), Amount::default());
    for (name, object) in holdings.objects() {
        match name.span {
            Span::Base(_) => bases.add(object.size()),
            Span::Segment(..) => segments.add(object.size()),
        }
    }
    let mut made: Vec<u64> = holdings.objects().map(|(_, object)| object.meta.wall_ms).collect();
    let mut damage: Vec<String> = holdings.damage().map(Error::to_string).collect();
    damage.extend(forged.iter().cloned());
    if contents.as_ref().is_some_and(|contents| contents.lacks_credentials) {
        damage.push(NO_CREDENTIALS.to_owned());
    }
    let mut key_ids: Vec<_> = holdings.objects().filter_map(|(_, object)| object.key_id()).collect();
    let mut said = Vec::new();
    if let Some(claim) = highest {
        let its = survey.claims.marks(&claim);
        let asked = [(true, Mark::Claimed), (its.released, Mark::Released), (its.deleted, Mark::Deleted)];
        for (_, mark) in asked.into_iter().filter(|(there, _)| *there) {
            match tenancy.mark(&ClaimName { claim, mark }).await {
                Ok(Some(object)) => {
                    made.push(object.meta.wall_ms);
                    key_ids.extend(object.key_id());
                    said.push((mark, object.meta.wall_ms));
                }
                Ok(None) => {}
                Err(error) if error.cause.is_loss() => damage.push(error.to_string()),
                Err(error) => return Err(error),
            }
        }
    }
    let at = |wanted: &[Mark]| said.iter().find(|(mark, _)| wanted.contains(mark)).map(|(_, at)| *at);
    Ok(StoreContents {
        owner,
        epoch: highest.map(|claim| claim.epoch),
        claim: highest.map(|claim| claim.to_string()),
        claimed_at: at(&[Mark::Claimed]),
        ended_at: at(&[Mark::Released, Mark::Deleted]),
        lsn: reach(survey).map(|(_, lsn)| lsn).filter(|_| owner != Ownership::Deleted),
        made_at: made.into_iter().max(),
        stored_at: *stored_ms,
        bases,
        segments,
        marks: *marks,
        key_ids: hexes(key_ids),
        contents,
        damage,
        error: problem,
    })
}

async fn here(
    registry: &Registry,
    address: &Address,
    store: Option<&StoreSpec>,
) -> Result<Option<LocalContents>> {
    let is_open = registry.open_already(address, store).await.is_some();
    let (disk, path, ring, tag) =
        (Arc::clone(registry.disk()), address.folder.clone(), Arc::clone(&address.ring), address.log_tag());
    let found = blocking(registry.host(), move || look(disk.as_ref(), &path, &ring, tag)).await?;
    let Some(FolderContents { bytes, key_ids, recovery, is_locked }) = found else { return Ok(None) };
    let (claim, lsn, error): (Option<Claim>, Option<Lsn>, Option<Error>) = match recovery {
        Ok(Recovery::None) => (None, None, None),
        Ok(Recovery::Log(log)) => {
            let lacking = lacks_credentials(&Memtable::replay(&log.entries)?);
            (Some(log.claim), Some(log.lsn), lacking.then(no_identity))
        }
        Ok(Recovery::Locked(log)) => (Some(log.claim), log.newest, Some(log.error)),
        Ok(Recovery::Damaged(damage)) => {
            let message = format!("damaged after LSN {} ({}); see the runbook", damage.good, damage.reason);
            (damage.claim, Some(damage.good), Some(Error::new(Cause::LocalDamage, message)))
        }
        Err(error) => (None, None, Some(error)),
    };
    Ok(Some(LocalContents {
        open: if is_open {
            OpenIn::Here
        } else if is_locked {
            OpenIn::Elsewhere
        } else {
            OpenIn::Nobody
        },
        log_bytes: bytes,
        epoch: claim.map(|claim| claim.epoch),
        lsn,
        key_ids: hexes(key_ids),
        error,
    }))
}
