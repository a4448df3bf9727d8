//! The replicator: ships what changed, acknowledges it, and keeps the store small.
//!
//! Segments go up strictly one after another (I5). An LSN is acknowledged only when its segment is stored *and* a later
//! LIST shows this owner's claim as the highest (I4). An outage ends nothing: what cannot be stored is tried again, the
//! dirty set grows with the keys and not with time, and one segment catches up.

mod audit;
mod bases;
mod chain;
mod collector;
mod lookout;
mod outage;
mod ownership;
pub mod restore;
mod server;
mod shipping;
mod stop;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::event::{Event, EventSink};
use crate::format::name::DataName;
use crate::format::object::Link;
use crate::id::Claim;
use crate::journal::{Journal, Life, Urgency};
use crate::ownership::lease::{Owner, Standing};
use crate::platform::host::{Host, random, sleep};
use crate::store::{Failure, Incarnation};

use audit::Audits;
use chain::Chain;
use collector::Collector;
use lookout::Lookout;
use stop::{Stop, Work};

pub use chain::ChainObject;

/// Segments after which a base is worth its bytes, whatever their size.
const MAX_SEGMENTS: usize = 256;
/// The first pause after a base that the store can never take, and the longest.
const BASE_PAUSE: Duration = Duration::from_secs(600);
const MAX_BASE_PAUSE: Duration = Duration::from_secs(6 * 3600);
/// The longest pause between tries during an outage.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// Pace of an instance.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Least time between two segments.
    pub flush_interval: Duration,
    /// Time that the first change after a quiet time waits for company.
    pub debounce: Duration,
    /// Least often that ownership is checked. A request that takes longer is told of as an outage.
    pub check_interval: Duration,
    /// Time after which unchanged state is stored again: a bucket may be set to remove what is old.
    pub refresh: Duration,
}

/// Health of replication.
#[derive(Debug, Clone, Default)]
pub struct Health {
    /// True if the store fails at the moment.
    pub degraded: bool,
    /// The last failure, even if it has passed.
    pub last_error: Option<Error>,
    /// Time at which the store was last known to have everything, in milliseconds since 1970.
    pub last_backup_ms: Option<u64>,
    /// True if the newer owner is known to have everything that was accepted here.
    pub handed_over: bool,
    /// True if a close released the session, or told that it could not.
    pub let_go: bool,
    /// Segments stored.
    pub segments: u64,
    /// Bases stored, the opening one included.
    pub bases: u64,
    /// Bytes stored.
    pub bytes: u64,
    /// Reason that the store does not take the whole state, since it does not.
    pub base_refused: Option<Error>,
}

/// Knowledge at the open of a session.
pub struct Start {
    /// The opening base.
    pub head: Link,
    /// The base in the store.
    pub base: ChainObject,
    /// The claim that it continues.
    pub parent: Option<Claim>,
    /// Start of the last check of ownership.
    pub confirmed: Duration,
    /// Time at which it was stored, in milliseconds since 1970; `None` for the base of a session that has nothing yet.
    pub stored_ms: Option<u64>,
}

/// A sealed segment: a retry sends the same bytes under the same name.
#[derive(Clone)]
struct Shipment {
    data: DataName,
    name: String,
    bytes: Bytes,
    /// The end of the chain once it is stored.
    end: Link,
}

/// A PUT of an object, with the standing of the owner after it, where the store lists in the same exchange.
type PutFuture = Pin<Box<dyn Future<Output = Result<Option<Standing>, Failure>> + Send>>;

/// The name of an object and its PUT, which goes on.
type PendingPut = (String, PutFuture);

enum Duty {
    Ship,
    Check,
    Refresh,
    Renew,
    Audit,
    Mend,
    Yield,
    Leave,
}

/// Ships one tenant's changes.
pub struct Replicator {
    owner: Arc<Owner>,
    journal: Arc<Journal>,
    events: EventSink,
    health: Arc<Mutex<Health>>,
    pace: Pace,
    collector: Arc<Collector>,
    lookout: Arc<Lookout>,
    /// The end of the chain in the store.
    head: Link,
    /// A segment that is sealed and not known to be stored.
    on_the_way: Option<Shipment>,
    /// Segments after it that are sealed, and that a base is to replace.
    skipped: std::collections::VecDeque<Shipment>,
    /// A PUT that a newer owner interrupted.
    interrupted: Mutex<Option<PendingPut>>,
    /// The standing that came with the last object that was stored, and the time before which its listing cannot have begun.
    looked: Option<(Duration, Standing)>,
    /// The life of the server that has everything that was stored.
    server: Option<Incarnation>,
    /// The newest base in the store, and what follows it.
    chain: Chain,
    /// No base before this, for the store took none, and how long the pause after the next refusal is.
    base_at: Duration,
    base_pause: Duration,
    audits: Audits,
    refresh_at: Duration,
    shipped_at: Option<Duration>,
    /// Duration of the last successful request: a slow store is asked less often. An outage does not count, or catching
    /// up after it would wait as long again.
    took: Duration,
    noticed_at: Option<Duration>,
}

