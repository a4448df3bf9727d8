//! Another process: its state, and the two signals that stop and continue it.
//!
//! Invariant: a state is [`State::Stopped`] only if every thread stands still: after the signal the threads of a process stop one
//! after another, and one that is in the middle of a write stops behind it.
#![expect(
    clippy::disallowed_methods,
    reason = "the states of processes are files, and a look at them needs a pause"
)]

use std::io;
use std::time::Duration;

/// State of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// There is none, or only what is left of an ended one.
    Gone,
    /// Each thread stands still.
    Stopped,
    /// Some thread runs or waits.
    Running,
    /// The system does not tell.
    Unknown,
}

/// Waits. For threads that may block.
pub fn wait(time: Duration) {
    std::thread::sleep(time);
}

/// State of process `pid`.
#[cfg(target_os = "linux")]
pub fn state(pid: u32) -> State {
    use std::path::Path;
    let threads = match std::fs::read_dir(format!("/proc/{pid}/task")) {
        Ok(threads) => threads,
        Err(_) if Path::new("/proc/self/task").is_dir() => return State::Gone,
        Err(_) => return State::Unknown,
    };
    // Threads that end meanwhile have no state.
    let states = threads.flatten().filter_map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("stat")).ok()?;
        // The name is in brackets, and may hold any character.
        text.rsplit_once(") ")?.1.bytes().next()
    });
    summary(states)
}

/// State of process `pid`: of the process only, as the system has no file for its threads.
#[cfg(target_vendor = "apple")]
pub fn state(pid: u32) -> State {
    let pid = pid.to_string();
    match std::process::Command::new("/bin/ps").args(["-o", "state=", "-p", &pid]).output() {
        Ok(output) => summary(output.stdout.trim_ascii().first().copied().into_iter()),
        Err(_) => State::Unknown,
    }
}

/// State of process `pid`, which only Unix systems tell.
#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
pub fn state(_pid: u32) -> State {
    State::Unknown
}

/// State of a process whose threads have these.
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn summary(threads: impl Iterator<Item = u8>) -> State {
    let mut all = State::Gone;
    for thread in threads {
        match thread {
            b'Z' | b'X' | b'x' => {}
            b'T' | b't' => all = State::Stopped,
            _ => return State::Running,
        }
    }
    all
}

/// Stops process `pid`.
pub fn stop(pid: u32) -> io::Result<()> {
    signal(pid, false)
}

/// Continues process `pid`.
pub fn proceed(pid: u32) -> io::Result<()> {
    signal(pid, true)
}

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn signal(pid: u32, proceeds: bool) -> io::Result<()> {
    use rustix::process::{Pid, Signal, kill_process};
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    match kill_process(pid, if proceeds { Signal::CONT } else { Signal::STOP }) {
        Err(rustix::io::Errno::SRCH) => Err(io::ErrorKind::NotFound.into()),
        sent => Ok(sent?),
    }
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn signal(_pid: u32, _proceeds: bool) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
