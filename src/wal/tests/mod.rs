//! Tests of the log. The oracle is one history of batches: whatever recovery gives must be a prefix of it, byte for byte,
//! and hold everything that was promised.

mod choose;
mod crash;
mod damage;
mod folder;
mod golden;
mod lock;
mod reader;
mod rot;
mod torn;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::error::Result;
use crate::format::record::{key, push};
use crate::format::seal::{Ring, visible_tag};
use crate::id::{Claim, Lsn, OwnerId, TenantTag};
use crate::platform::disk::Disk;
use crate::platform::disk::memory::MemoryDisk;
use crate::platform::host::{Host, Job, Lane, Task};

use super::frame::{FRAME_LEN, HEADER_LEN};
use super::recover::{DamagedLog, RecoveredLog};
use super::*;

/// A host whose randomness counts up from a seed.
struct CountingHost(AtomicU64);

impl CountingHost {
    fn new(seed: u64) -> CountingHost {
        CountingHost(AtomicU64::new(seed))
    }
}

impl Host for CountingHost {
    fn now(&self) -> Duration {
        Duration::ZERO
    }

    fn wall_ms(&self) -> u64 {
        0
    }

    fn random(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let next = self.0.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            chunk.copy_from_slice(&next.to_le_bytes()[..chunk.len()]);
        }
    }

    fn spawn(&self, _: Task) {
        unreachable!("the log runs no tasks")
    }

    fn offload(&self, _: Lane, _: Job) {
        unreachable!("the log runs no jobs")
    }
}

fn path() -> PathBuf {
    PathBuf::from("/data/tenant-7")
}

fn tag() -> TenantTag {
    visible_tag("tenant-7")
}

fn claim(epoch: u64) -> Claim {
    Claim { epoch, owner: OwnerId([u8::try_from(epoch).unwrap_or(0xff); 16]) }
}

fn keyed(keys: &[u8]) -> Arc<Ring> {
    Arc::new(Ring::new(keys).expect("whole keys"))
}

fn sealed() -> Arc<Ring> {
    keyed(&[0x42; 32])
}

fn plain() -> Arc<Ring> {
    keyed(&[])
}

/// Both suites, for tests that hold for each.
fn rings() -> [Arc<Ring>; 2] {
    [sealed(), plain()]
}

fn lineage(ring: &Arc<Ring>, claim: Claim) -> Lineage {
    Lineage { ring: Arc::clone(ring), tag: tag(), claim }
}

/// The batch of `lsn` in its `attempt`: of a length of its own, with a marker in it now and then.
fn batch(lsn: Lsn, attempt: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut value = format!("\u{3}{lsn}/{attempt} BHAf\u{9}").into_bytes();
    value.resize(value.len() + usize::try_from(lsn * 7 % 23).unwrap_or(0), b'.');
    push(&mut bytes, &key("session", &lsn.to_string()), Some(&value));
    if lsn.is_multiple_of(3) {
        push(&mut bytes, &key("pre-key", &lsn.to_string()), None);
    }
    bytes
}

/// Answers to the application.
#[derive(Debug, Clone, Default)]
struct History {
    /// The batches that were acknowledged, from LSN 1 on.
    batches: Vec<Vec<u8>>,
    /// The last attempt that was not acknowledged.
    attempt: Option<Vec<u8>>,
    /// Acknowledged to survive a power cut.
    synced: Lsn,
}

impl History {
    fn of(count: Lsn) -> History {
        History { batches: (1..=count).map(|lsn| batch(lsn, 0)).collect(), ..History::default() }
    }

    fn lsn(&self) -> Lsn {
        self.batches.len() as Lsn
    }

    /// The state at `lsn`: here simply all batches up to it.
    fn state(&self, lsn: Lsn) -> Vec<u8> {
        self.batches.iter().take(usize::try_from(lsn).expect("small")).flatten().copied().collect()
    }

