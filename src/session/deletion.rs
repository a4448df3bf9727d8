//! The end of a session for good: a tombstone that covers whoever took over meanwhile, and then the removal of what it covers.
//!
//! A tombstone comes before anything is removed, and counts once a later listing shows nothing above it (I10): whoever claims after
//! that listing sees it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::error::{Cause, Code, Error, Result};
use crate::format::name::{CLAIMS, ClaimName, Mark, PackName, Span};
use crate::format::record::PROFILE_KEY;
use crate::id::Claim;
use crate::journal::Life;
use crate::ownership::lease::{Owner, Standing};
use crate::ownership::tenancy::Tenancy;
use crate::platform::host::blocking;
use crate::replication::restore::opening_bases;

use super::{Replication, Session};

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

    async fn delete_stored(&self, Replication { owner, burying, .. }: &Replication) -> Result<()> {
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

/// Stores a tombstone, and others above whoever is found above it and goes on with the same session, until a listing shows it as the
/// highest. Gives that claim.
async fn bury(owner: &Owner) -> Result<Claim> {
    let tenancy = &owner.tenancy;
    let mut higher: Option<Owner> = None;
    for left in (0..TOMBSTONES).rev() {
        let top = higher.as_ref().unwrap_or(owner);
        top.bury().await?;
        let claims = tenancy.claims().await?;
        // Somebody may have deleted what is above, too.
        let covered = claims.floor().map_or(top.claim, |floor| floor.max(top.claim));
        if claims.highest() <= Some(covered) {
            return Ok(covered);
        }
        match above(tenancy, top.claim).await? {
            Above::Another => return Ok(top.claim),
            Above::Unknown => return Err(lives_on()),
            Above::Same => {}
        }
        if left > 0 {
            match owner.above(&claims).await {
                Ok(next) => match above(tenancy, top.claim).await {
                    Ok(Above::Same) => higher = Some(next),
                    // Somebody began a new session meanwhile, below the claim that was made to end the old one.
                    answer => {
                        next.withdraw().await;
                        return match answer? {
                            Above::Another => Ok(top.claim),
                            Above::Same | Above::Unknown => Err(lives_on()),
                        };
                    }
                },
                // Somebody was quicker still: the next listing shows who.
                Err(error) if error.cause == Cause::Outrun => {}
                Err(error) => return Err(error),
            }
        }
    }
    Err(lives_on())
}

/// The session above a tombstone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Above {
    /// The one that is to be deleted, as far as there is any: whoever claimed may have read it before the tombstone.
    Same,
    /// One that was made anew since, whoever owns it by now.
    Another,
    /// Nothing tells: its owner is of an older release, and what it began with is gone.
    Unknown,
}

/// The session above the tombstone of `top`. Whoever has no base yet decides nothing: above one that went live it goes on from that.
async fn above(tenancy: &Tenancy, top: Claim) -> Result<Above> {
    let survey = tenancy.survey().await?;
    let bases = survey.data.iter().filter(|name| matches!(name.span, Span::Base(_)));
    let newest = bases.map(|name| name.claim).max().max(survey.claims.newest_live());
    let Some(newest) = newest.filter(|newest| *newest > top) else { return Ok(Above::Same) };
    let of = |birth: Claim| if birth > top { Above::Another } else { Above::Same };
    if let Some(birth) = tenancy.birth_of(newest).await? {
        return Ok(of(birth));
    }
    for name in opening_bases(&survey.data, newest) {
        let base = match tenancy.data(name).await {
            Ok(Some(base)) => base,
            Ok(None) => continue,
            Err(error) if error.cause.is_loss() => continue,
            Err(error) => return Err(error),
        };
        let from = base.meta.previous.claim;
        if from != newest && (from.epoch == 0 || from <= top) {
            tenancy.with_body(base, |body| body.map(drop)).await?;
            return Ok(of(if from.epoch == 0 { newest } else { from }));
        }
    }
    Ok(Above::Unknown)
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
