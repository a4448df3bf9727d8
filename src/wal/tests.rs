//! Every crash of a small log: each truncation, each flip, each subset of lost writes, each failing operation.
//!
//! The promise under test: what recovery gives is a prefix of what was appended that holds everything synced, or it says
//! that the log is damaged; never anything else.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::recover::{FileOutcome, Recovered, choose, read_log};
use super::{Appended, Folder, Lineage, Recovery, Wal};
use crate::disk::memory::MemoryDisk;
use crate::error::{Code, Error, Result};
use crate::host::{Host, Job, Task};
use crate::id::{Claim, Lsn, OwnerId, TenantTag};
use crate::record::{key, push};
use crate::seal::{Ring, visible_tag};

/// A host whose randomness counts up: the same log every time, byte for byte.
struct FixedHost;

impl Host for FixedHost {
    fn now(&self) -> Duration {
        Duration::ZERO
    }

    fn wall_ms(&self) -> u64 {
        0
    }

    fn random(&self, bytes: &mut [u8]) {
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::try_from(at % 256).unwrap_or(0);
        }
    }

    fn spawn(&self, _: Task) {}

    fn offload(&self, job: Job) {
        job();
    }
}

const CLAIM: Claim = Claim { epoch: 4, owner: OwnerId([0x11; 16]) };

fn path() -> PathBuf {
    PathBuf::from("/sessions/tenant")
}

fn tag() -> TenantTag {
    visible_tag("tenant")
}

fn rings() -> [Ring; 2] {
    [Ring::default(), Ring::new(&[0x42; 32]).expect("a key")]
}

/// The batch `lsn`: two entries whose size varies.
fn batch(lsn: Lsn) -> Vec<u8> {
    let mut out = Vec::new();
    let value = vec![u8::try_from(lsn % 250).unwrap_or(0) + 1; 3 + usize::try_from(lsn % 7).unwrap_or(0) * 5];
    push(&mut out, &key("session", &format!("peer-{}", lsn % 5)), Some(&value));
    push(&mut out, &key("pre-key", &lsn.to_string()), (!lsn.is_multiple_of(3)).then_some(b"\x03k"));
    out
}

fn base() -> Vec<u8> {
    batch(1000)
}

/// Base and batches up to `lsn`, as recovery gives them.
fn history(start: Lsn, lsn: Lsn) -> Vec<u8> {
    (start + 1..=lsn).fold(base(), |mut all, lsn| {
        all.extend_from_slice(&batch(lsn));
        all
    })
}

/// Rings hold keys and are not cloned; the two of these tests are known by whether they have any.
fn lineage(ring: &Ring) -> Lineage {
    let [plain, sealed] = rings();
    Lineage { ring: Arc::new(if ring.is_empty() { plain } else { sealed }), tag: tag(), claim: CLAIM }
}

struct Machine {
    disk: MemoryDisk,
    folder: Arc<Folder>,
}

fn start(disk: &MemoryDisk) -> Result<Machine> {
    Ok(Machine { disk: disk.clone(), folder: Arc::new(Folder::lock(Arc::new(disk.clone()), &path())?) })
}

impl Machine {
    fn create(&self, ring: &Ring, lsn: Lsn) -> Result<Wal> {
        Wal::create(&self.folder, &FixedHost, lineage(ring), lsn, &base())
    }

    fn recover(&self, ring: &Ring) -> Result<Recovery> {
        self.folder.recover(ring, tag())
    }

    fn log_bytes(&self) -> Vec<u8> {
        let mut logs = self.disk.files(&path());
        logs.retain(|(name, _)| name.extension().is_some_and(|ending| ending == "log"));
        assert_eq!(logs.len(), 1, "one log");
        logs.remove(0).1
    }
}

fn log(recovery: Recovery) -> Recovered {
    match recovery {
        Recovery::Log(log) => log,
        other => panic!("expected a log that reads, found {other:?}"),
    }
}

/// A log of `count` batches after a base at LSN 10, the first `synced` of which were synced.
fn written(ring: &Ring, count: Lsn, synced: Lsn) -> (Machine, Wal) {
    let machine = start(&MemoryDisk::default()).expect("locks");
    let mut wal = machine.create(ring, 10).expect("creates");
    for lsn in 11..=10 + count {
        assert_eq!(wal.append(lsn, &batch(lsn)).expect("appends"), Appended::Stored);
        if lsn == 10 + synced {
            wal.syncer().sync().expect("syncs");
            wal.note_synced(lsn);
        }
    }
    (machine, wal)
}

