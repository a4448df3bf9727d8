//! Golden files: logs of each format version, sealed and plain, that every later release must open.

use super::*;

const SEALED: &[u8] = include_bytes!("../../../__test__/fixtures/v1/log-sealed.bin");
const PLAIN: &[u8] = include_bytes!("../../../__test__/fixtures/v1/log-plain.bin");

const SEALED_2: &[u8] = include_bytes!("../../../__test__/fixtures/v2/log-sealed.bin");
const PLAIN_2: &[u8] = include_bytes!("../../../__test__/fixtures/v2/log-plain.bin");

/// The log in the fixtures: base at 2, a failed append of 3, then 3 to 5, of which 4 was synced; version 2 was closed when the
/// store had 4.
fn golden(ring: &Arc<Ring>) -> Vec<u8> {
    let disk = MemoryDisk::default();
    let folder = lock(&disk).expect("free");
    let history = History::of(5);
    let host = CountingHost::new(1);
    let mut wal = Wal::create(&folder, &host, lineage(ring, claim(3)), 2, &history.state(2)).expect("room");
    disk.set_space(Some(10));
    wal.append(3, &batch(3, 0)).expect_err("no room");
    disk.set_space(None);
    for lsn in 3..=5 {
        wal.append(lsn, &batch(lsn, 0)).expect("room");
        if lsn == 4 {
            wal.syncer().sync().expect("syncs");
        }
    }
    wal.end(4).expect("room");
    only_log(&disk).1
}

#[test]
fn a_log_of_version_2_is_written_as_ever() {
    for (ring, bytes) in [(sealed(), SEALED_2), (plain(), PLAIN_2)] {
        let written = golden(&ring);
        assert!(written == bytes, "{written:?}");
    }
}

#[test]
fn a_log_of_version_2_opens_and_says_that_it_was_closed() {
    for (ring, bytes) in [(sealed(), SEALED_2), (plain(), PLAIN_2)] {
        let log = recovered(&disk_with(&[(1, bytes)]), &ring);
        assert_eq!((log.claim, log.lsn, log.closed, log.is_clean()), (claim(3), 5, Some(4), true));
        History::of(5).check(&log, 5, "golden");
    }
}

#[test]
fn a_log_of_version_1_opens() {
    for (ring, bytes) in [(sealed(), SEALED), (plain(), PLAIN)] {
        let log = recovered(&disk_with(&[(1, bytes)]), &ring);
        assert_eq!((log.claim, log.lsn, log.torn, log.unsynced_lost), (claim(3), 5, false, 0));
        assert!(log.is_clean(), "it says nothing of its end, and is believed as ever");
        History::of(5).check(&log, 5, "golden");
    }
}
