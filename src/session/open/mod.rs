//! Opening a session: lock, recover, claim, wait, survey, restore, base, confirm, and only then a new local log.
//!
//! The order is the safety (I3): a predecessor is waited for before its data is read, so that a healthy handover loses
//! nothing; the new local log comes last, so that a crash anywhere before it leaves the old one whole. A restore is
//! verified in memory and then switched: there is no half-restored state.

mod identity;
mod local;
mod log_location;
mod preflight;
mod salvage;
mod settings;
mod verify;

use std::sync::Arc;
use std::time::Duration;

use crate::error::{Cause, Code, Error, Result, Staleness};
use crate::event::{Event, EventSink, Level};
use crate::format::name::TenantName;
use crate::format::object::Link;
use crate::id::{Claim, Lsn};
use crate::journal::Journal;
use crate::journal::memtable::Memtable;
use crate::ownership::decide::{Local, Source, Survey, deleted};
use crate::ownership::lease::{Owner, Standing, came_back, handover_wait, lost};
use crate::platform::disk::Disk;
use crate::platform::host::{Host, Lane, blocking_in};
use crate::replication::restore::{goes_on_from_buried, load};
use crate::replication::{ChainObject, Replicator, Start};
use crate::session::{Mode, Origin, OriginSource, Session};
use crate::wal::Recovery;

pub use identity::{NO_CREDENTIALS, lacks_credentials, no_identity};
use log_location::LogLocation;
use salvage::{Leftover, explained, local_of};
pub use settings::{Address, Permissions, Settings, Site, Tenure};
pub use verify::{StateReport, report, verify, whole};

/// A state, and where its history stands.
struct LoadedState {
    state: Memtable,
    lsn: Lsn,
    /// The chain that the new base continues.
    previous: Link,
    origin: Origin,
}

/// A state, the claim whose history it goes on from, and the fate of the log that was there.
type StartState = (LoadedState, Option<Claim>, Leftover);

/// Opens a session in its mode; `site` is the store of all but a local one. `seed` are the entries to start with when the session
/// exists nowhere: an import.
pub async fn open(
    host: Arc<dyn Host>,
    disk: Arc<dyn Disk>,
    settings: Settings,
    site: Option<Site>,
    seed: Option<Vec<u8>>,
    events: EventSink,
) -> Result<Session> {
    let address = &settings.address;
    let name = address.name()?;
    let site = match address.mode {
        Mode::Local => None,
        Mode::Hybrid | Mode::Cloud => Some(site.ok_or_else(storeless)?),
    };
    if let Some(site) = site.as_ref().filter(|_| address.mode.keeps_log())
        && !LogLocation::is_there(&host, &disk, address).await
    {
        // No folder is made for a store that cannot be used.
        site.remote.require_fit().await?;
    }
    let (home, recovery) = LogLocation::find(&host, Arc::clone(&disk), address).await?;
    let (place, machine) = (home.clone(), Arc::clone(&host));
    let opening = Opening { host, disk, settings, home, events };
    let opened = match site {
        None => opening.local(recovery, seed).await,
        Some(site) => opening.replicated(site, name, recovery, seed).await,
    };
    if opened.is_err() {
        place.leave(&machine).await;
    }
    opened
}

struct Opening {
    host: Arc<dyn Host>,
    disk: Arc<dyn Disk>,
    settings: Settings,
    home: LogLocation,
    events: EventSink,
}

