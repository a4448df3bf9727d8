//! The writer: failed appends, full disks, vanished folders, rewrites, and nonces.

use std::collections::BTreeSet;
use std::io::ErrorKind;

use super::*;
use crate::error::Code;
use crate::platform::disk::memory::Op;
use crate::wal::frame::{FRAME_LEN, HEADER_LEN};

fn start(disk: &MemoryDisk, ring: &Arc<Ring>) -> (Arc<Folder>, Wal) {
    let folder = lock(disk).expect("free");
    let wal = create(&folder, ring, claim(1), 0, &[]).expect("room");
    (folder, wal)
}

fn code<T>(result: Result<T>) -> Code {
    result.map(|_| ()).expect_err("fails").code()
}

#[test]
fn a_full_disk_refuses_and_accepts_again_once_there_is_room() {
    for ring in rings() {
        for room in 0..200 {
            let disk = MemoryDisk::default();
            let (_folder, mut wal) = start(&disk, &ring);
            disk.set_space(Some(room));
            let mut lsn = 0;
            while wal.append(lsn + 1, &batch(lsn + 1, 0)).is_ok() {
                lsn += 1;
            }
            let before = wal.len();
            assert_eq!(code(wal.append(lsn + 1, &batch(lsn + 1, 1))), Code::LocalUnavailable);
            assert_eq!(wal.len(), before);
            disk.set_space(None);
            wal.append(lsn + 1, &batch(lsn + 1, 2)).expect("room again");
            let log = recovered(&disk.restart(), &ring);
            let expected: Vec<u8> =
                (1..=lsn).flat_map(|lsn| batch(lsn, 0)).chain(batch(lsn + 1, 2)).collect();
            assert_eq!((log.lsn, log.torn, log.entries), (lsn + 1, false, expected), "{room} bytes");
        }
    }
}

#[test]
fn a_read_only_disk_is_said_to_be_one() {
    let disk = MemoryDisk::default();
    disk.set_read_only(true);
    let error = lock(&disk).map(|_| ()).expect_err("read-only");
    assert_eq!(error.code(), Code::LocalUnavailable);
    assert!(error.message.contains("not writable"), "{}", error.message);
    disk.set_read_only(false);
    let (folder, mut wal) = start(&disk, &sealed());
    disk.set_read_only(true);
    assert_eq!(code(folder.record_claim(claim(2))), Code::LocalUnavailable);
    assert_eq!(code(create(&folder, &sealed(), claim(2), 0, &[])), Code::LocalUnavailable);
    // Neither written nor cut back.
    assert_eq!(code(wal.append(1, &batch(1, 0))), Code::IoPoisoned);
}

#[test]
fn an_append_that_cannot_be_cut_back_poisons_the_log_for_good() {
    let disk = MemoryDisk::default();
    let (_folder, mut wal) = start(&disk, &sealed());
    wal.append(1, &batch(1, 0)).expect("room");
    disk.fail_next(Op::Append, 0, ErrorKind::StorageFull, Some(20));
    disk.fail_next(Op::Truncate, 0, ErrorKind::Other, None);
    assert_eq!(code(wal.append(2, &batch(2, 0))), Code::IoPoisoned);
    assert_eq!(code(wal.append(2, &batch(2, 0))), Code::IoPoisoned, "although the disk is well again");
    assert!(wal.syncer().sync().is_err(), "nothing is vouched for any more");
    let log = recovered(&disk.restart(), &sealed());
    assert_eq!((log.lsn, log.torn), (1, true));
}

#[test]
fn a_failed_sync_poisons_the_log_by_itself() {
    let disk = MemoryDisk::default();
    let (_folder, mut wal) = start(&disk, &sealed());
    wal.append(1, &batch(1, 0)).expect("room");
    disk.fail_next(Op::Sync, 0, ErrorKind::Other, None);
    assert!(wal.syncer().sync().is_err());
    assert!(wal.syncer().sync().is_err(), "a later success would lie");
    assert_eq!(wal.synced(), 0);
    assert_eq!(code(wal.append(2, &batch(2, 0))), Code::IoPoisoned);
    wal.begin_roll();
    let new =
        Wal::prepare_roll(wal.folder(), &CountingHost::new(5), lineage(&sealed(), claim(1)), 1, &batch(1, 0));
    assert_eq!(code(wal.finish_roll(new.expect("room"))), Code::IoPoisoned);
}

#[test]
fn a_folder_removed_under_a_writer_is_noticed_at_once_and_made_anew() {
    for ring in rings() {
        let disk = MemoryDisk::default();
        let (folder, mut wal) = start(&disk, &ring);
        folder.record_claim(claim(1)).expect("room");
        wal.append(1, &batch(1, 0)).expect("room");
        disk.remove_tree(Path::new("/data"));
        assert_eq!(wal.append(2, &batch(2, 0)), Ok(Appended::Vanished));
        assert_eq!(wal.append(3, &batch(3, 0)), Ok(Appended::Vanished), "and again");
        folder.relock().expect("free");
        let mut wal = create(&folder, &ring, claim(1), 3, &History::of(3).state(3)).expect("room");
        assert_eq!(wal.append(4, &batch(4, 0)), Ok(Appended::Stored));
        assert_eq!(code(lock(&disk.process())), Code::AlreadyOpen);
        let next = disk.restart();
        assert_eq!(lock(&next).expect("free").claims(), [claim(1)], "its own claim is still known");
        History::of(4).check(&recovered(&next, &ring), 4, "after the folder was made anew");
    }
}

