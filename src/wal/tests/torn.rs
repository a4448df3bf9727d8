//! Rot before the torn end of a log, and power cuts that leave a frame but a few bytes of a sector: what was synced is never passed
//! over, and what was not stops no open.

use super::*;

const FRAMES: Lsn = 6;
const SECTOR: usize = 512;

/// A batch whose value starts and ends with zeros, as numbers do.
fn zeroed(lsn: Lsn, zeros: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let value = [&[3][..], &vec![0; zeros], &lsn.to_le_bytes()].concat();
    push(&mut bytes, &key("write", &lsn.to_string()), Some(&value));
    bytes
}

/// A log with batches of so many zeros, the base before them of `padding` bytes.
fn log_of(ring: &Arc<Ring>, zeros: usize, padding: usize) -> Vec<u8> {
    let disk = MemoryDisk::default();
    let folder = lock(&disk).expect("free");
    let mut base = Vec::new();
    push(&mut base, &key("pad", ""), Some(&vec![b'.'; padding + 1]));
    let mut wal = create(&folder, ring, claim(1), 0, &base).expect("room");
    for lsn in 1..=FRAMES {
        wal.append(lsn, &zeroed(lsn, zeros)).expect("room");
    }
    only_log(&disk).1
}

/// Ends of a log whose last frame, from `start` to `end`, was being written when the power went.
fn torn(bytes: &[u8], start: usize, end: usize) -> Vec<Vec<u8>> {
    let cut = |at: usize| bytes[..at].to_vec();
    let lost = |from: usize, to: usize| {
        let mut bad = bytes.to_vec();
        bad[from..to].fill(0);
        bad
    };
    let mut all = vec![lost(start, end), lost(start, end - 2), lost(start, start + 20), lost(start + 9, end)];
    all.extend([1, 3, 4, 8, 30, 50].map(|kept| cut(start + kept)));
    all
}

#[test]
fn rot_in_the_last_whole_batch_is_never_taken_for_the_torn_end_behind_it() {
    for ring in rings() {
        for zeros in [0, 5, 80] {
            let bytes = log_of(&ring, zeros, 0);
            let spans = spans(&bytes);
            let [.., (from, to), (start, end)] = spans[..] else { panic!("frames") };
            for (kind, torn) in torn(&bytes, start, end).into_iter().enumerate() {
                for bit in 0..(to - from) * 8 {
                    for boot in [1, 2] {
                        let mut bad = torn.clone();
                        bad[from + bit / 8] ^= 1 << (bit % 8);
                        let context = format!("{zeros} zeros, torn end {kind}, bit {bit}, boot {boot}");
                        let Recovery::Damaged(log) = look_under(&bad, boot, &ring) else {
                            panic!("{context}: a whole batch is passed over")
                        };
                        assert_eq!(log.good, FRAMES - 2, "{context}");
                        assert!(log.newest.is_none_or(|newest| newest >= FRAMES - 1), "{context}");
                    }
                }
            }
        }
    }
}

#[test]
fn rot_of_several_bits_in_a_whole_batch_is_not_explained_by_what_was_torn_behind_it() {
    for ring in rings() {
        let bytes = log_of(&ring, 0, 0);
        let [.., (from, to), (start, end)] = spans(&bytes)[..] else { panic!("frames") };
        let mut torn = bytes.clone();
        torn[start..end].fill(0);
        for at in from + 12..to - 1 {
            let mut bad = torn.clone();
            bad[at] ^= 6;
            bad[at + 1] ^= 9;
            assert!(
                matches!(look_under(&bad, 2, &ring), Recovery::Damaged(_)),
                "at {at}: a whole batch is passed over"
            );
        }
    }
}

#[test]
fn a_power_cut_stops_no_open_wherever_the_sectors_of_the_disk_begin() {
    for ring in rings() {
        for padding in 0..SECTOR {
            let bytes = log_of(&ring, 3, padding);
            let (start, end) = *spans(&bytes).last().expect("frames");
            let edge = (end - 1) / SECTOR * SECTOR;
            if edge <= start {
                continue;
            }
            for (from, to) in [(start, edge), (edge, end)] {
                let mut bad = bytes.clone();
                bad[from..to].fill(0);
                if bad == bytes {
                    continue;
                }
                let context = format!("{} bytes of the last frame at {from}", to - from);
                let Recovery::Log(log) = look_under(&bad, 2, &ring) else {
                    panic!("{context}: taken for rot")
                };
                assert_eq!((log.lsn, log.unread, log.is_clean()), (FRAMES - 1, true, false), "{context}");
                assert!(matches!(look_under(&bad, 1, &ring), Recovery::Damaged(_)), "{context}: no stop");
            }
        }
    }
}
