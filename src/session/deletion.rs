//! The end of a session for good: a tombstone that covers whoever took over meanwhile, and then the removal of what it covers.
//!
//! A tombstone comes before anything is removed, and counts once a later listing shows nothing above it (I10): whoever claims after
//! that listing sees it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::error::{Cause, Code, Error, Result};
use crate::format::name::{CLAIMS, ClaimName, Mark, PackName};
use crate::format::record::PROFILE_KEY;
use crate::id::Claim;
use crate::journal::Life;
use crate::ownership::lease::{Owner, Standing};
use crate::ownership::tenancy::Tenancy;
use crate::platform::host::blocking;
use crate::replication::restore::opening_bases;

use super::{Replicated, Session};

/// Tombstones that are stored, each above whoever claimed before the one below it was seen.
const TOMBSTONES: usize = 5;

impl Session {
    /// Logs the session out: nothing of it comes back, from any disk or store. The tombstone is first, so that a crash in
    /// between leaves garbage and no resurrection. `FENCED` if it lives on elsewhere.
    pub async fn delete(&self) -> Result<()> {
        match &self.remote {
            Some(remote) => self.delete_stored(remote).await?,
            None => self.end_for_good().await,
        }
        if let Some(folder) = self.journal.folder().cloned() {
            let log = Arc::clone(&folder);
            blocking(&self.host, move || log.remove_all()).await?;
            folder.unlock();
        }
        Ok(())
    }

    async fn end_for_good(&self) {
        self.journal.end(Life::Deleted);
        self.ended().await;
    }

    async fn delete_stored(&self, Replicated { owner, burying, .. }: &Replicated) -> Result<()> {
        let claims = owner.tenancy.claims().await?;
        let again = burying.load(Ordering::Relaxed);
        let standing = owner.standing(&claims);
        // Who lost to a newer owner has lost for good: a store that went back shows nothing of that one, which may run, stores its claim
        // again, and would go on over the tombstone.
        let has_lost = match standing {
            Standing::Fenced(_) => true,
            Standing::Owner | Standing::Forgotten => owner.has_lost(),
            Standing::Deleted => false,
        };
        if has_lost && again {
            return Err(lives_on());
        }
        if has_lost {
            owner.lose();
            self.journal.end(Life::Fenced);
            return Life::Fenced.refusal();
        }
        // Somebody else deleted it. What is above is none of its successors, or is told so by the tombstone.
        if standing == Standing::Deleted && !again {
            self.end_for_good().await;
            return Ok(());
        }
        burying.store(true, Ordering::Relaxed);
        // What ended otherwise meanwhile is not read any more: its packs are looked for.
        let is_profile = self.journal.read(|state| state.get(PROFILE_KEY).is_some()).unwrap_or(true);
        self.end_for_good().await;
        let last = bury(owner).await?;
        erase(&owner.tenancy, last, is_profile).await
    }
}

/// Stores a tombstone, and others above whoever is found above it, until a listing shows it as the highest. Gives that claim.
async fn bury(owner: &Owner) -> Result<Claim> {
    let mut higher: Option<Owner> = None;
    for left in (0..TOMBSTONES).rev() {
        let top = higher.as_ref().unwrap_or(owner);
        top.bury().await?;
        let claims = owner.tenancy.claims().await?;
        let Some(highest) = claims.highest().filter(|highest| *highest > top.claim) else {
            return Ok(top.claim);
        };
        if began_anew(&owner.tenancy, highest).await? {
            return Ok(top.claim);
        }
        if left > 0 {
            match owner.above(&claims).await {
                Ok(next) => higher = Some(next),
                // Somebody was quicker still: the next listing shows who.
                Err(error) if error.cause == Cause::Outrun => {}
                Err(error) => return Err(error),
            }
        }
    }
    Err(lives_on())
}

/// True if the session of `claim` is another one, which was made anew after this one was deleted.
async fn began_anew(tenancy: &Tenancy, claim: Claim) -> Result<bool> {
    let survey = tenancy.survey().await?;
    let Some(name) = opening_bases(&survey.data, claim).next() else { return Ok(false) };
    match tenancy.data(name).await {
        Ok(base) => Ok(base.is_some_and(|base| base.meta.previous.claim.epoch == 0)),
        Err(error) if error.cause.is_loss() => Ok(false),
        Err(error) => Err(error),
    }
}

fn lives_on() -> Error {
    Error::new(
        Code::Fenced,
        "other instances opened this session while it was being deleted, and it continues there; delete it where it runs",
    )
}

/// Removes what the tombstone of `last` covers: the packs of a profile, all data of this tenant and all marks but the newest.
async fn erase(tenancy: &Tenancy, last: Claim, is_profile: bool) -> Result<()> {
    if is_profile {
        let names = tenancy.remote.list(&tenancy.name.packs_folder(), "").await?;
        let packs = names.iter().filter_map(|name| PackName::parse(name)).filter(|name| name.claim <= last);
        tenancy.remote.delete(packs.map(|name| name.object(&tenancy.name)).collect()).await?;
    }
    let survey = tenancy.survey().await?;
    let data = survey.data.iter().filter(|name| name.claim <= last).map(|name| name.object(&tenancy.name));
    let parts = survey.parts.iter().filter(|part| part.of.claim <= last);
    let parts = parts.map(|part| part.object(&tenancy.name));
    tenancy.remote.delete(data.chain(parts).collect()).await?;
    let names = tenancy.remote.list(CLAIMS, &tenancy.name.claims_prefix()).await?;
    let marks = names.iter().filter_map(|name| ClaimName::parse(&tenancy.name, name));
    let gone = marks.filter(|name| name.claim < last || (name.claim == last && name.mark == Mark::Live));
    tenancy.remote.delete(gone.map(|name| name.object(&tenancy.name)).collect()).await
}
