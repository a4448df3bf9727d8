//! Rot and power cuts told apart: every frame, every kind of damage, before and after the machine was started anew; and what
//! becomes of files of which a part was not read.

use super::*;

const FRAMES: Lsn = 9;

/// A log of which nothing was synced but its base, closed or left by a killed process.
fn left(ring: &Arc<Ring>, closed: bool) -> Vec<u8> {
    let disk = MemoryDisk::default();
    let folder = lock(&disk).expect("free");
    let mut wal = create(&folder, ring, claim(1), 0, &[]).expect("room");
    for lsn in 1..=FRAMES {
        wal.append(lsn, &batch(lsn, 0)).expect("room");
    }
    if closed {
        wal.end(FRAMES).expect("room");
    }
    only_log(&disk).1
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Damage {
    /// One bit.
    Flip,
    /// Sectors that were never written.
    Zeros,
    /// The end of the file is gone, from within the frame on.
    Cut,
    /// The end of the file is gone, from the start of the frame on.
    Lost,
}

#[test]
fn rot_is_never_taken_for_a_power_cut_nor_a_lost_end_for_a_clean_one() {
    for ring in rings() {
        for closed in [false, true] {
            let bytes = left(&ring, closed);
            let spans = spans(&bytes);
            for (frame, (start, end)) in spans.iter().copied().enumerate().skip(1) {
                for damage in [Damage::Flip, Damage::Zeros, Damage::Cut, Damage::Lost] {
                    // The same boot, another one, and none that is known.
                    for boot in [1, 2, 0] {
                        let mut bad = bytes.clone();
                        match damage {
                            Damage::Flip => bad[end - 3] ^= 4,
                            Damage::Zeros => bad[start..end].fill(0),
                            Damage::Cut => bad.truncate(end - 1),
                            Damage::Lost => bad.truncate(start),
                        }
                        let context = format!("{damage:?} at frame {frame}, boot {boot}, closed: {closed}");
                        let is_end = frame as Lsn > FRAMES;
                        let hit = frame as Lsn;
                        match look_under(&bad, boot, &ring) {
                            Recovery::Damaged(log) => {
                                assert!(matches!(damage, Damage::Flip | Damage::Zeros), "{context}");
                                assert!(damage == Damage::Flip || boot == 1, "{context}: {}", log.reason);
                                assert_eq!(log.good, hit.min(FRAMES + 1) - 1, "{context}");
                                let whole = log.suffix.is_some_and(|it| it.after(hit).is_some());
                                assert_eq!(whole, hit < FRAMES, "{context}");
                            }
                            Recovery::Log(log) => {
                                History::of(FRAMES).check(&log, (hit - 1).min(FRAMES), &context);
                                assert!(is_end || damage != Damage::Flip, "{context}");
                                // Nothing tells a log that lost its last frames from that of a process which was killed.
                                let killed = damage == Damage::Lost && boot == 1;
                                assert_eq!(log.is_clean(), killed, "{context}");
                                assert_eq!(log.unread, damage != Damage::Lost, "{context}");
                            }
                            Recovery::None | Recovery::Locked(_) => panic!("{context}: overlooked"),
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_lost_sector_is_a_power_cut_however_few_bytes_of_it_a_frame_has() {
    const SECTOR: usize = 512;
    for ring in rings() {
        let disk = MemoryDisk::default();
        let folder = lock(&disk).expect("free");
        let mut wal = create(&folder, &ring, claim(1), 0, &[]).expect("room");
        for lsn in 1..=400 {
            wal.append(lsn, &batch(lsn, 0)).expect("room");
        }
        let bytes = only_log(&disk).1;
        let mut fewest = SECTOR;
        for (frame, (start, end)) in spans(&bytes).into_iter().enumerate().skip(1) {
            let edge = (end - 1) / SECTOR * SECTOR;
            if edge <= start {
                continue;
            }
            // The frame is the last one, and its last sector was not written; or it is not, and the first one was not.
            for (from, to, len) in [(edge, end, end), (start, edge, bytes.len())] {
                if to - from < 4 {
                    continue;
                }
                fewest = fewest.min(to - from);
                let mut bad = bytes[..len].to_vec();
                bad[from..to].fill(0);
                let context = format!("{} bytes of frame {frame} at {from}", to - from);
                let Recovery::Log(log) = look_under(&bad, 2, &ring) else {
                    panic!("{context}: taken for rot")
                };
                assert_eq!((log.lsn, log.unread), (frame as Lsn - 1, true), "{context}");
                assert!(!log.is_clean(), "{context}: nobody knows what was lost");
                let same = look_under(&bad, 1, &ring);
                assert!(matches!(same, Recovery::Damaged(_)), "{context}: the machine never stopped");
            }
        }
        assert!(fewest < 20, "no frame has as few bytes of a sector: {fewest}");
    }
}

#[test]
fn a_last_batch_of_which_the_length_rotted_is_not_passed_over() {
    for ring in rings() {
        let bytes = left(&ring, false);
        let (start, _) = spans(&bytes)[usize::try_from(FRAMES).expect("small")];
        for bit in 0..64 {
            for boot in [1, 2, 0] {
                let mut bad = bytes.clone();
                bad[start + bit / 8] ^= 1 << (bit % 8);
                let Recovery::Damaged(log) = look_under(&bad, boot, &ring) else {
                    panic!("bit {bit}, boot {boot}: the last batch is passed over")
                };
                assert_eq!((log.good, log.newest), (FRAMES - 1, Some(FRAMES)), "bit {bit}, boot {boot}");
            }
        }
    }
}

#[test]
fn last_two_batches_are_not_passed_over_if_the_length_of_the_one_and_any_bit_of_the_other_rotted() {
    for ring in rings() {
        let bytes = left(&ring, false);
        let (start, next) = spans(&bytes)[usize::try_from(FRAMES).expect("small") - 1];
        for bit in 0..32 {
            // Of the marker a bit that rots leaves one frame, of which the length says too much: see the test above.
            for other in next + 4..bytes.len() {
                let mut bad = bytes.clone();
                bad[start + 4 + bit / 8] ^= 1 << (bit % 8);
                bad[other] ^= 1 << (other % 8);
                let Recovery::Damaged(log) = look_under(&bad, 1, &ring) else {
                    panic!("bit {bit} of the length, byte {other}: two batches are passed over")
                };
                assert_eq!(log.good, FRAMES - 2, "bit {bit} of the length, byte {other}");
            }
        }
    }
}

#[test]
fn an_end_that_was_marked_is_clean_after_any_boot_and_one_that_was_not_only_before() {
    for ring in rings() {
        for (closed, boot, clean) in [
            (true, 1, true),
            (true, 2, true),
            (true, 0, true),
            (false, 1, true),
            (false, 2, false),
            (false, 0, false),
        ] {
            let Recovery::Log(log) = look_under(&left(&ring, closed), boot, &ring) else { panic!("whole") };
            assert_eq!((log.lsn, log.is_clean()), (FRAMES, clean), "closed {closed}, boot {boot}");
            assert_eq!((log.closed, log.unread), (closed.then_some(FRAMES), false));
        }
    }
}

#[test]
fn an_end_in_which_a_bit_rotted_costs_no_batch() {
    for ring in rings() {
        let bytes = left(&ring, true);
        let (start, end) = *spans(&bytes).last().expect("an end");
        for bit in 0..(end - start) * 8 {
            for boot in [1, 2, 0] {
                let mut bad = bytes.clone();
                bad[start + bit / 8] ^= 1 << (bit % 8);
                let Recovery::Log(log) = look_under(&bad, boot, &ring) else {
                    panic!("bit {bit}, boot {boot}: the session does not open")
                };
                assert_eq!(
                    (log.lsn, log.unsynced_lost, log.unread),
                    (FRAMES, 0, true),
                    "bit {bit}, boot {boot}"
                );
            }
        }
    }
}

#[test]
fn a_log_that_is_closed_twice_has_one_end_and_a_bit_that_rots_in_it_costs_nothing() {
    for ring in rings() {
        let disk = MemoryDisk::default();
        let folder = lock(&disk).expect("free");
        let mut wal = create(&folder, &ring, claim(1), 0, &[]).expect("room");
        wal.append(1, &batch(1, 0)).expect("room");
        for _ in 0..3 {
            wal.end(1).expect("room");
        }
        let bytes = only_log(&disk).1;
        let [.., (start, end)] = spans(&bytes)[..] else { panic!("frames") };
        assert_eq!(spans(&bytes).len(), 3, "a base, a batch and an end");
        for bit in 0..(end - start) * 8 {
            let mut bad = bytes.clone();
            bad[start + bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(look_under(&bad, 1, &ring), Recovery::Log(log) if log.lsn == 1), "bit {bit}");
        }
    }
}

#[test]
fn bit_that_rots_never_makes_a_log_look_longer_than_it_was_wherever_it_is() {
    for ring in rings() {
        for closed in [false, true] {
            let bytes = left(&ring, closed);
            for bit in 0..bytes.len() * 8 {
                let mut bad = bytes.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                let context = format!("bit {bit} of {}, closed: {closed}", bytes.len() * 8);
                match look_under(&bad, 1, &ring) {
                    Recovery::Damaged(log) => {
                        // A store that reached the last batch has all that such a log can have held.
                        assert_eq!(log.newest.map(|newest| newest.max(FRAMES)), Some(FRAMES), "{context}");
                    }
                    Recovery::Log(log) => assert_eq!(log.lsn, FRAMES, "{context}"),
                    other => panic!("{context}: {other:?}"),
                }
            }
        }
    }
}

#[test]
fn bytes_behind_the_mark_of_the_end_are_not_read_and_not_removed() {
    let ring = sealed();
    let bytes = [left(&ring, true), b"BHAf and something".to_vec()].concat();
    let Recovery::Log(log) = look_under(&bytes, 1, &ring) else { panic!("whole") };
    assert_eq!((log.lsn, log.closed, log.unread), (FRAMES, Some(FRAMES), true));
}

fn names(disk: &MemoryDisk) -> Vec<String> {
    let files = disk.files(&path());
    files.iter().filter_map(|(name, _)| Some(name.file_name()?.to_str()?.to_owned())).collect()
}

#[test]
fn what_may_hold_batches_that_no_store_has_never_gives_way() {
    let disk = disk_with(&[]);
    for round in 0..6_u64 {
        disk.rewrite(&path().join(format!("{:020}.log", round + 1)), vec![7]);
        lock(&disk).expect("free").quarantine(round != 1 && round != 3).expect("renames");
    }
    let kept: Vec<String> = [(2, "unsent"), (4, "unsent"), (5, "quarantine"), (6, "quarantine")]
        .map(|(number, kind)| format!("{number:020}.{kind}"))
        .to_vec();
    assert_eq!(names(&disk), [kept, vec!["lock".to_owned()]].concat());
}

#[test]
fn a_log_with_the_highest_number_is_neither_written_over_nor_stops_an_open() {
    let ring = sealed();
    let bytes = left(&ring, true);
    for planted in [u64::MAX, u64::MAX - 1] {
        let disk = disk_with(&[(planted, &bytes)]);
        let mut lsn = FRAMES;
        for _ in 0..4 {
            let folder = lock(&disk).expect("free");
            let found = match folder.recover(&ring, tag()) {
                Ok(Recovery::Log(log)) => log,
                other => panic!("{other:?}"),
            };
            History::of(lsn).check(&found, lsn, "opened again");
            let claim = Claim { epoch: lsn, ..claim(2) };
            let mut wal = create(&folder, &ring, claim, lsn, &found.entries).expect("room");
            assert_eq!(
                disk.files(&path()).iter().filter(|(name, _)| is_log(name)).count(),
                2,
                "both are there"
            );
            folder.remove_logs_but(wal.sequence()).expect("removes");
            lsn += 1;
            wal.append(lsn, &batch(lsn, 0)).expect("room");
        }
    }
}

/// A log that was read, with number 3; the one of the open that read it; and that of a rewrite which goes on.
fn reopened_twice() -> (MemoryDisk, Arc<Folder>, [Wal; 2]) {
    let ring = sealed();
    let disk = disk_with(&[(3, &left(&ring, true))]);
    let folder = lock(&disk).expect("free");
    folder.recover(&ring, tag()).expect("whole");
    let base = History::of(FRAMES).state(FRAMES);
    let logs = [(); 2].map(|()| create(&folder, &ring, claim(2), FRAMES, &base).expect("room"));
    (disk, folder, logs)
}

#[test]
fn an_open_removes_only_logs_that_it_has_read() {
    let (disk, folder, [wal, newer]) = reopened_twice();
    // A log that somebody puts there meanwhile.
    disk.rewrite(&path().join("00000000000000000001.log"), b"unknown".to_vec());
    folder.remove_logs_but(wal.sequence()).expect("removes");
    let kept = [1, wal.sequence(), newer.sequence()].map(|number| format!("{number:020}.log"));
    assert_eq!(names(&disk), [kept.to_vec(), vec!["lock".to_owned()]].concat());
}

#[test]
fn an_open_sets_only_logs_aside_that_it_has_read() {
    let (disk, folder, [wal, newer]) = reopened_twice();
    folder.set_aside_but(wal.sequence(), true).expect("sets aside");
    let kept = [wal.sequence(), newer.sequence()].map(|number| format!("{number:020}.log"));
    let aside = vec![format!("{:020}.quarantine", 3)];
    assert_eq!(names(&disk), [aside, kept.to_vec(), vec!["lock".to_owned()]].concat());
}
