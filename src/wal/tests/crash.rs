//! Crashes and failures at every disk operation of a whole life: open, append, sync, rewrite, reopen.
//!
//! The life goes on as long as it can, as a session would: what fails is tried again with other content.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use super::*;
use crate::error::Code;

/// One process's life on a disk, and what it told the application.
struct Life<'a> {
    disk: &'a MemoryDisk,
    ring: &'a Arc<Ring>,
    history: History,
    attempts: u64,
    trouble: Vec<Code>,
}

impl Life<'_> {
    fn append(&mut self, wal: &mut Wal) -> Result<()> {
        let lsn = self.history.lsn() + 1;
        let entries = batch(lsn, self.attempts);
        self.attempts += 1;
        let before = (wal.len(), wal.lsn());
        self.history.attempt = Some(entries.clone());
        match wal.append(lsn, &entries) {
            Ok(stored) => {
                assert_eq!(stored, Appended::Stored);
                self.history.batches.push(entries);
                self.history.attempt = None;
                Ok(())
            }
            Err(error) => {
                self.trouble.push(error.code());
                assert_eq!((wal.len(), wal.lsn()), before, "a failed append changes nothing");
                if error.code() == Code::IoPoisoned {
                    let again = wal.append(lsn, &entries).map_err(|error| error.code());
                    assert_eq!(again, Err(Code::IoPoisoned), "poisoned stays poisoned");
                    return Err(error);
                }
                // Cut back: it is gone for good.
                self.history.attempt = None;
                Ok(())
            }
        }
    }

    fn sync(&mut self, wal: &mut Wal) -> Result<()> {
        match wal.syncer().sync() {
            Ok(()) => {
                self.history.synced = self.history.lsn();
                Ok(())
            }
            Err(_) => wal.append(self.history.lsn() + 1, b"").map(|_| ()),
        }
    }

    fn roll(&mut self, wal: &mut Wal, folder: &Arc<Folder>) -> Result<()> {
        wal.begin_roll();
        let lsn = self.history.lsn();
        let base = self.history.state(lsn);
        self.append(wal)?;
        self.append(wal)?;
        let host = CountingHost::new(1_000_000 + lsn);
        let new = Wal::prepare_roll(folder, &host, lineage(self.ring, wal_claim(wal)), lsn, &base);
        self.append(wal)?;
        self.sync(wal)?;
        self.append(wal)?;
        // A sync that is under way while the log is switched vouches for the old file alone.
        let (late, reached) = (wal.syncer(), self.history.lsn());
        match new.and_then(|new| wal.finish_roll(new)) {
            Ok(old) => {
                self.append(wal)?;
                if late.sync().is_ok() {
                    self.history.synced = self.history.synced.max(reached);
                }
                self.append(wal)?;
                old.remove(&CountingHost::new(5));
                // That it was synced is now known.
                self.history.synced = self.history.synced.max(wal.synced());
            }
            Err(error) => {
                self.trouble.push(error.code());
                wal.abort_roll();
            }
        }
        Ok(())
    }

    /// Opens, lives and closes once. `ends` early by an error that a session would end with.
    fn open(&mut self, claim: Claim) -> Result<()> {
        let folder = lock(self.disk)?;
        folder.record_claim(claim)?;
        let found = folder.recover(self.ring, tag())?;
        let lsn = match found {
            Recovery::None => {
                assert_eq!(self.history.lsn(), 0, "a session that was there is gone");
                0
            }
            Recovery::Log(log) => {
                self.history.check(&log, self.history.lsn(), "reopened");
                if log.lsn > self.history.lsn() {
                    self.history.batches.extend(self.history.attempt.take());
                }
                log.lsn
            }
            Recovery::Damaged(damaged) => panic!("damaged by failures alone: {damaged:?}"),
            Recovery::Locked(locked) => panic!("no key is missing: {locked:?}"),
        };
        let mut wal = create(&folder, self.ring, claim, lsn, &self.history.state(lsn))?;
        CLAIMS.with_borrow_mut(|claims| claims.insert(wal.sequence(), claim));
        self.history.synced = self.history.lsn();
        let _ = folder.remove_logs_but(wal.sequence());
        for _ in 0..3 {
            self.append(&mut wal)?;
        }
        self.sync(&mut wal)?;
        self.append(&mut wal)?;
        self.roll(&mut wal, &folder)?;
        self.append(&mut wal)?;
        self.sync(&mut wal)?;
        self.append(&mut wal)
    }

    /// Three opens, of which each may end early. The second one keeps its claim, as without a store.
    fn whole(&mut self) {
        for epoch in [1, 1, 2] {
            if let Err(error) = self.open(claim(epoch)) {
                self.trouble.push(error.code());
            }
        }
    }
}

thread_local! {
    /// Claims by the number of the file that they were opened with.
    static CLAIMS: std::cell::RefCell<BTreeMap<u64, Claim>> = const { std::cell::RefCell::new(BTreeMap::new()) };
}

fn wal_claim(wal: &Wal) -> Claim {
    CLAIMS.with_borrow(|claims| {
        claims.range(..=wal.sequence()).next_back().map(|(_, claim)| *claim).expect("opened")
    })
}

fn life<'a>(disk: &'a MemoryDisk, ring: &'a Arc<Ring>) -> Life<'a> {
    Life { disk, ring, history: History::default(), attempts: 0, trouble: Vec::new() }
}

/// The ways in which an operation can fail: nothing happened, a part did, everything did.
const PARTIAL: [Option<usize>; 4] = [None, Some(1), Some(60), Some(usize::MAX)];

