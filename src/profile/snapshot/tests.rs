//! Snapshots of databases on the real disk, with processes that write to them.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::platform::host::RealHost;
use crate::profile::leveldb::writer::{append, database, table};

use super::*;

const DATABASE: &str = "Default/IndexedDB/https_a_0.indexeddb.leveldb";
const BLOB: &str = "Default/IndexedDB/https_a_0.indexeddb.blob/1/00/5";

fn host() -> RealHost {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    RealHost::new(runtime.handle().clone())
}

/// A profile with the database of the tests of LevelDB and a blob.
fn profile() -> TempDir {
    let directory = tempfile::tempdir().expect("a folder");
    let write = |path: String, bytes: &[u8]| {
        let at = directory.path().join(path);
        fs::create_dir_all(at.parent().expect("a folder")).expect("room");
        fs::write(at, bytes).expect("room");
    };
    database().0.iter().for_each(|(name, bytes)| write(format!("{DATABASE}/{name}"), bytes));
    write(BLOB.to_owned(), b"a large value");
    directory
}

fn request(profile: &TempDir, scratch: &TempDir, writer: Writer) -> SnapshotRequest {
    let (directory, scratch) = (profile.path().to_owned(), scratch.path().join("scratch"));
    SnapshotRequest { directory, scratch, writer, extra: vec![] }
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn contents(files: &[SnapshotFile]) -> BTreeMap<String, Vec<u8>> {
    let content = |file: &SnapshotFile| {
        let bytes = fs::read(&file.at).expect("there");
        bytes[..usize::try_from(file.size).unwrap()].to_vec()
    };
    files.iter().map(|file| (file.path.clone(), content(file))).collect()
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).expect("a folder").next().is_none()
}

/// Content of the profile of these tests.
fn expected() -> BTreeMap<String, Vec<u8>> {
    let mut files: BTreeMap<String, Vec<u8>> =
        database().0.into_iter().map(|(name, bytes)| (format!("{DATABASE}/{name}"), bytes)).collect();
    files.insert(BLOB.to_owned(), b"a large value".to_vec());
    files
}

#[test]
fn of_a_closed_profile_nothing_is_copied() {
    let (profile, scratch) = (profile(), folder());
    let snapshot = take(&host(), &request(&profile, &scratch, Writer::None)).expect("a whole profile");
    assert!(snapshot.files.iter().all(|file| file.at == profile.path().join(&file.path)));
    assert!(snapshot.files.is_sorted_by_key(|file| file.path.clone()));
    assert_eq!(contents(&snapshot.files), expected());
    assert_eq!((snapshot.quiet, snapshot.tries, snapshot.stopped), (Quiet::Closed, 1, Duration::ZERO));
    assert!(is_empty(scratch.path()));
}

#[test]
fn a_closed_profile_that_is_not_whole_is_an_error_with_the_file() {
    let (profile, scratch) = (profile(), folder());
    fs::remove_file(profile.path().join(DATABASE).join("000007.sst")).expect("there");
    let error = take(&host(), &request(&profile, &scratch, Writer::None)).expect_err("damage");
    assert_eq!(error.code(), Code::LocalCorrupt);
    assert!(error.message.starts_with(&format!("{DATABASE}/000007.ldb is missing")), "{}", error.message);
}

#[test]
fn what_was_being_written_belongs_to_no_snapshot() {
    let (profile, scratch) = (profile(), folder());
    for name in ["000010.log", "MANIFEST-000004"] {
        let mut bytes = database().0.remove(name).expect("a file");
        append(&mut bytes, &[7; 300]);
        bytes.pop();
        fs::write(profile.path().join(DATABASE).join(name), bytes).expect("room");
    }
    for writer in [Writer::None, Writer::Running] {
        let snapshot = take(&host(), &request(&profile, &scratch, writer)).expect("a whole profile");
        assert_eq!(contents(&snapshot.files), expected(), "{writer:?}");
    }
}

#[test]
fn a_path_out_of_the_profile_is_rejected_for_each_writer() {
    let (profile, scratch) = (profile(), folder());
    for writer in [Writer::None, Writer::Running, Writer::Process(0)] {
        let mut request = request(&profile, &scratch, writer);
        request.extra = vec!["../x".to_owned()];
        assert_eq!(take(&host(), &request).expect_err("a path").code(), Code::InvalidOption);
    }
}

#[test]
fn a_quiet_profile_is_copied_in_one_attempt() {
    let (profile, scratch) = (profile(), folder());
    let snapshot = take(&host(), &request(&profile, &scratch, Writer::Running)).expect("a whole profile");
    assert_eq!((snapshot.quiet, snapshot.tries), (Quiet::Optimistic, 1));
    fs::remove_dir_all(profile.path().join("Default")).expect("there");
    assert_eq!(contents(&snapshot.files), expected());
    drop(snapshot);
    assert!(is_empty(&scratch.path().join("scratch")));
}

