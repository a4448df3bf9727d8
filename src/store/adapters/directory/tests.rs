//! The directory store: what it refuses, what it shares, what it leaves, and whom it holds up.
#![expect(clippy::disallowed_methods, reason = "tests look at the files themselves")]

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, UNIX_EPOCH};

use futures::future::join_all;

use super::*;
use crate::platform::host::{Lane, RealHost, blocking_in};

fn host() -> Arc<dyn Host> {
    Arc::new(RealHost::new(tokio::runtime::Handle::current()))
}

fn at(path: &Path) -> Directory {
    Directory::at(path, false, None, host())
}

/// The directory, for a machine that keeps its notes in `notes`.
fn known_in(path: &Path, create: bool, notes: &Path) -> Directory {
    Directory::at(path, create, Some(notes), host())
}

/// Makes sure that nothing is done or said by a store that is not there.
async fn assert_away(store: &Directory, context: &str) {
    for refused in [
        store.put("v1/data/t/b", "x".into()).await.err(),
        store.get("v1/claims/a").await.err(),
        store.list("v1/claims", "").await.err(),
        store.details("v1/claims", "").await.err(),
        store.delete(vec!["v1/claims/a".to_owned()]).await.err(),
    ] {
        let refused = refused.expect(context);
        assert_eq!(refused.meaning, Meaning::NotConfigured, "{context}");
        let told = refused.error("trying").to_string();
        assert!(told.contains("mount it") && told.contains("`v1`"), "{context}: {told}");
    }
}

#[tokio::test]
async fn a_root_that_does_not_exist_is_refused_and_never_made_in_passing() {
    let above = tempfile::tempdir().expect("room");
    let root = above.path().join("not-mounted");
    let store = at(&root);
    for refused in [
        store.put("v1/claims/a", "x".into()).await.err(),
        store.get("v1/claims/a").await.err(),
        store.list("v1/claims", "").await.err(),
        store.details("v1/claims", "").await.err(),
    ] {
        let refused = refused.expect("refused");
        assert_eq!(refused.meaning, Meaning::NotConfigured);
        assert!(refused.error("trying").to_string().contains("mkdir"));
    }
    assert!(!root.exists());
    let made = Directory::at(&root, true, None, host());
    made.put("v1/claims/a", "x".into()).await.expect("made");
    assert_eq!(store.list("v1/claims", "").await.expect("lists"), ["a"]);
    fs::remove_dir_all(&root).expect("unmounted");
    for store in [&store, &made] {
        assert_away(store, "whoever saw it").await;
    }
    assert!(!root.exists());
}

