//! The directory: claims, names, what is removed and what is not, and what messages give away.

use super::*;
use crate::error::Code;
use crate::platform::disk::RealDisk;
use crate::platform::disk::memory::Op;

fn code<T>(result: Result<T>) -> Code {
    result.map(|_| ()).expect_err("fails").code()
}

fn names(disk: &MemoryDisk) -> Vec<String> {
    disk.list(&path()).unwrap_or_default()
}

#[test]
fn claims_are_remembered_over_a_power_cut_and_the_last_sixteen_are_kept() {
    let disk = MemoryDisk::default();
    let folder = lock(&disk).expect("free");
    assert_eq!(folder.claims(), []);
    for epoch in 1..=20 {
        folder.record_claim(claim(epoch)).expect("room");
        let kept: Vec<Claim> = (epoch.saturating_sub(15).max(1)..=epoch).map(claim).collect();
        assert_eq!(lock(&disk.power_cut(|_| false)).expect("free").claims(), kept);
    }
}

#[test]
fn a_claim_that_fails_to_be_recorded_leaves_the_former_ones() {
    for at in 0..20 {
        for partial in [None, Some(0), Some(30)] {
            let disk = MemoryDisk::default();
            lock(&disk).and_then(|folder| folder.record_claim(claim(1))).expect("room");
            let process = disk.restart();
            process.kill_at(at, partial);
            let recorded = lock(&process).and_then(|folder| folder.record_claim(claim(2))).is_ok();
            for cut in 0..1_u32 << disk.unsynced() {
                let found = lock(&disk.power_cut(|number| cut >> number & 1 == 1)).expect("free").claims();
                let both = [claim(1), claim(2)];
                assert!(found == both || !recorded && found == both[..1], "{at}: {found:?}");
            }
        }
    }
}

#[test]
fn damaged_claims_are_no_claims_and_never_other_ones() {
    let disk = MemoryDisk::default();
    let folder = lock(&disk).expect("free");
    folder.record_claim(claim(7)).expect("room");
    folder.record_claim(claim(8)).expect("room");
    let file = path().join("claims");
    let bytes = disk.read(&file).expect("written");
    for len in 0..bytes.len() {
        disk.rewrite(&file, bytes[..len].to_vec());
        assert_eq!(folder.claims(), [], "cut at {len}");
    }
    for bit in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        disk.rewrite(&file, bad);
        assert_eq!(folder.claims(), [], "bit {bit}");
    }
    folder.record_claim(claim(9)).expect("room");
    assert_eq!(folder.claims(), [claim(9)]);
}

#[test]
fn files_that_are_not_ours_are_neither_read_nor_removed() {
    let (_, log) = only_log(&written(&sealed(), &History::of(3), 1, 3));
    let foreign = [
        "creds.json",
        "1.log",
        "0000000000000000000x.log",
        "00000000000000000001.log.bak",
        "00000000000000000001.txt",
        "99999999999999999999.log",
        "1.quarantine",
        "old.quarantine",
        "claims.old",
    ];
    let disk = disk_with(&[]);
    for name in foreign {
        disk.rewrite(&path().join(name), log.clone());
    }
    assert!(matches!(recover(&disk, &sealed()), Ok(Recovery::None)));
    let folder = lock(&disk).expect("free");
    folder.record_claim(claim(1)).expect("room");
    let wal = create(&folder, &sealed(), claim(1), 0, &[]).expect("room");
    disk.rewrite(&path().join("00000000000000000000.tmp"), b"half".to_vec());
    folder.remove_logs_but(wal.sequence()).expect("removes");
    folder.quarantine(true).expect("renames");
    create(&folder, &sealed(), claim(1), 0, &[]).expect("room");
    folder.remove_all().expect("removes");
    let mut expected = foreign.map(str::to_owned).to_vec();
    expected.sort_unstable();
    assert_eq!(names(&disk), expected);
}

#[test]
fn an_empty_directory_goes_with_the_session() {
    let disk = MemoryDisk::default();
    let folder = lock(&disk).expect("free");
    folder.record_claim(claim(1)).expect("room");
    create(&folder, &sealed(), claim(1), 0, &[]).expect("room");
    disk.fail_next(Op::Remove, 1, std::io::ErrorKind::Other, None);
    assert_eq!(code(folder.remove_all()), Code::LocalUnavailable);
    assert_eq!(code(lock(&disk.process())), Code::AlreadyOpen, "it can be tried again");
    folder.remove_all().expect("removes");
    assert_eq!(disk.list(&path()).map_err(|error| error.kind()), Err(std::io::ErrorKind::NotFound));
    lock(&disk).expect("free again");
}