fn operations(ring: &Arc<Ring>) -> u64 {
    let disk = MemoryDisk::default();
    let mut life = life(&disk, ring);
    life.whole();
    assert!(life.trouble.is_empty(), "{:?}", life.trouble);
    assert_eq!(life.history.lsn(), 36);
    disk.operations()
}

/// The log that survives on `disk`, as a new process finds it.
#[track_caller]
fn survives(disk: &MemoryDisk, ring: &Arc<Ring>, history: &History, floor: Lsn, context: &str) {
    match recover(disk, ring) {
        Ok(Recovery::None) => assert_eq!(floor, 0, "{context}: the session is gone"),
        Ok(Recovery::Log(log)) => history.check(&log, floor, context),
        other => panic!("{context}: {other:?}"),
    }
}

#[test]
fn a_process_killed_at_any_operation_loses_nothing_that_was_acknowledged() {
    for ring in rings() {
        for at in 0..operations(&ring) {
            for partial in PARTIAL {
                let disk = MemoryDisk::default();
                disk.kill_at(at, partial);
                let mut life = life(&disk, &ring);
                life.whole();
                let context = format!("killed at operation {at}, of which {partial:?}");
                let floor = life.history.lsn();
                survives(&disk.restart(), &ring, &life.history, floor, &context);
            }
        }
    }
}

#[test]
fn a_power_cut_at_any_operation_loses_nothing_that_was_synced() {
    for ring in rings() {
        let mut most = 0;
        for at in 0..=operations(&ring) {
            for partial in PARTIAL {
                let disk = MemoryDisk::default();
                disk.kill_at(at, partial);
                let mut life = life(&disk, &ring);
                life.whole();
                let unsynced = disk.unsynced();
                most = most.max(unsynced);
                let check = |kept: u64| {
                    let context =
                        format!("power cut at operation {at} ({partial:?}), kept {kept:b} of {unsynced}");
                    let after = disk.power_cut(|number| kept >> number & 1 == 1);
                    survives(&after, &ring, &life.history, life.history.synced, &context);
                };
                // Few enough at every instant to try them all.
                assert!(unsynced <= 10, "{unsynced} changes have too many subsets");
                (0..1_u64 << unsynced).for_each(check);
            }
        }
        println!("up to {most} unsynced changes at once");
    }
}

#[test]
fn any_single_failure_is_a_typed_error_and_loses_nothing() {
    for ring in rings() {
        for at in 0..operations(&ring) {
            for kind in [ErrorKind::StorageFull, ErrorKind::Other] {
                for partial in PARTIAL {
                    let disk = MemoryDisk::default();
                    disk.fail_at(at, kind, partial);
                    let mut life = life(&disk, &ring);
                    life.whole();
                    let context = format!("operation {at} failed with {kind}, of which {partial:?}");
                    let typed = [Code::LocalUnavailable, Code::IoPoisoned];
                    assert!(
                        life.trouble.iter().all(|code| typed.contains(code)),
                        "{context}: {:?}",
                        life.trouble
                    );
                    assert!(life.history.lsn() >= 18, "{context}: the life ended at {}", life.history.lsn());
                    let floor = life.history.lsn();
                    survives(&disk.restart(), &ring, &life.history, floor, &context);
                }
            }
        }
    }
}

#[test]
fn a_failure_and_a_later_power_cut_lose_nothing_that_was_synced() {
    let ring = plain();
    let operations = operations(&ring);
    for at in 0..operations {
        for partial in [None, Some(1), Some(usize::MAX)] {
            for end in [at + 1, at + 2, at + 4, at + 9, operations] {
                let disk = MemoryDisk::default();
                disk.fail_at(at, ErrorKind::Other, partial);
                disk.kill_at(end, None);
                let mut life = life(&disk, &ring);
                life.whole();
                let unsynced = disk.unsynced();
                for kept in 0..=unsynced {
                    let context =
                        format!("failed at {at} ({partial:?}), cut at {end}, kept {kept} of {unsynced}");
                    let (history, floor) = (&life.history, life.history.synced);
                    survives(&disk.power_cut(|number| number < kept), &ring, history, floor, &context);
                    survives(&disk.power_cut(|number| number >= kept), &ring, history, floor, &context);
                }
            }
        }
    }
}

#[test]
fn quarantine_interrupted_anywhere_leaves_every_log_under_one_name() {
    let ring = sealed();
    let history = History::of(5);
    let (_, log) = only_log(&written(&ring, &history, 1, 5));
    let run = |at: u64| {
        let disk = disk_with(&[(3, &log), (9, &log)]);
        disk.rewrite(&path().join("00000000000000000001.quarantine"), b"oldest".to_vec());
        disk.rewrite(&path().join("00000000000000000002.quarantine"), b"older".to_vec());
        disk.kill_at(at, Some(0));
        let _ = lock(&disk).and_then(|folder| folder.quarantine(true));
        disk
    };
    let logs = |disk: &MemoryDisk| disk.files(&path()).iter().filter(|(_, bytes)| *bytes == log).count();
    for at in 0..12 {
        let disk = run(at);
        for number in 0..=disk.unsynced() {
            assert_eq!(
                logs(&disk.power_cut(|change| change >= number)),
                2,
                "operation {at}, change {number}"
            );
        }
        assert_eq!(logs(&disk), 2);
    }
    let names: Vec<_> = run(u64::MAX).files(&path()).into_iter().map(|(name, _)| name).collect();
    let names: Vec<_> = names.iter().filter_map(|name| name.file_name()?.to_str()).collect();
    assert_eq!(names, ["00000000000000000003.quarantine", "00000000000000000009.quarantine", "lock"]);
}