    /// Checks that `log` is a prefix of this history, at least up to `floor`; one unacknowledged batch may follow.
    #[track_caller]
    fn check(&self, log: &RecoveredLog, floor: Lsn, context: &str) {
        assert!(log.lsn >= floor, "{context}: lost {} to {floor}", log.lsn + 1);
        let mut expected = self.state(log.lsn.min(self.lsn()));
        if log.lsn > self.lsn() {
            assert_eq!(log.lsn, self.lsn() + 1, "{context}: batches that nobody wrote");
            expected.extend(self.attempt.iter().flatten());
        }
        assert_eq!(log.entries, expected, "{context}: not what was written, at LSN {}", log.lsn);
    }
}

fn lock(disk: &MemoryDisk) -> Result<Arc<Folder>> {
    Folder::lock(Arc::new(disk.clone()), &path()).map(Arc::new)
}

fn recover(disk: &MemoryDisk, ring: &Arc<Ring>) -> Result<Recovery> {
    lock(disk)?.recover(ring, tag())
}

#[track_caller]
fn recovered(disk: &MemoryDisk, ring: &Arc<Ring>) -> RecoveredLog {
    match recover(disk, ring) {
        Ok(Recovery::Log(log)) => log,
        other => panic!("no whole log: {other:?}"),
    }
}

fn create(folder: &Arc<Folder>, ring: &Arc<Ring>, claim: Claim, lsn: Lsn, base: &[u8]) -> Result<Wal> {
    let seed = claim.epoch.wrapping_mul(1000).wrapping_add(lsn);
    Wal::create(folder, &CountingHost::new(seed), lineage(ring, claim), lsn, base)
}

/// A log of `history` with its base at `start`, synced up to `synced`, on a disk of its own.
fn written(ring: &Arc<Ring>, history: &History, start: Lsn, synced: Lsn) -> MemoryDisk {
    let disk = MemoryDisk::default();
    let folder = lock(&disk).expect("free");
    let mut wal = create(&folder, ring, claim(1), start, &history.state(start)).expect("room");
    for (lsn, batch) in (1..).zip(&history.batches).filter(|(lsn, _)| *lsn > start) {
        assert_eq!(wal.append(lsn, batch), Ok(Appended::Stored));
        if lsn == synced {
            wal.syncer().sync().expect("syncs");
        }
    }
    disk
}

/// The only log on `disk`.
fn only_log(disk: &MemoryDisk) -> (PathBuf, Vec<u8>) {
    let mut logs: Vec<_> = disk.files(&path()).into_iter().filter(|(name, _)| is_log(name)).collect();
    assert_eq!(logs.len(), 1);
    logs.remove(0)
}

fn is_log(name: &Path) -> bool {
    let name = name.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.len() == 24 && name.ends_with(".log")
}

/// Puts `bytes` into an otherwise empty directory as log number `sequence`.
fn disk_with(logs: &[(u64, &[u8])]) -> MemoryDisk {
    let disk = MemoryDisk::default();
    disk.make_dir(&path()).expect("room");
    for (sequence, bytes) in logs {
        disk.rewrite(&path().join(format!("{sequence:020}.log")), bytes.to_vec());
    }
    disk
}

/// Start and end of each frame.
fn spans(bytes: &[u8]) -> Vec<(usize, usize)> {
    let (mut at, mut spans) = (HEADER_LEN, Vec::new());
    while at < bytes.len() {
        let len = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().expect("four bytes"));
        let end = at + FRAME_LEN + usize::try_from(len).expect("small");
        spans.push((at, end));
        at = end;
    }
    spans
}

/// Verdict on a log of a machine that was started as `boot`.
fn look_under(bytes: &[u8], boot: u16, ring: &Arc<Ring>) -> Recovery {
    let disk = disk_with(&[(1, bytes)]);
    disk.set_boot(boot);
    recover(&disk, ring).expect("damage is an answer")
}