#[test]
fn deleted_logs_do_not_come_back_after_a_power_cut() {
    let disk = written(&sealed(), &History::of(3), 1, 3);
    lock(&disk.restart()).and_then(|folder| folder.remove_all()).expect("removes");
    for kept in 0..=disk.unsynced() {
        let after = disk.power_cut(|number| number < kept);
        assert!(matches!(recover(&after, &sealed()), Ok(Recovery::None)));
    }
}

#[test]
fn leftovers_of_a_rewrite_are_removed_and_their_numbers_not_used_again() {
    let disk = disk_with(&[]);
    disk.rewrite(&path().join("00000000000000000041.tmp"), b"half a log".to_vec());
    disk.rewrite(&path().join("00000000000000000050.quarantine"), b"aside".to_vec());
    let folder = lock(&disk).expect("free");
    assert!(matches!(folder.recover(&sealed(), tag()), Ok(Recovery::None)));
    assert_eq!(names(&disk), ["00000000000000000050.quarantine", "lock"]);
    assert_eq!(create(&folder, &sealed(), claim(1), 0, &[]).expect("room").sequence(), 51);
}

#[test]
fn whoever_made_the_removed_folder_anew_keeps_it() {
    let disk = MemoryDisk::default();
    let folder = lock(&disk).expect("free");
    disk.remove_tree(&path());
    let other = disk.process();
    let theirs = lock(&other).expect("free");
    assert_eq!(code(folder.relock()), Code::AlreadyOpen);
    assert_eq!(code(folder.record_claim(claim(1))), Code::Closed, "it has nothing to stand on");
    drop(theirs);
}

#[test]
fn files_that_another_process_left_in_the_folder_made_anew_are_not_in_the_way() {
    let disk = MemoryDisk::default();
    let folder = lock(&disk).expect("free");
    disk.remove_tree(&path());
    {
        let theirs = lock(&disk.process()).expect("free");
        for _ in 0..3 {
            create(&theirs, &sealed(), claim(2), 0, &[]).expect("room");
        }
    }
    folder.relock().expect("free again");
    assert_eq!(create(&folder, &sealed(), claim(1), 0, &[]).expect("room").sequence(), 4);
}

#[test]
fn a_lock_that_stands_is_not_let_go_to_take_it_again() {
    let disk = MemoryDisk::default();
    let folder = lock(&disk).expect("free");
    disk.fail_all(Op::Lock, std::io::ErrorKind::Other);
    folder.relock().expect("still held");
    assert_eq!(code(lock(&disk.process())), Code::AlreadyOpen);
}

/// I19: the path holds the tenant id.
#[test]
fn messages_say_what_to_do_and_never_where() {
    for kind in [
        std::io::ErrorKind::StorageFull,
        std::io::ErrorKind::PermissionDenied,
        std::io::ErrorKind::NotADirectory,
        std::io::ErrorKind::Other,
    ] {
        for at in 0..12 {
            let disk = MemoryDisk::default();
            disk.fail_at(at, kind, None);
            let life = || {
                let folder = lock(&disk)?;
                folder.record_claim(claim(1))?;
                create(&folder, &sealed(), claim(1), 0, &[])
            };
            let Err(error) = life() else { continue };
            assert_eq!(error.code(), Code::LocalUnavailable);
            assert!(!error.message.contains("tenant-7") && !error.message.contains('/'), "{}", error.message);
            assert!(error.message.contains(';'), "no advice: {}", error.message);
        }
    }
}

