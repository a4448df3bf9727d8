//! The lookout: asks for a newer owner on a clock of its own, whatever else is under way.
//!
//! Whoever sees a higher claim accepts nothing more from that moment on. An upload that takes long, a base, removals or a pause
//! between tries delay no check (I3): beside work that checks in time it asks nothing.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::event::{Event, EventSink};
use crate::journal::{Journal, Life};
use crate::ownership::lease::{Owner, Standing};
use crate::platform::host::sleep;
use crate::store::Failure;

/// Looks for a newer owner of one tenant.
pub struct Lookout {
    owner: Arc<Owner>,
    journal: Arc<Journal>,
    events: EventSink,
    interval: Duration,
    /// Start of the last check that got an answer, in nanoseconds.
    checked: AtomicU64,
    /// Time until which the store wants no listing, in nanoseconds.
    quiet: AtomicU64,
    told: AtomicBool,
    buried: AtomicBool,
}

impl Lookout {
    /// A lookout that asks at least once per `interval`.
    pub fn new(owner: Arc<Owner>, journal: Arc<Journal>, events: EventSink, interval: Duration) -> Lookout {
        let lookout = Lookout {
            checked: AtomicU64::new(0),
            quiet: AtomicU64::new(0),
            told: AtomicBool::new(false),
            buried: AtomicBool::new(false),
            owner,
            journal,
            events,
            interval,
        };
        lookout.checked(lookout.now());
        lookout
    }

    /// A check that began at `since` is done.
    pub fn checked(&self, since: Duration) {
        self.checked.fetch_max(nanos(since), Ordering::Relaxed);
        for error in self.owner.tenancy.known.take_news() {
            (self.events)(Event::Failed(error));
        }
    }

    /// Heeds a listing that failed: where the store asks to be left alone, it gets no other one before that time.
    pub fn heed(&self, failure: &Failure) {
        self.quiet.fetch_max(nanos(self.now() + failure.pause(Duration::ZERO)), Ordering::Relaxed);
    }

    /// Waits until the store takes listings again.
    pub async fn quiet(&self) {
        loop {
            let left = Duration::from_nanos(self.quiet.load(Ordering::Relaxed)).saturating_sub(self.now());
            if left.is_zero() {
                return;
            }
            sleep(left).await;
        }
    }

    /// Time of the next check of ownership: at the last tick of the shared clock that is no later than an interval from the last
    /// check. All tenants of a process tick together, and so their checks are one listing.
    pub fn next(&self) -> Duration {
        self.tick_before(Duration::from_nanos(self.checked.load(Ordering::Relaxed)) + self.interval)
    }

    /// The last tick of the shared clock.
    pub fn tick(&self) -> Duration {
        self.tick_before(self.now())
    }

    /// A newer owner was seen: nothing is accepted from now on, and the application is told once.
    pub fn fence(&self) {
        self.owner.lose();
        self.end(Life::Fenced);
    }

    /// A tombstone was seen: the same, and nothing that was accepted is worth storing.
    pub fn bury(&self) {
        self.buried.store(true, Ordering::Relaxed);
        self.end(Life::Deleted);
    }

    /// True once a tombstone was seen.
    pub fn is_buried(&self) -> bool {
        self.buried.load(Ordering::Relaxed)
    }

    fn end(&self, life: Life) {
        if self.journal.end(life) == life && !self.told.swap(true, Ordering::Relaxed) {
            (self.events)(Event::Fenced);
        }
    }

    /// Works until it is dropped.
    pub async fn run(&self) -> Infallible {
        let mut noticed = self.owner.tenancy.listing.attention(&self.owner.tenancy.name);
        loop {
            if matches!(self.journal.progress().life, Life::Fenced | Life::Deleted) {
                return pending().await;
            }
            // Work that is not held up has checked by then.
            let due = self.next() + self.interval / 10;
            let now = self.now();
            let mut since = self.tick();
            if due > now {
                tokio::select! {
                    biased;
                    () = noticed.wait() => since = self.now(),
                    () = sleep(due - now) => continue,
                }
            }
            self.quiet().await;
            let now = self.now();
            match self.owner.check_since(since, Duration::ZERO).await {
                Ok(Standing::Owner) => {
                    self.checked(now);
                    self.journal.confirm(now);
                }
                Ok(Standing::Fenced(_)) => self.fence(),
                Ok(Standing::Deleted) => self.bury(),
                // Whoever ships tells of it and makes it good.
                Ok(Standing::Forgotten) => sleep(self.interval / 4).await,
                Err(failure) => {
                    self.heed(&failure);
                    sleep(self.interval / 4).await;
                    self.owner.tenancy.remote.turn_to_retry().await;
                }
            }
        }
    }

    fn now(&self) -> Duration {
        self.owner.tenancy.host().now()
    }

    fn tick_before(&self, time: Duration) -> Duration {
        let beyond = time.as_nanos() % self.interval.as_nanos().max(1);
        time - Duration::from_nanos(u64::try_from(beyond).unwrap_or(0))
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
