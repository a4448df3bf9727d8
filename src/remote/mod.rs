//! The store: five operations, and what their answers mean.
//!
//! Asked of a store is only this: a completed PUT is seen by every LIST that starts later, a GET returns a listed object's
//! bytes or nothing, and a PUT is all or nothing. No create-if-absent, no clocks, and overwriting only with the same bytes.
//! An adapter speaks to one kind of store; it takes no decision about ownership, and never asks twice.

mod answer;
mod bucket;
mod directory;
mod examine;
mod foreign;
mod http;
pub mod memory;
mod probe;
mod rules;
mod spec;
mod supabase;
mod turns;

#[cfg(test)]
mod contract;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use backon::BackoffBuilder;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use tokio::sync::OnceCell;

use crate::error::{Code, Error, Result};
use crate::host::{Host, sleep};
use crate::meter::{ByObject, Count, METERS};
use turns::Turns;

pub use answer::{Failure, Meaning};
pub use examine::{Examination, examine};
pub use foreign::Foreign;
pub use spec::StoreSpec;

/// What is asked of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Store an object.
    Put,
    /// Read an object.
    Get,
    /// List names.
    List,
    /// Remove objects.
    Delete,
}

impl Asked {
    /// Whether the store is another one afterwards.
    pub fn changes(self) -> bool {
        matches!(self, Asked::Put | Asked::Delete)
    }
}

/// What a store tells about itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Findings {
    /// Whether anybody can read the objects in it, if that can be told.
    pub is_public: Option<bool>,
    /// How far its clock is ahead of this machine's, in milliseconds, if it tells.
    pub skew_ms: Option<i64>,
}

/// An object, as far as a listing tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name, without the folder.
    pub name: String,
    /// Its size.
    pub bytes: Option<u64>,
    /// When it was last stored, by the store's own clock, in milliseconds since 1970.
    pub modified_ms: Option<u64>,
}

/// What can be asked about a bucket as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// What it does by itself to objects of a certain age.
    Lifecycle,
    /// Whether what is replaced or removed is kept.
    Versioning,
}

/// What was said about a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Its own words: XML.
    Document(Bytes),
    /// Such a thing is not set.
    Nothing,
    /// This kind of store has no such thing.
    Impossible,
    /// This kind of store does not tell.
    Silence,
}

/// One kind of store. Names are relative to the bucket's prefix and consist of characters that every store takes.
#[async_trait]
pub trait Store: Send + Sync {
    /// Stores `bytes` under `name`. Done when every later LIST shows it.
    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), Failure>;
    /// The bytes under `name`, or `None` if there is no such object.
    async fn get(&self, name: &str) -> Result<Option<Bytes>, Failure>;
    /// All names in `folder` that start with `prefix`, without the folder, each once and in any order. Not those in folders
    /// below it.
    async fn list(&self, folder: &str, prefix: &str) -> Result<Vec<String>, Failure>;
    /// The same, with what the listing tells of each object beside its name.
    async fn details(&self, folder: &str, prefix: &str) -> Result<Vec<Listed>, Failure> {
        let names = self.list(folder, prefix).await?;
        Ok(names.into_iter().map(|name| Listed { name, bytes: None, modified_ms: None }).collect())
    }
    /// How many names one request to remove them takes.
    fn most_removed_at_once(&self) -> usize {
        usize::MAX
    }
    /// Removes objects, in one request. One that is not there is no failure.
    async fn delete(&self, names: Vec<String>) -> Result<(), Failure>;
    /// What it tells about itself; `name` is an object in it.
    async fn inspect(&self, _name: &str) -> Result<Findings, Failure> {
        Ok(Findings::default())
    }
    /// How the bucket is set up.
    async fn setting(&self, _which: Setting) -> Result<Told, Failure> {
        Ok(Told::Silence)
    }
}

/// The adapter for the store that `spec` names. Nothing is sent yet.
fn adapter(spec: &StoreSpec, host: Arc<dyn Host>) -> Result<Arc<dyn Store>> {
    Ok(match spec {
        StoreSpec::Directory { path } => Arc::new(directory::Directory::open(path)?),
        StoreSpec::Memory { .. } => Arc::new(memory::Memory::default()),
        StoreSpec::S3(spec) => Arc::new(bucket::Bucket::s3(spec, host)?),
        StoreSpec::Gcs(spec) => Arc::new(bucket::Bucket::gcs(spec, host)?),
        StoreSpec::Supabase(spec) => Arc::new(supabase::Supabase::new(spec, host)?),
    })
}

