//! Real processes that are stopped, and continue.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, Command, Stdio};
use std::sync::RwLock;

use tempfile::TempDir;

use crate::platform::host::RealHost;

use super::*;

/// Held by each test that stops a process, and alone by the one that continues all.
pub static TURN: RwLock<()> = RwLock::new(());

/// Process of `/bin/sh`, which ends with its test.
pub struct Shell(pub Child);

impl Shell {
    pub fn run(script: &str, directory: &std::path::Path) -> Shell {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).current_dir(directory).stdin(Stdio::null());
        Shell(command.spawn().expect("a process"))
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Looks again and again until `holds`.
pub fn until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        process::wait(MOMENT);
    }
}

pub fn host() -> RealHost {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    RealHost::new(runtime.handle().clone())
}

/// A process that appends to a file as fast as it can, and that file's length.
fn writing() -> (TempDir, Shell, impl Fn() -> u64) {
    let directory = tempfile::tempdir().expect("a folder");
    let file = directory.path().join("file");
    let shell = Shell::run("while :; do echo x >> file; done", directory.path());
    let length = move || std::fs::metadata(&file).map_or(0, |there| there.len());
    until(|| length() > 0);
    (directory, shell, length)
}

fn stopped(pid: u32, limit: Duration) -> Pause {
    match stop_for(&host(), pid, limit) {
        Ok(StopOutcome::Stopped(pause)) => pause,
        other => panic!("{other:?}"),
    }
}

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn a_stopped_process_does_nothing_until_its_pause_ends() {
    let _turn = TURN.read();
    let (_directory, shell, length) = writing();
    let pause = stopped(shell.pid(), LONG);
    let before = length();
    assert!((0..2000).all(|_| length() == before));
    assert_eq!(process::state(shell.pid()), State::Stopped);
    let (time, stood_still) = pause.end(&host());
    assert!(stood_still && time > Duration::ZERO);
    until(|| length() > before);
}

#[test]
fn a_process_continues_when_its_pause_is_dropped() {
    let _turn = TURN.read();
    let (_directory, shell, length) = writing();
    drop(stopped(shell.pid(), LONG));
    let before = length();
    until(|| length() > before);
}

#[test]
fn a_process_continues_after_a_panic() {
    let _turn = TURN.read();
    let (_directory, shell, length) = writing();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _pause = stopped(shell.pid(), LONG);
        panic!("in the middle of a copy");
    }));
    assert!(panicked.is_err());
    let before = length();
    until(|| length() > before);
}

#[test]
fn a_process_continues_when_its_time_is_over_and_the_pause_tells() {
    let _turn = TURN.read();
    let (_directory, shell, length) = writing();
    // So short a time may be over before all threads stand still.
    let pause = (1..)
        .find_map(|limit| match stop_for(&host(), shell.pid(), Duration::from_millis(limit)) {
            Ok(StopOutcome::Stopped(pause)) => Some(pause),
            _ => None,
        })
        .expect("a pause");
    let before = length();
    until(|| length() > before);
    assert!(!pause.end(&host()).1);
}

#[test]
fn a_process_whose_time_is_over_before_it_stops_is_not_stopped() {
    let _turn = TURN.read();
    let (_directory, shell, length) = writing();
    for _ in 0..20 {
        drop(stop_for(&host(), shell.pid(), Duration::ZERO));
    }
    let before = length();
    until(|| length() > before);
    // The same with certainty, whatever the threads do.
    let late = watched(shell.pid(), Duration::ZERO).expect("a thread");
    until(|| *late.is_over.lock().expect("no panic"));
    assert!(late.stop().is_err());
    assert_eq!(process::state(shell.pid()), State::Running);
}

#[test]
fn a_process_that_was_continued_by_somebody_else_did_not_stand_still() {
    let _turn = TURN.read();
    let (_directory, shell, length) = writing();
    let pause = stopped(shell.pid(), LONG);
    process::proceed(shell.pid()).expect("a process");
    let before = length();
    until(|| length() > before);
    assert!(!pause.end(&host()).1);
}

#[test]
fn a_process_that_somebody_else_stopped_stays_stopped() {
    let _turn = TURN.read();
    let (_directory, shell, _) = writing();
    process::stop(shell.pid()).expect("a process");
    until(|| process::state(shell.pid()) == State::Stopped);
    let pause = stopped(shell.pid(), LONG);
    assert_eq!(pause.end(&host()), (Duration::ZERO, true));
    drop(stopped(shell.pid(), Duration::ZERO));
    assert_eq!(process::state(shell.pid()), State::Stopped);
}

#[test]
fn an_exit_continues_all() {
    let _alone = TURN.write();
    let (_directory, shell, length) = writing();
    let pause = stopped(shell.pid(), LONG);
    let before = length();
    continue_all();
    until(|| length() > before);
    assert!(!pause.end(&host()).1);
}

#[test]
fn a_process_that_is_gone_is_no_error() {
    let mut shell = Shell::run("exit 0", std::path::Path::new("/"));
    // First what is left of it until somebody asks how it ended, then nothing.
    until(|| process::state(shell.pid()) == State::Gone);
    assert!(matches!(stop(&host(), shell.pid()), Ok(StopOutcome::Gone)));
    shell.0.wait().expect("an ended process");
    assert!(matches!(stop(&host(), shell.pid()), Ok(StopOutcome::Gone)));
}

#[test]
fn no_signal_goes_to_a_group_to_the_first_process_or_to_ourselves() {
    for pid in [0, 1, std::process::id(), 1 << 31, u32::MAX, u32::MAX - 1] {
        let error = stop(&host(), pid).expect_err("no browser");
        assert_eq!(error.code(), Code::InvalidOption, "{pid}");
    }
}