/// What every damaged file must give: a prefix, or a typed refusal.
fn assert_prefix_or_refusal(outcome: Result<FileOutcome>, at_least: Lsn, at_most: Lsn, what: &str) {
    match outcome {
        Ok(Ok(log)) => {
            assert!(
                (at_least..=at_most).contains(&log.lsn),
                "{what}: LSN {} is not within {at_least}..={at_most}",
                log.lsn
            );
            assert!(log.entries == history(10, log.lsn), "{what}: not the history up to LSN {}", log.lsn);
        }
        Ok(Err(damage)) => assert!(damage.good <= at_most, "{what}: {damage:?}"),
        Err(Error { code: Code::LocalCorrupt | Code::KeyUnavailable, .. }) => {}
        Err(error) => panic!("{what}: {error:?}"),
    }
}

#[test]
fn a_log_gives_back_what_was_appended() {
    for ring in rings() {
        let (machine, _) = written(&ring, 24, 12);
        let found = log(machine.recover(&ring).expect("recovers"));
        assert_eq!((found.claim, found.lsn, found.torn, found.unsynced_lost), (CLAIM, 34, false, 0));
        assert_eq!(found.entries, history(10, 34));
    }
}

#[test]
fn every_truncation_gives_a_prefix_or_damage() {
    for ring in rings() {
        let (machine, _) = written(&ring, 24, 12);
        let bytes = machine.log_bytes();
        let whole = read_log(&bytes, &ring, tag()).expect("reads").expect("whole").lsn;
        let mut reached = 0;
        for len in 0..bytes.len() {
            let outcome = read_log(&bytes[..len], &ring, tag());
            if let Ok(Ok(log)) = &outcome {
                assert!(log.lsn >= reached, "a longer file never gives less");
                reached = log.lsn;
            }
            assert_prefix_or_refusal(outcome, 10, whole, &format!("cut to {len}"));
        }
        assert_eq!(reached, whole - 1);
    }
}

#[test]
fn every_flip_gives_a_prefix_that_holds_what_was_synced_or_damage() {
    for ring in rings() {
        let (machine, _) = written(&ring, 24, 12);
        let bytes = machine.log_bytes();
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            // Frames after the first sync say that LSN 22 was safe, so losing it can never look like a torn tail.
            assert_prefix_or_refusal(read_log(&bad, &ring, tag()), 22, 34, &format!("bit {bit}"));
        }
    }
}

#[test]
fn a_forger_with_the_checksums_right_still_fails_at_the_seal() {
    let ring = &rings()[1];
    let plain = &rings()[0];
    let (machine, _) = written(plain, 6, 0);
    let forged = machine.log_bytes();
    assert!(read_log(&forged, ring, tag()).expect("a plain log is read by whoever has keys").is_ok());
    let (sealed, _) = written(ring, 6, 0);
    let mut bytes = sealed.log_bytes();
    // Claim that the sealed file is plain: the checksum of the header is public, and its body then makes no sense.
    bytes[5] = 0;
    let crc = crc32fast::hash(&bytes[..112]);
    bytes[112..116].copy_from_slice(&crc.to_le_bytes());
    let found = read_log(&bytes, ring, tag()).expect("reads").expect("frames check out");
    assert!(crate::state::State::replay(&found.entries).is_err());
}

#[test]
fn every_subset_of_the_last_unsynced_writes_may_be_lost() {
    for ring in rings() {
        for keep in 0..16_usize {
            let machine = start(&MemoryDisk::default()).expect("locks");
            let mut wal = machine.create(&ring, 10).expect("creates");
            for lsn in 11..=18 {
                wal.append(lsn, &batch(lsn)).expect("appends");
                if lsn == 14 {
                    wal.syncer().sync().expect("syncs");
                    wal.note_synced(14);
                }
            }
            let after = start(&machine.disk.power_cut(|number| keep & (1 << number) != 0)).expect("locks");
            let found = log(after.recover(&ring).expect("recovers"));
            let prefix = (0..4).take_while(|number| keep & (1 << number) != 0).count() as Lsn;
            assert_eq!(found.lsn, 14 + prefix, "kept {keep:04b}");
            assert_eq!(found.entries, history(10, found.lsn));
            let last = 4 - (keep as u16).leading_zeros().saturating_sub(12).min(4) as Lsn;
            let lost = last.saturating_sub(prefix);
            assert_eq!(
                found.unsynced_lost, lost,
                "kept {keep:04b}: the last frame that survived tells how many are missing"
            );
        }
    }
}

