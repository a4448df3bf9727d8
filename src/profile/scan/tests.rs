//! Profiles on the real disk, with whatever may lie in one.

use std::fs;

use tempfile::TempDir;

use super::*;

fn profile(files: &[&str]) -> TempDir {
    let directory = tempfile::tempdir().expect("a folder");
    for file in files {
        let at = directory.path().join(file);
        fs::create_dir_all(at.parent().expect("a folder")).expect("room");
        fs::write(at, file).expect("room");
    }
    directory
}

fn paths(look: &FileIndex) -> Vec<&str> {
    look.keys().map(String::as_str).collect()
}

const DATABASE: &str = "Default/IndexedDB/https_a_0.indexeddb.leveldb";
const BLOBS: &str = "Default/IndexedDB/https_a_0.indexeddb.blob";

#[test]
fn the_storage_of_pages_is_kept_and_nothing_else() {
    let directory = profile(&[
        &format!("{DATABASE}/CURRENT"),
        &format!("{DATABASE}/LOCK"),
        &format!("{DATABASE}/LOG"),
        &format!("{DATABASE}/LOG.old"),
        &format!("{DATABASE}/000003.log"),
        &format!("{BLOBS}/1/00/5"),
        "Default/Local Storage/leveldb/CURRENT",
        "Default/Cache/data_0",
        "Default/Cookies",
        "Default/IndexedDB.old/x",
        "Local State",
        "SingletonCookie",
    ]);
    let look = look(directory.path(), &[]).expect("a profile");
    let kept = [
        &format!("{BLOBS}/1/00/5"),
        &format!("{DATABASE}/000003.log"),
        &format!("{DATABASE}/CURRENT"),
        "Default/Local Storage/leveldb/CURRENT",
    ];
    assert_eq!(paths(&look), kept);
    assert!(
        look.iter().all(|(path, found)| found.mark.size == path.len() as u64 && found.at.ends_with(path))
    );
}

#[test]
fn an_added_path_may_be_a_file_or_a_folder_or_missing() {
    let directory = profile(&["Default/Cookies", "Default/Extra/a/b", "Default/Extra/LOCK", "Local State"]);
    let extra = ["Default/Cookies", "Default/Extra", "Default/Missing/x", "Local State/x"].map(str::to_owned);
    check_extra(&extra).expect("paths within the profile");
    let look = look(directory.path(), &extra).expect("a profile");
    assert_eq!(paths(&look), ["Default/Cookies", "Default/Extra/a/b"]);
}

#[test]
fn an_added_path_that_leads_out_of_the_profile_is_rejected() {
    for path in [
        "",
        "/",
        "/etc/passwd",
        "..",
        "../x",
        "a/../../x",
        "a/./b",
        ".",
        "a//b",
        "a/",
        "a\\b",
        "..\\x",
        "a\0b",
    ] {
        let error = check_extra(&["fine".to_owned(), path.to_owned()]).expect_err("no path within");
        assert_eq!(error.code(), Code::InvalidOption, "{path:?}");
    }
}

#[test]
fn tables_and_blobs_are_fixed_and_nothing_else_is() {
    for (path, expected) in [
        ("a/000005.ldb", true),
        ("a/000005.sst", true),
        ("x.indexeddb.blob/1/00/5", true),
        ("a/000005.log", false),
        ("a/MANIFEST-000001", false),
        ("a/CURRENT", false),
        ("a/x.ldb", false),
        ("a/.ldb", false),
        ("x.indexeddb.blob", false),
    ] {
        assert_eq!(is_fixed(path), expected, "{path}");
    }
}

#[test]
fn a_mark_changes_with_the_file() {
    let path = format!("{DATABASE}/000003.log");
    let directory = profile(&[&path]);
    let before = look(directory.path(), &[]).expect("a profile");
    assert_eq!(look(directory.path(), &[]).expect("a profile"), before);
    fs::write(
        directory.path().join(&path),
        "longer than its own path, which is what was in it, by a little, or by much more",
    )
    .expect("room");
    let grown = look(directory.path(), &[]).expect("a profile");
    assert_ne!(grown, before);
    fs::rename(directory.path().join(&path), directory.path().join("old")).expect("room");
    fs::copy(directory.path().join("old"), directory.path().join(&path)).expect("room");
    assert_ne!(look(directory.path(), &[]).expect("a profile"), grown, "another file of the same length");
}