#[test]
fn batches_out_of_order_are_refused_before_they_reach_the_file() {
    let disk = MemoryDisk::default();
    let (_folder, mut wal) = start(&disk, &sealed());
    wal.append(1, &batch(1, 0)).expect("room");
    let len = wal.len();
    for lsn in [0, 1, 3, Lsn::MAX] {
        assert_eq!(code(wal.append(lsn, b"")), Code::Internal);
    }
    assert_eq!(wal.len(), len);
    wal.append(2, &batch(2, 0)).expect("unharmed");
}

#[test]
fn a_log_is_rewritten_only_when_garbage_dominates() {
    let disk = MemoryDisk::default();
    let (folder, mut wal) = start(&disk, &plain());
    let megabyte = vec![0; 1 << 20];
    for lsn in 1..=4 {
        assert!(!wal.needs_roll(0));
        wal.append(lsn, &megabyte).expect("room");
    }
    assert!(wal.needs_roll(0) && !wal.needs_roll(1 << 20) && !wal.needs_roll(usize::MAX));
    wal.begin_roll();
    assert!(!wal.needs_roll(0), "one at a time");
    let new = Wal::prepare_roll(&folder, &CountingHost::new(5), lineage(&plain(), claim(1)), 4, b"base");
    let old = wal.finish_roll(new.expect("room")).expect("complete");
    old.remove(&CountingHost::new(5));
    assert!(!wal.needs_roll(0) && wal.len() < 1000);
    let log = recovered(&disk.restart(), &plain());
    assert_eq!((log.lsn, &log.entries[..]), (4, &b"base"[..]));
    assert_eq!(disk.files(&path()).iter().filter(|(name, _)| is_log(name)).count(), 1);
}

#[test]
fn a_rewrite_that_fails_or_is_given_up_leaves_the_log_as_it_is() {
    let ring = sealed();
    for failing in 0..3 {
        let disk = MemoryDisk::default();
        let (folder, mut wal) = start(&disk, &ring);
        let mut history = History::default();
        let append = |wal: &mut Wal, history: &mut History| {
            let lsn = history.lsn() + 1;
            wal.append(lsn, &batch(lsn, 0)).expect("room");
            history.batches.push(batch(lsn, 0));
        };
        append(&mut wal, &mut history);
        wal.begin_roll();
        append(&mut wal, &mut history);
        let new =
            Wal::prepare_roll(&folder, &CountingHost::new(5), lineage(&ring, claim(1)), 1, &history.state(1));
        let new = new.expect("room");
        match failing {
            0 => {
                disk.fail_next(Op::Append, 0, ErrorKind::StorageFull, Some(9));
                assert_eq!(code(wal.finish_roll(new)), Code::LocalUnavailable);
            }
            1 => {
                // Taken for a roll that never began: the new log would lack a batch.
                wal.abort_roll();
                assert_eq!(code(wal.finish_roll(new)), Code::Internal);
            }
            _ => {
                wal.abort_roll();
                drop(new);
            }
        }
        append(&mut wal, &mut history);
        let logs = disk.files(&path()).into_iter().filter(|(name, _)| is_log(name)).count();
        assert_eq!(logs, 1, "the unused file is gone");
        history.check(&recovered(&disk.restart(), &ring), 3, "after a rewrite that failed");
    }
}

#[test]
fn a_rewrite_of_another_state_than_the_log_had_when_it_began_is_refused() {
    let disk = MemoryDisk::default();
    let (folder, mut wal) = start(&disk, &sealed());
    for lsn in 1..=3 {
        wal.append(lsn, &batch(lsn, 0)).expect("room");
    }
    for (base, more) in [(2, false), (4, false), (2, true), (4, true), (5, true)] {
        wal.begin_roll();
        let host = CountingHost::new(5);
        let new = Wal::prepare_roll(&folder, &host, lineage(&sealed(), claim(1)), base + wal.lsn() - 3, b"");
        if more {
            let lsn = wal.lsn() + 1;
            wal.append(lsn, &batch(lsn, 0)).expect("room");
        }
        assert_eq!(code(wal.finish_roll(new.expect("room"))), Code::Internal, "base at {base}, {more}");
    }
    History::of(6).check(&recovered(&disk.restart(), &sealed()), 6, "the log goes on");
}

#[test]
fn a_sync_of_the_old_file_never_vouches_for_the_new_one() {
    let disk = MemoryDisk::default();
    let (folder, mut wal) = start(&disk, &sealed());
    wal.append(1, &batch(1, 0)).expect("room");
    wal.begin_roll();
    let new =
        Wal::prepare_roll(&folder, &CountingHost::new(5), lineage(&sealed(), claim(1)), 1, &batch(1, 0));
    wal.append(2, &batch(2, 0)).expect("room");
    let late = wal.syncer();
    let old = wal.finish_roll(new.expect("room")).expect("complete");
    late.sync().expect("syncs");
    assert_eq!(wal.synced(), 1, "only its base");
    old.remove(&CountingHost::new(5));
    assert_eq!(wal.synced(), 2);
}

