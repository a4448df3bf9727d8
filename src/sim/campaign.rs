//! Many schedules, over all cores: how many there were, what came of them, and what must have happened in so many.
//!
//! One that fails is shrunk, and printed with its seed and the command that repeats it. A report can be written to a file, for each
//! range of seeds by itself, so that a long campaign can be interrupted and resumed.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use super::cluster::fold;
use super::schedule::{Failure, Kind, Outcome, Schedule, play, shrink};
use super::sometimes::{Counts, MOMENTS, Moment, take};

/// The number of schedules from which on all that should happen now and then must have happened.
const ENOUGH: u64 = 1_000;

/// The number of schedules up to which nothing has to happen in them: a single one is played again for what it says.
const FEW: u64 = 20;

/// The same for what schedules of one kind are about.
const SOME: u64 = 300;

/// The outcome of many schedules.
#[derive(Default)]
pub struct Total {
    pub schedules: u64,
    pub opens: usize,
    pub promises: usize,
    pub kept: usize,
    pub complete: usize,
    /// The sum of all digests, whatever the order.
    pub digest: u64,
    pub moments: Counts,
    /// Numbers of each kind.
    pub kinds: BTreeMap<String, u64>,
}

impl Total {
    fn add(&mut self, schedule: &Schedule, outcome: Outcome) {
        self.schedules += 1;
        *self.kinds.entry(schedule.kind.to_string()).or_default() += 1;
        self.opens += outcome.opens;
        self.promises += outcome.promises;
        self.kept += outcome.kept;
        self.complete += outcome.complete;
        self.digest ^= fold(outcome.digest, &schedule.seed.to_le_bytes());
    }

    fn join(self, other: Total) -> Total {
        let mut moments = if self.moments.is_empty() { vec![0; MOMENTS.len()] } else { self.moments };
        for (sum, more) in moments.iter_mut().zip(&other.moments) {
            *sum += more;
        }
        let mut kinds = self.kinds;
        for (kind, count) in other.kinds {
            *kinds.entry(kind).or_default() += count;
        }
        Total {
            schedules: self.schedules + other.schedules,
            opens: self.opens + other.opens,
            promises: self.promises + other.promises,
            kept: self.kept + other.kept,
            complete: self.complete + other.complete,
            digest: self.digest ^ other.digest,
            moments,
            kinds,
        }
    }

    /// Says it in words.
    pub fn report(&self) -> String {
        let mut text = format!(
            "{} schedules: {} opens, {} acknowledgements, {} writes resolved as stored, {} times sealed anew; digest {:016x}\n",
            self.schedules, self.opens, self.promises, self.kept, self.complete, self.digest
        );
        for ((_, name), count) in MOMENTS.iter().zip(&self.moments) {
            _ = writeln!(text, "{count:>12}  {name}");
        }
        text
    }

    /// The record of this range for a campaign of many.
    fn note(&self, seeds: &Range<u64>) -> String {
        let moments: Vec<_> =
            MOMENTS.iter().zip(&self.moments).map(|((_, name), count)| (name, count)).collect();
        let kinds: Vec<_> = self.kinds.iter().collect();
        serde_json::json!({
            "first": seeds.start, "schedules": self.schedules, "opens": self.opens, "promises": self.promises,
            "kept": self.kept, "complete": self.complete, "digest": format!("{:016x}", self.digest),
            "kinds": kinds, "moments": moments,
        })
        .to_string()
    }

    /// Fails if there were fewer of something than schedules, unless those are too few to say so.
    pub fn assert_many(&self, count: usize, otherwise: &str) {
        assert!(self.schedules < FEW || count as u64 > self.schedules, "{otherwise}");
    }

    /// Fails if one of these never happened, unless there were too few schedules to say so.
    pub fn assert_happened(&self, these: &[Moment]) {
        let count = |moment: &&Moment| self.moments.get(**moment as usize).is_some_and(|count| *count > 0);
        let missing: Vec<&Moment> = these.iter().filter(|moment| !count(moment)).collect();
        assert!(
            self.schedules < SOME || missing.is_empty(),
            "never in {} schedules: {missing:?}",
            self.schedules
        );
    }

    /// Fails if one of `expected` never happened in so many schedules.
    pub fn assert_seen(&self, expected: impl Fn(Moment) -> bool) {
        if self.schedules < ENOUGH {
            return;
        }
        let missing: Vec<&str> = MOMENTS
            .iter()
            .zip(&self.moments)
            .filter(|((moment, _), count)| **count == 0 && expected(*moment))
            .map(|((_, name), _)| *name)
            .collect();
        assert!(missing.is_empty(), "never in {} schedules: {missing:?}", self.schedules);
    }
}

/// A failure with all that is needed to repeat and to read it.
fn told(schedule: &Schedule, failure: Failure, test: &str) -> String {
    let (seed, all) = (schedule.seed, schedule.steps.len());
    let first = failure.why.clone();
    let (small, shrunk) = shrink(schedule, failure, play);
    let mut text = format!("the schedule with seed {seed} failed: {first}\n");
    _ = writeln!(text, "repeat it: SIM_SEED={seed} cargo test --no-default-features {test}");
    _ = writeln!(text, "{} of its {all} steps are enough for: {}", small.steps.len(), shrunk.why);
    _ = writeln!(text, "weather: {:?}, {} names to a page, {:?}", small.weather, small.page, small.kind);
    for step in shrunk.steps {
        _ = writeln!(text, "{step}");
    }
    text
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// The seeds that the environment asks for, or the first `count`.
pub fn seeds(count: u64) -> Range<u64> {
    match number("SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => {
            let first = number("SIM_FIRST").unwrap_or(0);
            first..first + number("SIM_SCHEDULES").unwrap_or(count)
        }
    }
}

/// Plays the schedules of `seeds`, each of the kind that its seed makes it, for the test named `test`.
pub fn campaign(seeds: Range<u64>, kind: fn(u64) -> Kind, test: &str) -> Total {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = number("SIM_THREADS").and_then(|threads| threads.try_into().ok()).unwrap_or_else(cores);
    let failed = AtomicBool::new(false);
    let work = |worker: usize| {
        let mut total = Total::default();
        _ = take();
        for seed in seeds.clone().skip(worker).step_by(threads) {
            if failed.load(Ordering::Relaxed) {
                break;
            }
            let schedule = Schedule::draw(seed, kind(seed));
            match play(&schedule) {
                Ok(outcome) => total.add(&schedule, outcome),
                Err(failure) => {
                    failed.store(true, Ordering::Relaxed);
                    return Err(told(&schedule, failure, test));
                }
            }
        }
        total.moments = take();
        Ok(total)
    };
    let results: Vec<Result<Total, String>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|worker| scope.spawn(move || work(worker))).collect();
        workers.into_iter().map(|worker| worker.join().expect("the simulation itself failed")).collect()
    });
    let mut sum = Total::default();
    for result in results {
        match result {
            Ok(total) => sum = sum.join(total),
            Err(told) => panic!("{told}"),
        }
    }
    println!("seeds {seeds:?}: {}", sum.report());
    if let Ok(file) = std::env::var("SIM_REPORT") {
        std::fs::write(file, sum.note(&seeds)).expect("the report is written");
    }
    sum
}