/// Reaches the bucket of others that `spec` names. Nothing is sent yet.
pub fn foreign(spec: &StoreSpec, host: Arc<dyn Host>) -> Result<Foreign> {
    Ok(match spec {
        StoreSpec::S3(s3) => Foreign::over(bucket::Bucket::s3(s3, Arc::clone(&host))?, spec, host),
        StoreSpec::Gcs(gcs) => Foreign::over(bucket::Bucket::gcs(gcs, Arc::clone(&host))?, spec, host),
        StoreSpec::Supabase(of) => Foreign::over(supabase::Supabase::new(of, Arc::clone(&host))?, spec, host),
        StoreSpec::Directory { .. } | StoreSpec::Memory { .. } => {
            return Err(Error::new(
                Code::InvalidOption,
                "this kind of store is not read as a bucket of others",
            ));
        }
    })
}

/// What the object store library tells of an object.
fn listed(name: &str, meta: &object_store::ObjectMeta) -> Listed {
    let modified_ms = u64::try_from(meta.last_modified.timestamp_millis()).ok();
    Listed { name: name.to_owned(), bytes: Some(meta.size), modified_ms }
}

/// `name` within the folder `prefix`, which may be empty.
fn joined(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") }
}

/// Where an object is counted, by what its name says it is; `None` for what belongs to no session.
fn kind_of(name: &str) -> Option<fn(&ByObject) -> &Count> {
    match name.rsplit_once('.') {
        _ if name.starts_with(crate::name::CLAIMS) => Some(|of| &of.mark),
        Some((_, "seg")) => Some(|of| &of.segment),
        Some((_, "base")) => Some(|of| &of.base),
        _ => None,
    }
}

/// How many requests went to the store, and how many bytes.
#[derive(Debug, Default, Serialize)]
pub struct Traffic {
    /// PUT requests.
    pub puts: AtomicU64,
    /// GET requests.
    pub gets: AtomicU64,
    /// LIST requests: one for each page.
    pub lists: AtomicU64,
    /// Objects asked to be removed.
    pub deletes: AtomicU64,
    /// Bytes of objects sent.
    pub sent: AtomicU64,
    /// Bytes of objects received.
    pub received: AtomicU64,
    /// Requests that failed.
    pub failures: AtomicU64,
}

