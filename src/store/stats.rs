//! Statistics of a store: requests, bytes and failures.
//!
//! Counts only grow, and an object is counted by what its name says it is: nothing here looks at contents.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::platform::meter::{ByObject, Count};

/// Numbers of requests to the store, and of bytes.
#[derive(Debug, Default)]
pub struct StoreStats {
    /// PUT requests.
    pub puts: AtomicU64,
    /// GET requests.
    pub gets: AtomicU64,
    /// LIST requests: one for each page.
    pub lists: AtomicU64,
    /// Objects asked to be removed.
    pub deletes: AtomicU64,
    /// Bytes of objects sent.
    pub sent: AtomicU64,
    /// Bytes of objects received.
    pub received: AtomicU64,
    /// Requests that failed.
    pub failures: AtomicU64,
}

impl StoreStats {
    /// Adds what went to another store.
    pub fn include(&self, other: &StoreStats) {
        let pairs = [
            (&self.puts, &other.puts),
            (&self.gets, &other.gets),
            (&self.lists, &other.lists),
            (&self.deletes, &other.deletes),
            (&self.sent, &other.sent),
            (&self.received, &other.received),
            (&self.failures, &other.failures),
        ];
        for (sum, more) in pairs {
            sum.fetch_add(more.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}

/// Row in which an object is counted, by its name; `None` for what belongs to no session.
pub(super) fn kind_of(name: &str) -> Option<fn(&ByObject) -> &Count> {
    match name.rsplit_once('.') {
        _ if name.starts_with(crate::format::name::CLAIMS) => Some(|of| &of.mark),
        Some((_, "seg")) => Some(|of| &of.segment),
        Some((whole, "part")) if whole.contains(".base.") => Some(|of| &of.base),
        Some((_, "part")) => Some(|of| &of.segment),
        Some((_, "base")) => Some(|of| &of.base),
        Some((_, "pack")) => Some(|of| &of.pack),
        _ => None,
    }
}
