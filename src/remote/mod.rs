//! The store: five operations, and what their answers mean.
//!
//! Asked of a store is only this: a completed PUT is seen by every LIST that starts later, a GET returns a listed object's
//! bytes or nothing, and a PUT is all or nothing. No create-if-absent, no overwriting, no clocks. An adapter speaks to one
//! kind of store and classifies its answers; it takes no decision about ownership.

mod directory;
pub mod memory;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use backon::BackoffBuilder;
use bytes::Bytes;

use crate::error::{Code, Error, Result};
use crate::host::{Host, sleep};

pub use directory::Directory;

/// What a refused or failed request means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The credentials are not allowed to do this: asking again will not help.
    Denied,
    /// The bucket or the address is wrong: asking again will not help.
    NotConfigured,
    /// Too many requests: ask again, not before the time given.
    #[allow(dead_code, reason = "a directory never answers so; stores behind HTTP do")]
    Throttled(Option<Duration>),
    /// It failed and had no effect: ask again.
    Transient,
    /// It may have taken effect: ask again, names are unique and bytes the same.
    Ambiguous,
    /// The request itself can never succeed, such as an object too large for the store.
    Impossible,
}

/// A request that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What it means.
    pub meaning: Meaning,
    /// What the store said, without names, credentials or addresses.
    pub detail: String,
}

impl Failure {
    fn may_pass(&self) -> bool {
        matches!(self.meaning, Meaning::Throttled(_) | Meaning::Transient | Meaning::Ambiguous)
    }
}

/// One kind of store. Names are relative to the bucket's prefix and consist of characters that every store takes.
#[async_trait]
pub trait Store: Send + Sync {
    /// Stores `bytes` under `name`. Done when every later LIST shows it.
    async fn put(&self, name: &str, bytes: Bytes) -> std::result::Result<(), Failure>;
    /// The bytes under `name`, or `None` if there is no such object.
    async fn get(&self, name: &str) -> std::result::Result<Option<Bytes>, Failure>;
    /// All names in `folder` that start with `prefix`, without the folder, in any order.
    async fn list(&self, folder: &str, prefix: &str) -> std::result::Result<Vec<String>, Failure>;
    /// Removes objects. One that is not there is no failure.
    async fn delete(&self, names: Vec<String>) -> std::result::Result<(), Failure>;
}

/// How many requests went to the store, and how many bytes.
#[derive(Debug, Default)]
pub struct Traffic {
    /// PUT requests.
    pub puts: AtomicU64,
    /// GET requests.
    pub gets: AtomicU64,
    /// LIST requests.
    pub lists: AtomicU64,
    /// DELETE requests.
    pub deletes: AtomicU64,
    /// Bytes sent.
    pub sent: AtomicU64,
    /// Bytes received.
    pub received: AtomicU64,
    /// Requests that failed.
    pub failures: AtomicU64,
}

/// A store with patience: failures that may pass are tried again for a while.
#[derive(Clone)]
pub struct Remote {
    store: Arc<dyn Store>,
    host: Arc<dyn Host>,
    /// What went over the wire.
    pub traffic: Arc<Traffic>,
}

/// Tries of a request that somebody waits for. Background work has no bound, see the replicator.
const TRIES: usize = 6;

impl Remote {
    /// Reaches `store` from `host`.
    pub fn new(store: Arc<dyn Store>, host: Arc<dyn Host>) -> Remote {
        Remote { store, host, traffic: Arc::default() }
    }

    /// The machine it is reached from.
    pub fn host(&self) -> &Arc<dyn Host> {
        &self.host
    }

    /// Delays between tries, growing from a tenth of a second to `longest`, with jitter.
    pub fn backoff(&self, longest: Duration) -> impl Iterator<Item = Duration> + Send + use<> {
        let seed = u64::from_le_bytes(crate::host::random(self.host.as_ref()));
        backon::ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(longest)
            .without_max_times()
            .with_jitter()
            .with_jitter_seed(seed)
            .build()
    }

    /// Stores an object, trying again while that may help.
    pub async fn put(&self, name: &str, bytes: Bytes) -> Result<()> {
        self.patiently("storing an object", || self.put_once(name, bytes.clone())).await
    }

    /// Stores an object, once.
    pub async fn put_once(&self, name: &str, bytes: Bytes) -> std::result::Result<(), Failure> {
        self.traffic.puts.fetch_add(1, Ordering::Relaxed);
        self.traffic.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.count(self.store.put(name, bytes).await)
    }

    /// Reads an object, trying again while that may help.
    pub async fn get(&self, name: &str) -> Result<Option<Bytes>> {
        self.patiently("reading an object", || async {
            self.traffic.gets.fetch_add(1, Ordering::Relaxed);
            let bytes = self.count(self.store.get(name).await)?;
            let len = bytes.as_ref().map_or(0, Bytes::len);
            self.traffic.received.fetch_add(len as u64, Ordering::Relaxed);
            Ok(bytes)
        })
        .await
    }

    /// Lists a folder, trying again while that may help.
    pub async fn list(&self, folder: &str, prefix: &str) -> Result<Vec<String>> {
        self.patiently("listing objects", || self.list_once(folder, prefix)).await
    }

    /// Lists a folder, once.
    pub async fn list_once(&self, folder: &str, prefix: &str) -> std::result::Result<Vec<String>, Failure> {
        self.traffic.lists.fetch_add(1, Ordering::Relaxed);
        self.count(self.store.list(folder, prefix).await)
    }

    /// Removes objects, trying again while that may help.
    pub async fn delete(&self, names: Vec<String>) -> Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        self.patiently("removing objects", || async {
            self.traffic.deletes.fetch_add(1, Ordering::Relaxed);
            self.count(self.store.delete(names.clone()).await)
        })
        .await
    }

    fn count<T>(&self, answer: std::result::Result<T, Failure>) -> std::result::Result<T, Failure> {
        if answer.is_err() {
            self.traffic.failures.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    /// Asks until there is an answer, a final refusal, or patience ends.
    pub async fn patiently<T, F>(&self, doing: &str, ask: impl Fn() -> F + Send + Sync) -> Result<T>
    where
        F: Future<Output = std::result::Result<T, Failure>> + Send,
    {
        let mut delays = self.backoff(Duration::from_secs(3)).take(TRIES - 1);
        loop {
            match ask().await {
                Ok(answer) => return Ok(answer),
                Err(failure) => match delays.next().filter(|_| failure.may_pass()) {
                    Some(delay) => sleep(failure.pause(delay)).await,
                    None => return Err(failure.error(doing)),
                },
            }
        }
    }
}

impl Failure {
    /// How long to wait before the next try.
    pub fn pause(&self, planned: Duration) -> Duration {
        match self.meaning {
            Meaning::Throttled(Some(asked)) => planned.max(asked),
            _ => planned,
        }
    }

    /// The failure as the user sees it.
    pub fn error(&self, doing: &str) -> Error {
        let advice = match self.meaning {
            Meaning::Denied => "the store refused the credentials; check the key and its rights",
            Meaning::NotConfigured => "there is no such bucket or directory; check the `store` option",
            Meaning::Impossible => "the store can never accept this request",
            Meaning::Throttled(_) | Meaning::Transient | Meaning::Ambiguous => {
                "the store could not be reached; retry later"
            }
        };
        Error::new(Code::RemoteUnavailable, format!("{doing}: {advice} ({})", self.detail))
    }
}
