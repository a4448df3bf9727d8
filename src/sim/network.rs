//! The way from one process to the store: bytes take time, removals may be done in part, and every request is counted.
//!
//! What befalls a request is decided in `weather`; the oracle sees it at the instant at which it takes effect, also when its
//! answer is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::broadcast;
use tokio::time::Instant;

use crate::format::name::notice;
use crate::platform::host::sleep;
use crate::store::adapters::memory::{Fate, Memory, Request};
use crate::store::{Failure, Incarnation, Meaning, Notice, Store};

use super::cluster::{Cluster, fold, hold};
use super::host::Rng;
use super::sometimes::{Moment, saw};

/// The store as one process reaches it.
pub struct Network {
    memory: Memory,
    cluster: Arc<Cluster>,
    /// The process, and its machine.
    number: u64,
    machine: usize,
    rng: Mutex<Rng>,
    /// Questions under way, by their names, with the number of each.
    asked: Mutex<BTreeMap<String, Vec<u64>>>,
    /// Names that it knows to be stored.
    stored: Mutex<BTreeSet<String>>,
    /// The connection, as long as the process is there.
    connection: Arc<()>,
}

impl Network {
    /// The store as process `number` on `machine` reaches it.
    pub(super) fn new(cluster: &Arc<Cluster>, number: u64, machine: usize) -> Network {
        let (rng, own) = {
            let mut seeds = hold(&cluster.seeds);
            (Rng::new(seeds.next()), Rng::new(seeds.next()))
        };
        let oracles = cluster.oracles.clone();
        let observed = cluster.store.observed(Arc::new(move |request, name, objects| {
            for oracle in &oracles {
                hold(oracle).saw(number, request, name, objects);
            }
        }));
        let (rng, shared) = (Mutex::new(rng), Arc::downgrade(cluster));
        let script = move |request, name: &str| {
            let Some(cluster) = shared.upgrade() else { return (Duration::ZERO, Fate::Done) };
            let (time, mut fate) = cluster.sky.over(machine, request, name).befalls(&mut hold(&rng));
            if cluster.outage.load(Ordering::Relaxed) {
                fate = Fate::FailBefore;
            }
            if matches!(fate, Fate::Refuse(Meaning::Throttled(Some(_)))) {
                saw(Moment::Throttled);
            }
            // Formatting this would take longer than the request.
            let (what, later) = sort(fate);
            let numbers = [number, request as u64, nanos(cluster.start.elapsed()), nanos(time), what, later];
            let told = numbers.iter().fold(cluster.digest(), |sum, part| fold(sum, &part.to_le_bytes()));
            cluster.digest.store(fold(told, name.as_bytes()), Ordering::Relaxed);
            (time, fate)
        };
        let mut memory = observed.through(Arc::new(script), cluster.page);
        if cluster.tells.load(Ordering::Relaxed) {
            memory = memory.served_by(Arc::clone(&cluster.server), false);
        }
        let cluster = Arc::clone(cluster);
        Network {
            memory,
            cluster,
            number,
            machine,
            rng: Mutex::new(own),
            asked: Mutex::default(),
            stored: Mutex::default(),
            connection: Arc::default(),
        }
    }

    async fn transfer(&self, request: Request, name: &str, bytes: usize) {
        let time = self.cluster.sky.over(self.machine, request, name).transfer(bytes);
        if !time.is_zero() {
            sleep(time).await;
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A fate as numbers.
fn sort(fate: Fate) -> (u64, u64) {
    match fate {
        Fate::Done => (0, 0),
        Fate::FailBefore => (1, 0),
        Fate::Refuse(_) => (2, 0),
        Fate::FailAfter => (3, 0),
        Fate::Late(later) => (4, nanos(later)),
        Fate::Twice(later) => (5, nanos(later)),
    }
}

/// An upload under way, as long as somebody waits for it.
struct Upload<'a>(&'a Cluster);

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        self.0.uploads.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A listing under way, as long as somebody waits for it.
struct Asking<'a> {
    cluster: &'a Cluster,
    process: u64,
    name: String,
    began: Instant,
    is_answered: bool,
}

impl Asking<'_> {
    fn begin(cluster: &Cluster, process: u64, name: String) -> Asking<'_> {
        for oracle in &cluster.oracles {
            hold(oracle).asks(process, &name);
        }
        Asking { cluster, process, name, began: Instant::now(), is_answered: false }
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        for oracle in &self.cluster.oracles {
            hold(oracle).asked(self.process, &self.name, self.began, self.is_answered);
        }
    }
}

/// True if `name` is a claim itself, without a mark.
fn is_claim(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or_default();
    name.starts_with("v1/claims/")
        && ![".live", ".leaving", ".released", ".deleted"].iter().any(|mark| file.ends_with(mark))
}