#[test]
fn a_hole_before_something_synced_is_damage_and_not_a_torn_tail() {
    let ring = Ring::default();
    let (machine, mut wal) = written(&ring, 6, 0);
    wal.syncer().sync().expect("syncs");
    wal.note_synced(16);
    wal.append(17, &batch(17)).expect("appends");
    let bytes = machine.log_bytes();
    let third = frame_starts(&bytes)[3];
    let mut bad = bytes.clone();
    bad[third + 40] ^= 1;
    let damage = read_log(&bad, &ring, tag()).expect("reads").expect_err("LSN 13 was synced, and 17 knows");
    assert_eq!(damage.good, 12);
    // The same hole where nothing after it knows of a sync: an unsynced region.
    let unsynced = &bad[..bad.len() - (bytes.len() - frame_starts(&bytes)[7])];
    let found = read_log(unsynced, &ring, tag()).expect("reads").expect("a prefix");
    assert_eq!((found.lsn, found.unsynced_lost), (12, 4));
}

/// Where the frames start: after the header, one behind another.
fn frame_starts(bytes: &[u8]) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut at = 116;
    while at < bytes.len() {
        starts.push(at);
        at += 37 + u32::from_le_bytes(bytes[at + 4..at + 8].try_into().expect("four bytes")) as usize;
    }
    starts
}

#[test]
fn frames_of_another_file_are_never_taken_for_ones_own() {
    // Reused space may hold whole frames of an older log: its salt differs, so their checksums do.
    let ring = Ring::default();
    let machine = start(&MemoryDisk::default()).expect("locks");
    let mut wal = machine.create(&ring, 10).expect("creates");
    wal.append(11, &batch(11)).expect("appends");
    let mut own = machine.log_bytes();
    let mut foreign = own.clone();
    foreign[32] ^= 1;
    let frame = frame_starts(&own)[1];
    own.truncate(frame);
    own.extend_from_slice(&foreign[frame..]);
    let crc = crc32fast::hash(&own[..112]);
    own[112..116].copy_from_slice(&crc.to_le_bytes());
    own[32] ^= 1;
    let crc = crc32fast::hash(&own[..112]);
    own[112..116].copy_from_slice(&crc.to_le_bytes());
    assert!(
        read_log(&own, &ring, tag()).expect("reads").is_err(),
        "the base does not check out under another salt"
    );
}

#[test]
fn a_log_of_another_tenant_is_refused() {
    let (machine, _) = written(&Ring::default(), 2, 0);
    let refused = machine.folder.recover(&Ring::default(), visible_tag("other"));
    assert_eq!(refused.map(|_| ()).map_err(|error| error.code), Err(Code::LocalCorrupt));
}

#[test]
fn a_missing_key_is_not_called_damage() {
    let [none, ring] = rings();
    let (machine, _) = written(&ring, 2, 0);
    for wrong in [none, Ring::new(&[0x43; 32]).expect("a key")] {
        assert_eq!(
            machine.recover(&wrong).map(|_| ()).map_err(|error| error.code),
            Err(Code::KeyUnavailable)
        );
    }
}

#[test]
fn an_unknown_version_is_named() {
    let (machine, _) = written(&Ring::default(), 1, 0);
    let mut bytes = machine.log_bytes();
    bytes[4] = 2;
    let crc = crc32fast::hash(&bytes[..112]);
    bytes[112..116].copy_from_slice(&crc.to_le_bytes());
    let error = read_log(&bytes, &Ring::default(), tag()).map(|_| ()).expect_err("a version of the future");
    assert!(error.code == Code::LocalCorrupt && error.message.contains("version 2"), "{error}");
}

