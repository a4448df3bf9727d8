//! Makes a failing schedule smaller: leaves out steps, half of them at first and single ones at last, and what befalls the world, as
//! long as it goes on failing in the same way.

use std::time::Duration;

use super::super::weather::Weather;
use super::{Failure, Schedule};

/// Schedules that are tried at the most.
const TRIES: usize = 600;

/// The smallest schedule found that fails like `failure`, and how it does.
pub fn shrink<T>(
    schedule: &Schedule,
    failure: Failure,
    play: impl Fn(&Schedule) -> Result<T, Failure>,
) -> (Schedule, Failure) {
    let mut best = (schedule.clone(), failure);
    let mut tries = 0;
    let mut attempt = |best: &mut (Schedule, Failure), smaller: Schedule| -> bool {
        tries += 1;
        if tries > TRIES {
            return false;
        }
        match play(&smaller) {
            Err(failure) if failure.sort() == best.1.sort() => {
                *best = (smaller, failure);
                true
            }
            _ => false,
        }
    };
    let calm = Schedule { weather: Weather::default(), page: 1000, ..best.0.clone() };
    attempt(&mut best, calm);
    let mut size = (best.0.steps.len() / 2).max(1);
    loop {
        let mut at = 0;
        let mut changed = false;
        while at < best.0.steps.len() {
            let mut smaller = best.0.clone();
            let end = (at + size).min(smaller.steps.len());
            let gone: Duration = smaller.steps.drain(at..end).map(|step| step.pause).sum();
            // What is left out takes its time with it, or leaves it.
            let mut waiting = smaller.clone();
            if let Some(before) = at.checked_sub(1).and_then(|before| waiting.steps.get_mut(before)) {
                before.pause += gone;
            }
            if attempt(&mut best, smaller) || attempt(&mut best, waiting) {
                changed = true;
            } else {
                at += size;
            }
        }
        if size == 1 && !changed {
            break;
        }
        size = (size / 2).max(1);
    }
    for at in 0..best.0.steps.len() {
        for shift in (0..best.0.steps[at].shifts.len()).rev() {
            let mut smaller = best.0.clone();
            smaller.steps[at].shifts.remove(shift);
            attempt(&mut best, smaller);
        }
    }
    best
}
