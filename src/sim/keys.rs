//! The keys of a cluster, as an operator turns them over: a new one is put first, sessions are sealed anew, old ones are dropped.
//!
//! An old key goes only when a session was sealed anew and nothing that is kept needs it, as `rekey` reports it. From then on it
//! must open everywhere without: a copy of the store as it was at that moment is restored with the new key alone.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::format::name::{ClaimName, DataName};
use crate::format::object::Object;
use crate::format::seal::Ring;
use crate::id::{Claim, Lsn};
use crate::ownership::decide::Claims;
use crate::ownership::listing::SharedListing;
use crate::platform::disk::memory::MemoryDisk;
use crate::platform::host::Host;
use crate::session::open::{Settings, Site, open, whole};
use crate::store::RetryingStore;
use crate::store::adapters::memory::Memory;

use super::cluster::{CHECK, Cluster, hold};
use super::host::SimHost;

/// The number of a key; a higher one is a newer key.
pub type Number = u8;

/// Keys with which processes are started, the newest first. No key: nothing is encrypted.
pub struct Keys {
    oldest: Number,
    newest: Number,
    /// The key that each running process seals with.
    running: BTreeMap<u64, Number>,
    /// Sessions that were sealed anew, and are still to be looked at.
    sealed: Vec<Sealed>,
    /// Number of times that this was done with nothing left that needs another key.
    pub complete: usize,
}

/// A store in which one key is needed.
struct Sealed {
    with: Number,
    store: Memory,
    /// The LSN that a restore must reach.
    reached: Lsn,
}

impl Default for Keys {
    fn default() -> Keys {
        Keys { oldest: 1, newest: 0, running: BTreeMap::new(), sealed: Vec::new(), complete: 0 }
    }
}

fn ring(keys: RangeInclusive<Number>) -> Arc<Ring> {
    let bytes: Vec<u8> = keys.rev().flat_map(|number| [number; 32]).collect();
    Arc::new(Ring::new(&bytes).expect("whole keys"))
}

impl Keys {
    /// The keys with which a process is started now.
    pub fn ring(&self) -> Arc<Ring> {
        ring(self.oldest..=self.newest)
    }

    /// True if a process that seals with `key`, beside a log that needs `logged`, may lack one.
    pub fn may_lack(&self, key: Number, logged: Number) -> bool {
        key < self.newest || logged < self.oldest
    }

    /// True if all keys but the newest were dropped.
    pub fn is_single(&self) -> bool {
        self.oldest == self.newest
    }

    /// A new key is put first.
    pub fn rotate(&mut self) {
        self.newest += 1;
    }

    /// The process numbered `process` starts. Gives the key that it seals with.
    pub fn start(&mut self, process: u64) -> Number {
        self.running.insert(process, self.newest);
        self.newest
    }

    /// The process ended.
    pub fn end(&mut self, process: u64) {
        self.running.remove(&process);
    }

    /// Drops what is older than `key`, unless somebody still runs who knows no newer one: such a one could start a session anew
    /// where one was deleted.
    fn drop_older_than(&mut self, key: Number) {
        if self.running.values().all(|running| *running >= key) {
            self.oldest = self.oldest.max(key);
        }
    }
}

impl Cluster {
    /// The session of `claim` was sealed anew with the key numbered `with`, up to `reached`.
    pub fn sealed_anew(&self, claim: Claim, with: Number, reached: Lsn) {
        let (tenant, objects) = (self.oracle().tenant().clone(), self.store.objects().clone());
        let marks =
            || objects.keys().filter_map(|name| ClaimName::parse(&tenant, name.strip_prefix("v1/claims/")?));
        let claims: Claims = marks().collect();
        if claims.floor() >= Some(claim) {
            return;
        }
        let needed = |name: &str| {
            let file = name.rsplit('/').next().unwrap_or_default();
            let of = ClaimName::parse(&tenant, file).map(|mark| mark.claim);
            DataName::parse(file).is_some() || (of.is_some() && of == claims.highest())
        };
        let [id] = ring(with..=with).ids()[..] else { return };
        let mut kept = objects.iter().filter(|(name, _)| needed(name));
        if kept.any(|(_, bytes)| Object::read(bytes.clone()).expect("whole").key_id() != Some(id)) {
            return;
        }
        let store = Memory::default();
        *store.objects() = objects;
        let mut keys = hold(&self.keys);
        keys.drop_older_than(with);
        keys.complete += 1;
        keys.sealed.push(Sealed { with, store, reached });
    }

    /// Restores what was sealed anew since, with the one key that it was sealed with: every way, and then in earnest.
    pub async fn restore_what_was_sealed_anew(&self) {
        let sealed = std::mem::take(&mut hold(&self.keys).sealed);
        for Sealed { with, store, reached } in sealed {
            let host: Arc<dyn Host> = SimHost::new(u64::from(with), self.start);
            let site = Site::of(Arc::new(store), &host);
            let settings = Cluster::settings_for_tests().with_keys(ring(with..=with)).in_folder("/blank");
            let settings = settings.taking_over().existing();
            let audit = whole(&settings.address, site.clone()).await;
            let (_, audit) =
                audit.unwrap_or_else(|error| panic!("key {with} alone does not read all of it: {error:?}"));
            assert!(audit.damage.is_empty(), "a way needs more than key {with}: {:?}", audit.damage);
            assert!(audit.restored.end.lsn >= reached, "{} of {reached}", audit.restored.end.lsn);
            let disk = Arc::new(MemoryDisk::default());
            let heir = open(host, disk, settings, Some(site), None, Arc::new(|_| {})).await;
            let heir = heir.unwrap_or_else(|error| panic!("key {with} alone does not open it: {error:?}"));
            assert_eq!(heir.journal().lsn(), audit.restored.end.lsn);
            heir.close(CHECK).await.expect("closes");
        }
    }
}
