//! Clocks of machines: each may be wrong, run too fast or too slowly, jump ahead, and stand still with a machine that is suspended.
//!
//! The time since the start of a machine never goes back, as no such clock does; the time of day may. Timers are not slower or
//! faster with it: they and the clock disagree, as they do after a suspension.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::cluster::hold;
use super::host::Rng;

/// The clock of one machine.
pub struct Clock(Mutex<Reading>);

#[derive(Clone, Copy)]
struct Reading {
    /// The time that it showed when it was last touched, and the instant of that.
    shown: Duration,
    touched: Instant,
    /// The time of day then, in milliseconds.
    day: u64,
    /// Its speed, in percent.
    speed: u32,
    /// Set while its machine is suspended.
    stands: bool,
    /// Set once it was ever wrong.
    strayed: bool,
}

/// A change of a clock.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    pub machine: usize,
    /// The speed from now on, in percent.
    speed: u32,
    /// The distance of its jump ahead.
    jump: Duration,
    /// The time of day from now on, if somebody sets that.
    day: Option<u64>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Change { machine, speed, jump, day } = self;
        write!(f, "clock of machine {machine}: ahead by {jump:?}, {speed} % from now on")?;
        day.map_or(Ok(()), |day| write!(f, "; the time of day is {day}"))
    }
}

fn pick(rng: &mut Rng, of: &[u64]) -> u64 {
    of[usize::try_from(rng.below(of.len() as u64)).unwrap_or(0)]
}

impl Change {
    /// A change of some clock, as chance has it.
    pub fn draw(rng: &mut Rng, machines: u64) -> Change {
        Change {
            machine: usize::try_from(rng.below(machines)).unwrap_or(0),
            speed: u32::try_from(pick(rng, &[10, 50, 95, 100, 100, 105, 200, 1_000])).unwrap_or(100),
            // Less than the longest wait, more than it, and more than a refresh.
            jump: Duration::from_millis(pick(rng, &[0, 0, 300, 2_000, 60_000, 700_000_000])),
            // Long ago, and far ahead.
            day: rng.chance(50).then(|| pick(rng, &[0, 1_000, 1_700_000_000_000, 4_000_000_000_000])),
        }
    }
}

impl Clock {
    /// A clock that runs at the right speed since `start`, with a time of day that is plainly wrong: safety must not care.
    pub fn new(start: Instant) -> Clock {
        let reading = Reading {
            shown: Duration::ZERO,
            touched: start,
            day: 1_000,
            speed: 100,
            stands: false,
            strayed: false,
        };
        Clock(Mutex::new(reading))
    }

    /// The time since its start.
    pub fn now(&self) -> Duration {
        let reading = hold(&self.0);
        reading.shown + reading.passed()
    }

    /// True if it was never wrong.
    pub fn keeps_time(&self) -> bool {
        !hold(&self.0).strayed
    }

    /// The time of day, in milliseconds.
    pub fn day(&self) -> u64 {
        let reading = hold(&self.0);
        reading.day + u64::try_from(reading.passed().as_millis()).unwrap_or(0)
    }

    fn touch(&self, change: impl FnOnce(&mut Reading)) {
        let mut reading = hold(&self.0);
        let passed = reading.passed();
        reading.shown += passed;
        reading.day += u64::try_from(passed.as_millis()).unwrap_or(0);
        reading.touched = Instant::now();
        change(&mut reading);
    }

    /// Something happens to it.
    pub fn turn(&self, change: &Change) {
        self.touch(|reading| {
            reading.shown += change.jump;
            reading.speed = change.speed;
            reading.strayed = true;
            reading.day = change.day.unwrap_or(reading.day);
        });
    }

    /// It is right again from now on, and goes on from where it is.
    pub fn mend(&self) {
        self.touch(|reading| (reading.speed, reading.stands) = (100, false));
    }

    /// Stands still with its machine, or goes on.
    pub fn stand(&self, stands: bool) {
        self.touch(|reading| {
            reading.stands = stands;
            reading.strayed |= stands;
        });
    }
}

impl Reading {
    /// The time that passed on it since it was touched.
    fn passed(&self) -> Duration {
        if self.stands { Duration::ZERO } else { self.touched.elapsed() * self.speed / 100 }
    }
}
