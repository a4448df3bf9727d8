//! The retrying store: each request passes the limiter, is counted, and is repeated while that may help.
//!
//! What may pass is tried again for a while and never for ever; what is final is told at once. What concerns ownership does not
//! wait behind data, and no request is repeated anywhere else.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use backon::BackoffBuilder;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::{OnceCell, SemaphorePermit, broadcast};

use super::failure::Failure;
use super::limiter::Limiter;
use super::operations::{Durability, Incarnation, ListedObject, Notice, Rates, Store};
use super::parts::Limit;
use super::stats::StoreStats;
use crate::error::Result;
use crate::platform::host::{Host, sleep};

/// A retrying store: failures that may pass are tried again for a while. Clones share everything.
#[derive(Clone)]
pub struct RetryingStore {
    pub(super) store: Arc<dyn Store>,
    host: Arc<dyn Host>,
    limiter: Arc<Limiter>,
    /// Set when the store was found to be fit.
    pub(super) fit: Arc<OnceCell<()>>,
    /// The bytes of the largest object that the store takes, as soon as it was asked; `None` where it does not tell.
    pub(super) largest: Arc<OnceCell<Option<u64>>>,
    pub(super) allow_public: bool,
    pub(super) limit: Arc<Limit>,
    /// Requests and bytes.
    pub traffic: Arc<StoreStats>,
}

/// Tries of a request that somebody waits for. Background work has no bound, see the replicator.
const TRIES: usize = 6;
/// Requests under way at once to remove objects of one tenant, where it takes several.
const PARALLEL: usize = 8;
/// Time after the first try until another one: a store that keeps silent takes long over each.
const RETRY_FOR: Duration = Duration::from_secs(30);
/// Time that a question may stay without an answer before it is asked once more.
const SILENT: Duration = Duration::from_secs(1);
/// Requests under way at once, where nothing else is configured.
pub(super) const PLACES: usize = 64;
/// Names in one page of a listing, in every store that pages.
const PAGE: usize = 1000;

impl RetryingStore {
    /// Reaches `store`, which is known to be fit, from `host`.
    #[cfg(test)]
    pub fn new(store: Arc<dyn Store>, host: Arc<dyn Host>) -> RetryingStore {
        RetryingStore {
            fit: Arc::new(OnceCell::new_with(Some(()))),
            ..RetryingStore::unknown(store, host, PLACES, false)
        }
    }

    /// Reaches `store`, of which nothing is known yet, with at most so many requests at once.
    pub(super) fn unknown(
        store: Arc<dyn Store>,
        host: Arc<dyn Host>,
        places: usize,
        allow_public: bool,
    ) -> RetryingStore {
        let limiter = Arc::new(Limiter::new(Arc::clone(&host), places));
        RetryingStore {
            store,
            host,
            limiter,
            fit: Arc::default(),
            largest: Arc::default(),
            allow_public,
            limit: Arc::default(),
            traffic: Arc::default(),
        }
    }

    /// The machine it is reached from.
    pub fn host(&self) -> &Arc<dyn Host> {
        &self.host
    }

    /// Delays between tries, growing from a tenth of a second to `longest`, with jitter.
    pub fn backoff(&self, longest: Duration) -> impl Iterator<Item = Duration> + Send + use<> {
        let seed = u64::from_le_bytes(crate::platform::host::random(self.host.as_ref()));
        backon::ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(longest)
            .without_max_times()
            .with_jitter()
            .with_jitter_seed(seed)
            .build()
    }

    /// Cost of listings.
    pub fn rates(&self) -> Rates {
        self.store.rates()
    }

