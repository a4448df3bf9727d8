//! The locks and counters of the parts whose threads tests interleave: those of the standard library and of tokio, and nothing besides.
//!
//! In a build for tests each operation on one is a step, before and after which shuttle may let another thread go on. Outside of a
//! test that runs under it, they are there what they are in production.

#[cfg(test)]
pub mod stepped;

#[cfg(not(test))]
pub use std::sync::atomic::{AtomicBool, AtomicU64};
#[cfg(not(test))]
pub use std::sync::{Mutex, MutexGuard};
#[cfg(not(test))]
pub use tokio::sync::Mutex as AsyncMutex;

#[cfg(test)]
pub use stepped::{AsyncMutex, AtomicBool, AtomicU64, Mutex, MutexGuard};
