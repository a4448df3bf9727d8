//! Damage: every truncation, every flipped bit, every lost subset of the last writes.

use super::*;
use crate::error::Code;
use crate::wal::frame::{FRAME_LEN, HEADER_LEN};

const FRAMES: Lsn = 28;
const BASE: Lsn = 3;
const SYNCED: Lsn = 17;

/// Offsets of the frames, the base first, and of the end of the file.
fn starts(bytes: &[u8]) -> Vec<usize> {
    let mut at = HEADER_LEN;
    let mut starts = vec![at];
    while at < bytes.len() {
        let len = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().expect("four bytes"));
        at += FRAME_LEN + usize::try_from(len).expect("small");
        starts.push(at);
    }
    assert_eq!(at, bytes.len());
    starts
}

fn look(bytes: &[u8], ring: &Arc<Ring>) -> Result<Recovery> {
    recover(&disk_with(&[(1, bytes)]), ring)
}

#[test]
fn every_truncation_keeps_exactly_the_whole_frames_before_it() {
    for ring in rings() {
        let history = History::of(FRAMES);
        let (_, bytes) = only_log(&written(&ring, &history, BASE, SYNCED));
        let starts = starts(&bytes);
        for len in 0..=bytes.len() {
            let whole = starts.iter().filter(|start| **start <= len).count();
            match look(&bytes[..len], &ring).expect("damage is an answer") {
                Recovery::Damaged(damaged) => {
                    assert!(whole < 2, "at {len}: {damaged:?}");
                    assert_eq!((damaged.good, damaged.entries.len()), (0, 0));
                    assert_eq!(damaged.claim, (len >= HEADER_LEN).then_some(claim(1)));
                }
                Recovery::Log(log) => {
                    assert_eq!(log.lsn, BASE + whole as Lsn - 2, "at {len}");
                    assert_eq!((log.torn, log.unsynced_lost), (!starts.contains(&len), 0), "at {len}");
                    history.check(&log, 0, &format!("cut at {len}"));
                }
                Recovery::None | Recovery::Locked(_) => panic!("the log at {len} was overlooked"),
            }
        }
    }
}

#[test]
fn every_flipped_bit_gives_a_true_prefix_or_is_called_damage() {
    for ring in rings() {
        let history = History::of(FRAMES);
        let (_, bytes) = only_log(&written(&ring, &history, BASE, SYNCED));
        let starts = starts(&bytes);
        for at in 0..bytes.len() {
            // The frame that the flip is in; its LSN is the first that cannot be read.
            let frame = starts.iter().filter(|start| **start <= at).count();
            let hit = BASE + frame as Lsn - 1;
            for bit in 0..8 {
                let mut bad = bytes.clone();
                bad[at] ^= 1 << bit;
                let context = format!("bit {bit} of byte {at}, in the frame of LSN {hit}");
                match look(&bad, &ring).expect("damage is an answer") {
                    Recovery::Damaged(damaged) => {
                        let good = if frame < 2 { 0 } else { hit - 1 };
                        assert_eq!(damaged.good, good, "{context}");
                        assert_eq!(damaged.entries, history.state(good), "{context}");
                        assert_eq!(damaged.claim, (frame > 0).then_some(claim(1)), "{context}");
                        let newest = damaged.newest.expect("one frame is damaged");
                        assert!(
                            newest == FRAMES || (hit == FRAMES && newest > FRAMES),
                            "{context}: {newest}"
                        );
                        // With a state that has the batch which was hit, the rest makes it whole.
                        let rest = damaged.suffix.as_ref().and_then(|suffix| suffix.after(hit));
                        let expected =
                            (frame > 0 && hit < FRAMES).then(|| history.batches[hit as usize..].concat());
                        assert_eq!(rest.map(<[u8]>::to_vec), expected, "{context}");
                        assert!(
                            damaged.suffix.is_none_or(|suffix| suffix.after(hit - 1).is_none()),
                            "{context}"
                        );
                    }
                    // A length that points beyond the file looks like a write that a killed process began.
                    Recovery::Log(log) => {
                        history.check(&log, SYNCED, &context);
                        assert_eq!((hit, log.lsn), (FRAMES, FRAMES - 1), "{context}");
                        assert!(log.torn && !log.is_clean() && log.unread, "{context}");
                    }
                    Recovery::None | Recovery::Locked(_) => panic!("{context}: overlooked"),
                }
            }
        }
    }
}

