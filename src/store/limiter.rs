//! The limiter: at most so many requests at once, and after failures a budget of retries per second.
//!
//! All tenants of a process and store share both. Whoever waits is served in the order of asking, and a tenant asks for few
//! things at once, so none starves the rest. Ownership has places of its own: whether a session may go on must not wait
//! behind a thousand restores. Tries after a failure are rationed, and each success earns more: a store that comes back
//! meets a trickle first, and then as much as it answers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use crate::platform::host::{Host, sleep};

/// Places that only questions of ownership take.
pub(super) const RESERVED: usize = 4;
/// Packs that may be in memory at once: however many profiles are restored, they need no more.
const PACKS: usize = 4;
/// Tries after failures that can be saved up.
const SAVED: f64 = 64.0;
/// Tries after failures per second, however bad things are.
const PER_SECOND: f64 = 16.0;
/// Tries that a success earns.
const EARNED: f64 = 2.0;

/// The limiter of one store.
pub struct Limiter {
    host: Arc<dyn Host>,
    places: Semaphore,
    reserved: Semaphore,
    packs: Semaphore,
    /// Queue of those who try again, first come first served; the one at the front waits for a try to be left.
    line: tokio::sync::Mutex<()>,
    retries: Mutex<Retries>,
    earned: Notify,
}

struct Retries {
    left: f64,
    at: Duration,
}

impl Limiter {
    /// Turns for at most `places` requests at once.
    pub fn new(host: Arc<dyn Host>, places: usize) -> Limiter {
        let retries = Mutex::new(Retries { left: SAVED, at: host.now() });
        Limiter {
            host,
            places: Semaphore::new(places.max(1)),
            reserved: Semaphore::new(RESERVED),
            packs: Semaphore::new(PACKS),
            line: tokio::sync::Mutex::default(),
            retries,
            earned: Notify::new(),
        }
    }

    /// A place for one request; `urgent` ones have more of them.
    pub async fn place(&self, urgent: bool) -> Option<SemaphorePermit<'_>> {
        if !urgent {
            return self.places.acquire().await.ok();
        }
        if let Ok(place) = self.places.try_acquire() {
            return Some(place);
        }
        tokio::select! {
            biased;
            place = self.reserved.acquire() => place.ok(),
            place = self.places.acquire() => place.ok(),
        }
    }

    /// Room in memory for one pack, until it is dropped.
    pub async fn room(&self) -> Option<SemaphorePermit<'_>> {
        self.packs.acquire().await.ok()
    }

    /// Waits for a turn to try again.
    pub async fn again(&self) {
        let _front = self.line.lock().await;
        while let Some(wait) = self.wait() {
            tokio::select! {
                () = sleep(wait) => {}
                () = self.earned.notified() => {}
            }
        }
    }

    /// Takes a try, or says how long it is until there is one.
    fn wait(&self) -> Option<Duration> {
        let mut retries = self.retries();
        let now = self.host.now();
        let passed = now.saturating_sub(retries.at).as_secs_f64();
        retries.left = (retries.left + passed * PER_SECOND).min(SAVED);
        retries.at = now;
        if retries.left >= 1.0 {
            retries.left -= 1.0;
            return None;
        }
        Some(Duration::from_secs_f64((1.0 - retries.left) / PER_SECOND).max(Duration::from_millis(1)))
    }

    /// A request succeeded.
    pub fn earn(&self) {
        let mut retries = self.retries();
        retries.left = (retries.left + EARNED).min(SAVED);
        drop(retries);
        self.earned.notify_waiters();
    }

    fn retries(&self) -> MutexGuard<'_, Retries> {
        self.retries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;
    use crate::sim::SimHost;

    fn limiter(places: usize) -> Arc<Limiter> {
        Arc::new(Limiter::new(SimHost::new(1, tokio::time::Instant::now()), places))
    }

    #[tokio::test(start_paused = true)]
    async fn ownership_is_asked_for_while_a_thousand_restores_wait() {
        let limiter = limiter(2);
        let _busy = (limiter.place(false).await, limiter.place(false).await);
        let waiting: Vec<_> = (0..1000).map(|_| limiter.place(false)).collect();
        let mut waiting = Box::pin(join_all(waiting));
        assert!(futures::poll!(&mut waiting).is_pending());
        for _ in 0..RESERVED {
            let place = limiter.place(true);
            assert!(place.await.is_some());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_tenants_try_again_in_a_trickle_until_the_store_answers() {
        let limiter = limiter(64);
        let tried = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        for _ in 0..1000 {
            let (limiter, tried) = (Arc::clone(&limiter), Arc::clone(&tried));
            tokio::spawn(async move {
                limiter.again().await;
                tried.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            });
        }
        let count = || tried.load(std::sync::atomic::Ordering::Relaxed);
        sleep(Duration::from_secs(10)).await;
        let trickle = SAVED + 10.0 * PER_SECOND;
        assert!((trickle as usize - 5..=trickle as usize + 5).contains(&count()), "{}", count());
        // It answers: each success lets two more through.
        while count() < 1000 {
            let before = count();
            limiter.earn();
            sleep(Duration::from_millis(1)).await;
            assert!(count() >= (before + 2).min(1000), "after {before}");
        }
    }
}