    /// Room in memory for one pack that is read from here, until it is dropped.
    pub async fn room_for_pack(&self) -> Option<SemaphorePermit<'_>> {
        self.limiter.room().await
    }

    /// Waits for a turn to try again.
    pub async fn turn_to_retry(&self) {
        self.limiter.again().await;
    }

    /// Stores an object, trying again while that may help.
    pub async fn put(&self, name: &str, bytes: Bytes) -> Result<()> {
        self.with_retries("storing an object", || self.put_once(name, bytes.clone())).await
    }

    /// The life of the server that it is connected to, where one may forget what another acknowledged.
    pub fn incarnation(&self) -> Option<Incarnation> {
        self.store.incarnation()
    }

    /// Survival of what it has acknowledged, once it told.
    pub fn durability(&self) -> Option<Durability> {
        self.store.durability()
    }

    /// Holds a lock for as long as this process is connected, where the store has such locks.
    pub async fn hold_lock(&self, lock: u64) -> bool {
        self.store.hold_lock(lock).await
    }

    /// Lets go of a lock.
    pub fn release_lock(&self, lock: u64) {
        self.store.release_lock(lock);
    }

    /// True if nobody is known to hold a lock; asked once.
    pub async fn is_lock_free(&self, lock: u64) -> bool {
        self.store.is_lock_free(lock).await.unwrap_or(false)
    }

    /// Notices of changed claims, where the store tells of them.
    pub fn notices(&self) -> Option<broadcast::Receiver<Notice>> {
        self.store.notices()
    }

    /// Reads an object, trying again while that may help.
    pub async fn get(&self, name: &str) -> Result<Option<Bytes>> {
        // What belongs to claims is small. A large object that is on its way is not asked for twice.
        if name.starts_with(crate::format::name::CLAIMS) {
            return self.with_retries("reading an object", || self.asked_twice(|| self.get_once(name))).await;
        }
        self.with_retries("reading an object", || self.get_once(name)).await
    }

    /// Reads an object, once, and joins it if it is in parts.
    pub async fn get_once(&self, name: &str) -> Result<Option<Bytes>, Failure> {
        match self.get_one(name).await? {
            Some(bytes) => self.joined(name, bytes).await,
            None => Ok(None),
        }
    }

    /// Asks for what is under a name, once.
    pub(super) async fn get_one(&self, name: &str) -> Result<Option<Bytes>, Failure> {
        self.once(name, async {
            self.traffic.gets.fetch_add(1, Ordering::Relaxed);
            let bytes = self.store.get(name).await?;
            let len = bytes.as_ref().map_or(0, Bytes::len);
            self.traffic.received.fetch_add(len as u64, Ordering::Relaxed);
            Ok(bytes)
        })
        .await
    }

    /// Lists a folder, trying again while that may help.
    pub async fn list(&self, folder: &str, prefix: &str) -> Result<Vec<String>> {
        self.with_retries("listing objects", || self.asked_twice(|| self.list_once(folder, prefix))).await
    }

    /// Lists a folder, once.
    pub async fn list_once(&self, folder: &str, prefix: &str) -> Result<Vec<String>, Failure> {
        self.once(folder, async {
            self.traffic.lists.fetch_add(1, Ordering::Relaxed);
            let names = self.store.list(folder, prefix).await?;
            self.more_pages(names.len());
            Ok(names)
        })
        .await
    }

    fn more_pages(&self, names: usize) {
        let more = names.div_ceil(PAGE).saturating_sub(1);
        self.traffic.lists.fetch_add(more as u64, Ordering::Relaxed);
    }

    /// Lists a folder with what is told of each object, trying again while that may help.
    pub async fn details(&self, folder: &str, prefix: &str) -> Result<Vec<ListedObject>> {
        self.with_retries("listing objects", || self.details_once(folder, prefix)).await
    }

    /// Lists a folder with what is told of each object, once.
    pub async fn details_once(&self, folder: &str, prefix: &str) -> Result<Vec<ListedObject>, Failure> {
        self.once(folder, async {
            self.traffic.lists.fetch_add(1, Ordering::Relaxed);
            let listing = self.store.details(folder, prefix).await?;
            self.more_pages(listing.len());
            Ok(listing)
        })
        .await
    }

    /// Removes objects, trying again while that may help.
    pub async fn delete(&self, names: Vec<String>) -> Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        let batches = names.chunks(self.store.most_removed_at_once()).map(<[String]>::to_vec);
        let remove = |batch: Vec<String>| async move {
            self.with_retries("removing objects", || self.delete_once(batch.clone())).await
        };
        stream::iter(batches).map(remove).buffer_unordered(PARALLEL).try_collect().await
    }

    /// Removes objects, once.
    pub async fn delete_once(&self, names: Vec<String>) -> Result<(), Failure> {
        self.once("", async {
            self.traffic.deletes.fetch_add(names.len() as u64, Ordering::Relaxed);
            self.store.delete(names).await
        })
        .await
    }

    /// One request, when its turn has come. What concerns ownership does not wait behind data.
    pub(super) async fn once<T>(
        &self,
        name: &str,
        request: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let _place = self.limiter.place(name.starts_with(crate::format::name::CLAIMS)).await;
        let answer = request.await;
        match &answer {
            Ok(_) => self.limiter.earn(),
            Err(failure) => {
                self.traffic.failures.fetch_add(1, Ordering::Relaxed);
                failure.meaning.count().one();
            }
        }
        answer
    }

    /// Asks, and once more beside that if there is no answer for a while: the first answer counts. Only for what changes nothing,
    /// and as far as the ration of second tries allows.
    async fn asked_twice<T, F>(&self, ask: impl Fn() -> F + Send + Sync) -> Result<T, Failure>
    where
        T: Send,
        F: Future<Output = Result<T, Failure>> + Send,
    {
        let mut first = pin!(ask());
        if let Ok(answer) = tokio::time::timeout(SILENT, &mut first).await {
            return answer;
        }
        let mut second = pin!(async {
            self.limiter.again().await;
            ask().await
        });
        tokio::select! {
            biased;
            answer = &mut first => match answer {
                Ok(answer) => Ok(answer),
                Err(_) => second.await,
            },
            answer = &mut second => match answer {
                Ok(answer) => Ok(answer),
                Err(_) => first.await,
            },
        }
    }

    /// Asks until there is an answer, a final refusal, or the time is up.
    pub async fn with_retries<T, F>(&self, doing: &str, ask: impl Fn() -> F + Send + Sync) -> Result<T>
    where
        F: Future<Output = Result<T, Failure>> + Send,
    {
        self.persistently(ask).await.map_err(|failure| failure.error(doing))
    }

    /// The same, and what came of the last try if there is none.
    pub(super) async fn persistently<T, F>(&self, ask: impl Fn() -> F + Send + Sync) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>> + Send,
    {
        let mut delays = self.backoff(Duration::from_secs(3)).take(TRIES - 1);
        let began = self.host.now();
        loop {
            match ask().await {
                Ok(answer) => return Ok(answer),
                Err(failure) => {
                    match delays.next().filter(|_| failure.may_pass() && self.host.now() - began < RETRY_FOR)
                    {
                        Some(delay) => {
                            sleep(failure.pause(delay)).await;
                            self.limiter.again().await;
                        }
                        None => return Err(failure),
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::sim::SimHost;
    use crate::store::adapters::memory::{Fate, Memory};

    #[tokio::test(start_paused = true)]
    async fn one_silent_question_holds_up_nobody_for_its_whole_length() {
        let asked = AtomicUsize::new(0);
        let script = move |_, _: &str| {
            let silent = asked.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
            (if silent { Duration::from_secs(3600) } else { Duration::ZERO }, Fate::Done)
        };
        let began = tokio::time::Instant::now();
        let store = Memory::default().through(Arc::new(script), 1000);
        let remote = RetryingStore::new(Arc::new(store), SimHost::new(1, began));
        assert_eq!(remote.list("v1/data/x", "").await.expect("lists"), Vec::<String>::new());
        assert_eq!(remote.get("v1/claims/x").await.expect("reads"), None);
        assert!(began.elapsed() < SILENT * 3, "{:?}", began.elapsed());
    }
}