#[test]
fn a_real_directory_is_private_and_survives_a_whole_life() {
    let root = tempfile::tempdir().expect("room");
    let path = root.path().join("a/b/tenant");
    let open = || Folder::lock(Arc::new(RealDisk), &path).map(Arc::new);
    let history = History::of(6);
    {
        let folder = open().expect("free");
        folder.record_claim(claim(1)).expect("room");
        let mut wal = create(&folder, &sealed(), claim(1), 0, &[]).expect("room");
        for lsn in 1..=4 {
            assert_eq!(wal.append(lsn, &batch(lsn, 0)), Ok(Appended::Stored));
        }
        wal.begin_roll();
        wal.append(5, &batch(5, 0)).expect("room");
        let host = CountingHost::new(7);
        let new = Wal::prepare_roll(&folder, &host, lineage(&sealed(), claim(1)), 4, &history.state(4));
        let old = wal.finish_roll(new.expect("room")).expect("complete");
        old.remove(&CountingHost::new(5));
        wal.append(6, &batch(6, 0)).expect("room");
        assert_eq!(code(open()), Code::AlreadyOpen, "another open file, though the same process");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
            assert_eq!(mode(&path), 0o700);
            for entry in std::fs::read_dir(&path).expect("there") {
                let entry = entry.expect("there");
                assert_eq!(mode(&entry.path()), 0o600, "{:?}", entry.file_name());
            }
        }
    }
    let folder = open().expect("free again");
    assert_eq!(folder.claims(), [claim(1)]);
    match folder.recover(&sealed(), tag()) {
        Ok(Recovery::Log(log)) => history.check(&log, 6, "a real disk"),
        other => panic!("{other:?}"),
    }
    folder.quarantine(true).expect("renames");
    assert!(matches!(folder.recover(&sealed(), tag()), Ok(Recovery::None)));
    folder.remove_all().expect("removes");
    assert!(!path.exists());
}

#[cfg(unix)]
#[test]
fn a_real_directory_removed_under_a_writer_is_noticed() {
    let root = tempfile::tempdir().expect("room");
    let path = root.path().join("tenant");
    let folder = Folder::lock(Arc::new(RealDisk), &path).map(Arc::new).expect("free");
    let mut wal = create(&folder, &sealed(), claim(1), 0, &[]).expect("room");
    std::fs::remove_dir_all(&path).expect("removes");
    assert_eq!(wal.append(1, &batch(1, 0)), Ok(Appended::Vanished));
    folder.relock().expect("free");
    let mut wal = create(&folder, &sealed(), claim(1), 1, &batch(1, 0)).expect("room");
    assert_eq!(wal.append(2, &batch(2, 0)), Ok(Appended::Stored));
}

#[test]
fn a_real_file_is_cut_back_and_written_on() {
    let root = tempfile::tempdir().expect("room");
    let path = root.path().join("file");
    let file = RealDisk.create(&path).expect("room");
    file.append(b"whole").and_then(|()| file.append(b"half")).expect("room");
    file.truncate(5).and_then(|()| file.append(b"again")).and_then(|()| file.sync()).expect("room");
    assert_eq!(RealDisk.read(&path).expect("there"), b"wholeagain");
    assert!(RealDisk.create(&path).is_err(), "a file is never taken over");
}

#[test]
fn a_file_in_the_way_is_a_typed_error() {
    let root = tempfile::tempdir().expect("room");
    let path = root.path().join("tenant");
    std::fs::write(&path, b"").expect("room");
    for path in [path.clone(), path.join("below")] {
        let error = Folder::lock(Arc::new(RealDisk), &path).map(|_| ()).expect_err("in the way");
        assert_eq!(error.code(), Code::LocalUnavailable);
        assert!(error.message.contains("in the way"), "{}", error.message);
    }
}

#[test]
fn a_peek_sees_what_recovery_would_and_changes_nothing() {
    let peeked = |disk: &MemoryDisk, ring: &Ring| read_unlocked(disk, &path(), ring, tag());
    let ring = sealed();
    let disk = MemoryDisk::default();
    assert!(matches!(peeked(&disk, &ring), Ok(Recovery::None)), "where there is not even a directory");
    let folder = lock(&disk).expect("free");
    assert!(matches!(peeked(&disk, &ring), Ok(Recovery::None)), "an empty directory");
    let host = CountingHost::new(7);
    let mut wal = Wal::create(&folder, &host, lineage(&ring, claim(3)), 0, &[]).expect("room");
    for lsn in 1..=5 {
        wal.append(lsn, &batch(lsn, 0)).expect("room");
    }
    disk.set_read_only(true);
    let before = disk.files(&path());
    // Somebody holds the lock, and the disk takes no change.
    let Ok(Recovery::Log(log)) = peeked(&disk, &ring) else { panic!("a whole log") };
    assert_eq!((log.claim, log.lsn), (claim(3), 5));
    History::of(5).check(&log, 5, "peek");
    assert_eq!(code(peeked(&disk, &plain())), Code::KeyUnavailable);
    assert_eq!(disk.files(&path()), before);
}