#[async_trait]
impl Store for Network {
    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), Failure> {
        for oracle in &self.cluster.oracles {
            hold(oracle).tries(self.number, name);
        }
        let is_data = name.contains("/data/");
        if is_data {
            self.cluster.uploads.fetch_add(1, Ordering::Relaxed);
        } else if is_claim(name) && self.cluster.uploads.load(Ordering::Relaxed) > 0 {
            saw(Moment::ClaimDuringUpload);
        }
        let _upload = is_data.then(|| Upload(&self.cluster));
        self.transfer(Request::Put, name, bytes.len()).await;
        self.memory.put(name, bytes).await?;
        if let Some(notice) = notice(name).filter(|_| hold(&self.rng).chance(70)) {
            // Nobody may be listening, and some are lost.
            let _ = self.cluster.told.send(notice);
        }
        // What is known to be stored is stored once more only so that it does not grow old.
        if !hold(&self.stored).insert(name.to_owned()) {
            saw(Moment::StoredAnew);
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
        if !self.cluster.folds.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let names = self.list(folder, prefix).await.ok();
        saw(if names.is_some() { Moment::Folded } else { Moment::HalfFolded });
        Ok(names)
    }

    async fn hold_lock(&self, lock: u64) -> bool {
        let holds = self.cluster.notifies.load(Ordering::Relaxed) && hold(&self.rng).chance(80);
        if holds {
            hold(&self.cluster.locks).insert(lock, Arc::downgrade(&self.connection));
        }
        holds
    }

    fn release_lock(&self, lock: u64) {
        hold(&self.cluster.locks).remove(&lock);
    }

    async fn is_lock_free(&self, lock: u64) -> Result<bool, Failure> {
        let holder = hold(&self.cluster.locks).get(&lock).cloned();
        let is_gone = holder.is_none_or(|connection| connection.strong_count() == 0);
        if is_gone {
            saw(Moment::LockFree);
        }
        // A connection may be down for a moment while its process runs.
        Ok(is_gone || hold(&self.rng).chance(10))
    }

    fn notices(&self) -> Option<broadcast::Receiver<Notice>> {
        self.cluster.notifies.load(Ordering::Relaxed).then(|| self.cluster.told.subscribe())
    }

    fn incarnation(&self) -> Option<Incarnation> {
        self.memory.incarnation()
    }

    async fn get(&self, name: &str) -> Result<Option<Bytes>, Failure> {
        let mut answer = self.memory.get(name).await?;
        if let Some(shown) = self.cluster.stale(name) {
            answer = shown.get(name).cloned();
        }
        if let Some(bytes) = &answer {
            self.transfer(Request::Get, name, bytes.len()).await;
        }
        Ok(answer)
    }

    async fn list(&self, folder: &str, prefix: &str) -> Result<Vec<String>, Failure> {
        let name = format!("{folder}/{prefix}");
        let number = self.cluster.questions.fetch_add(1, Ordering::Relaxed);
        hold(&self.asked).entry(name.clone()).or_default().push(number);
        let mut asking = Asking::begin(&self.cluster, self.number, name.clone());
        let mut answer = self.memory.list(folder, prefix).await;
        asking.is_answered = answer.is_ok();
        drop(asking);
        if answer.is_ok()
            && let Some(shown) = self.cluster.stale(&name)
        {
            let within = format!("{folder}/");
            let names = shown.keys().filter_map(|name| name.strip_prefix(&within));
            answer = Ok(names.filter(|name| name.starts_with(prefix)).map(str::to_owned).collect());
        }
        let mut asked = hold(&self.asked);
        if let Some(under_way) = asked.get_mut(&name) {
            // One whose asker gave it up stays: it was earlier, and has no answer yet.
            if answer.is_ok() && under_way.iter().any(|other| *other < number) {
                saw(Moment::LaterQuestionFirst);
            }
            under_way.retain(|other| *other > number || (answer.is_err() && *other != number));
        }
        drop(asked);
        if prefix.is_empty() {
            saw(Moment::SharedListing);
        }
        if let (Ok(names), "v1/claims") = (&answer, folder) {
            self.cluster.oracle().was_shown(self.number, names);
        }
        answer
    }

    async fn delete(&self, mut names: Vec<String>) -> Result<(), Failure> {
        let label = names.first().cloned().unwrap_or_default();
        let partial = self.cluster.sky.over(self.machine, Request::Delete, &label).partial;
        let done = {
            let mut rng = hold(&self.rng);
            (rng.chance(partial) && names.len() > 1).then(|| rng.below(names.len() as u64))
        };
        let Some(done) = done else { return self.memory.delete(names).await };
        saw(Moment::PartialRemoval);
        names.truncate(usize::try_from(done).unwrap_or(0));
        if !names.is_empty() {
            self.memory.delete(names).await?;
        }
        Err(Failure::new(Meaning::Transient, "only a part was removed"))
    }
}
