//! The drag of a machine's disk: how long work on logs takes that blocks, as under pressure, for a while.
//!
//! Syncs, rewrites, recoveries and removals take it; appends go to the page cache, and take none. Work has its effect at its end, whoever
//! still waits for that.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::cluster::hold;
use super::host::Rng;

/// A time of drag: the shortest and the longest time that work takes, and the duration of all of it.
#[derive(Clone, Copy, Debug)]
pub struct Pressure {
    pub least: Duration,
    pub most: Duration,
    pub lasts: Duration,
}

impl Pressure {
    /// Pressure as an accident has it: from a moment to longer than a handover is waited for.
    pub fn draw(rng: &mut Rng) -> Pressure {
        let most = [20, 400, 2_000, 8_000, 30_000][usize::try_from(rng.below(5)).unwrap_or(0)];
        let least = if rng.chance(50) { Duration::ZERO } else { Duration::from_millis(most / 2) };
        let lasts = Duration::from_millis(200 + rng.below(10_000));
        Pressure { least, most: Duration::from_millis(most), lasts }
    }

    /// Pressure without an end, under which all work takes so long.
    pub fn of(time: Duration) -> Pressure {
        Pressure { least: time, most: time, lasts: Duration::from_secs(1_000_000) }
    }
}

impl fmt::Display for Pressure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Pressure { least, most, lasts } = self;
        write!(f, "work on its logs takes {least:?} to {most:?} for {lasts:?}")
    }
}

/// The drag of one machine's disk.
pub struct Drag(Mutex<(Option<(Pressure, Instant)>, Rng)>);

impl Drag {
    /// None, with a generator for times to come.
    pub fn new(seed: u64) -> Drag {
        Drag(Mutex::new((None, Rng::new(seed))))
    }

    /// Pressure begins.
    pub fn begin(&self, pressure: Pressure) {
        hold(&self.0).0 = Some((pressure, Instant::now() + pressure.lasts));
    }

    /// It is over for all that begins from now on.
    pub fn end(&self) {
        hold(&self.0).0 = None;
    }

    /// The time that a piece of work takes which begins now.
    pub fn takes(&self) -> Duration {
        let mut drag = hold(&self.0);
        let (pressure, rng) = &mut *drag;
        let Some((Pressure { least, most, .. }, _)) = pressure.filter(|(_, ends)| *ends > Instant::now())
        else {
            return Duration::ZERO;
        };
        let more = u64::try_from(most.saturating_sub(least).as_millis()).unwrap_or(0);
        least + Duration::from_millis(rng.below(more + 1))
    }
}