/// The bytes of frames change hands without their checksums noticing: what only the seal can tell.
#[test]
fn a_frame_that_was_changed_with_its_checksum_is_damage_wherever_it_is() {
    let ring = sealed();
    let history = History::of(FRAMES);
    let (_, bytes) = only_log(&written(&ring, &history, BASE, SYNCED));
    let starts = starts(&bytes);
    for (frame, span) in starts.windows(2).enumerate() {
        let (start, end) = (span[0], span[1]);
        for at in start + 12..end {
            let mut bad = bytes.clone();
            bad[at] ^= 0x10;
            let mut crc = crc32fast::Hasher::new();
            crc.update(&bytes[32..64]);
            crc.update(&bad[start + 4..start + 8]);
            crc.update(&bad[start + 12..end]);
            bad[start + 8..start + 12].copy_from_slice(&crc.finalize().to_le_bytes());
            let context = format!("byte {} of frame {frame}", at - start);
            // Another LSN, kind or counter is noticed before the seal is asked; then it is a frame out of its place.
            let misplaced = at - start < 29;
            match look(&bad, &ring).expect("damage is an answer") {
                Recovery::Damaged(damaged) => {
                    let good = if frame == 0 { 0 } else { BASE + frame as Lsn - 1 };
                    assert_eq!((damaged.good, damaged.entries), (good, history.state(good)), "{context}");
                }
                Recovery::Log(log) if misplaced => {
                    history.check(&log, SYNCED.min(BASE + frame as Lsn - 1), &context);
                    assert_eq!(log.lsn, BASE + frame as Lsn - 1, "{context}");
                    assert!(log.lsn >= SYNCED || log.torn, "{context}: a synced batch is gone");
                }
                other => panic!("{context}: {other:?}"),
            }
        }
    }
}

#[test]
fn every_length_field_is_bounded_by_the_file() {
    for ring in rings() {
        let (_, bytes) = only_log(&written(&ring, &History::of(6), 1, 1));
        for start in &starts(&bytes)[..6] {
            for len in [0, 1, 15, 16, 0x7fff_ffff, 0x8000_0000, 0xffff_ffda, 0xffff_ffdb, 0xffff_ffff_u32] {
                let mut bad = bytes.clone();
                bad[start + 4..start + 8].copy_from_slice(&len.to_le_bytes());
                assert!(!matches!(look(&bad, &ring), Ok(Recovery::None) | Err(_)));
            }
        }
    }
}

#[test]
fn every_loss_among_the_last_three_appends_leaves_the_synced_prefix() {
    for ring in rings() {
        for synced in [5, 6, 7, 8] {
            let history = History::of(8);
            let disk = written(&ring, &history, 2, synced);
            // The lock file's name is never synced, and nobody needs it to be.
            let first = disk.unsynced() - usize::try_from(8 - synced).expect("small");
            for kept in 0..1_u32 << (8 - synced) {
                let keeps = |number: usize| number >= first && kept >> (number - first) & 1 == 1;
                let log = recovered(&disk.power_cut(keeps), &ring);
                let context = format!("synced {synced}, kept {kept:b}");
                history.check(&log, synced, &context);
                let intact = u64::from((!kept).trailing_zeros()).min(8 - synced);
                assert_eq!(log.lsn, synced + intact, "{context}: what is contiguous is kept");
                let newest = synced + u64::from(32 - kept.leading_zeros());
                assert_eq!(log.unsynced_lost, newest - log.lsn, "{context}");
            }
        }
    }
}

#[test]
fn a_hole_before_what_somebody_was_told_is_safe_is_damage() {
    for ring in rings() {
        let history = History::of(9);
        let (_, bytes) = only_log(&written(&ring, &history, 1, 6));
        let starts = starts(&bytes);
        // Zeros, as a lost page reads, after the machine was started anew; batch 7 was written after the sync and says so.
        for hole in 2..=9_u64 {
            let (from, to) = (
                starts[usize::try_from(hole).expect("small") - 1],
                starts[usize::try_from(hole).expect("small")],
            );
            let mut bad = bytes.clone();
            bad[from..to].fill(0);
            assert!(matches!(look(&bad, &ring), Ok(Recovery::Damaged(_))), "{hole}: no power was cut");
            let disk = disk_with(&[(1, &bad)]);
            disk.set_boot(2);
            match recover(&disk, &ring).expect("damage is an answer") {
                Recovery::Damaged(damaged) => assert!(hole <= 6 && damaged.good == hole - 1, "{hole}"),
                Recovery::Log(log) => assert!(hole > 6 && log.lsn == hole - 1, "{hole}: {log:?}"),
                Recovery::None | Recovery::Locked(_) => panic!("overlooked"),
            }
        }
    }
}