/// What a process does in its life: open, write, sync, rewrite its log, write on. `note` hears of every promise it makes.
fn life(disk: &MemoryDisk, ring: &Ring, note: &mut impl FnMut(Lsn, bool)) -> Result<()> {
    let machine = start(disk)?;
    machine.folder.record_claim(CLAIM)?;
    let found = match machine.recover(ring)? {
        Recovery::None => None,
        Recovery::Log(log) => Some(log),
        Recovery::Damaged(damage) => panic!("a crash never looks like damage: {damage:?}"),
    };
    let start = found.as_ref().map_or(10, |log| log.lsn);
    let whole = found.map_or_else(base, |log| log.entries);
    let mut wal = Wal::create(&machine.folder, &FixedHost, lineage(ring), start, &whole)?;
    machine.folder.remove_logs_but(wal.sequence())?;
    note(start, true);
    let append = |wal: &mut Wal, lsn: Lsn| -> Result<Lsn> {
        wal.append(lsn, &batch(lsn))?;
        Ok(lsn)
    };
    for lsn in start + 1..=start + 3 {
        note(append(&mut wal, lsn)?, false);
    }
    if wal.syncer().sync().is_err() {
        return Ok(());
    }
    wal.note_synced(start + 3);
    note(start + 3, true);
    wal.begin_roll();
    note(append(&mut wal, start + 4)?, false);
    let entries = (start + 1..=start + 3).fold(whole, |mut all, lsn| {
        all.extend_from_slice(&batch(lsn));
        all
    });
    let mut next = start + 5;
    match Wal::prepare_roll(&machine.folder, &FixedHost, lineage(ring), start + 3, &entries) {
        Ok(new) => {
            note(append(&mut wal, next)?, false);
            let old = wal.finish_roll(new)?;
            note(append(&mut wal, next + 1)?, false);
            old.remove();
            next += 2;
        }
        Err(_) => wal.abort_roll(),
    }
    note(append(&mut wal, next)?, false);
    Ok(())
}

fn operations_of_a_life(disk: &MemoryDisk, ring: &Ring) -> (u64, u64) {
    let disk = disk.restart();
    let before = disk.operations();
    life(&disk, ring, &mut |_, _| {}).expect("a life without faults");
    (before, disk.operations())
}

#[test]
fn a_process_killed_at_any_operation_loses_nothing_it_appended() {
    for ring in rings() {
        // The first life meets an empty disk, the second what a whole one left.
        let mut disk = MemoryDisk::default();
        for _ in 0..2 {
            let (first, last) = operations_of_a_life(&disk, &ring);
            for at in first..last {
                for partial in [None, Some(1), Some(50), Some(usize::MAX)] {
                    let doomed = disk.restart();
                    doomed.kill_at(at, partial);
                    let mut promised = 0;
                    let _ = life(&doomed, &ring, &mut |lsn, _| promised = lsn);
                    let after = start(&doomed.restart()).expect("the lock is free after a kill");
                    match after.recover(&ring).expect("recovers") {
                        Recovery::Log(log) => {
                            assert!(
                                log.lsn >= promised,
                                "killed at operation {at}: promised {promised}, found {}",
                                log.lsn
                            );
                            assert!(log.entries == history(10, log.lsn), "killed at operation {at}");
                        }
                        Recovery::None => assert_eq!(promised, 0, "killed at operation {at}"),
                        Recovery::Damaged(damage) => panic!("killed at operation {at}: {damage:?}"),
                    }
                }
            }
            let lived = disk.restart();
            life(&lived, &ring, &mut |_, _| {}).expect("a life without faults");
            disk = lived;
        }
    }
}

#[test]
fn a_power_cut_at_any_operation_loses_nothing_that_was_synced() {
    let ring = Ring::default();
    let mut disk = MemoryDisk::default();
    for _ in 0..2 {
        let (first, last) = operations_of_a_life(&disk, &ring);
        for at in first..=last {
            for keep in [0_usize, usize::MAX, 0b101, 0b110] {
                let doomed = disk.restart();
                doomed.kill_at(at, None);
                let mut safe = 0;
                let _ = life(&doomed, &ring, &mut |lsn, synced| safe = if synced { lsn } else { safe });
                let after = start(&doomed.power_cut(|number| number < 60 && keep & (1 << number) != 0))
                    .expect("locks");
                match after.recover(&ring).expect("recovers") {
                    Recovery::Log(log) => {
                        assert!(
                            log.lsn >= safe,
                            "cut at operation {at} keeping {keep:b}: {safe} was safe, found {}",
                            log.lsn
                        );
                        assert!(log.entries == history(10, log.lsn), "cut at operation {at}");
                    }
                    Recovery::None => assert_eq!(safe, 0, "cut at operation {at}"),
                    Recovery::Damaged(damage) => panic!("cut at operation {at} keeping {keep:b}: {damage:?}"),
                }
            }
        }
        let lived = disk.restart();
        life(&lived, &ring, &mut |_, _| {}).expect("a life without faults");
        disk = lived.power_cut(|_| true);
    }
}

