//! A store in memory: what a store must do, as plainly as it can be said, and every way in which it may fail to.
//!
//! Tests and the simulation use it. It panics when a name is written with a second content (I1), lists page by page with
//! other requests in between, and fails before or after a request takes effect as its script says.
#![expect(
    clippy::disallowed_methods,
    reason = "a late delivery belongs to no host: it outlives the one that sent it"
)]
#![allow(dead_code, reason = "`memory:` stores work as they should; only tests script their failures")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::broadcast;

use crate::format::name::notice;
use crate::store::{BucketAnswer, Failure, Incarnation, Meaning, Notice, Setting, Store};

/// A request, as the script and the trace see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Store an object.
    Put,
    /// Read an object.
    Get,
    /// Read one page of a listing.
    List,
    /// Remove objects.
    Delete,
}

/// Fate of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It succeeds.
    Done,
    /// It fails and has no effect.
    FailBefore,
    /// It is refused with this meaning, and has no effect.
    Refuse(Meaning),
    /// It takes effect, and the answer is lost.
    FailAfter,
    /// The answer is lost, and the effect comes this much later, whatever became of the sender.
    Late(Duration),
    /// It succeeds, and the network delivers it once more, this much later.
    Twice(Duration),
}

/// Decides, before each request, how long it takes and what befalls it.
pub type Script = dyn Fn(Request, &str) -> (Duration, Fate) + Send + Sync;

/// Sees each request that took effect.
pub type Observer = dyn Fn(Request, &str, &BTreeMap<String, Bytes>) + Send + Sync;

/// A store in memory. Clones share the same objects.
#[derive(Clone, Default)]
pub struct Memory {
    objects: Arc<Mutex<BTreeMap<String, Bytes>>>,
    script: Option<Arc<Script>>,
    observer: Option<Arc<Observer>>,
    page: Option<usize>,
    limit: Option<Arc<AtomicUsize>>,
    server: Option<Server>,
    /// True if an object is stored and names are listed in one exchange.
    folds: bool,
    /// Notices of changed claims for those who listen.
    told: Option<broadcast::Sender<Notice>>,
}

/// The server behind the objects, as one client knows it: another one may take its place, and says so.
#[derive(Clone)]
struct Server {
    /// The number of the one that answers now.
    now: Arc<AtomicU64>,
    /// The number of the one that answered last; 0 before the first answer.
    known: Arc<AtomicU64>,
}

impl Server {
    /// Connects for a request: one that was asked of another server is not sent to this one.
    fn connect(&self) -> Result<u64, Failure> {
        let now = self.now.load(Ordering::Relaxed);
        match self.known.swap(now, Ordering::Relaxed) {
            known if known == 0 || known == now => Ok(now),
            _ => Err(Failure::new(Meaning::Transient, "another server answers")),
        }
    }
}

impl Memory {
    /// The same objects, reached through a network that behaves as `script` says, `page` names at a time.
    pub fn through(&self, script: Arc<Script>, page: usize) -> Memory {
        Memory { script: Some(script), page: Some(page.max(1)), ..self.clone() }
    }

    /// The same objects, with `observer` seeing every request that takes effect.
    pub fn observed(&self, observer: Arc<Observer>) -> Memory {
        Memory { observer: Some(observer), ..self.clone() }
    }

    /// The same objects, of which none may have more than `limit` bytes.
    pub fn limited(&self, limit: Arc<AtomicUsize>) -> Memory {
        Memory { limit: Some(limit), ..self.clone() }
    }

    /// The same objects for a new client, behind the server whose number is `now`; `folds` if it lists in the exchange that stores.
    pub fn served_by(&self, now: Arc<AtomicU64>, folds: bool) -> Memory {
        Memory { server: Some(Server { now, known: Arc::default() }), folds, ..self.clone() }
    }

    /// The same objects, with notices of changed claims.
    pub fn telling(&self) -> Memory {
        Memory { told: Some(broadcast::channel(16).0), ..self.clone() }
    }