#[test]
fn frames_of_another_file_never_pass_for_its_own() {
    for ring in rings() {
        let history = History::of(6);
        let (_, one) = only_log(&written(&ring, &history, 1, 1));
        let disk = MemoryDisk::default();
        let folder = lock(&disk).expect("free");
        let mut wal = create(&folder, &ring, claim(2), 6, &history.state(6)).expect("room");
        wal.append(7, &batch(7, 0)).expect("room");
        let (_, other) = only_log(&disk);
        // The other file's batch 7 fits by its number, and even its place.
        let tail = &other[starts(&other)[1]..];
        let log = look(&[&one[..], tail].concat(), &ring).expect("damage is an answer");
        // Nothing that this package does leaves such bytes there: it is for a person to say what they are.
        assert!(matches!(log, Recovery::Damaged(log) if log.good == 6 && log.suffix.is_none()));
    }
}

#[test]
fn a_missing_or_wrong_key_is_never_called_damage() {
    let (_, bytes) = only_log(&written(&sealed(), &History::of(4), 1, 1));
    for ring in [plain(), keyed(&[1; 32])] {
        assert_eq!(look(&bytes, &ring).map(|_| ()).map_err(|e| e.code()), Err(Code::KeyUnavailable));
    }
    let rotated = keyed(&[[1; 32], [0x42; 32]].concat());
    assert!(matches!(look(&bytes, &rotated), Ok(Recovery::Log(_))));
    // Enabling encryption must not lose a session that was kept in clear.
    let (_, plain) = only_log(&written(&plain(), &History::of(4), 1, 1));
    let refused = look(&plain, &sealed()).map(|_| ()).map_err(|e| e.code());
    assert_eq!(refused, Err(Code::KeyUnavailable), "nobody said that it may be in the clear");
    let told = Arc::new(Ring::new(&[0x42; 32]).expect("a whole key").accepting_plain(true));
    assert!(matches!(look(&plain, &told), Ok(Recovery::Log(_))));
}

/// Recomputes the header's checksum over `bytes`.
fn resum(bytes: &mut [u8]) {
    let crc = crc32fast::hash(&bytes[..HEADER_LEN - 4]);
    bytes[HEADER_LEN - 4..HEADER_LEN].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn a_log_moved_to_another_tenant_or_claim_does_not_open() {
    let (_, bytes) = only_log(&written(&sealed(), &History::of(4), 1, 1));
    let tenant = lock(&disk_with(&[(1, &bytes)])).expect("free").recover(&sealed(), visible_tag("other"));
    assert_eq!(tenant.map(|_| ()).map_err(|e| e.code()), Err(Code::LocalCorrupt));
    // Tag, epoch, owner and starting LSN, with a checksum that fits.
    for at in 64..112 {
        let mut bad = bytes.clone();
        bad[at] ^= 1;
        resum(&mut bad);
        let asked = match at {
            64..80 => {
                let mut tag = tag();
                tag.0[at - 64] ^= 1;
                tag
            }
            _ => tag(),
        };
        let found = lock(&disk_with(&[(1, &bad)])).expect("free").recover(&sealed(), asked);
        match (at, found) {
            (64..104, Err(error)) => assert_eq!(error.code(), Code::KeyUnavailable, "byte {at}"),
            (104.., Ok(Recovery::Damaged(damaged))) => assert_eq!(damaged.good, 0),
            (_, other) => panic!("byte {at}: {other:?}"),
        }
    }
}

#[test]
fn an_unknown_version_is_named_and_a_flipped_one_is_damage() {
    let (_, bytes) = only_log(&written(&sealed(), &History::of(4), 1, 1));
    for (at, what) in [(4, "format version 9"), (5, "encryption suite 9")] {
        let mut newer = bytes.clone();
        newer[at] = 9;
        resum(&mut newer);
        let error = look(&newer, &sealed()).map(|_| ()).expect_err("unknown");
        assert_eq!(error.code(), Code::LocalCorrupt);
        assert!(error.message.contains(what), "{}", error.message);
    }
    let mut flipped = bytes;
    flipped[4] = 9;
    assert!(matches!(look(&flipped, &sealed()), Ok(Recovery::Damaged(_))));
}

/// A body may hold anything, also a million markers, each of which says that a frame goes on to the end of the file.
#[test]
fn a_tail_full_of_false_markers_is_answered_quickly() {
    let ring = plain();
    let (_, mut bytes) = only_log(&written(&ring, &History::of(4), 1, 1));
    let end = bytes.len() + (4 << 20);
    while bytes.len() < end {
        bytes.extend_from_slice(b"BHAf");
        let rest = u32::try_from(end - bytes.len() + 4 - FRAME_LEN.min(end - bytes.len() + 4)).unwrap_or(0);
        bytes.extend_from_slice(&rest.to_le_bytes());
    }
    match look(&bytes, &ring).expect("damage is an answer") {
        Recovery::Damaged(damaged) => assert_eq!((damaged.good, damaged.newest), (4, None)),
        other => panic!("{other:?}"),
    }
}
