//! A process that is stopped for a moment, and continues whatever happens.
//!
//! Invariants: nothing is stopped before a thread of its own watches over it, which continues it when its time is over; a panic, a slow
//! disk and an exit of this process continue it too. Where every thread of the process does not stand still there is no
//! [`Pause`]. A process that somebody else stopped stays stopped, and no signal ever goes to a group, to the first process or
//! to ourselves.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::error::{Code, Error, Result};
use crate::platform::host::Host;
use crate::profile::process::{self, State};

/// Time for which a process is stopped at the longest.
const LIMIT: Duration = Duration::from_millis(250);
/// Time for all threads of a process to stand still: one that waits for the disk does so later.
const SETTLING: Duration = Duration::from_millis(100);
/// Pause between two looks at threads.
const MOMENT: Duration = Duration::from_micros(200);

/// Outcome of the attempt to stop a process.
#[derive(Debug)]
pub enum StopOutcome {
    /// It stands still.
    Stopped(Pause),
    /// There is no such process any more.
    Gone,
    /// It is not ours to stop, or it did not stand still in time.
    Unable,
}

/// A process that stands still until this is dropped or its time is over.
#[derive(Debug)]
pub struct Pause {
    pid: u32,
    began: Duration,
    /// `None` if somebody else stopped it.
    stopped: Option<Arc<StoppedProcess>>,
}

/// Stop that has to be taken back, once.
#[derive(Debug)]
struct StoppedProcess {
    pid: u32,
    is_over: Mutex<bool>,
    bell: Condvar,
}

/// Everything that stands still now.
static ALL: Mutex<Vec<Weak<StoppedProcess>>> = Mutex::new(Vec::new());

/// Stops process `pid`. Blocks until all its threads stand still.
pub fn stop(host: &dyn Host, pid: u32) -> Result<StopOutcome> {
    stop_for(host, pid, LIMIT)
}

fn stop_for(host: &dyn Host, pid: u32, limit: Duration) -> Result<StopOutcome> {
    if pid < 2 || i32::try_from(pid).is_err() || pid == std::process::id() {
        return Err(Error::new(
            Code::InvalidOption,
            format!("process {pid} is not a browser: give the pid of the browser that runs on the profile"),
        ));
    }
    match process::state(pid) {
        State::Gone => return Ok(StopOutcome::Gone),
        State::Stopped => return Ok(StopOutcome::Stopped(Pause { pid, began: host.now(), stopped: None })),
        State::Running => {}
        State::Unknown => return Ok(StopOutcome::Unable),
    }
    let Ok(stopped) = watched(pid, limit) else { return Ok(StopOutcome::Unable) };
    let began = host.now();
    let sent = stopped.stop();
    // From here on, what is dropped continues.
    let pause = Pause { pid, began, stopped: Some(stopped) };
    match sent {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(StopOutcome::Gone),
        Err(_) => return Ok(StopOutcome::Unable),
    }
    while host.now().saturating_sub(began) < SETTLING {
        match process::state(pid) {
            State::Stopped => return Ok(StopOutcome::Stopped(pause)),
            State::Gone => return Ok(StopOutcome::Gone),
            State::Running | State::Unknown => process::wait(MOMENT),
        }
    }
    Ok(StopOutcome::Unable)
}

/// Continues everything that stands still because of us: for the exit of this process.
pub fn continue_all() {
    let all = std::mem::take(&mut *ALL.lock().unwrap_or_else(PoisonError::into_inner));
    for stopped in all.iter().filter_map(Weak::upgrade) {
        stopped.resume();
    }
}

impl Pause {
    /// Continues the process. Gives the time for which we stopped it, and whether it stood still all that time.
    pub fn end(self, host: &dyn Host) -> (Duration, bool) {
        let stands = process::state(self.pid) == State::Stopped;
        match &self.stopped {
            None => (Duration::ZERO, stands),
            Some(stopped) => {
                let was_stopped = stopped.resume();
                (host.now().saturating_sub(self.began), stands && was_stopped)
            }
        }
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        if let Some(stopped) = &self.stopped {
            stopped.resume();
        }
    }
}

impl StoppedProcess {
    /// Stops the process, unless its time was over before it came to that. The thread that continues it cannot do so in between.
    fn stop(&self) -> io::Result<()> {
        let is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        if *is_over { Err(io::ErrorKind::TimedOut.into()) } else { process::stop(self.pid) }
    }

    /// Continues the process, unless that was done before; gives true if not.
    fn resume(&self) -> bool {
        let mut is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        let was_stopped = !std::mem::replace(&mut *is_over, true);
        if was_stopped {
            // It may be gone, and then needs nothing.
            let _ = process::proceed(self.pid);
        }
        self.bell.notify_all();
        was_stopped
    }
}

/// Starts the thread that continues process `pid` after `limit`, and waits until it watches.
fn watched(pid: u32, limit: Duration) -> io::Result<Arc<StoppedProcess>> {
    let stopped = Arc::new(StoppedProcess { pid, is_over: Mutex::new(false), bell: Condvar::new() });
    let watching = Arc::new((Mutex::new(false), Condvar::new()));
    let (theirs, began) = (Arc::clone(&stopped), Arc::clone(&watching));
    std::thread::Builder::new().name("bha-quiet".to_owned()).spawn(move || {
        let is_over = theirs.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        *began.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        began.1.notify_all();
        drop(theirs.bell.wait_timeout_while(is_over, limit, |is_over| !*is_over));
        theirs.resume();
    })?;
    let is_watching = watching.0.lock().unwrap_or_else(PoisonError::into_inner);
    drop(watching.1.wait_while(is_watching, |is_watching| !*is_watching));
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    all.retain(|other| other.strong_count() > 0);
    all.push(Arc::downgrade(&stopped));
    Ok(stopped)
}

#[cfg(all(test, unix))]
pub mod tests;