#[test]
fn any_single_failing_operation_loses_nothing_and_never_panics() {
    let ring = &rings()[1];
    for kind in [ErrorKind::StorageFull, ErrorKind::Other] {
        let disk = MemoryDisk::default();
        let (first, last) = operations_of_a_life(&disk, ring);
        for at in first..last {
            for partial in [None, Some(7), Some(usize::MAX)] {
                let faulty = disk.restart();
                faulty.fail_at(at, kind, partial);
                let mut promised = 0;
                let outcome = life(&faulty, ring, &mut |lsn, _| promised = lsn);
                if let Err(error) = outcome {
                    assert!(
                        matches!(error.code, Code::LocalUnavailable | Code::IoPoisoned),
                        "operation {at}: {error:?}"
                    );
                }
                let after = start(&faulty.restart()).expect("locks");
                match after.recover(ring).expect("recovers") {
                    Recovery::Log(log) => {
                        assert!(
                            log.lsn >= promised,
                            "operation {at}: promised {promised}, found {}",
                            log.lsn
                        );
                        assert!(log.entries == history(10, log.lsn), "operation {at}");
                    }
                    Recovery::None => assert_eq!(promised, 0, "operation {at}"),
                    Recovery::Damaged(damage) => panic!("operation {at}: {damage:?}"),
                }
            }
        }
    }
}

#[test]
fn a_full_disk_refuses_and_writing_goes_on_once_there_is_space() {
    let (machine, mut wal) = written(&Ring::default(), 3, 0);
    for space in 0..60 {
        machine.disk.set_space(Some(space));
        let error = wal.append(14, &batch(14)).expect_err("no space");
        assert_eq!(error.code, Code::LocalUnavailable);
        assert!(error.message.contains("full"), "{error}");
    }
    machine.disk.set_space(None);
    wal.append(14, &batch(14)).expect("space again");
    assert_eq!(log(machine.recover(&Ring::default()).expect("recovers")).entries, history(10, 14));
}

#[test]
fn a_log_that_cannot_be_cut_back_accepts_nothing_more() {
    let (machine, mut wal) = written(&Ring::default(), 3, 0);
    let at = machine.disk.operations();
    machine.disk.fail_at(at, ErrorKind::Other, Some(9));
    machine.disk.fail_at(at + 1, ErrorKind::Other, None);
    for _ in 0..2 {
        assert_eq!(wal.append(14, &batch(14)).map_err(|error| error.code), Err(Code::IoPoisoned));
    }
    let found = log(machine.recover(&Ring::default()).expect("recovers"));
    assert_eq!((found.lsn, found.torn), (13, true));
}

#[test]
fn no_nonce_is_spent_twice_by_failed_appends_and_rewritten_logs() {
    let ring = &rings()[1];
    let (machine, mut wal) = written(ring, 2, 0);
    machine.disk.set_space(Some(20));
    for _ in 0..3 {
        wal.append(13, &batch(13)).expect_err("no space");
    }
    machine.disk.set_space(None);
    wal.append(13, &batch(13)).expect("space again");
    let bytes = machine.log_bytes();
    let counters: Vec<u8> = frame_starts(&bytes).iter().map(|at| bytes[at + 21]).collect();
    assert_eq!(counters, [0, 1, 2, 6], "the three that failed are gone for good");
}

#[test]
fn a_folder_removed_under_a_running_writer_is_noticed_at_the_next_append() {
    let (machine, mut wal) = written(&Ring::default(), 2, 0);
    machine.disk.remove_tree(&path());
    assert_eq!(wal.append(13, &batch(13)).expect("writes"), Appended::Vanished);
    machine.folder.relock().expect("locks anew");
    let mut wal = machine.create(&Ring::default(), 13).expect("creates");
    assert_eq!(wal.append(14, &batch(14)).expect("writes"), Appended::Stored);
}

#[test]
fn only_one_holds_a_folder_and_a_killed_one_lets_go() {
    let disk = MemoryDisk::default();
    let first = start(&disk).expect("locks");
    assert_eq!(start(&disk).map(|_| ()).map_err(|error| error.code), Err(Code::AlreadyOpen));
    disk.kill();
    start(&disk.restart()).expect("locks after a kill");
    drop(first);
}

