//! The journal, with those who write, ship, sync and end it in every order that shuttle tries.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Mutex};

use shuttle::rand::{Rng, thread_rng};
use shuttle::{future, thread};

use crate::error::Code;
use crate::format::record::{Entries, key, session_batch};
use crate::format::seal::{Ring, visible_tag};
use crate::id::{Claim, Lsn, OwnerId};
use crate::journal::memtable::Memtable;
use crate::journal::{Cut, Journal, Life, Log};
use crate::platform::disk::memory::{MemoryDisk, Op};
use crate::sim::interleaved::{SteppedHost, explore};
use crate::wal::{Folder, Lineage, Recovery, Wal, read_unlocked};

const WRITERS: u64 = 2;
const WRITES: u64 = 3;

/// Keys and their values, each of which is written once.
type Values = BTreeMap<Vec<u8>, Vec<u8>>;

/// Changes by their LSN.
type Given = Arc<Mutex<BTreeMap<Lsn, Values>>>;

fn values(entries: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let all = Entries::new(entries).map(|entry| entry.expect("well formed"));
    all.map(|entry| (entry.key.to_vec(), entry.value.expect("nothing is deleted").to_vec())).collect()
}

/// A batch of two keys: one of this writer's own, and one that all write.
fn batch(writer: u64, write: u64) -> Vec<u8> {
    let value = [u8::try_from(writer * 20 + write).expect("small")];
    session_batch(&[(&format!("of-{writer}"), Some(&value)), ("shared", Some(&value))])
}

/// Writes until all is written, or the journal takes no more.
fn write(journal: &Journal, given: &Given, writer: u64, refusal: Code) {
    for write in 1..=WRITES {
        let batch = batch(writer, write);
        match journal.append(&batch, writer == 0) {
            Ok(lsn) => {
                let before =
                    given.lock().expect("no panic").insert(lsn, values(&batch).into_iter().collect());
                assert_eq!(before, None, "LSN {lsn} was given twice");
            }
            Err(error) => return assert_eq!(error.code(), refusal),
        }
    }
}

/// Ships as a replicator does: looks at what waits, and sleeps until it is woken, until the journal is over and all of it shipped.
async fn ship(journal: Arc<Journal>) -> Vec<(Cut, bool)> {
    let mut cuts = Vec::new();
    loop {
        let over = journal.life() == Life::Closed;
        while let Some(cut) = journal.cut(cuts.len() % 2 == 1).expect("sound") {
            let last = cut.last;
            cuts.push((cut, over));
            journal.acknowledge(last, || {});
        }
        if over {
            return cuts;
        }
        journal.wake.notified().await;
    }
}

#[test]
fn each_change_is_in_the_one_cut_that_its_number_is_in_and_no_wakeup_is_lost() {
    explore(700, || {
        let host = Arc::new(SteppedHost::default());
        let journal = Arc::new(Journal::replicated(host, Memtable::default(), 0, Log::None, None));
        let given = Given::default();
        let writers = (0..WRITERS).map(|writer| {
            let (journal, given) = (Arc::clone(&journal), Arc::clone(&given));
            thread::spawn(move || write(&journal, &given, writer, Code::Closed))
        });
        let mut threads: Vec<_> = writers.collect();
        let shipper = future::spawn(ship(Arc::clone(&journal)));
        // One end comes at any time, and the other one after all that is written was cut by whoever ships, unasked.
        if thread_rng().gen_bool(0.5) {
            let journal = Arc::clone(&journal);
            threads.push(thread::spawn(move || {
                journal.end(Life::Closed);
            }));
        }
        threads.into_iter().for_each(|thread| thread.join().expect("ends"));
        let lsn = journal.lsn();
        future::block_on(async {
            journal.follow().wait_for(|progress| progress.stored == lsn).await.expect("is followed");
        });
        journal.end(Life::Closed);
        let cuts = future::block_on(shipper).expect("ends");
        let given = given.lock().expect("no panic");
        assert!(given.keys().copied().eq(1..=lsn), "{lsn} LSNs without a gap: {:?}", given.keys());
        let (mut next, mut state) = (1, Values::new());
        for (Cut { first, last, entries, base }, _) in cuts {
            assert!(first == next && last >= first, "a cut of {first} to {last} after LSN {}", next - 1);
            next = last + 1;
            let expected: Values = (first..=last).flat_map(|lsn| given[&lsn].clone()).collect();
            let found = values(&entries);
            assert!(found.iter().cloned().eq(expected.clone()), "LSN {first} to {last}: {found:?}");
            state.extend(expected);
            let base = base.map(|base| values(&base.encode()).into_iter().collect());
            assert!(base.is_none_or(|base: Values| base == state), "the state at LSN {last}");
        }
        assert_eq!(next, lsn + 1);
    });
}