#[test]
fn a_missing_profile_is_an_error_and_an_empty_one_has_no_files() {
    let directory = profile(&["file"]);
    assert_eq!(look(directory.path(), &[]), Ok(FileIndex::new()));
    for missing in ["missing", "file"] {
        let error = look(&directory.path().join(missing), &[]).expect_err("no profile");
        assert_eq!(error.code(), Code::LocalUnavailable);
    }
}

#[cfg(unix)]
mod unix {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_link_is_never_followed_and_named() {
        let outside = profile(&["secret", "folder/secret"]);
        for (link, target) in [
            (format!("{DATABASE}/000009.ldb"), "secret"),
            (format!("{BLOBS}/1"), "folder"),
            ("Default/IndexedDB/other".to_owned(), "missing"),
        ] {
            let directory = profile(&[&format!("{DATABASE}/CURRENT"), &format!("{BLOBS}/0/5")]);
            symlink(outside.path().join(target), directory.path().join(&link)).expect("room");
            let error = look(directory.path(), &[]).expect_err("a link");
            assert_eq!(error.code(), Code::LocalUnavailable);
            assert!(
                error.message.starts_with(&format!("{link} in the profile is a symbolic link")),
                "{}",
                error.message
            );
        }
    }

    #[test]
    fn a_kept_folder_that_is_a_link_is_never_followed() {
        let outside = profile(&["IndexedDB/secret", "secret"]);
        for (link, extra) in [("Default", None), ("Default/IndexedDB", None), ("more", Some("more/secret"))] {
            let directory = profile(&[]);
            fs::create_dir_all(directory.path().join(link).parent().expect("a folder")).expect("room");
            symlink(outside.path(), directory.path().join(link)).expect("room");
            let extra: Vec<String> = extra.into_iter().map(str::to_owned).collect();
            let error = look(directory.path(), &extra).expect_err("a link");
            assert!(error.message.starts_with(&format!("{link} in the profile")), "{}", error.message);
        }
    }

    #[test]
    fn a_profile_may_itself_be_reached_by_a_link() {
        let directory = profile(&[&format!("{DATABASE}/CURRENT")]);
        let elsewhere = profile(&[]);
        symlink(directory.path(), elsewhere.path().join("link")).expect("room");
        assert_eq!(look(&elsewhere.path().join("link"), &[]).expect("a profile").len(), 1);
    }

    #[test]
    fn a_pipe_or_a_socket_is_passed_over_and_never_opened() {
        let directory = profile(&[&format!("{DATABASE}/CURRENT")]);
        let (pipe, socket) =
            (directory.path().join(DATABASE).join("pipe"), directory.path().join(DATABASE).join("s"));
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
        assert!(made.success());
        let _socket = UnixListener::bind(&socket).expect("a socket");
        assert_eq!(look(directory.path(), &[]).expect("a profile").len(), 1);
        // Neither would an open wait for a writer, had the pipe come later than the look.
        assert!(open(&pipe).is_err());
        assert!(open(&directory.path().join(DATABASE)).is_err(), "a folder");
    }

    #[test]
    fn a_file_that_became_a_link_is_not_opened() {
        let outside = profile(&["secret"]);
        let link = outside.path().join("link");
        symlink(outside.path().join("secret"), &link).expect("room");
        assert!(open(&link).is_err());
        assert!(open(&outside.path().join("secret")).is_ok());
    }

    #[test]
    fn a_name_that_is_no_portable_text_is_an_error_with_the_name() {
        for name in [OsStr::from_bytes(b"bad\xff"), OsStr::new("a\\b")] {
            let directory = profile(&[&format!("{DATABASE}/CURRENT")]);
            if fs::write(directory.path().join(DATABASE).join(name), "").is_err() {
                // Some file systems take no such name.
                continue;
            }
            let error = look(directory.path(), &[]).expect_err("a name");
            assert_eq!(error.code(), Code::LocalUnavailable);
            assert!(
                error.message.contains(DATABASE) && error.message.contains("Unicode"),
                "{}",
                error.message
            );
        }
    }
}