#[tokio::test]
async fn a_share_that_is_unmounted_under_a_process_is_away_and_never_empty() {
    let above = tempfile::tempdir().expect("room");
    let (root, share) = (above.path().join("mount-point"), above.path().join("share"));
    for act in ["put", "list", "get"] {
        fs::create_dir(&root).expect("makes");
        at(&root).put("v1/claims/a", "x".into()).await.expect("stores");
        let store = at(&root);
        match act {
            "put" => store.put("v1/claims/a", "x".into()).await.expect("stores"),
            "list" => assert_eq!(store.list("v1/claims", "").await.expect("lists"), ["a"]),
            _ => assert!(store.get("v1/claims/a").await.expect("reads").is_some()),
        }
        // Another directory stands in its place, as the mount point does.
        fs::rename(&root, &share).expect("unmounts");
        fs::create_dir(&root).expect("makes");
        assert_away(&store, act).await;
        assert_eq!(fs::read_dir(&root).expect("reads").count(), 0, "nothing is left in the mount point");
        fs::remove_dir(&root).expect("removes");
        fs::rename(&share, &root).expect("mounts");
        assert_eq!(store.list("v1/claims", "").await.expect("lists"), ["a"], "{act}");
        store.delete(vec!["v1/claims/a".to_owned(), "v1/claims/b".to_owned()]).await.expect("removes");
        fs::remove_dir_all(&root).expect("removes");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_directory_that_was_emptied_under_a_process_is_empty_and_is_filled_again() {
    let root = tempfile::tempdir().expect("room");
    let store = at(root.path());
    store.put("v1/claims/a", "x".into()).await.expect("stores");
    fs::remove_dir_all(root.path().join("v1")).expect("removes");
    assert_eq!(store.list("v1/claims", "").await.expect("lists"), Vec::<String>::new());
    store.put("v1/claims/b", "x".into()).await.expect("stores");
    assert_eq!(store.list("v1/claims", "").await.expect("lists"), ["b"]);
}

#[tokio::test]
async fn a_machine_that_stored_a_session_takes_no_empty_directory_for_a_new_store() {
    let above = tempfile::tempdir().expect("room");
    let at_path = |name: &str| above.path().join(name);
    let (root, notes) = (at_path("mount-point"), at_path("sessions"));
    let notes_kept = || fs::read_dir(&notes).map_or(0, Iterator::count);
    fs::create_dir(&root).expect("makes");
    let store = known_in(&root, false, &notes);
    store.put("v1/probe/a", "x".into()).await.expect("stores");
    store.put("v1/data/t/a", "x".into()).await.expect("stores");
    assert!(!notes.exists(), "the folder of the sessions is not made for it");
    fs::create_dir(&notes).expect("makes");
    store.put("v1/probe/b", "x".into()).await.expect("stores");
    assert_eq!(notes_kept(), 0, "a trial is no session");
    store.put("v1/data/t/b", "x".into()).await.expect("stores");
    assert_eq!(notes_kept(), 1);
    store.put("v1/data/t/c", "x".into()).await.expect("stores");
    assert_eq!(notes_kept(), 1);

    fs::rename(&root, at_path("share")).expect("unmounts");
    for (create, is_there) in [(false, false), (true, false), (false, true), (true, true)] {
        if is_there {
            fs::create_dir_all(&root).expect("makes");
        }
        let restarted = known_in(&root, create, &notes);
        assert_away(&restarted, &format!("create: {create}, there: {is_there}")).await;
        assert_eq!(root.exists(), is_there, "create: {create}");
    }
    assert_eq!(fs::read_dir(&root).expect("reads").count(), 0, "nothing is left in the mount point");
    // Another directory is another store, and so is this one to a machine that knows nothing of it.
    fs::create_dir(at_path("other")).expect("makes");
    let other = known_in(&at_path("other"), false, &notes);
    assert!(other.list("v1/claims", "").await.expect("lists").is_empty());
    assert!(at(&root).list("v1/claims", "").await.expect("lists").is_empty());

    fs::remove_dir(&root).expect("removes");
    fs::rename(at_path("share"), &root).expect("mounts");
    let mounted = known_in(&root, false, &notes);
    assert_eq!(mounted.list("v1/data/t", "").await.expect("lists").len(), 3);
    fs::remove_dir_all(root.join("v1")).expect("removes");
    assert_away(&known_in(&root, false, &notes), "emptied").await;
    fs::create_dir(root.join("v1")).expect("makes");
    let anew = known_in(&root, false, &notes);
    assert!(anew.list("v1/data/t", "").await.expect("is begun anew on purpose").is_empty());
    anew.put("v1/data/t/a", "x".into()).await.expect("stores");
}

#[tokio::test]
async fn many_listings_at_once_answer_each_by_its_prefix_and_show_what_was_stored_before() {
    let root = tempfile::tempdir().expect("room");
    let store = at(root.path());
    for n in 0..50 {
        for mark in ["a", "b"] {
            store.put(&format!("v1/claims/t{n}.{mark}"), "x".into()).await.expect("stores");
        }
        store.put(&format!("v1/claims/below{n}/t{n}.c"), "x".into()).await.expect("stores");
    }
    let ask = |n: usize| {
        let store = &store;
        async move { store.list("v1/claims", &format!("t{n}.")).await.expect("lists") }
    };
    for (n, mut names) in join_all((0..60).map(ask)).await.into_iter().enumerate() {
        names.sort_unstable();
        let expected = if n < 50 { vec![format!("t{n}.a"), format!("t{n}.b")] } else { vec![] };
        assert_eq!(names, expected);
    }
    let all = store.list("v1/claims", "").await.expect("lists");
    assert_eq!(all.len(), 100);
    // Prefixes that lie in one another, and some twice.
    let prefixes = ["", "t1", "t", "t1.", "s", "t12.a", "t1", "t12", "t2", "", "t13.c", "u"].repeat(3);
    let found = join_all(prefixes.iter().map(|prefix| store.list("v1/claims", prefix))).await;
    for (prefix, names) in prefixes.iter().zip(found) {
        let expected: BTreeSet<&String> = all.iter().filter(|name| name.starts_with(prefix)).collect();
        assert_eq!(names.expect("lists").iter().collect::<BTreeSet<_>>(), expected, "{prefix}");
    }
    let writer = async |n: usize| {
        store.put(&format!("v1/claims/w{n}.a"), "x".into()).await.expect("stores");
        assert_eq!(store.list("v1/claims", &format!("w{n}.")).await.expect("lists"), [format!("w{n}.a")]);
    };
    join_all((0..60).map(writer)).await;
}

#[tokio::test]
async fn a_fleet_that_opens_at_once_shares_the_readings_of_the_folder() {
    let root = tempfile::tempdir().expect("room");
    let store = at(root.path());
    store.put("v1/claims/t.a", "x".into()).await.expect("stores");
    for n in 0..3000 {
        fs::write(root.path().join(format!("v1/claims/filler-{n}.a")), "").expect("writes");
    }
    let readings = || store.listings.readings.load(std::sync::atomic::Ordering::Relaxed);
    let before = readings();
    assert_eq!(store.list("v1/claims", "t.").await.expect("lists"), ["t.a"]);
    assert_eq!(readings(), before + 1, "one question is one reading, however many tenants there are");
    let questions: Vec<String> = (0..200).map(|n| format!("filler-{n}.")).collect();
    let answers = join_all(questions.iter().map(|prefix| store.list("v1/claims", prefix))).await;
    assert!(answers.into_iter().all(|names| names.is_ok_and(|names| names.len() == 1)));
    let shared = readings() - before - 1;
    assert!(shared <= 20, "{shared} readings for 200 questions at once");
}

#[tokio::test]
async fn a_folder_whose_reading_panicked_is_read_again_for_whoever_asks_next() {
    let root = tempfile::tempdir().expect("room");
    let store = at(root.path());
    store.put("v1/claims/a", "x".into()).await.expect("stores");
    store.listings.panics.store(true, std::sync::atomic::Ordering::Relaxed);
    let ask = || tokio::time::timeout(Duration::from_secs(60), store.list("v1/claims", ""));
    let refused = ask().await.expect("is told").expect_err("that there is no answer");
    assert_eq!(refused.meaning, Meaning::Transient);
    assert_eq!(ask().await.expect("is served").expect("and answered"), ["a"]);
}

#[tokio::test]
async fn what_killed_writers_left_is_removed_when_it_is_old_and_never_before() {
    let root = tempfile::tempdir().expect("room");
    let store = at(root.path());
    store.put("v1/claims/a.1", "x".into()).await.expect("stores");
    let left = |name: &str| root.path().join("v1/claims").join(name);
    fs::write(left("a.2#1"), "torn").expect("writes");
    fs::write(left("b.2#77"), "torn").expect("writes");
    fs::write(left("c#d"), "no staging file").expect("writes");
    let old = fs::File::options().write(true).open(left("a.2#1")).expect("opens");
    old.set_modified(UNIX_EPOCH + Duration::from_secs(1)).expect("a time");
    let mut names = store.list("v1/claims", "").await.expect("lists");
    names.sort_unstable();
    assert_eq!(names, ["a.1", "c#d"]);
    store.put("v1/claims/a.3", "x".into()).await.expect("stores");
    assert!(!left("a.2#1").exists());
    assert!(left("b.2#77").exists() && left("c#d").exists());
}

/// A pipe that nobody writes to hangs whoever reads it, as a file of a mount does that is gone.
#[cfg(unix)]
#[tokio::test]
async fn a_directory_that_hangs_holds_up_neither_another_one_nor_the_log() {
    let (hung, healthy) = (tempfile::tempdir().expect("room"), tempfile::tempdir().expect("room"));
    fs::create_dir(hung.path().join("v1")).expect("makes");
    let pipe = hung.path().join("v1/pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("a pipe");
    assert!(made.success());
    let host = host();
    let (one, other) = (Directory::at(hung.path(), false, None, Arc::clone(&host)), at(healthy.path()));
    let mut stuck = Box::pin(join_all((0..200).map(|_| one.get("v1/pipe"))));
    assert!(futures::poll!(&mut stuck).is_pending());
    other.put("v1/claims/a", "x".into()).await.expect("stores");
    assert_eq!(other.list("v1/claims", "").await.expect("lists"), ["a"]);
    for lane in [Lane::Sync, Lane::Log, Lane::Compute, Lane::Names] {
        assert_eq!(blocking_in(&host, lane, || 7).await, 7);
    }
    assert!(futures::poll!(&mut stuck).is_pending());
    // With a writer all who opened it read; behind its end they find nothing more, and whoever comes later a file.
    let writer = fs::File::options().read(true).write(true).open(&pipe).expect("opens");
    fs::remove_file(&pipe).expect("removes");
    fs::write(&pipe, "x").expect("writes");
    drop(writer);
    assert!(stuck.await.iter().all(Result::is_ok));
}