impl Traffic {
    /// Adds what went to another store.
    pub fn include(&self, other: &Traffic) {
        let pairs = [
            (&self.puts, &other.puts),
            (&self.gets, &other.gets),
            (&self.lists, &other.lists),
            (&self.deletes, &other.deletes),
            (&self.sent, &other.sent),
            (&self.received, &other.received),
            (&self.failures, &other.failures),
        ];
        for (sum, more) in pairs {
            sum.fetch_add(more.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}

/// A store with patience: failures that may pass are tried again for a while. Clones share everything.
#[derive(Clone)]
pub struct Remote {
    store: Arc<dyn Store>,
    host: Arc<dyn Host>,
    turns: Arc<Turns>,
    fit: Arc<OnceCell<()>>,
    allow_public: bool,
    /// What went over the wire.
    pub traffic: Arc<Traffic>,
}

/// Tries of a request that somebody waits for. Background work has no bound, see the replicator.
const TRIES: usize = 6;
/// Requests under way at once to remove objects of one tenant, where it takes several.
const PARALLEL: usize = 8;
/// How long after the first try there is another one: a store that keeps silent takes long over each.
const PATIENCE: Duration = Duration::from_secs(30);
/// Requests under way at once, where nothing else is configured.
const PLACES: usize = 64;
/// Names in one page of a listing, in every store that pages.
const PAGE: usize = 1000;

impl Remote {
    /// Reaches `store`, which is known to be fit, from `host`.
    #[cfg(test)]
    pub fn new(store: Arc<dyn Store>, host: Arc<dyn Host>) -> Remote {
        Remote { fit: Arc::new(OnceCell::new_with(Some(()))), ..Remote::unknown(store, host, PLACES, false) }
    }

    fn unknown(store: Arc<dyn Store>, host: Arc<dyn Host>, places: usize, allow_public: bool) -> Remote {
        let turns = Arc::new(Turns::new(Arc::clone(&host), places));
        Remote { store, host, turns, fit: Arc::default(), allow_public, traffic: Arc::default() }
    }

    /// Reaches the store that `spec` names. Nothing is sent yet.
    pub fn connect(spec: &StoreSpec, host: Arc<dyn Host>) -> Result<Remote> {
        let http = spec.http();
        let places = http.map_or(PLACES, |http| http.max_concurrent_requests);
        let allow_public = http.is_some_and(|http| http.allow_public);
        Ok(Remote::unknown(adapter(spec, Arc::clone(&host))?, host, places, allow_public))
    }

    /// The machine it is reached from.
    pub fn host(&self) -> &Arc<dyn Host> {
        &self.host
    }

    /// Makes sure, once per process, that the store can do what is asked of it. Fails with what is missing.
    pub async fn require_fit(&self) -> Result<()> {
        self.fit.get_or_try_init(|| probe::probe(self, self.allow_public)).await.map(|_| ())
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

    /// Waits for a turn to try again.
    pub async fn turn_to_retry(&self) {
        self.turns.again().await;
    }

    /// Stores an object, trying again while that may help.
    pub async fn put(&self, name: &str, bytes: Bytes) -> Result<()> {
        self.patiently("storing an object", || self.put_once(name, bytes.clone())).await
    }

    /// Stores an object, once.
    pub async fn put_once(&self, name: &str, bytes: Bytes) -> Result<(), Failure> {
        let len = bytes.len() as u64;
        self.once(name, async {
            self.traffic.puts.fetch_add(1, Ordering::Relaxed);
            self.traffic.sent.fetch_add(len, Ordering::Relaxed);
            self.store.put(name, bytes).await?;
            if let Some(of) = kind_of(name) {
                of(&METERS.uploads).one();
                of(&METERS.uploaded).add(len);
            }
            Ok(())
        })
        .await
    }

    /// Reads an object, trying again while that may help.
    pub async fn get(&self, name: &str) -> Result<Option<Bytes>> {
        self.patiently("reading an object", || self.get_once(name)).await
    }

    /// Reads an object, once.
    pub async fn get_once(&self, name: &str) -> Result<Option<Bytes>, Failure> {
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
        self.patiently("listing objects", || self.list_once(folder, prefix)).await
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
    pub async fn details(&self, folder: &str, prefix: &str) -> Result<Vec<Listed>> {
        self.patiently("listing objects", || self.details_once(folder, prefix)).await
    }

    /// Lists a folder with what is told of each object, once.
    pub async fn details_once(&self, folder: &str, prefix: &str) -> Result<Vec<Listed>, Failure> {
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
            self.patiently("removing objects", || self.delete_once(batch.clone())).await
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
    async fn once<T>(
        &self,
        name: &str,
        request: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let _place = self.turns.place(name.starts_with(crate::name::CLAIMS)).await;
        let answer = request.await;
        match &answer {
            Ok(_) => self.turns.earn(),
            Err(failure) => {
                self.traffic.failures.fetch_add(1, Ordering::Relaxed);
                failure.meaning.count().one();
            }
        }
        answer
    }

    /// Asks until there is an answer, a final refusal, or patience ends.
    pub async fn patiently<T, F>(&self, doing: &str, ask: impl Fn() -> F + Send + Sync) -> Result<T>
    where
        F: Future<Output = Result<T, Failure>> + Send,
    {
        self.persistently(ask).await.map_err(|failure| failure.error(doing))
    }

    async fn persistently<T, F>(&self, ask: impl Fn() -> F + Send + Sync) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>> + Send,
    {
        let mut delays = self.backoff(Duration::from_secs(3)).take(TRIES - 1);
        let began = self.host.now();
        loop {
            match ask().await {
                Ok(answer) => return Ok(answer),
                Err(failure) => {
                    match delays.next().filter(|_| failure.may_pass() && self.host.now() - began < PATIENCE) {
                        Some(delay) => {
                            sleep(failure.pause(delay)).await;
                            self.turns.again().await;
                        }
                        None => return Err(failure),
                    }
                }
            }
        }
    }
}
