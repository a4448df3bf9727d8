//! Locks and counters whose operations are steps of shuttle, in a test that runs under it; in any other one, plain ones.
//!
//! All threads of such a test take turns on one thread of the system. So a lock is tried, and left to others until it is free: to block
//! would stop the one who holds it. Time is what sleepers make of it: a sleep ends after any number of steps, and it is then as late as
//! it must be at least. No two looks at the clock show the same time.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::Ordering;
use std::sync::{LockResult, PoisonError, TryLockError, atomic};
use std::time::Duration;

use shuttle::rand::{Rng, thread_rng};

thread_local! {
    static CLOCK: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// True within a test that shuttle runs.
pub fn is_explored() -> bool {
    shuttle::current::try_get_current_task().is_some() && !std::thread::panicking()
}

/// Lets another thread go on, if this is a test that shuttle runs and it sees fit.
pub fn step() {
    if is_explored() {
        shuttle::thread::sleep(Duration::ZERO);
    }
}

/// The time, which no other look has shown.
pub fn now() -> Duration {
    CLOCK.set(CLOCK.get() + Duration::from_nanos(1));
    CLOCK.get()
}

/// Waits, as long as others take to do anything or nothing.
pub async fn pass(time: Duration) {
    let until = CLOCK.get() + time;
    for _ in 0..thread_rng().gen_range(0..4) {
        shuttle::future::yield_now().await;
    }
    CLOCK.set(CLOCK.get().max(until));
}

/// A lock.
#[derive(Debug, Default)]
pub struct Mutex<T>(std::sync::Mutex<T>);

/// A hold of a lock.
pub struct MutexGuard<'a, T>(Option<std::sync::MutexGuard<'a, T>>);

impl<T> Mutex<T> {
    pub const fn new(value: T) -> Mutex<T> {
        Mutex(std::sync::Mutex::new(value))
    }

    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        let held = |guard| MutexGuard(Some(guard));
        if !is_explored() {
            return self.0.lock().map(held).map_err(|poisoned| PoisonError::new(held(poisoned.into_inner())));
        }
        step();
        loop {
            match self.0.try_lock() {
                Ok(guard) => return Ok(held(guard)),
                Err(TryLockError::Poisoned(poisoned)) => {
                    return Err(PoisonError::new(held(poisoned.into_inner())));
                }
                Err(TryLockError::WouldBlock) => shuttle::thread::yield_now(),
            }
        }
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("held until it is dropped")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("held until it is dropped")
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        drop(self.0.take());
        step();
    }
}

/// A lock that is waited for without blocking.
#[derive(Debug, Default)]
pub struct AsyncMutex<T>(tokio::sync::Mutex<T>);

impl<T> AsyncMutex<T> {
    pub async fn lock(&self) -> tokio::sync::MutexGuard<'_, T> {
        step();
        let guard = self.0.lock().await;
        step();
        guard
    }

    pub fn try_lock(&self) -> Result<tokio::sync::MutexGuard<'_, T>, tokio::sync::TryLockError> {
        self.0.try_lock()
    }
}

/// A number that threads share.
#[derive(Debug, Default)]
pub struct AtomicU64(atomic::AtomicU64);

impl AtomicU64 {
    pub const fn new(value: u64) -> AtomicU64 {
        AtomicU64(atomic::AtomicU64::new(value))
    }

    pub fn load(&self, order: Ordering) -> u64 {
        step();
        self.0.load(order)
    }

    pub fn store(&self, value: u64, order: Ordering) {
        step();
        self.0.store(value, order);
    }

    pub fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
        step();
        self.0.fetch_add(value, order)
    }

    pub fn fetch_max(&self, value: u64, order: Ordering) -> u64 {
        step();
        self.0.fetch_max(value, order)
    }
}

/// A switch that threads share.
#[derive(Debug, Default)]
pub struct AtomicBool(atomic::AtomicBool);

impl AtomicBool {
    pub const fn new(value: bool) -> AtomicBool {
        AtomicBool(atomic::AtomicBool::new(value))
    }

    pub fn load(&self, order: Ordering) -> bool {
        step();
        self.0.load(order)
    }

    pub fn store(&self, value: bool, order: Ordering) {
        step();
        self.0.store(value, order);
    }
}
