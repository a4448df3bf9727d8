//! Several logs side by side: what only one of them had is never lost in silence.

use super::*;
use crate::error::Code;
use crate::wal::frame::HEADER_LEN;

/// The bytes of a log under `claim` with its base at `start`, up to `end`, of which `synced` were.
fn log(claim: Claim, start: Lsn, end: Lsn, synced: Lsn) -> Vec<u8> {
    let history = History::of(end);
    let disk = MemoryDisk::default();
    let folder = lock(&disk).expect("free");
    let mut wal = create(&folder, &sealed(), claim, start, &history.state(start)).expect("room");
    for lsn in start + 1..=end {
        wal.append(lsn, &batch(lsn, 0)).expect("room");
        if lsn == synced {
            wal.syncer().sync().expect("syncs");
        }
    }
    only_log(&disk).1
}

fn look(logs: &[(u64, &[u8])]) -> Result<Recovery> {
    recover(&disk_with(logs), &sealed())
}

#[track_caller]
fn whole(logs: &[(u64, &[u8])]) -> RecoveredLog {
    match look(logs) {
        Ok(Recovery::Log(log)) => {
            History::of(log.lsn).check(&log, 0, "chosen");
            log
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn damaged(logs: &[(u64, &[u8])]) -> DamagedLog {
    match look(logs) {
        Ok(Recovery::Damaged(damaged)) => {
            assert_eq!(damaged.entries, History::of(damaged.good).state(damaged.good));
            damaged
        }
        other => panic!("{other:?}"),
    }
}

fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bad = bytes.to_vec();
    bad[at] ^= 0x20;
    bad
}

/// Damage in the base of a log.
fn baseless(bytes: &[u8]) -> Vec<u8> {
    flipped(bytes, HEADER_LEN + 50)
}

#[test]
fn the_highest_claim_counts_and_then_the_longest_log_and_then_the_newest() {
    let (old, new) = (log(claim(1), 1, 9, 9), log(claim(2), 5, 6, 6));
    assert_eq!(whole(&[(1, &old), (2, &new)]).claim, claim(2));
    assert_eq!(whole(&[(2, &old), (1, &new)]).claim, claim(2), "whatever the order of the files");
    let (long, short) = (log(claim(1), 1, 9, 9), log(claim(1), 5, 8, 8));
    assert_eq!(
        whole(&[(1, &long), (2, &short)]).lsn,
        9,
        "the rewrite has less than the log it was to replace"
    );
    assert_eq!(whole(&[(1, &short), (2, &long)]).lsn, 9);
    assert_eq!(whole(&[(4, &long), (7, &long)]).sequence, 7);
}

#[test]
fn a_damaged_log_of_a_lower_claim_was_superseded() {
    let (old, new) = (log(claim(1), 1, 9, 9), log(claim(2), 9, 9, 9));
    let bad = baseless(&old);
    assert_eq!(whole(&[(1, &bad), (2, &new)]).lsn, 9);
    assert_eq!(whole(&[(3, &bad), (2, &new)]).lsn, 9);
}

#[test]
fn a_damaged_log_of_a_higher_claim_is_never_passed_over() {
    let (old, new) = (log(claim(1), 1, 9, 9), log(claim(2), 9, 12, 9));
    let damaged = damaged(&[(1, &old), (2, &baseless(&new))]);
    assert_eq!((damaged.claim, damaged.good, damaged.newest), (Some(claim(2)), 0, Some(12)));
}

#[test]
fn a_damaged_log_is_passed_over_if_another_one_of_its_claim_reaches_as_far() {
    // A rewrite whose base was damaged before anything followed it; the log that it was to replace is still there.
    let (old, new) = (log(claim(1), 1, 9, 9), log(claim(1), 9, 9, 9));
    assert_eq!(whole(&[(1, &old), (2, &baseless(&new))]).lsn, 9);
    // The old log is damaged, and the rewrite has all of it.
    assert_eq!(whole(&[(1, &baseless(&old)), (2, &new)]).lsn, 9);
    let further = log(claim(1), 5, 12, 12);
    assert_eq!(whole(&[(1, &baseless(&old)), (2, &further)]).lsn, 12);
}

#[test]
fn a_damaged_log_with_more_than_the_other_one_of_its_claim_is_damage_with_the_longer_prefix() {
    let (old, new) = (log(claim(1), 1, 9, 9), log(claim(1), 6, 6, 6));
    // The older file had three batches more than the rewrite: age proves nothing.
    let found = damaged(&[(1, &baseless(&old)), (2, &new)]);
    assert_eq!((found.claim, found.good, found.newest), (Some(claim(1)), 6, Some(9)));
    // The rewrite was in use already.
    let new = log(claim(1), 9, 11, 9);
    let found = damaged(&[(1, &old), (2, &baseless(&new))]);
    assert_eq!((found.claim, found.good, found.newest), (Some(claim(1)), 9, Some(11)));
}

#[test]
fn nothing_is_concluded_about_what_may_have_followed_a_base_of_unknown_length() {
    let (old, new) = (log(claim(1), 1, 9, 9), log(claim(1), 9, 9, 9));
    for at in HEADER_LEN..HEADER_LEN + 8 {
        let found = damaged(&[(1, &old), (2, &flipped(&new, at))]);
        assert_eq!((found.claim, found.good, found.newest), (Some(claim(1)), 9, None), "byte {at}");
    }
}

#[test]
fn a_header_that_does_not_read_leaves_the_other_log_as_the_good_prefix() {
    let (old, new) = (log(claim(1), 1, 9, 9), log(claim(2), 9, 11, 11));
    for (one, two) in [(&flipped(&old, 40), &new), (&old, &flipped(&new, 40))] {
        let found = damaged(&[(1, one), (2, two)]);
        assert!(found.claim.is_some() && found.good >= 9, "{found:?}");
        assert_eq!(found.newest, Some(11), "the frames behind the header say how many they are");
    }
}

#[test]
fn what_a_power_cut_took_from_both_logs_is_counted_once() {
    // Both files are cut short by the same power cut; the one with more counts, and the other one tells what was lost.
    let (old, new) = (log(claim(1), 1, 9, 5), log(claim(1), 5, 12, 5));
    let hole = |bytes: &[u8], lsn: Lsn, start: Lsn| {
        let mut at = HEADER_LEN;
        for _ in start..lsn {
            at += 37
                + usize::try_from(u32::from_le_bytes(bytes[at + 4..at + 8].try_into().expect("4")))
                    .expect("small");
        }
        let mut bad = bytes.to_vec();
        bad[at..at + 37].fill(0);
        bad[at + 37..at + 64].fill(0);
        bad
    };
    let disk = disk_with(&[(1, &hole(&old, 9, 1)), (2, &hole(&new, 7, 5))]);
    assert!(
        matches!(recover(&disk, &sealed()), Ok(Recovery::Damaged(_))),
        "the machine has not stopped since"
    );
    disk.set_boot(2);
    let log = recovered(&disk, &sealed());
    assert_eq!((log.lsn, log.unsynced_lost), (8, 4));
}

#[test]
fn a_key_that_is_gone_blocks_only_what_is_not_superseded() {
    let lock_out = |claim, sequence: u64| {
        let disk = disk_with(&[(5, &log(claim_of_main(), 3, 6, 6))]);
        let folder = lock(&disk).expect("free");
        let other = keyed(&[9; 32]);
        create(&folder, &other, claim, 4, &History::of(4).state(4)).expect("room");
        drop(folder);
        let (_, bytes) = disk.files(&path()).into_iter().rfind(|(name, _)| is_log(name)).expect("made");
        look(&[(5, &log(claim_of_main(), 3, 6, 6)), (sequence, &bytes)]).map(|_| ()).map_err(|e| e.code())
    };
    assert_eq!(lock_out(claim(1), 9), Ok(()));
    assert_eq!(lock_out(claim_of_main(), 1), Err(Code::KeyUnavailable));
    assert_eq!(lock_out(claim(3), 1), Err(Code::KeyUnavailable));
}

fn claim_of_main() -> Claim {
    claim(2)
}
