//! The cut recorder: the state at each cut, to compare it with the store while a session goes on.

use std::sync::{Mutex, PoisonError};

use crate::id::Lsn;
use crate::journal::memtable::{Memtable, Snapshot};

/// Cuts that are kept. They are wanted from the first one on: the next listing after it ends at one of them.
const KEPT: usize = 64;

/// The state at each cut, since it was asked for.
#[derive(Default)]
pub struct CutRecorder(Mutex<Vec<(Lsn, Snapshot)>>);

impl CutRecorder {
    pub(super) fn keep(&self, lsn: Lsn, state: &Memtable) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() < KEPT && seen.last().is_none_or(|(last, _)| *last < lsn) {
            seen.push((lsn, state.snapshot()));
        }
    }

    /// The entries as they were at the cut that ended with `lsn`, if it was seen; forgets them all.
    pub fn at(&self, lsn: Lsn) -> Option<Vec<u8>> {
        let seen = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        seen.into_iter().find(|(at, _)| *at == lsn).map(|(_, snapshot)| snapshot.encode())
    }
}
