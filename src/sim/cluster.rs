//! A cluster: one store behind a network that can be made bad, and what all machines share.
//!
//! Every request that takes effect is shown to the oracle at that instant, also when its answer is lost.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::host::Host;
use crate::name::TenantName;
use crate::open::{Settings, Site};
use crate::plan::Allowed;
use crate::remote::memory::{Fate, Memory};
use crate::remote::{Remote, Store};
use crate::replicator::Pace;
use crate::seal::Ring;
use crate::watch::Watch;

use super::host::Rng;
use super::keys::Keys;
use super::machine::Opening;
use super::oracle::Oracle;

pub const TENANT: &str = "tenant";
pub const CHECK: Duration = Duration::from_millis(500);

/// How bad the network is, in percent of requests.
#[derive(Clone, Copy, Default)]
pub struct Weather {
    pub fails: u64,
    pub lost: u64,
    pub late: u64,
    pub twice: u64,
    /// Longest time a request takes, in milliseconds.
    pub slow: u64,
}

/// The store, the oracle, and what all processes share.
pub struct Cluster {
    pub store: Memory,
    pub oracle: Arc<Mutex<Oracle>>,
    pub outage: Arc<AtomicBool>,
    /// Whether a story damages the store on purpose.
    pub tampered: AtomicBool,
    pub keys: Mutex<Keys>,
    /// A digest of every request, when it was made and what befell it.
    digest: Arc<AtomicU64>,
    weather: Arc<Mutex<Weather>>,
    pub(super) start: Instant,
    pub(super) seeds: Mutex<Rng>,
    page: usize,
    pub(super) next_write: AtomicU64,
    pub(super) next_process: AtomicU64,
}

pub fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `digest` with `bytes` added to it (FNV-1a).
fn fold(digest: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(digest, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

impl Cluster {
    pub fn new(seed: u64, page: usize, weather: Weather) -> Arc<Cluster> {
        Arc::new(Cluster {
            store: Memory::default(),
            oracle: Arc::new(Mutex::new(Oracle::new(TenantName::visible(TENANT).expect("a good id")))),
            outage: Arc::default(),
            tampered: AtomicBool::new(false),
            keys: Mutex::default(),
            digest: Arc::default(),
            weather: Arc::new(Mutex::new(weather)),
            start: Instant::now(),
            seeds: Mutex::new(Rng::new(seed)),
            page,
            next_write: AtomicU64::new(1),
            next_process: AtomicU64::new(1),
        })
    }

    pub fn oracle(&self) -> MutexGuard<'_, Oracle> {
        hold(&self.oracle)
    }

    /// A digest of every request so far: the same seed gives the same.
    pub fn digest(&self) -> u64 {
        self.digest.load(Ordering::Relaxed)
    }

    /// The network is like this from now on.
    pub fn set_weather(&self, weather: Weather) {
        *hold(&self.weather) = weather;
    }

    /// The network is good from now on.
    pub fn heal(&self) {
        self.outage.store(false, Ordering::Relaxed);
        self.set_weather(Weather::default());
    }

    /// The store as process `number` reaches it.
    pub(super) fn network(self: &Arc<Self>, number: u64) -> Memory {
        let rng = Mutex::new(Rng::new(hold(&self.seeds).next()));
        let (weather, outage) = (Arc::clone(&self.weather), Arc::clone(&self.outage));
        let oracle = Arc::clone(&self.oracle);
        let witnessed = self.store.witnessed(Arc::new(move |request, name, objects| {
            hold(&oracle).saw(number, request, name, objects)
        }));
        let (digest, start) = (Arc::clone(&self.digest), self.start);
        let script = move |request, name: &str| {
            let weather = *hold(&weather);
            let mut rng = hold(&rng);
            let time = Duration::from_millis(rng.below(weather.slow + 1));
            let later = Duration::from_millis(rng.below(5_000));
            let roll = rng.below(100);
            let mut edge = 0;
            let mut within = |share: u64| {
                edge += share;
                roll < edge
            };
            let fate = if outage.load(Ordering::Relaxed) || within(weather.fails) {
                Fate::FailBefore
            } else if within(weather.lost) {
                Fate::FailAfter
            } else if within(weather.late) {
                Fate::Late(later)
            } else if within(weather.twice) {
                Fate::Twice(later)
            } else {
                Fate::Done
            };
            let told = format!("{number} {request:?} {name} {:?} {time:?} {fate:?}", start.elapsed());
            digest.store(fold(digest.load(Ordering::Relaxed), told.as_bytes()), Ordering::Relaxed);
            (time, fate)
        };
        witnessed.through(Arc::new(script), self.page)
    }

    pub(super) fn settings(&self, host: &Arc<dyn Host>, store: Arc<dyn Store>, how: Opening) -> Settings {
        let remote = Remote::new(store, Arc::clone(host));
        let site = Site { watch: Arc::new(Watch::new(remote.clone())), remote };
        Settings {
            site: Some(site),
            ring: hold(&self.keys).ring(),
            cloud: how.cloud,
            handover: how.impatient.then_some(Duration::ZERO),
            takeover: how.takeover,
            strict_lease: how.strict,
            allowed: Allowed { fresh: how.fresh, ..Allowed::default() },
            expected: None,
            ..Cluster::settings_for_tests()
        }
    }

    /// What all sessions of all stories are opened with, without a store.
    pub fn settings_for_tests() -> Settings {
        Settings {
            tenant: TENANT.into(),
            folder: PathBuf::from("/sessions/tenant"),
            cloud: false,
            site: None,
            ring: Arc::new(Ring::default()),
            pace: Pace {
                flush_interval: Duration::from_millis(200),
                debounce: Duration::from_millis(10),
                check_interval: CHECK,
                refresh: Duration::from_secs(7 * 86_400),
            },
            handover: None,
            takeover: false,
            strict_lease: false,
            create: true,
            hide_tenant: false,
            accept_plain: false,
            allowed: Allowed::default(),
            expected: None,
        }
    }
}
