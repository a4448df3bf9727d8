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
    /// Time of the last one of whoever ships that got none, in nanoseconds.
    missed: AtomicU64,
    /// Time until which the store wants no listing, in nanoseconds.
    quiet: AtomicU64,
    told: AtomicBool,
    buried: AtomicBool,
}

impl Lookout {
    /// A lookout that asks at least once per `interval`.
    pub fn new(owner: Arc<Owner>, journal: Arc<Journal>, events: EventSink, interval: Duration) -> Lookout {
        Lookout {
            checked: AtomicU64::new(0),
            missed: AtomicU64::new(0),
            quiet: AtomicU64::new(0),
            told: AtomicBool::new(false),
            buried: AtomicBool::new(false),
            owner,
            journal,
            events,
            interval,
        }
    }

    /// A check that began at `since` found this owner in place.
    pub fn checked(&self, since: Duration) {
        self.checked.fetch_max(nanos(since), Ordering::Relaxed);
        for error in self.owner.tenancy.known.take_news() {
            (self.events)(Event::Failed(error));
        }
    }

    /// A check of the shipper got no answer, and its next one is at the next tick. Nothing was checked: the lookout looks before that.
    pub fn missed(&self, now: Duration) {
        self.missed.fetch_max(nanos(now), Ordering::Relaxed);
    }

    /// Heeds a listing that failed: where the store asks to be left alone, it gets no other one for that time, or for half an interval if
    /// that is shorter. A newer owner does not wait for longer.
    pub fn heed(&self, failure: &Failure) {
        let pause = failure.pause(Duration::ZERO).min(self.interval / 2);
        self.quiet.fetch_max(nanos(self.now() + pause), Ordering::Relaxed);
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

    /// Time of the next check of ownership by whoever ships: at the last tick of the shared clock that is no later than an interval from
    /// the last one. All tenants of a process tick together, and so their checks are one listing.
    pub fn next(&self) -> Duration {
        let missed = Duration::from_nanos(self.missed.load(Ordering::Relaxed));
        self.due().max(self.tick_before(missed + self.interval))
    }

    /// The same of the last check that got an answer.
    fn due(&self) -> Duration {
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
            let due = self.due() + self.interval / 10;
            let now = self.now();
            let mut is_noticed = false;
            if due > now {
                tokio::select! {
                    biased;
                    () = noticed.wait() => is_noticed = true,
                    () = sleep(due - now) => continue,
                }
            }
            self.quiet().await;
            // After the pause: a listing from before it says nothing of what came meanwhile. And it counts from then on, not from its answer.
            let since = if is_noticed { self.now() } else { self.tick() };
            match self.owner.check_since(since, Duration::ZERO).await {
                Ok(Standing::Owner) => {
                    self.checked(since);
                    self.journal.confirm(since);
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use bytes::Bytes;
    use tokio::time::Instant;

    use super::*;
    use crate::error::Code;
    use crate::format::name::{ClaimName, Mark, TenantName};
    use crate::format::record::session_batch;
    use crate::id::{Claim, OwnerId};
    use crate::journal::Log;
    use crate::journal::memtable::Memtable;
    use crate::ownership::decide::Claims;
    use crate::ownership::lease::handover_wait;
    use crate::platform::host::Host;
    use crate::session::open::Site;
    use crate::sim::{Cluster, SimHost};
    use crate::store::Meaning;
    use crate::store::adapters::memory::{Fate, Memory};

    const INTERVAL: Duration = Duration::from_secs(10);
    const ASKED: Duration = Duration::from_secs(300);

    /// A lookout of a strict owner whose own listings fare as `fate` says, while the whole folder is always listed.
    struct Scene {
        lookout: Lookout,
        journal: Arc<Journal>,
        memory: Memory,
        began: Instant,
    }

    impl Scene {
        async fn new(fate: impl Fn(Duration) -> Fate + Send + Sync + 'static) -> Scene {
            let began = Instant::now();
            let host: Arc<dyn Host> = SimHost::new(1, began);
            let memory = Memory::default();
            let open = Arc::new(AtomicBool::new(true));
            let opening = Arc::clone(&open);
            let script = move |_, name: &str| {
                let is_own = name.starts_with("v1/claims/tenant") && !opening.load(Ordering::Relaxed);
                (Duration::ZERO, if is_own { fate(began.elapsed()) } else { Fate::Done })
            };
            let site = Site::of(Arc::new(memory.through(Arc::new(script), 1000)), &host);
            let address = Cluster::settings_for_tests().address;
            let tenancy = address.tenancy(site, address.name().expect("a good id"));
            let none = Claims::default();
            let owner = Owner::claim(tenancy, &none, None, INTERVAL, false, |_| async { Ok(()) });
            let owner = Arc::new(owner.await.expect("nobody else is there"));
            let lease = Some(handover_wait(INTERVAL));
            let journal = Journal::replicated(host, Memtable::default(), 0, Log::None, lease);
            let journal = Arc::new(journal);
            let lookout = Lookout::new(owner, Arc::clone(&journal), Arc::new(|_| {}), INTERVAL);
            open.store(false, Ordering::Relaxed);
            Scene { lookout, journal, memory, began }
        }

        async fn until(&self, secs: u64) {
            sleep(Duration::from_secs(secs).saturating_sub(self.began.elapsed())).await;
        }

        /// Two others list the whole folder, after twelve seconds, and a higher claim is there after thirteen.
        async fn story(&self) {
            self.until(12).await;
            let listing = &self.lookout.owner.tenancy.listing;
            let others = ["one", "two"].map(|name| TenantName::visible(name).expect("a good id"));
            let looks = others.each_ref().map(|name| listing.claims(name));
            for look in futures::future::join_all(looks).await {
                look.expect("is answered");
            }
            self.until(13).await;
            let claim = Claim { epoch: 9, owner: OwnerId::of_user([7; 16]) };
            let name = ClaimName { claim, mark: Mark::Claimed }.object(&self.lookout.owner.tenancy.name);
            self.memory.objects().insert(name, Bytes::from_static(b"one of them"));
        }

        fn writes(&self) -> Option<Code> {
            let batch = session_batch(&[("a", Some(&self.began.elapsed().as_micros().to_le_bytes()))]);
            self.journal.append(&batch, false).err().map(|error| error.code())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_counts_from_the_moment_at_which_it_was_asked_for_however_long_the_store_wants_to_be_left_alone()
     {
        let scene = Scene::new(|_| Fate::Refuse(Meaning::Throttled(Some(ASKED)))).await;
        let story = async {
            scene.story().await;
            // What the tick at ten seconds allows, and not what the answer at sixteen would.
            scene.until(33).await;
            assert_eq!(scene.writes(), None);
            scene.until(34).await;
            assert_eq!(scene.writes(), Some(Code::LeaseLost));
        };
        tokio::select! {
            never = scene.lookout.run() => match never {},
            () = story => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_listing_from_before_a_pause_does_not_pass_for_one_after_it() {
        let fate = |at: Duration| match at.as_secs() {
            0..15 => Fate::FailBefore,
            15..18 => Fate::Refuse(Meaning::Throttled(Some(ASKED))),
            _ => Fate::Done,
        };
        let scene = Scene::new(fate).await;
        let story = async {
            scene.story().await;
            scene.until(22).await;
            assert_eq!(scene.journal.progress().life, Life::Fenced);
        };
        tokio::select! {
            never = scene.lookout.run() => match never {},
            () = story => {}
        }
    }
}