#[test]
fn claims_made_from_a_folder_are_remembered_and_damage_to_them_costs_only_a_wait() {
    let machine = start(&MemoryDisk::default()).expect("locks");
    assert!(machine.folder.claims().is_empty());
    let claim = |epoch| Claim { epoch, owner: OwnerId([9; 16]) };
    for epoch in 1..=20 {
        machine.folder.record_claim(claim(epoch)).expect("records");
    }
    assert_eq!(machine.folder.claims(), (5..=20).map(claim).collect::<Vec<_>>());
    machine.disk.rewrite(&path().join("claims"), b"\xff\x00nonsense\n".to_vec());
    assert!(machine.folder.claims().is_empty());
}

#[test]
fn logs_set_aside_are_kept_but_not_for_ever() {
    let disk = MemoryDisk::default();
    let machine = start(&disk).expect("locks");
    for lsn in 0..5 {
        let wal = machine.create(&Ring::default(), lsn).expect("creates");
        machine.folder.remove_logs_but(wal.sequence()).expect("removes");
        machine.folder.quarantine().expect("sets aside");
    }
    let names: Vec<String> = disk.files(&path()).iter().map(|(name, _)| file_name(name)).collect();
    assert_eq!(names.iter().filter(|name| name.ends_with(".quarantine")).count(), 2, "{names:?}");
    assert!(matches!(machine.recover(&Ring::default()).expect("recovers"), Recovery::None));
    machine.folder.remove_all().expect("removes all");
    assert!(disk.files(&path()).is_empty(), "{:?}", disk.files(&path()));
}

fn file_name(path: &Path) -> String {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned()
}

#[test]
fn of_several_logs_none_that_may_hold_more_is_passed_over() {
    let whole = |epoch: u64, lsn: Lsn| -> FileOutcome {
        let claim = Claim { epoch, ..CLAIM };
        Ok(Recovered { claim, lsn, entries: Vec::new(), unsynced_lost: 0, torn: false })
    };
    let broken = |epoch: Option<u64>, good: Lsn| -> FileOutcome {
        Err(super::recover::Damage {
            claim: epoch.map(|epoch| Claim { epoch, ..CLAIM }),
            good,
            reason: "test",
        })
    };
    let of = |files: Vec<(u64, FileOutcome)>| match choose(files) {
        Recovery::None => "none".to_owned(),
        Recovery::Log(log) => format!("log {} {}", log.claim.epoch, log.lsn),
        Recovery::Damaged(damage) => format!("damaged {}", damage.good),
    };
    assert_eq!(of(vec![]), "none");
    assert_eq!(of(vec![(1, whole(1, 9)), (2, whole(2, 9))]), "log 2 9", "a newer claim counts more");
    assert_eq!(
        of(vec![(1, whole(2, 9)), (2, whole(2, 5))]),
        "log 2 9",
        "a rewritten log that was never switched to"
    );
    assert_eq!(of(vec![(1, broken(Some(1), 4)), (2, whole(2, 9))]), "log 2 9", "surely superseded");
    assert_eq!(
        of(vec![(1, whole(1, 9)), (2, broken(Some(2), 12))]),
        "damaged 12",
        "the newer one may have held more"
    );
    assert_eq!(of(vec![(1, broken(Some(2), 7)), (2, whole(2, 5))]), "damaged 7", "it was being rewritten");
    assert_eq!(of(vec![(1, whole(2, 9)), (2, broken(Some(2), 7))]), "damaged 9");
    assert_eq!(of(vec![(1, broken(None, 0)), (2, whole(2, 9))]), "damaged 0", "nobody knows what it was");
}

#[test]
fn version_1_logs_open_for_ever_and_are_written_byte_for_byte() {
    let golden: [(&[u8], usize); 2] = [
        (include_bytes!("../../__test__/fixtures/v1/log-plain.bin"), 0),
        (include_bytes!("../../__test__/fixtures/v1/log-sealed.bin"), 1),
    ];
    for (bytes, at) in golden {
        let ring = &rings()[at];
        let found = read_log(bytes, ring, tag()).expect("reads").expect("whole");
        assert_eq!((found.claim, found.lsn, &found.entries), (CLAIM, 16, &history(10, 16)));
        assert!(written(ring, 6, 3).0.log_bytes() == bytes, "the format changed: it needs a new version");
    }
}