impl Replicator {
    /// A replicator that goes on after the opening base.
    pub fn new(
        owner: Arc<Owner>,
        journal: Arc<Journal>,
        events: EventSink,
        pace: Pace,
        start: Start,
    ) -> Replicator {
        let health = Health {
            bases: 1,
            bytes: start.base.bytes,
            last_backup_ms: start.stored_ms,
            ..Health::default()
        };
        let audits = Audits::rarely(owner.tenancy.host());
        let refresh_at = owner.tenancy.host().now() + spread(owner.tenancy.host(), pace.refresh);
        let collector = Arc::new(Collector::new(Arc::clone(&owner), start.parent, Chain::of(start.base)));
        let lookout =
            Lookout::new(Arc::clone(&owner), Arc::clone(&journal), Arc::clone(&events), pace.check_interval);
        lookout.checked(start.confirmed);
        let lookout = Arc::new(lookout);
        let server = owner.server;
        Replicator {
            owner,
            journal,
            events,
            health: Arc::new(Mutex::new(health)),
            pace,
            collector,
            lookout,
            head: start.head,
            on_the_way: None,
            skipped: std::collections::VecDeque::new(),
            interrupted: Mutex::default(),
            looked: None,
            server,
            chain: Chain::of(start.base),
            base_at: Duration::ZERO,
            base_pause: BASE_PAUSE,
            audits,
            refresh_at,
            shipped_at: None,
            took: Duration::ZERO,
            noticed_at: None,
        }
    }

    /// Its health, shared.
    pub fn health(&self) -> Arc<Mutex<Health>> {
        Arc::clone(&self.health)
    }

    /// A listener.
    pub fn events(&self) -> EventSink {
        Arc::clone(&self.events)
    }

    /// Works until the session ends. Whoever closed it in haste does not wait for a store that keeps silent.
    pub async fn run(mut self) {
        let mut progress = self.journal.follow();
        let (collector, lookout) = (Arc::clone(&self.collector), Arc::clone(&self.lookout));
        let (journal, events) = (Arc::clone(&self.journal), Arc::clone(&self.events));
        let worked = tokio::select! {
            biased;
            worked = self.work() => worked,
            never = collector.run() => match never {},
            never = lookout.run() => match never {},
            never = journal.tend(&events) => match never {},
            _ = progress.wait_for(|progress| progress.life == Life::Closed) => Ok(()),
        };
        if let Err(error) = worked {
            self.note(|health| health.last_error = Some(error.clone()));
            (self.events)(Event::Failed(error));
            self.journal.end(Life::Poisoned);
        }
    }

    async fn work(&mut self) -> Result<()> {
        self.collect().await;
        let Err(stop) = self.tasks().await;
        if let Stop::Failed(error) = stop {
            return Err(error);
        }
        if self.lookout.is_buried() {
            self.bury().await;
        }
        if self.is_fenced() { self.hand_over().await } else { Ok(()) }
    }

    /// Does what is due, one task after another, until it is stopped.
    async fn tasks(&mut self) -> Work<Infallible> {
        loop {
            match self.next().await? {
                Duty::Ship => self.ship().await?,
                Duty::Check => self.acknowledge(None, false).await?,
                Duty::Refresh => self.refresh().await?,
                Duty::Renew => self.renew().await?,
                Duty::Mend => self.mend().await?,
                Duty::Yield => return Err(self.give_way()),
                Duty::Audit => self.audit().await,
                Duty::Leave => match self.leave().await? {},
            }
        }
    }

    fn now(&self) -> Duration {
        self.owner.tenancy.host().now()
    }

    async fn next(&mut self) -> Work<Duty> {
        loop {
            let progress = self.journal.progress();
            if progress.is_done() || progress.life == Life::Fenced {
                return Err(Stop::Ended);
            }
            if progress.life == Life::Closing {
                return Ok(Duty::Leave);
            }
            if self.collector.is_forked() {
                return Ok(Duty::Yield);
            }
            if self.collector.has_losses() {
                return Ok(Duty::Mend);
            }
            let now = self.now();
            let ship_at = match self.journal.pending()? {
                None => {
                    self.noticed_at = None;
                    None
                }
                Some(Urgency::Now) => Some(now),
                Some(Urgency::Soon) => {
                    let noticed = *self.noticed_at.get_or_insert(now);
                    let interval = self.pace.flush_interval.max(self.took * 2);
                    Some(
                        (noticed + self.pace.debounce)
                            .max(self.shipped_at.map_or(Duration::ZERO, |at| at + interval)),
                    )
                }
            };
            if ship_at.is_some_and(|at| at <= now) {
                self.noticed_at = None;
                return Ok(Duty::Ship);
            }
            let check_at = self.lookout.next();
            if check_at <= now {
                return Ok(Duty::Check);
            }
            if self.refresh_at <= now {
                return Ok(Duty::Refresh);
            }
            if self.journal.wants_renewal() {
                return Ok(Duty::Renew);
            }
            if self.audits.at() <= now {
                return Ok(Duty::Audit);
            }
            let rest = check_at.min(self.refresh_at).min(self.audits.at());
            let pause = ship_at.unwrap_or(rest).min(rest) - now;
            tokio::select! {
                biased;
                () = self.over() => {}
                () = self.journal.wake.notified() => {}
                () = sleep(pause) => {}
            }
        }
    }

    fn note(&self, change: impl FnOnce(&mut Health)) {
        change(&mut self.health.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A little less than `interval`, and for each session another moment: sessions that opened together do not come together
/// for ever.
fn spread(host: &Arc<dyn Host>, interval: Duration) -> Duration {
    let [share] = random::<1>(host.as_ref());
    interval - interval / 10 * u32::from(share) / 256
}
