//! Counters of this process: the figures behind its metrics.
//!
//! One set for the process, because that is what is scraped. Counting is a relaxed increment, and nothing of the core ever
//! looks at a figure to decide by it. Counters only grow: a tenant that is closed and opened again is counted on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::error::Code;

/// Something that is counted.
pub struct Count(AtomicU64);

impl Count {
    const fn new() -> Count {
        Count(AtomicU64::new(0))
    }

    /// One more.
    pub fn one(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// The number so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Something of which there are some at the moment.
pub struct Gauge(AtomicU64);

impl Gauge {
    const fn new() -> Gauge {
        Gauge(AtomicU64::new(0))
    }

    /// One more, until the answer is dropped.
    pub fn raise(&'static self) -> GaugeGuard {
        self.0.fetch_add(1, Ordering::Relaxed);
        GaugeGuard(self)
    }

    /// The number at the moment.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One of those that a level counts.
pub struct GaugeGuard(&'static Gauge);

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Durations, counted by upper bounds in microseconds.
pub struct Histogram<const N: usize> {
    bounds: [u64; N],
    within: [Count; N],
    beyond: Count,
    sum: Count,
}

impl<const N: usize> Histogram<N> {
    const fn new(bounds: [u64; N]) -> Histogram<N> {
        Histogram { bounds, within: [const { Count::new() }; N], beyond: Count::new(), sum: Count::new() }
    }

    /// Counts one that took `time`.
    pub fn observe(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let at = self.bounds.partition_point(|bound| *bound < micros);
        self.within.get(at).unwrap_or(&self.beyond).one();
        self.sum.add(micros);
    }

    /// The upper bounds, in microseconds.
    pub fn bounds(&self) -> &[u64] {
        &self.bounds
    }

    /// Number of those within each bound and beyond the one before; the last are beyond all.
    pub fn counts(&self) -> impl Iterator<Item = u64> {
        self.within.iter().chain([&self.beyond]).map(Count::get)
    }

    /// Microseconds of all together.
    pub fn sum(&self) -> u64 {
        self.sum.get()
    }
}

/// One count for each kind of object.
pub struct ByObject {
    pub segment: Count,
    pub base: Count,
    pub mark: Count,
    pub pack: Count,
}

impl ByObject {
    const fn new() -> ByObject {
        ByObject { segment: Count::new(), base: Count::new(), mark: Count::new(), pack: Count::new() }
    }
}

/// One count for each meaning of a failure.
pub struct ByMeaning {
    pub absent: Count,
    pub denied: Count,
    pub not_configured: Count,
    pub throttled: Count,
    pub transient: Count,
    pub ambiguous: Count,
    pub impossible: Count,
    pub too_large: Count,
}

/// A local sync: half a millisecond to 2.5 seconds.
type Syncs = Histogram<12>;
/// An open: ten milliseconds to a minute.
pub type Opens = Histogram<12>;

const fn syncs() -> Syncs {
    Histogram::new([
        500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    ])
}

const fn opens() -> Opens {
    Histogram::new([
        10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000,
        30_000_000, 60_000_000,
    ])
}

/// Durations of successful opens, by the origin of the session.
pub struct BySource {
    pub fresh: Opens,
    pub imported: Opens,
    pub local: Opens,
    pub remote: Opens,
}

/// Failures by code. Rare, so a lock does no harm.
pub struct ByCode(Mutex<BTreeMap<&'static str, u64>>);

impl ByCode {
    /// One more of `code`.
    pub fn one(&self, code: Code) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(code.as_str()).or_default() += 1;
    }

    /// The number of each that there was.
    pub fn get(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// All that is counted.
pub struct Meters {
    /// Objects that a store took.
    pub uploads: ByObject,
    /// Bytes of them.
    pub uploaded: ByObject,
    /// Entries of batches that were what the session had already.
    pub unchanged: Count,
    /// Requests that failed.
    pub failures: ByMeaning,
    /// Opens that succeeded.
    pub opens: BySource,
    /// Opens that failed.
    pub open_failures: ByCode,
    /// Sessions that a newer owner ended.
    pub fences: Count,
    /// Syncs of local logs.
    pub syncs: Syncs,
    /// Number of those that failed.
    pub sync_failures: Count,
    /// Batches that could not be written to a local log.
    pub append_failures: Count,
    /// Damage that sessions went on from, of the local disk or of the store.
    pub repairs: Count,
    /// Objects that a store refused to take once more although they were there: its key may not replace objects.
    pub refused_repeats: Count,
    /// States that were stored again because a store had lost objects.
    pub store_repairs: Count,
    /// Times that another server took the place of the one a session was stored on.
    pub server_changes: Count,
    /// Open connections to databases.
    pub connections: Gauge,
    /// Times that a store told a session of a changed claim.
    pub notifications: Count,
    /// Backups of profiles that were acknowledged, whether something had changed or not.
    pub profile_backups: Opens,
    /// Times for which their browsers were stopped.
    pub profile_stops: Syncs,
    /// Backups of profiles that failed.
    pub profile_failures: ByCode,
}

/// The figures of this process.
pub static METERS: Meters = Meters {
    uploads: ByObject::new(),
    uploaded: ByObject::new(),
    unchanged: Count::new(),
    failures: ByMeaning {
        absent: Count::new(),
        denied: Count::new(),
        not_configured: Count::new(),
        throttled: Count::new(),
        transient: Count::new(),
        ambiguous: Count::new(),
        impossible: Count::new(),
        too_large: Count::new(),
    },
    opens: BySource { fresh: opens(), imported: opens(), local: opens(), remote: opens() },
    open_failures: ByCode(Mutex::new(BTreeMap::new())),
    fences: Count::new(),
    syncs: syncs(),
    sync_failures: Count::new(),
    append_failures: Count::new(),
    repairs: Count::new(),
    refused_repeats: Count::new(),
    store_repairs: Count::new(),
    server_changes: Count::new(),
    connections: Gauge::new(),
    notifications: Count::new(),
    profile_backups: opens(),
    profile_stops: syncs(),
    profile_failures: ByCode(Mutex::new(BTreeMap::new())),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_counted_once_and_within_its_bound() {
        let histogram = Histogram::new([10, 20, 30]);
        for micros in [0, 10, 11, 20, 29, 30, 31, 1_000_000] {
            histogram.observe(Duration::from_micros(micros));
        }
        assert_eq!(histogram.bounds(), [10, 20, 30]);
        assert_eq!(histogram.counts().collect::<Vec<_>>(), [2, 2, 2, 2]);
        assert_eq!(histogram.sum(), 1_000_131);
    }

    #[test]
    fn a_level_falls_with_each_that_is_dropped() {
        static LEVEL: Gauge = Gauge::new();
        let held = [LEVEL.raise(), LEVEL.raise()];
        assert_eq!(LEVEL.get(), 2);
        drop(held);
        assert_eq!(LEVEL.get(), 0);
    }

    #[test]
    fn every_bound_is_above_the_one_before() {
        assert!(syncs().bounds.is_sorted_by(|a, b| a < b) && opens().bounds.is_sorted_by(|a, b| a < b));
    }
}
