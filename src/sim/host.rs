//! A simulated machine: seeded randomness, the simulation's clock, and tasks that can be stopped and killed like a process.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

use crate::platform::host::{Host, Job, Lane, Task};

use super::clock::Clock;
use super::drag::Drag;
use super::sometimes::{Moment, saw};

/// A small generator (splitmix64): the same seed gives the same schedule.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// True in `percent` of cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Running,
    Stopped,
    Dead,
}

/// The executor of the tasks of a process.
struct Gate {
    mode: Mode,
    waiting: Vec<Waker>,
    /// The number of times that all who waited were woken.
    round: u64,
    /// The first panic of a task: the simulation must not swallow it.
    panic: Option<Box<dyn Any + Send>>,
}

/// A simulated machine with one process on it.
pub struct SimHost {
    gate: Arc<Mutex<Gate>>,
    rng: Mutex<Rng>,
    clock: Arc<Clock>,
    drag: Arc<Drag>,
}

fn lock(gate: &Mutex<Gate>) -> MutexGuard<'_, Gate> {
    gate.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SimHost {
    pub fn new(seed: u64, start: Instant) -> Arc<SimHost> {
        SimHost::by(seed, Arc::new(Clock::new(start)), Arc::new(Drag::new(seed)))
    }

    /// One that goes by the clock and the disk of its machine.
    pub fn by(seed: u64, clock: Arc<Clock>, drag: Arc<Drag>) -> Arc<SimHost> {
        let gate = Gate { mode: Mode::Running, waiting: Vec::new(), round: 0, panic: None };
        Arc::new(SimHost { gate: Arc::new(Mutex::new(gate)), rng: Mutex::new(Rng::new(seed)), clock, drag })
    }

    fn set(&self, mode: Mode) {
        let wakers = {
            let mut gate = lock(&self.gate);
            if gate.mode != Mode::Dead {
                gate.mode = mode;
            }
            gate.round += 1;
            std::mem::take(&mut gate.waiting)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// SIGSTOP.
    pub fn stop(&self) {
        self.set(Mode::Stopped);
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.set(Mode::Running);
    }

    /// SIGKILL.
    pub fn kill(&self) {
        self.set(Mode::Dead);
    }

    /// True if its clock was never wrong.
    pub fn keeps_time(&self) -> bool {
        self.clock.keeps_time()
    }

    /// Goes on panicking if one of its tasks did.
    pub fn rethrow(&self) {
        if let Some(panic) = lock(&self.gate).panic.take() {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Host for SimHost {
    fn now(&self) -> Duration {
        self.clock.now()
    }

    fn wall_ms(&self) -> u64 {
        self.clock.day()
    }

    fn random(&self, bytes: &mut [u8]) {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&rng.next().to_le_bytes()[..chunk.len()]);
        }
    }

    fn spawn(&self, task: Task) {
        tokio::spawn(Gated { task: Some(task), gate: Arc::clone(&self.gate), waits: None });
    }

    fn offload(&self, lane: Lane, job: Job) {
        let takes = match lane {
            Lane::Sync | Lane::Log => self.drag.takes(),
            Lane::Compute | Lane::Names => Duration::ZERO,
        };
        if takes.is_zero() {
            return job();
        }
        saw(Moment::Dragged);
        self.spawn(Box::pin(async move {
            tokio::time::sleep(takes).await;
            job();
        }));
    }
}

/// A task of a process: it runs only while the process does.
struct Gated {
    task: Option<Task>,
    gate: Arc<Mutex<Gate>>,
    /// The round for which it left its waker at the gate.
    waits: Option<u64>,
}

impl Future for Gated {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        {
            let shared = Arc::clone(&self.gate);
            let mut gate = lock(&shared);
            if gate.mode == Mode::Dead {
                self.task = None;
                return Poll::Ready(());
            }
            // Whatever the task waits for, a kill must reach it.
            if self.waits.replace(gate.round) != Some(gate.round) {
                gate.waiting.push(context.waker().clone());
            }
            if gate.mode == Mode::Stopped {
                return Poll::Pending;
            }
        }
        let Some(task) = self.task.as_mut() else { return Poll::Ready(()) };
        match catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(context))) {
            Ok(poll) => poll,
            Err(panic) => {
                lock(&self.gate).panic.get_or_insert(panic);
                Poll::Ready(())
            }
        }
    }
}