    /// The objects, to look at or to tamper with.
    pub fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Bytes>> {
        self.objects.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn request<T: Send>(
        &self,
        kind: Request,
        name: &str,
        effect: impl Fn(&mut BTreeMap<String, Bytes>) -> T + Send + Sync + 'static,
    ) -> Result<T, Failure> {
        let (time, fate) =
            self.script.as_ref().map_or((Duration::ZERO, Fate::Done), |script| script(kind, name));
        let connected = self.server.as_ref().map(Server::connect).transpose()?;
        // Half of the time passes before the effect and half after it, as on a network.
        pause(time / 2).await;
        let lost = |meaning, detail: &str| Err(Failure::new(meaning, detail));
        if connected != self.serving() {
            return lost(Meaning::Ambiguous, "the connection broke");
        }
        match fate {
            Fate::FailBefore => return lost(Meaning::Transient, "refused by the script"),
            Fate::Refuse(meaning) => return lost(meaning, "refused by the script"),
            Fate::Late(later) => {
                self.later(kind, name, later, effect);
                return lost(Meaning::Ambiguous, "the answer was lost");
            }
            Fate::Done | Fate::FailAfter | Fate::Twice(_) => {}
        }
        let answer = self.take_effect(kind, name, &effect);
        if let Fate::Twice(later) = fate {
            self.later(kind, name, later, effect);
        }
        pause(time / 2).await;
        if connected != self.serving() {
            return lost(Meaning::Ambiguous, "the connection broke");
        }
        if fate == Fate::FailAfter { lost(Meaning::Ambiguous, "the answer was lost") } else { Ok(answer) }
    }

    /// The number of the server that answers now.
    fn serving(&self) -> Option<u64> {
        self.server.as_ref().map(|server| server.now.load(Ordering::Relaxed))
    }

    fn take_effect<T>(
        &self,
        kind: Request,
        name: &str,
        effect: &impl Fn(&mut BTreeMap<String, Bytes>) -> T,
    ) -> T {
        let mut objects = self.objects();
        let answer = effect(&mut objects);
        if let Some(observer) = &self.observer {
            observer(kind, name, &objects);
        }
        answer
    }

    /// The network delivers a request on its own, when its sender may be long gone.
    fn later<T>(
        &self,
        kind: Request,
        name: &str,
        later: Duration,
        effect: impl Fn(&mut BTreeMap<String, Bytes>) -> T + Send + 'static,
    ) {
        let (store, name, connected) = (self.clone(), name.to_owned(), self.serving());
        tokio::spawn(async move {
            pause(later).await;
            if store.serving() == connected {
                store.take_effect(kind, &name, &effect);
            }
        });
    }
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        crate::platform::host::sleep(time).await;
    }
}

#[async_trait]
impl Store for Memory {
    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), Failure> {
        if self.limit.as_ref().is_some_and(|limit| bytes.len() > limit.load(Ordering::Relaxed)) {
            return Err(Failure::new(Meaning::TooLarge, "larger than the limit"));
        }
        let object = name.to_owned();
        self.request(Request::Put, name, move |objects| {
            let before = objects.insert(object.clone(), bytes.clone());
            assert!(
                before.is_none_or(|before| before == bytes),
                "I1: {object} was written with two contents"
            );
        })
        .await?;
        if let (Some(told), Some(notice)) = (&self.told, notice(name)) {
            // Nobody may be listening.
            let _ = told.send(notice);
        }
        Ok(())
    }

    async fn put_then_list(
        &self,
        name: &str,
        bytes: Bytes,
        folder: &str,
        prefix: &str,
    ) -> Result<Option<Vec<String>>, Failure> {
        self.put(name, bytes).await?;
        Ok(if self.folds { self.list(folder, prefix).await.ok() } else { None })
    }

    fn incarnation(&self) -> Option<Incarnation> {
        let known = self.server.as_ref()?.known.load(Ordering::Relaxed);
        (known > 0).then(|| Incarnation::of(&known.to_string()))
    }

    fn notices(&self) -> Option<broadcast::Receiver<Notice>> {
        self.told.as_ref().map(broadcast::Sender::subscribe)
    }

    async fn get(&self, name: &str) -> Result<Option<Bytes>, Failure> {
        let object = name.to_owned();
        self.request(Request::Get, name, move |objects| objects.get(&object).cloned()).await
    }

    async fn list(&self, folder: &str, prefix: &str) -> Result<Vec<String>, Failure> {
        let folder = format!("{folder}/");
        let start = format!("{folder}{prefix}");
        let page = self.page.unwrap_or(usize::MAX);
        let mut names: Vec<String> = Vec::new();
        loop {
            let after = names.last().map_or_else(|| start.clone(), |last| format!("{folder}{last}\0"));
            let (from, within) = (start.clone(), folder.clone());
            let read = move |objects: &mut BTreeMap<String, Bytes>| {
                let found = objects.range(after.clone()..).map(|(name, _)| name);
                let found = found.take_while(|name| name.starts_with(&from));
                found
                    .take(page)
                    .filter_map(|name| name.strip_prefix(&within))
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            let more = self.request(Request::List, &start, read).await?;
            let last_page = more.len() < page;
            names.extend(more);
            if last_page {
                // What lies in folders below is not asked for.
                names.retain(|name| !name.contains('/'));
                return Ok(names);
            }
        }
    }

    async fn setting(&self, which: Setting) -> Result<BucketAnswer, Failure> {
        let limit = self.limit.as_ref().filter(|_| which == Setting::Largest);
        Ok(limit
            .map_or(BucketAnswer::Silence, |limit| BucketAnswer::Bytes(limit.load(Ordering::Relaxed) as u64)))
    }

    async fn delete(&self, names: Vec<String>) -> Result<(), Failure> {
        let label = names.first().cloned().unwrap_or_default();
        self.request(Request::Delete, &label, move |objects| {
            for name in &names {
                objects.remove(name);
            }
        })
        .await
    }
}
