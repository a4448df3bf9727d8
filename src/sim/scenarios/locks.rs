//! Locks that fall with a connection: a successor does not wait for an owner that is gone, and waits for one that is there.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;

use super::super::cluster::{CHECK, Cluster, hold};
use super::super::outages::{session_with, set};
use super::super::run;
use crate::ownership::lease::handover_wait;
use crate::session::Mode;
use crate::session::open::Settings;
use crate::store::adapters::memory::Memory;
use crate::store::{Failure, Store};

const LONG: Duration = Duration::from_secs(600);

/// A store with locks, as one process reaches it.
#[derive(Clone)]
struct Locking {
    memory: Memory,
    locks: Arc<Mutex<BTreeSet<u64>>>,
}

#[async_trait]
impl Store for Locking {
    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), Failure> {
        self.memory.put(name, bytes).await
    }
    async fn get(&self, name: &str) -> Result<Option<Bytes>, Failure> {
        self.memory.get(name).await
    }
    async fn list(&self, folder: &str, prefix: &str) -> Result<Vec<String>, Failure> {
        self.memory.list(folder, prefix).await
    }
    async fn delete(&self, names: Vec<String>) -> Result<(), Failure> {
        self.memory.delete(names).await
    }
    async fn hold_lock(&self, lock: u64) -> bool {
        hold(&self.locks).insert(lock)
    }
    fn release_lock(&self, lock: u64) {
        hold(&self.locks).remove(&lock);
    }
    async fn is_lock_free(&self, lock: u64) -> Result<bool, Failure> {
        Ok(!hold(&self.locks).contains(&lock))
    }
}

/// The time that a successor takes to open beside an owner that does nothing, `connected` or not.
async fn wait(mode: Mode, connected: bool) -> (Duration, usize) {
    let store = Locking { memory: Memory::default(), locks: Arc::default() };
    let settings = || Cluster::settings_for_tests().in_mode(mode);
    let (owner, _) = session_with(Arc::new(store.clone()), settings()).await.expect("opens");
    set(&owner, 1);
    owner.flush(LONG).await.expect("is stored");
    let held = hold(&store.locks).len();
    // It is killed: nothing of it runs any more.
    owner.journal().end(crate::journal::Life::Poisoned);
    if !connected {
        hold(&store.locks).clear();
    }
    let began = Instant::now();
    let (heir, _) = session_with(Arc::new(store.clone()), settings()).await.expect("opens");
    let took = began.elapsed();
    assert_eq!(heir.journal().lsn(), 1);
    heir.close(LONG).await.expect("closes");
    drop((heir, owner));
    (took, held)
}

#[test]
fn a_successor_does_not_wait_for_an_owner_without_a_log_whose_connection_is_gone() {
    run(async {
        let (gone, held) = wait(Mode::Cloud, false).await;
        assert!(gone < Duration::from_secs(1), "{gone:?}");
        assert_eq!(held, 1);
        let (there, _) = wait(Mode::Cloud, true).await;
        assert!(there >= handover_wait(CHECK), "{there:?}");
    });
}

#[test]
fn an_owner_with_a_log_holds_no_lock_for_it_has_more_than_was_promised_elsewhere() {
    run(async {
        let (took, held) = wait(Mode::Hybrid, false).await;
        assert_eq!(held, 0);
        assert!(took >= handover_wait(CHECK), "{took:?}");
    });
}

#[test]
fn a_lock_is_released_with_its_owner() {
    run(async {
        let store = Locking { memory: Memory::default(), locks: Arc::default() };
        let settings = Cluster::settings_for_tests().in_mode(Mode::Cloud);
        let (owner, _) = session_with(Arc::new(store.clone()), settings).await.expect("opens");
        assert_eq!(hold(&store.locks).len(), 1);
        owner.close(LONG).await.expect("closes");
        drop(owner);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(hold(&store.locks).len(), 0);
    });
}
