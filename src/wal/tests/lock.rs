//! The lock between real processes: this test binary runs itself as the other one.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use super::*;
use crate::error::Code;
use crate::platform::disk::RealDisk;

const DIRECTORY: &str = "BHA_TEST_LOCK_DIRECTORY";

fn open(path: &Path) -> Result<Folder> {
    Folder::lock(Arc::new(RealDisk), path)
}

/// The other process: it says how locking went, and holds on until it is killed or its input ends.
#[test]
fn helper_process_of_the_lock_tests() {
    let Some(path) = std::env::var_os(DIRECTORY) else { return };
    let folder = open(Path::new(&path));
    let answer = folder.as_ref().map(|_| "HELD").unwrap_or_else(|error| error.code().as_str());
    println!("\nANSWER {answer}");
    std::io::stdout().flush().expect("the pipe is open");
    let _ = std::io::stdin().read_line(&mut String::new());
}

/// The other process, its output, and how locking went. The output stays open, or it would
/// fail when it goes on writing.
fn other_process(path: &Path) -> (Child, Lines<BufReader<ChildStdout>>, String) {
    let mut child = Command::new(std::env::current_exe().expect("running"))
        .args(["--exact", "wal::tests::lock::helper_process_of_the_lock_tests", "--nocapture"])
        .env(DIRECTORY, path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("runs itself");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let answer = lines.find_map(|line| Some(line.ok()?.strip_prefix("ANSWER ")?.to_owned()));
    (child, lines, answer.expect("it answers"))
}

#[test]
fn a_second_process_is_refused_and_a_killed_one_leaves_the_lock_free() {
    let root = tempfile::tempdir().expect("room");
    let path = root.path().join("tenant");
    let (mut holder, _output, answer) = other_process(&path);
    assert_eq!(answer, "HELD");
    assert_eq!(open(&path).map(|_| ()).map_err(|error| error.code()), Err(Code::AlreadyOpen));
    // SIGKILL: nothing of it runs any more.
    holder.kill().expect("it is ours");
    holder.wait().expect("it is ours");
    let deadline = Instant::now() + Duration::from_secs(10);
    let folder = loop {
        match open(&path) {
            Ok(folder) => break folder,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    };
    let (mut second, _output, answer) = other_process(&path);
    assert_eq!(answer, "ALREADY_OPEN");
    drop(second.stdin.take());
    second.wait().expect("it is ours");
    // Dropping the folder is as good as dying.
    drop(folder);
    let (mut third, _output, answer) = other_process(&path);
    assert_eq!(answer, "HELD");
    drop(third.stdin.take());
    third.wait().expect("it is ours");
    open(&path).expect("free again");
}