impl Opening {
    async fn replicated(
        self,
        site: Site,
        name: TenantName,
        recovery: Recovery,
        seed: Option<Vec<u8>>,
    ) -> Result<Session> {
        let Settings { address, tenure, permissions } = &self.settings;
        let tenancy = address.tenancy(site, name);
        tenancy.remote.require_fit().await?;
        let local = local_of(&recovery);
        let before = self.preflight(&tenancy, local, seed.is_some()).await;
        let before = before.map_err(|error| explained(&recovery, error))?;
        if permissions.expected.is_some_and(|expected| before.claims.highest() != Some(expected)) {
            return Err(came_back());
        }
        let dead = self.home.dead();
        let record = |claim| self.home.record(&self.host, claim);
        let (expected, interval) = (permissions.expected, tenure.pace.check_interval);
        let locks = !address.mode.keeps_log();
        let owner = Owner::claim(tenancy, &before.claims, expected, interval, locks, record).await?;
        let (loaded, parent, left) = match self.inherit(&owner, &dead, recovery, seed).await {
            Ok(found) => found,
            Err(error) => {
                owner.give_up().await;
                return Err(error);
            }
        };
        if parent.is_none()
            && let Err(error) = self.require_only_name(&owner.tenancy).await
        {
            // Somebody begins it under another name just then: neither goes on, rather than both.
            owner.withdraw().await;
            return Err(error);
        }
        let LoadedState { state, lsn, previous, origin } = loaded;
        let owner = Arc::new(owner);
        let (base, sealed) = {
            let (owner, snapshot) = (Arc::clone(&owner), state.snapshot());
            blocking_in(&self.host, Lane::Compute, move || owner.base(lsn, previous, &snapshot.encode()))
                .await?
        };
        let head = Link { claim: owner.claim, lsn, digest: sealed.digest };
        let piece = ChainObject { name: base, bytes: sealed.bytes.len() as u64 };
        if let Some(note) = owner.tenancy.remote.tight(0, piece.bytes) {
            (self.events)(Event::Note(Level::Warn, note));
        }
        owner.tenancy.remote.put(&base.object(&owner.tenancy.name), sealed.bytes).await?;
        let stored_ms = self.host.wall_ms();
        owner.mark_live().await?;
        let mut confirmed = self.confirm(&owner, head).await?;
        let log = match self.start_log(owner.claim, lsn, &state, left).await {
            Ok(log) => log,
            Err(error) => {
                let _ = owner.release(head).await;
                return Err(error);
            }
        };
        // Where the disk took its time, somebody may have claimed, and waited for an owner that does not look yet.
        if self.host.now().saturating_sub(confirmed) > interval {
            confirmed = self.confirm(&owner, head).await?;
        }
        let lease = tenure.strict_lease.then(|| handover_wait(interval));
        let journal = Arc::new(Journal::replicated(Arc::clone(&self.host), state, lsn, log, lease));
        journal.confirm(confirmed);
        journal.acknowledge(lsn, || {});
        let stored_ms = (origin.source != OriginSource::Fresh).then_some(stored_ms);
        let start = Start { head, base: piece, parent, confirmed, stored_ms };
        let replicator = Replicator::new(
            Arc::clone(&owner),
            Arc::clone(&journal),
            Arc::clone(&self.events),
            tenure.pace,
            start,
        );
        Ok(Session::replicated(self.host, address.mode, journal, origin, owner, replicator))
    }

    /// Looks whether the own claim is the highest, and gives the time at which it began to (I3).
    async fn confirm(&self, owner: &Owner, head: Link) -> Result<Duration> {
        let started = self.host.now();
        let claims = owner.tenancy.claims().await?;
        let standing = owner.standing(&claims);
        if standing == Standing::Deleted && claims.highest() == Some(owner.claim) {
            // The session was deleted after it was read here (I10): what was stored of it since goes the same way.
            owner.bury().await?;
        }
        if standing == Standing::Deleted {
            return Err(deleted());
        }
        if standing != Standing::Owner {
            // Nobody was served under this claim: successors need not wait for it.
            let _ = owner.release(head).await;
            return Err(lost());
        }
        Ok(started)
    }

    /// Waits for the predecessor, and then loads the session.
    async fn inherit(
        &self,
        owner: &Owner,
        dead: &[Claim],
        recovery: Recovery,
        seed: Option<Vec<u8>>,
    ) -> Result<StartState> {
        let tenure = &self.settings.tenure;
        if !tenure.takeover {
            let waiting = |predecessor: &Claim, at_most| {
                (self.events)(Event::Waiting { epoch: predecessor.epoch, at_most });
            };
            owner.await_predecessor(dead, tenure.pace.check_interval, tenure.handover, waiting).await?;
        }
        self.load(owner, recovery, seed).await
    }

    /// Decides where the session comes from, and loads it.
    async fn load(&self, owner: &Owner, recovery: Recovery, mut seed: Option<Vec<u8>>) -> Result<StartState> {
        // Without a lock on it, the log may have grown while its owner was waited for.
        let recovery = match &self.home {
            LogLocation::Folder(_) => recovery,
            LogLocation::Nowhere => {
                LogLocation::find(&self.host, Arc::clone(&self.disk), &self.settings.address).await?.1
            }
        };
        let local = local_of(&recovery);
        let mut left = Staleness::default();
        loop {
            let survey = owner.tenancy.survey().await?;
            if survey.claims.highest() != Some(owner.claim) {
                return Err(lost());
            }
            if !self.settings.tenure.takeover && owner.is_handed(&survey.claims) {
                return Err(owner.leave_to_its_owner().await);
            }
            match self.attempt(owner, &survey, local, &recovery, &mut seed).await {
                Ok(found) => return Ok(found),
                // What looks like a loss may be a listing that a collection went through, or that the predecessor's last segments are
                // not in yet: look again before saying so. What is damaged is so in every listing.
                Err(error) => left.again(error).map_err(|error| explained(&recovery, error))?,
            }
        }
    }