#[test]
fn a_profile_that_is_never_whole_is_busy_after_all_attempts() {
    let (profile, scratch) = (profile(), folder());
    fs::write(profile.path().join(DATABASE).join("000005.ldb"), table(201)).expect("room");
    let error = take(&host(), &request(&profile, &scratch, Writer::Running)).expect_err("not whole");
    assert_eq!(error.code(), Code::ProfileBusy);
    let fault =
        format!("20 attempts, the last one because {DATABASE}/000005.ldb has 201 bytes instead of 200");
    assert!(error.message.contains(&fault), "{}", error.message);
    assert!(is_empty(&scratch.path().join("scratch")));
}

/// Attempts as [`take`] begins them.
fn attempt<'a>(host: &'a dyn Host, request: &'a SnapshotRequest) -> Attempt<'a> {
    let scratch = ScratchFolder::new(host, &request.scratch).expect("room");
    Attempt { host, request, scratch, writer: request.writer, stopped: Duration::ZERO, overdue: 0 }
}

#[test]
fn a_running_profile_whose_list_of_tables_changed_during_a_copy_is_not_taken() {
    let (profile, scratch, host) = (profile(), folder(), host());
    let request = request(&profile, &scratch, Writer::Running);
    let mut attempt = attempt(&host, &request);
    let look = attempt.look().expect("a profile");
    let mut bytes = database().0.remove("MANIFEST-000004").expect("a manifest");
    append(&mut bytes, &[4, 1]);
    fs::write(profile.path().join(DATABASE).join("MANIFEST-000004"), bytes).expect("room");
    let copies = attempt.copy_running(look.clone(), look).expect("copies");
    assert!(matches!(copies, Copies::Moved(unrest) if unrest.ends_with("MANIFEST-000004 changed meanwhile")));
    let look = attempt.look().expect("a profile");
    assert!(matches!(attempt.copy_running(look.clone(), look), Ok(Copies::Made(Quiet::Optimistic, _))));
}

/// Look at files of these paths and lengths.
fn look(files: &[(&str, u64)]) -> FileIndex {
    let found = |path: &str, size| {
        let is_fixed = path.contains(".indexeddb.blob/") || path.ends_with(".ldb");
        let mark = FileMark { inode: 1, size, modified_ns: 1, is_fixed };
        ScannedFile { at: PathBuf::from(path), mode: 0o600, mark }
    };
    files.iter().map(|(path, size)| ((*path).to_owned(), found(path, *size))).collect()
}

#[test]
fn a_change_of_the_list_of_tables_is_seen_and_one_of_a_log_is_none() {
    let before =
        look(&[("a/CURRENT", 16), ("a/MANIFEST-000001", 50), ("a/000003.log", 10), ("b/CURRENT", 16)]);
    for (after, expected) in [
        (vec![("a/CURRENT", 16), ("a/MANIFEST-000001", 50), ("a/000004.log", 11), ("b/CURRENT", 16)], None),
        (vec![("a/CURRENT", 16), ("a/MANIFEST-000001", 51), ("b/CURRENT", 16)], Some("a/MANIFEST-000001")),
        (vec![("a/CURRENT", 16), ("a/MANIFEST-000001", 50)], Some("b/CURRENT")),
        (
            vec![("a/CURRENT", 16), ("a/MANIFEST-000001", 50), ("a/MANIFEST-000002", 50), ("b/CURRENT", 16)],
            Some("a/MANIFEST-000002"),
        ),
    ] {
        assert_eq!(difference(&before, &look(&after), lists_tables), expected);
    }
}

#[test]
fn the_blobs_of_a_log_are_those_before_then_and_after() {
    const B: [&str; 4] =
        ["x.indexeddb.blob/1", "x.indexeddb.blob/2", "x.indexeddb.blob/3", "x.indexeddb.blob/4"];
    let before = look(&[(B[0], 1), (B[1], 1), (B[2], 1), ("a/000001.ldb", 1), ("a/000002.log", 1)]);
    let then = look(&[(B[1], 1), (B[2], 2)]);
    let after = look(&[(B[1], 2), (B[3], 4), ("a/000005.ldb", 1), ("a/000006.log", 1)]);
    assert_eq!(other_blobs(before, &then, after), look(&[(B[0], 1), (B[1], 2), (B[3], 4)]));
}

#[cfg(unix)]
mod unix {
    use crate::profile::leveldb::writer::{added, manifest, opening};
    use crate::profile::process::{State, state};
    use crate::profile::quiet::tests::{Shell, TURN, until};

    use super::*;

