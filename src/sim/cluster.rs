//! A cluster: one store behind a network that can be made bad, and what all machines share.
//!
//! How requests get there is up to `network`, and how bad that is to `weather`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::time::Instant;

use crate::format::name::TenantName;
use crate::ownership::decide::Overrides;
use crate::session::open::{Address, Permissions, Settings, Tenure};
use crate::store::Notice;
use crate::store::adapters::memory::Memory;

use super::harm::Remains;
use super::host::Rng;
use super::keys::Keys;
use super::machine::Opening;
use super::oracle::Oracle;
use super::weather::Sky;
pub use super::weather::Weather;

/// The first is the one that stories are about; the others share its processes.
pub const TENANTS: [&str; 3] = ["tenant", "second", "third"];
pub const TENANT: &str = TENANTS[0];
pub const CHECK: Duration = Duration::from_millis(500);

/// The store, the oracle, and what all processes share.
pub struct Cluster {
    pub store: Memory,
    /// Oracles, one for each tenant.
    pub oracles: [Arc<Mutex<Oracle>>; TENANTS.len()],
    pub outage: AtomicBool,
    /// The number of the server that answers now.
    pub server: Arc<AtomicU64>,
    /// True if a server that forgets what another one acknowledged says that it is another one.
    pub tells: AtomicBool,
    /// True if an object is stored and claims are listed in one exchange.
    pub folds: AtomicBool,
    /// Notices of changed claims.
    pub told: broadcast::Sender<Notice>,
    /// Locks, with the connections that hold them.
    pub locks: Mutex<BTreeMap<u64, Weak<()>>>,
    /// True if the store tells of changed claims, and has locks.
    pub notifies: AtomicBool,
    /// True if a story damages the store on purpose.
    pub tampered: AtomicBool,
    /// True if a story puts objects there that were made with a key of nobody's here.
    pub strange: AtomicBool,
    /// Set if each write has credentials with it.
    pub creds: AtomicBool,
    /// True once a disk was full.
    pub full: AtomicBool,
    pub keys: Mutex<Keys>,
    /// A digest of every request, when it was made and what befell it.
    pub(super) digest: AtomicU64,
    pub(super) sky: Sky,
    pub(super) remains: Mutex<Remains>,
    /// Uploads of data under way, and listings so far.
    pub(super) uploads: AtomicU64,
    pub(super) questions: AtomicU64,
    pub(super) start: Instant,
    pub(super) seeds: Mutex<Rng>,
    pub(super) page: usize,
    pub(super) next_machine: AtomicUsize,
    pub(super) next_write: AtomicU64,
    pub(super) next_process: AtomicU64,
}

pub fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `digest` with `bytes` added to it, eight at a time (after FNV-1a).
pub fn fold(digest: u64, bytes: &[u8]) -> u64 {
    let add = |sum: u64, word: u64| (sum ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(29);
    let (words, rest) = bytes.as_chunks::<8>();
    let whole = words.iter().fold(digest, |sum, word| add(sum, u64::from_le_bytes(*word)));
    rest.iter().fold(whole, |sum, byte| add(sum, u64::from(*byte)))
}

impl Cluster {
    pub fn new(seed: u64, page: usize, weather: Weather) -> Arc<Cluster> {
        let cluster = Arc::new(Cluster {
            store: Memory::default(),
            oracles: TENANTS.map(|tenant| {
                Arc::new(Mutex::new(Oracle::new(TenantName::visible(tenant).expect("a good id"))))
            }),
            outage: AtomicBool::new(false),
            server: Arc::new(AtomicU64::new(1)),
            tells: AtomicBool::new(false),
            folds: AtomicBool::new(false),
            told: broadcast::channel(4).0,
            locks: Mutex::default(),
            notifies: AtomicBool::new(false),
            tampered: AtomicBool::new(false),
            strange: AtomicBool::new(false),
            creds: AtomicBool::new(false),
            full: AtomicBool::new(false),
            keys: Mutex::default(),
            digest: AtomicU64::new(0),
            sky: Sky::default(),
            remains: Mutex::default(),
            uploads: AtomicU64::new(0),
            questions: AtomicU64::new(0),
            start: Instant::now(),
            seeds: Mutex::new(Rng::new(seed)),
            page,
            next_machine: AtomicUsize::new(0),
            next_write: AtomicU64::new(1),
            next_process: AtomicU64::new(1),
        });
        cluster.sky.set(weather);
        cluster
    }

    pub fn oracle(&self) -> MutexGuard<'_, Oracle> {
        self.oracle_of(0)
    }

    /// The oracle of one tenant.
    pub fn oracle_of(&self, tenant: usize) -> MutexGuard<'_, Oracle> {
        hold(&self.oracles[tenant])
    }

    /// A digest of every request so far: the same seed gives the same.
    pub fn digest(&self) -> u64 {
        self.digest.load(Ordering::Relaxed)
    }

    /// The network is like this from now on.
    pub fn set_weather(&self, weather: Weather) {
        self.sky.set(weather);
    }

    /// The network is good from now on.
    pub fn heal(&self) {
        self.outage.store(false, Ordering::Relaxed);
        self.sky.clear();
        self.set_weather(Weather::default());
    }

    /// Settings of an open that is to be as `how` says.
    pub(super) fn settings(&self, how: Opening) -> Settings {
        let Settings { address, tenure, permissions } = Cluster::settings_for_tests();
        Settings {
            address: Address { ring: hold(&self.keys).ring(), mode: how.mode, ..address },
            tenure: Tenure {
                pace: how.pace.unwrap_or(tenure.pace),
                handover: how.impatient.then_some(Duration::ZERO),
                takeover: how.takeover,
                strict_lease: how.strict,
            },
            permissions: Permissions {
                create: !how.existing,
                allowed: Overrides { fresh: how.fresh, seed_from_disk: how.seed, leave_store: how.leave },
                expected: how.judged,
                ..permissions
            },
        }
    }
}