#[test]
fn the_old_file_stays_when_its_successor_cannot_be_synced() {
    let disk = MemoryDisk::default();
    let (folder, mut wal) = start(&disk, &sealed());
    wal.begin_roll();
    wal.append(1, &batch(1, 0)).expect("room");
    wal.syncer().sync().expect("syncs");
    let new = Wal::prepare_roll(&folder, &CountingHost::new(5), lineage(&sealed(), claim(1)), 0, &[]);
    let old = wal.finish_roll(new.expect("room")).expect("complete");
    disk.fail_next(Op::Sync, 0, ErrorKind::Other, None);
    old.remove(&CountingHost::new(5));
    assert_eq!(code(wal.append(2, &batch(2, 0))), Code::IoPoisoned);
    for kept in [true, false] {
        History::of(1).check(&recovered(&disk.power_cut(|_| kept), &sealed()), 1, "the synced batch");
    }
}

#[test]
fn nothing_is_changed_after_the_lock_was_given_back() {
    let disk = MemoryDisk::default();
    let (folder, mut wal) = start(&disk, &sealed());
    wal.begin_roll();
    let new = Wal::prepare_roll(&folder, &CountingHost::new(5), lineage(&sealed(), claim(1)), 0, &[]);
    let old = wal.finish_roll(new.expect("room")).expect("complete");
    folder.unlock();
    let before = disk.files(&path());
    old.remove(&CountingHost::new(5));
    assert_eq!(code(folder.record_claim(claim(2))), Code::Closed);
    assert_eq!(code(create(&folder, &sealed(), claim(2), 0, &[])), Code::Closed);
    assert_eq!(code(folder.quarantine(true)), Code::Closed);
    assert_eq!(code(folder.remove_all()), Code::Closed);
    assert_eq!(code(folder.relock()), Code::Closed);
    assert_eq!(disk.files(&path()), before);
}

#[test]
fn no_key_and_nonce_are_ever_used_twice() {
    let ring = sealed();
    let disk = MemoryDisk::default();
    disk.record();
    let mut lsn = 0;
    for epoch in 1..=3 {
        let folder = lock(&disk).expect("free");
        let host = CountingHost::new(epoch * 10_000);
        let mut wal = Wal::create(&folder, &host, lineage(&ring, claim(epoch)), lsn, b"base").expect("room");
        for round in 0..40 {
            if round % 3 == 1 {
                disk.fail_next(Op::Append, 0, ErrorKind::StorageFull, Some(round));
            }
            if round % 10 == 5 {
                wal.begin_roll();
            }
            if wal.append(lsn + 1, &batch(lsn + 1, 0)).is_ok() {
                lsn += 1;
            }
            if round % 10 == 8 {
                let base = lsn - wal.mirrored();
                let new = Wal::prepare_roll(&folder, &host, lineage(&ring, claim(epoch)), base, b"base")
                    .expect("room");
                if round == 18 {
                    disk.fail_next(Op::Append, 0, ErrorKind::StorageFull, Some(50));
                }
                if let Ok(old) = wal.finish_roll(new) {
                    old.remove(&CountingHost::new(5));
                }
            }
        }
    }
    // One write may hold several frames; the first of a file starts with its header. A key is the salt's.
    let mut salts = Vec::new();
    let mut used = BTreeSet::new();
    let mut current = std::collections::BTreeMap::new();
    let mut frames = 0;
    for bytes in disk.recorded() {
        let mut rest = &bytes[..];
        if rest.starts_with(b"BHAl") {
            salts.push(rest[32..64].to_vec());
            rest = &rest[HEADER_LEN..];
        }
        while rest.starts_with(b"BHAf") {
            let len = usize::try_from(u32::from_le_bytes(rest[4..8].try_into().expect("4"))).expect("small");
            // Its checksum tells which file it was for.
            let salt = salts.iter().find(|salt| {
                let mut crc = crc32fast::Hasher::new();
                crc.update(salt);
                crc.update(&rest[4..8]);
                crc.update(&rest[12..FRAME_LEN + len]);
                crc.finalize().to_le_bytes() == rest[8..12]
            });
            let salt = salt.expect("of some file").clone();
            let counter = u64::from_le_bytes(rest[21..29].try_into().expect("8"));
            assert!(used.insert((salt.clone(), counter)), "nonce {counter} was used twice");
            let last = current.insert(salt, counter);
            assert!(last.is_none_or(|last| counter == last + 1), "spent one after another");
            frames += 1;
            rest = &rest[FRAME_LEN + len..];
        }
    }
    let unique: BTreeSet<_> = salts.iter().collect();
    assert_eq!(unique.len(), salts.len(), "a salt was used twice");
    assert!(frames > 120 && salts.len() == 15, "{frames} frames in {} files", salts.len());
}