    #[test]
    fn a_browser_stands_still_while_its_profile_is_copied_and_continues() {
        let _turn = TURN.read();
        let (profile, scratch) = (profile(), folder());
        // Appends whole records, and writes a blob of the same number before each.
        let mut record = Vec::new();
        append(&mut record, &[7; 121]);
        fs::write(profile.path().join("record"), &record).expect("room");
        let blobs = "../https_a_0.indexeddb.blob/1/00";
        let script = format!(
            "n=0; while :; do n=$((n+1)); echo $n > {blobs}/$n; cat ../../../record >> 000010.log; done"
        );
        fs::write(profile.path().join(DATABASE).join("000010.log"), "").expect("room");
        let shell = Shell::run(&script, &profile.path().join(DATABASE));
        let path = format!("{DATABASE}/000010.log");
        for _ in 0..5 {
            let request = request(&profile, &scratch, Writer::Process(shell.pid()));
            // A machine under load may take its time, and is asked again.
            let snapshot = (0..)
                .find_map(|_| take(&host(), &request).ok().filter(|made| made.quiet == Quiet::Stopped))
                .expect("a whole copy");
            assert!(snapshot.stopped > Duration::ZERO);
            let size = snapshot.files.iter().find(|file| file.path == path).expect("the log").size;
            assert_eq!(size % 128, 0, "whole records");
            let blobs = snapshot.files.iter().filter(|file| file.path.contains(".blob/")).count() as u64;
            // `cat` is a process of its own: it may end its write while the shell that waits for it stands still.
            let blob_of_last = BLOB.replace("/5", &format!("/{}", size / 128));
            assert!(
                size == 0 || snapshot.files.iter().any(|file| file.path == blob_of_last),
                "{blobs} blobs, {size} bytes"
            );
            let length = || fs::metadata(profile.path().join(&path)).expect("there").len();
            let before = length();
            until(|| length() > before);
        }
    }

    #[test]
    fn a_browser_that_continued_during_a_copy_is_not_taken() {
        let _turn = TURN.read();
        let (profile, scratch, host) = (profile(), folder(), host());
        let shell = Shell::run("while :; do :; done", profile.path());
        let request = request(&profile, &scratch, Writer::Process(shell.pid()));
        let mut attempt = attempt(&host, &request);
        // A machine under load may take its time, and is asked again.
        let mut is_taken = |continues: bool| {
            let Ok(StopOutcome::Stopped(pause)) = quiet::stop(&host, shell.pid()) else { return false };
            if continues {
                process::proceed(shell.pid()).expect("a process");
                until(|| state(shell.pid()) == State::Running);
            }
            matches!(attempt.copy_paused(pause).expect("copies"), Copies::Made(Quiet::Stopped, _))
        };
        assert!(!is_taken(true));
        until(|| is_taken(false));
    }

    #[test]
    fn a_browser_that_continued_during_every_copy_is_copied_while_it_runs() {
        let _turn = TURN.read();
        let (profile, scratch, host) = (profile(), folder(), host());
        let shell = Shell::run("while :; do :; done", profile.path());
        let request = request(&profile, &scratch, Writer::Process(shell.pid()));
        let mut attempt = attempt(&host, &request);
        while attempt.writer != Writer::Running {
            assert!(attempt.overdue < STOPPED_TRIES);
            let Ok(StopOutcome::Stopped(pause)) = quiet::stop(&host, shell.pid()) else { continue };
            process::proceed(shell.pid()).expect("a process");
            until(|| state(shell.pid()) == State::Running);
            assert!(matches!(attempt.copy_paused(pause), Ok(Copies::Moved(_))));
        }
        assert_eq!(attempt.overdue, STOPPED_TRIES);
        assert!(matches!(attempt.copy(), Ok(Copies::Made(Quiet::Optimistic, _))));
    }

    #[test]
    fn a_browser_whose_profile_is_never_whole_runs_on() {
        let _turn = TURN.read();
        let (profile, scratch) = (profile(), folder());
        fs::write(profile.path().join(DATABASE).join("CURRENT"), "MANIFEST-000009\n").expect("room");
        let shell = Shell::run("while :; do :; done", profile.path());
        let request = request(&profile, &scratch, Writer::Process(shell.pid()));
        let error = take(&host(), &request).expect_err("not whole");
        assert_eq!(error.code(), Code::ProfileBusy);
        let fault = format!("3 attempts, the last one because {DATABASE}/MANIFEST-000009 is missing");
        assert!(error.message.contains(&fault), "{}", error.message);
        assert_eq!(state(shell.pid()), State::Running);
    }

    #[test]
    fn a_browser_that_is_gone_is_a_closed_one() {
        let (profile, scratch) = (profile(), folder());
        let mut shell = Shell::run("exit 0", profile.path());
        shell.0.wait().expect("an ended process");
        let request = request(&profile, &scratch, Writer::Process(shell.pid()));
        let snapshot = take(&host(), &request).expect("a whole profile");
        assert_eq!(snapshot.quiet, Quiet::Closed);
        assert!(snapshot.files.iter().all(|file| file.at == profile.path().join(&file.path)));
        fs::write(
            profile.path().join(DATABASE).join("MANIFEST-000004"),
            manifest(&[opening(9), added(0, 99, 9)]),
        )
        .expect("room");
        assert_eq!(take(&host(), &request).expect_err("damage").code(), Code::LocalCorrupt);
    }

    #[test]
    fn a_pid_that_is_no_browser_is_rejected() {
        let (profile, scratch) = (profile(), folder());
        for pid in [0, 1, std::process::id()] {
            let error =
                take(&host(), &request(&profile, &scratch, Writer::Process(pid))).expect_err("no browser");
            assert_eq!(error.code(), Code::InvalidOption);
        }
    }
}
