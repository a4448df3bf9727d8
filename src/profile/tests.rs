//! Backups, restores, losses and owners, on real files and a store in memory.

mod backups;
mod losses;
mod owners;
mod schedules;
mod stores;

use std::collections::BTreeMap;
use std::convert::identity;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;

use super::snapshot::{SnapshotRequest, Writer};
use super::*;
use crate::error::{Code, Error};
use crate::format::seal::Ring;
use crate::ownership::listing::SharedListing;
use crate::platform::disk::Disk;
use crate::platform::disk::memory::MemoryDisk;
use crate::platform::host::{Host, sleep};
use crate::session::open::{Settings, Site, open};
use crate::session::{OriginSource, Session};
use crate::sim::{Cluster, SimHost};
use crate::store::RetryingStore;
use crate::store::adapters::memory::{Fate, Memory, Request};

const WAIT: Duration = Duration::from_secs(30);
/// The folder that a test keeps: no database, so that any bytes will do.
const KEPT: &str = "Kept";

type Contents = BTreeMap<String, Vec<u8>>;

/// A machine with a disk, a profile and its session.
struct Place {
    folder: TempDir,
    disk: Arc<MemoryDisk>,
    keeper: Keeper,
}

impl Place {
    fn new() -> Place {
        // Thousands of syncs, none of which a test waits for a disk for.
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
        Place { folder: folder.expect("room"), disk: Arc::default(), keeper: Keeper::default() }
    }

    async fn open_with(
        &self,
        store: &Memory,
        keys: &[u8],
        how: impl FnOnce(Settings) -> Settings,
    ) -> Result<Session, Error> {
        let host = SimHost::new(1, tokio::time::Instant::now());
        self.open_on(host, store, keys, how).await
    }

    async fn open_on(
        &self,
        host: Arc<dyn Host>,
        store: &Memory,
        keys: &[u8],
        how: impl FnOnce(Settings) -> Settings,
    ) -> Result<Session, Error> {
        let site = Site::of(Arc::new(store.clone()), &host);
        let keys: Vec<u8> = keys.iter().flat_map(|byte| [*byte; 32]).collect();
        let ring = Arc::new(Ring::new(&keys).expect("whole keys"));
        let settings = how(Cluster::settings_for_tests().with_keys(ring).of_profile());
        let disk: Arc<dyn Disk> = Arc::clone(&self.disk) as Arc<dyn Disk>;
        open(host, disk, settings, Some(site), None, Arc::new(|_| {})).await
    }

    async fn open(&self, store: &Memory) -> Session {
        self.open_with(store, &[7], identity).await.expect("opens")
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let at = self.folder.path().join("profile").join(KEPT).join(path);
        std::fs::create_dir_all(at.parent().expect("below")).expect("room");
        std::fs::write(at, bytes).expect("room");
    }

    fn remove(&self, path: &str) {
        std::fs::remove_file(self.folder.path().join("profile").join(KEPT).join(path)).expect("is there");
    }

    fn order(&self, keep: usize) -> BackupOrder {
        let snapshot = SnapshotRequest {
            directory: self.folder.path().join("profile"),
            scratch: self.folder.path().join("scratch"),
            writer: Writer::None,
            extra: vec![KEPT.to_owned()],
        };
        let marker = Some(self.folder.path().join("holds.json"));
        BackupOrder {
            snapshot: Arc::new(snapshot),
            keep,
            marker,
            audit: false,
            refresh: WAIT * 100_000,
            timeout: WAIT,
        }
    }

    async fn back_up(&self, session: &Session) -> BackupReport {
        self.keeper.backup(session, self.order(3)).await.expect("is stored")
    }

    fn contents(&self) -> Contents {
        read(&self.folder.path().join("profile"))
    }

    async fn restored(&self, session: &Session, generation: Option<u64>) -> Result<Contents, Code> {
        let to = self.folder.path().join(format!("restored-{}", rand()));
        restore(session, to.clone(), generation).await.map_err(|error| error.code())?;
        Ok(read(&to))
    }
}

/// A number that was not given before.
fn rand() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

fn read(folder: &Path) -> Contents {
    fn visit(root: &Path, folder: &Path, found: &mut Contents) {
        for item in std::fs::read_dir(folder).expect("is there") {
            let path = item.expect("reads").path();
            if path.is_dir() {
                visit(root, &path, found);
            } else {
                let name = path.strip_prefix(root).expect("below").to_string_lossy().replace('\\', "/");
                found.insert(name, std::fs::read(path).expect("reads"));
            }
        }
    }
    let mut found = Contents::new();
    visit(folder, folder, &mut found);
    found
}

fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

fn packs(store: &Memory) -> Vec<String> {
    store.objects().keys().filter(|name| name.starts_with("v1/packs/")).cloned().collect()
}

/// Counts requests of a store.
fn counted(store: &Memory) -> (Memory, Arc<Mutex<BTreeMap<String, usize>>>) {
    let seen: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
    let counts = Arc::clone(&seen);
    let script = move |request: Request, _: &str| {
        *counts.lock().expect("is whole").entry(format!("{request:?}")).or_default() += 1;
        (Duration::ZERO, Fate::Done)
    };
    (store.through(Arc::new(script), 1000), seen)
}
