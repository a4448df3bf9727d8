//! Folders of snapshots on the real disk.

use std::fs;

use tempfile::TempDir;

use crate::platform::host::RealHost;

use super::*;

fn host() -> RealHost {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    RealHost::new(runtime.handle().clone())
}

const TABLE: &str = "Default/IndexedDB/a.indexeddb.leveldb/000005.ldb";
const LOG: &str = "Default/IndexedDB/a.indexeddb.leveldb/000006.log";

/// A profile with a table and a log.
fn profile() -> (TempDir, scan::FileIndex) {
    let directory = tempfile::tempdir().expect("a folder");
    for path in [TABLE, LOG] {
        fs::create_dir_all(directory.path().join(path).parent().expect("a folder")).expect("room");
        fs::write(directory.path().join(path), path).expect("room");
    }
    let look = scan::look(directory.path(), &[]).expect("a profile");
    (directory, look)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn what_is_kept_stays_as_it_was_and_goes_with_its_folder() {
    let (profile, look) = profile();
    let around = tempfile::tempdir().expect("a folder");
    let mut scratch = ScratchFolder::new(&host(), &around.path().join("new")).expect("room");
    let kept = [TABLE, LOG].map(|path| scratch.keep(path, &look[path]).expect("there"));
    fs::remove_file(profile.path().join(TABLE)).expect("there");
    fs::write(profile.path().join(LOG), "changed").expect("there");
    for (path, kept) in [TABLE, LOG].into_iter().zip(&kept) {
        assert_eq!(fs::read_to_string(&kept.at).expect("there"), path);
        assert_eq!(kept.size, path.len() as u64);
    }
    assert_eq!(names(&around.path().join("new")).len(), 1);
    drop(scratch);
    assert_eq!(names(&around.path().join("new")), [""; 0]);
}

#[test]
fn of_a_file_that_grew_no_more_is_copied_than_was_seen() {
    let (profile, look) = profile();
    let around = tempfile::tempdir().expect("a folder");
    let mut scratch = ScratchFolder::new(&host(), around.path()).expect("room");
    fs::write(profile.path().join(LOG), [LOG, LOG].concat()).expect("there");
    let kept = scratch.keep(LOG, &look[LOG]).expect("there");
    assert_eq!((fs::read_to_string(&kept.at).expect("there").as_str(), kept.size), (LOG, LOG.len() as u64));
}

#[test]
fn where_links_fail_all_is_copied() {
    let (profile, look) = profile();
    let around = tempfile::tempdir().expect("a folder");
    let mut scratch = ScratchFolder::new(&host(), around.path()).expect("room");
    scratch.links = false;
    let kept = scratch.keep(TABLE, &look[TABLE]).expect("there");
    fs::write(profile.path().join(TABLE), "changed").expect("there");
    assert_eq!(fs::read_to_string(&kept.at).expect("there"), TABLE);
    let look = scan::look(profile.path(), &[]).expect("a profile");
    let again = scratch.keep(TABLE, &look[TABLE]).expect("there");
    assert_eq!(
        fs::read_to_string(&again.at).expect("there"),
        "changed",
        "with another mark it is another file"
    );
    // A copy that is shorter than its file was is none.
    fs::write(profile.path().join(TABLE), "c").expect("there");
    let mut longer = look[TABLE].clone();
    longer.mark.modified_ns += 1;
    assert!(scan::is_absence(&scratch.keep(TABLE, &longer).expect_err("too short")));
}

#[test]
fn a_file_that_went_away_is_told_from_a_disk_that_fails() {
    let (profile, look) = profile();
    let around = tempfile::tempdir().expect("a folder");
    let mut scratch = ScratchFolder::new(&host(), around.path()).expect("room");
    for path in [TABLE, LOG] {
        fs::remove_file(profile.path().join(path)).expect("there");
        assert!(scan::is_absence(&scratch.keep(path, &look[path]).expect_err("gone")));
        fs::create_dir(profile.path().join(path)).expect("room");
        assert!(!scan::is_absence(&scratch.keep(path, &look[path]).expect_err("no file")));
    }
}

#[test]
fn what_a_killed_process_left_is_removed_and_nothing_else() {
    let around = tempfile::tempdir().expect("a folder");
    let living = ScratchFolder::new(&host(), around.path()).expect("room");
    let left = "snap-0123456789abcdef";
    fs::create_dir_all(around.path().join(left).join("folder")).expect("room");
    fs::write(around.path().join(left).join("folder/0"), "").expect("room");
    let others =
        ["snap-0123456789abcde", "snap-0123456789abcdefx", "snap-x", "tenant", "snap-+123456789abcdef"];
    others.iter().for_each(|name| fs::create_dir(around.path().join(name)).expect("room"));
    fs::write(around.path().join("snap-1111111111111111"), "a file").expect("room");
    let next = ScratchFolder::new(&host(), around.path()).expect("room");
    assert!(!around.path().join(left).exists());
    assert!(others.iter().all(|name| around.path().join(name).exists()));
    assert!(around.path().join("snap-1111111111111111").exists());
    assert!(living.folder.exists() && next.folder.exists() && living.folder != next.folder);
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    #[test]
    fn what_never_changes_is_linked_once_and_the_rest_is_private() {
        let (profile, look) = profile();
        let around = tempfile::tempdir().expect("a folder");
        let mut scratch = ScratchFolder::new(&host(), &around.path().join("new")).expect("room");
        let table = scratch.keep(TABLE, &look[TABLE]).expect("there");
        assert_eq!(
            fs::metadata(&table.at).unwrap().ino(),
            fs::metadata(profile.path().join(TABLE)).unwrap().ino()
        );
        assert_eq!(scratch.keep(TABLE, &look[TABLE]).expect("there").at, table.at);
        let log = scratch.keep(LOG, &look[LOG]).expect("there");
        assert_ne!(
            fs::metadata(&log.at).unwrap().ino(),
            fs::metadata(profile.path().join(LOG)).unwrap().ino()
        );
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&log.at), 0o600);
        assert_eq!((mode(&scratch.folder), mode(&around.path().join("new"))), (0o700, 0o700));
    }

    #[test]
    fn a_link_to_a_folder_is_not_taken_for_one_of_ours() {
        let (around, outside) =
            (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        fs::write(outside.path().join("file"), "").expect("room");
        symlink(outside.path(), around.path().join("snap-0123456789abcdef")).expect("room");
        ScratchFolder::new(&host(), around.path()).expect("room");
        assert_eq!(names(outside.path()), ["file"]);
    }
}
