//! Tests under shuttle: the same body again and again, with its threads interleaved otherwise each time.
//!
//! One thread goes on at a time, and another may take over at each operation on what `platform::sync` has, and where a task waits.
//! A body whose threads all wait for one another fails, as does one that never ends. Half of the schedules change the thread at
//! random, half prefer some threads and change that at few moments, which finds what needs one rare order. A failing schedule is
//! printed, for `shuttle::replay`. What shuttle does not know: the memory model (each operation is seen by all at once), and the steps within
//! tokio's channels, which count as one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use shuttle::scheduler::{PctScheduler, RandomScheduler};
use tokio::sync::Notify;

use crate::platform::host::{Host, Job, Lane, Task};
use crate::platform::sync::stepped;

/// Moments at which the preference for a thread changes.
const CHANGES: usize = 3;
/// Steps after which a schedule is taken for one that never ends.
const STEPS: usize = 200_000;
/// Room for the deepest calls of a thread: an open.
const STACK: usize = 1 << 20;

/// Plays `body` in `schedules` interleavings of each kind, or in `INTERLEAVINGS` percent of them.
pub fn explore(schedules: usize, body: impl Fn() + Send + Sync + 'static) {
    let percent = std::env::var("INTERLEAVINGS").ok().and_then(|text| text.parse().ok()).unwrap_or(100);
    let schedules = (schedules * percent).div_ceil(100);
    // Timeouts need a clock: one that stands still, so that none is reached.
    let clock = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let clock = clock.expect("a runtime");
    let _inside = clock.enter();
    let mut config = shuttle::Config::new();
    config.stack_size = STACK;
    config.silence_warnings = true;
    config.max_steps = shuttle::MaxSteps::FailAfter(STEPS);
    let body = Arc::new(body);
    let run = || {
        let body = Arc::clone(&body);
        move || body()
    };
    shuttle::Runner::new(RandomScheduler::new(schedules), config.clone()).run(run());
    shuttle::Runner::new(PctScheduler::new(CHANGES, schedules), config).run(run());
}

/// A machine whose tasks and jobs are threads of a schedule.
#[derive(Default)]
pub struct SteppedHost {
    random: AtomicU64,
    /// Drops the task that is told first.
    pub drop_one: Arc<Notify>,
}

impl Host for SteppedHost {
    fn now(&self) -> Duration {
        stepped::now()
    }

    fn wall_ms(&self) -> u64 {
        1_700_000_000_000
    }

    fn random(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let next = (self.random.fetch_add(1, Ordering::Relaxed) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            chunk.copy_from_slice(&next.to_le_bytes()[..chunk.len()]);
        }
    }

    fn spawn(&self, task: Task) {
        let dropped = Arc::clone(&self.drop_one);
        drop(shuttle::future::spawn(async move {
            tokio::select! {
                biased;
                () = dropped.notified() => {}
                () = task => {}
            }
        }));
    }

    fn offload(&self, _: Lane, job: Job) {
        drop(shuttle::thread::spawn(job));
    }
}