/// A journal with a log on a disk, of whose syncs any may fail.
fn on_disk(disk: &MemoryDisk) -> Arc<Journal> {
    let host = Arc::new(SteppedHost::default());
    let folder = Arc::new(Folder::lock(Arc::new(disk.clone()), Path::new("/t")).expect("free"));
    let claim = Claim { epoch: 1, owner: OwnerId([1; 16]) };
    let lineage = Lineage { ring: Arc::new(Ring::default()), tag: visible_tag("t"), claim };
    let wal = Wal::create(&folder, host.as_ref(), lineage, 0, &[]).expect("room");
    Arc::new(Journal::replicated(host, Memtable::default(), 0, Log::Disk(wal), None))
}

/// The LSN that a power cut leaves of the log, if it takes all that it can.
fn after_power_cut(disk: &MemoryDisk) -> Lsn {
    let left = disk.power_cut(|_| false);
    match read_unlocked(&left, Path::new("/t"), &Ring::default(), visible_tag("t")).expect("reads") {
        Recovery::Log(log) => log.lsn,
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_waits_for_a_sync_has_it_or_hears_that_it_failed_and_nothing_is_accepted_after_that() {
    explore(400, || {
        let disk = MemoryDisk::default();
        let journal = on_disk(&disk);
        let fails = thread_rng().gen_bool(0.7);
        if fails {
            disk.fail_next(Op::Sync, thread_rng().gen_range(0..3), ErrorKind::Other, None);
        }
        let failed = Arc::new(Mutex::new(false));
        let writers = (0..3).map(|writer| {
            let (journal, disk, failed) = (Arc::clone(&journal), disk.clone(), Arc::clone(&failed));
            future::spawn(async move {
                for write in 1..=2 {
                    let had_failed = *failed.lock().expect("no panic");
                    let lsn = match journal.append(&batch(writer, write), false) {
                        Ok(lsn) => lsn,
                        Err(error) => return assert_eq!(error.code(), Code::IoPoisoned),
                    };
                    assert!(!had_failed, "LSN {lsn} was accepted after a sync had failed");
                    match journal.sync(lsn).await {
                        Ok(()) => assert!(after_power_cut(&disk) >= lsn, "LSN {lsn} is not safe"),
                        Err(error) => {
                            assert_eq!(error.code(), Code::IoPoisoned);
                            *failed.lock().expect("no panic") = true;
                        }
                    }
                    assert!(journal.progress().synced <= after_power_cut(&disk));
                }
            })
        });
        let writers: Vec<_> = writers.collect();
        writers.into_iter().for_each(|writer| future::block_on(writer).expect("ends"));
        let failed = *failed.lock().expect("no panic");
        assert!(fails || !failed);
        assert_eq!(journal.append(&batch(9, 1), false).is_err(), failed);
        assert_eq!(journal.progress().life == Life::Poisoned, failed);
        let rest = future::block_on(journal.sync(journal.lsn()));
        let progress = journal.progress();
        assert!(!failed || progress.life == Life::Poisoned);
        // The last sync may be the one that fails.
        assert_eq!(rest.is_err(), progress.life == Life::Poisoned && progress.synced < journal.lsn());
    });
}

#[test]
fn what_nobody_waits_for_is_synced_in_the_background_whenever_it_was_written() {
    explore(400, || {
        let disk = MemoryDisk::default();
        let journal = on_disk(&disk);
        let keeper = future::spawn(Arc::clone(&journal).sync_in_background(Arc::new(|_| {})));
        let writers = (0..WRITERS).map(|writer| {
            let journal = Arc::clone(&journal);
            thread::spawn(move || write(&journal, &Given::default(), writer, Code::Closed))
        });
        let writers: Vec<_> = writers.collect();
        writers.into_iter().for_each(|writer| writer.join().expect("ends"));
        let lsn = journal.lsn();
        future::block_on(async {
            journal.follow().wait_for(|progress| progress.synced == lsn).await.expect("is followed");
        });
        assert_eq!(after_power_cut(&disk), lsn);
        assert!(journal.read(|state| state.get(&key("session", "shared")).is_some()).expect("is open"));
        journal.end(Life::Closed);
        future::block_on(keeper).expect("ends");
    });
}
