//! Stores under the contract, and the objects that are put there.
//!
//! Invariant: no two tests share a folder, so that a bucket may be used again and again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;

use crate::platform::host::{Host, Job, Lane, RealHost, Task, random};
use crate::store::{Store, StoreSpec, adapter};

/// A store to try.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Entry {
    /// Its name in messages.
    pub name: String,
    /// An empty bucket.
    pub store: StoreSpec,
    /// The same with a key that is not allowed anything, where the store knows keys.
    pub wrong_credentials: Option<StoreSpec>,
    /// The same with a bucket that does not exist.
    pub missing_bucket: Option<StoreSpec>,
    /// A bucket behind something that cuts every object called `long` in the middle when it gives it out.
    pub truncating: Option<StoreSpec>,
    /// A bucket behind something that gives out objects called `long` slowly.
    pub slow: Option<StoreSpec>,
    /// A bucket that everybody can read.
    pub public: Option<StoreSpec>,
    /// True if names may hold anything but letters, digits and simple punctuation.
    #[serde(default)]
    pub any_name: bool,
    /// True if its answers tell what time it is.
    #[serde(default)]
    pub tells_time: bool,
}

pub fn host() -> Arc<dyn Host> {
    Arc::new(RealHost::new(tokio::runtime::Handle::current()))
}

pub fn connect(spec: &StoreSpec) -> Arc<dyn Store> {
    adapter(spec, host()).expect("the spec is good")
}

/// A folder that nothing else uses.
pub fn folder() -> String {
    format!("v1/contract-{}", crate::id::hex(&random::<8>(host().as_ref())))
}

pub fn noise(len: usize) -> Bytes {
    let mut state = len as u64 + 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// All stores to try, with the folder that keeps a directory in place.
pub fn entries() -> (Vec<Entry>, tempfile::TempDir) {
    let temporary = tempfile::tempdir().expect("a folder");
    let path = temporary.path().to_owned();
    let entry = |name: &str, store, any_name| Entry {
        name: name.into(),
        store,
        wrong_credentials: None,
        missing_bucket: None,
        truncating: None,
        slow: None,
        public: None,
        any_name,
        tells_time: false,
    };
    let mut entries = vec![
        entry("memory", StoreSpec::Memory { name: "contract".into() }, true),
        entry(
            "directory",
            StoreSpec::Directory {
                path,
                create: false,
                remembered_in: crate::store::spec::Remembrance::default(),
            },
            false,
        ),
    ];
    if let Ok(more) = std::env::var("STORES_UNDER_TEST") {
        entries.extend(serde_json::from_str::<Vec<Entry>>(&more).expect("a JSON list of stores"));
    }
    (entries, temporary)
}

/// A machine whose clock is off.
pub struct WrongClock {
    pub real: Arc<dyn Host>,
    pub minutes: i64,
}

impl Host for WrongClock {
    fn now(&self) -> Duration {
        self.real.now()
    }
    fn wall_ms(&self) -> u64 {
        self.real.wall_ms().saturating_add_signed(self.minutes * 60_000)
    }
    fn random(&self, bytes: &mut [u8]) {
        self.real.random(bytes);
    }
    fn spawn(&self, task: Task) {
        self.real.spawn(task);
    }
    fn offload(&self, lane: Lane, job: Job) {
        self.real.offload(lane, job);
    }
}