    async fn attempt(
        &self,
        owner: &Owner,
        survey: &Survey,
        local: Local,
        recovery: &Recovery,
        seed: &mut Option<Vec<u8>>,
    ) -> Result<StartState> {
        owner.tenancy.require_proof_over_log(survey, local).await?;
        let found =
            self.home.decide(survey, &owner.claim, local, self.settings.permissions.allowed, false)?;
        let mut parent = found.parent;
        let loaded = match (found.source, recovery) {
            (Source::Local, Recovery::Log(log)) => {
                let from = found.parent.unwrap_or(log.claim);
                if goes_on_from_buried(&owner.tenancy, survey, from).await? {
                    if !self.settings.permissions.allowed.fresh {
                        return Err(deleted());
                    }
                    parent = None;
                    self.fresh(seed.take())?
                } else {
                    let previous = Link { claim: from, lsn: log.lsn, ..Link::default() };
                    let origin = Origin::local(log.is_clean());
                    LoadedState { state: Memtable::replay(&log.entries)?, lsn: log.lsn, previous, origin }
                }
            }
            (Source::Remote(chain), _) => {
                let from = found.parent.unwrap_or_default();
                let note = format!("restoring from {} objects of the store", chain.len());
                (self.events)(Event::Note(Level::Debug, note));
                match load(&owner.tenancy, survey, from).await {
                    Ok(restored) => self.salvaged(restored, from, local, recovery)?,
                    // To start anew is what was asked for where all that there is came from a history that was buried.
                    Err(error) if error.cause == Cause::Buried && self.settings.permissions.allowed.fresh => {
                        parent = None;
                        self.fresh(seed.take())?
                    }
                    Err(error) => return Err(error),
                }
            }
            (Source::Fresh | Source::Local, _) => self.fresh(seed.take())?,
        };
        let left = if found.quarantine || (parent != found.parent && local != Local::None) {
            Leftover::whole(recovery, survey, parent, loaded.lsn)
        } else {
            Leftover::of(recovery)
        };
        let loaded = self.identified(loaded)?;
        let from = parent.or(Some(loaded.previous.claim).filter(|claim| claim.epoch > 0));
        let birth = owner.tenancy.birth(survey, owner.claim, from).await?;
        birth.into_iter().for_each(|birth| owner.stem(birth));
        from.into_iter().for_each(|from| owner.descend(from));
        Ok((loaded, parent, left))
    }
}

fn storeless() -> Error {
    Error::new(
        Code::InvalidOption,
        "this session is to be in a store, and none is configured: set `store` or SESSION_BACKUP_STORE",
    )
}

fn missing() -> Error {
    Error::new(
        Code::NotFound,
        "this tenant has no session on the disk or in the store, and `onMissing: 'error'` forbids creating one",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::disk::memory::MemoryDisk;
    use crate::sim::{Cluster, SimHost};
    use crate::store::adapters::memory::Memory;

    #[tokio::test(start_paused = true)]
    async fn a_session_is_in_the_mode_that_it_was_opened_in_and_in_a_store_if_and_only_if_that_says_so() {
        for mode in [Mode::Local, Mode::Hybrid, Mode::Cloud] {
            for has_store in [false, true] {
                let host: Arc<dyn Host> = SimHost::new(1, tokio::time::Instant::now());
                let memory = Memory::default();
                let site = has_store.then(|| Site::of(Arc::new(memory.clone()), &host));
                let disk = MemoryDisk::default();
                let settings = Cluster::settings_for_tests().in_mode(mode);
                let opened = open(host, Arc::new(disk), settings, site, None, Arc::new(|_| {})).await;
                let seen = opened.as_ref().map(Session::mode).map_err(Error::code);
                if mode == Mode::Local || has_store {
                    assert_eq!(seen, Ok(mode), "store: {has_store}");
                } else {
                    assert_eq!(seen, Err(Code::InvalidOption), "{mode:?}");
                }
                let session = opened.ok();
                let keeps_log = session.as_ref().is_some_and(|one| one.journal().folder().is_some());
                assert_eq!(keeps_log, session.is_some() && mode.keeps_log(), "{mode:?}");
                let is_stored = !memory.objects().is_empty();
                assert_eq!(is_stored, session.is_some() && mode != Mode::Local, "{mode:?}");
            }
        }
    }
}
