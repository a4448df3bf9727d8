//! The journal's side of replication: changes that wait, cuts, and the state that any successor would restore.
//!
//! What was cut is not cut again, and what is acknowledged is never taken back. A failure to send is nothing to a journal: it goes
//! on accepting, and counts what waits.

use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::error::Result;
use crate::id::Lsn;
use crate::journal::memtable::Snapshot;

use super::{Journal, Life};

/// A shipment: the last values of the keys changed in `first..=last`.
pub struct Cut {
    /// First LSN of the range.
    pub first: Lsn,
    /// Last LSN of the range.
    pub last: Lsn,
    /// The changes.
    pub entries: Vec<u8>,
    /// The whole state at `last`, if it was asked for.
    pub base: Option<Snapshot>,
}

/// Urgency of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Within the flush interval.
    Soon,
    /// At once.
    Now,
}

impl Journal {
    /// The whole state as it is now, and its LSN. Nothing is counted as cut.
    pub fn view(&self) -> Result<(Lsn, Snapshot)> {
        let core = self.core()?;
        Ok((core.lsn, core.state.snapshot()))
    }

    /// Cut of the changes that are not cut for the store yet, if there are any; with the whole state if `with_base`.
    pub fn cut(&self, with_base: bool) -> Result<Option<Cut>> {
        let mut core = self.core()?;
        core.urgent = false;
        if core.cut == core.lsn {
            return Ok(None);
        }
        let (first, last) = (core.cut + 1, core.lsn);
        core.cut = last;
        core.shipping_since = core.shipping_since.or(core.waiting_since.take());
        core.testify();
        let base = with_base.then(|| core.state.snapshot());
        Ok(Some(Cut { first, last, entries: core.state.cut(), base }))
    }

    /// Urgency of what waits to be shipped.
    pub fn pending(&self) -> Result<Option<Urgency>> {
        let core = self.core()?;
        if core.cut == core.lsn {
            return Ok(None);
        }
        Ok(Some(if core.urgent { Urgency::Now } else { Urgency::Soon }))
    }

    /// Asks that what waits be shipped at once.
    pub fn hurry(&self) -> Result<Lsn> {
        let mut core = self.core()?;
        core.urgent = core.cut != core.lsn;
        core.awaited = core.lsn;
        let lsn = core.lsn;
        drop(core);
        self.wake.notify_one();
        Ok(lsn)
    }

    /// Asks that the whole state be stored anew. Tells when it is, and when the removal of what it makes superfluous was tried.
    pub fn renew(&self) -> oneshot::Receiver<()> {
        let (done, wait) = oneshot::channel();
        self.renewals.lock().unwrap_or_else(PoisonError::into_inner).push(done);
        self.wake.notify_one();
        wait
    }

    /// True if somebody asked that the whole state be stored anew.
    pub fn wants_renewal(&self) -> bool {
        !self.renewals.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Callers that asked until now.
    pub fn take_renewals(&self) -> Vec<oneshot::Sender<()>> {
        std::mem::take(&mut *self.renewals.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// True if somebody waits for what is not stored yet.
    pub fn is_awaited(&self) -> bool {
        let stored = self.progress().stored;
        self.core().is_ok_and(|core| core.life == Life::Closing || core.awaited > stored)
    }

    /// Records that any successor would restore up to `lsn`. Whoever waits for it is woken after `tell`, and finds it in the status
    /// and told.
    pub fn acknowledge(&self, lsn: Lsn, tell: impl FnOnce()) {
        if let Ok(mut core) = self.core()
            && lsn >= core.cut
        {
            core.shipping_since = None;
            core.state.landed();
        }
        let alone = !self.keeps_log();
        self.progress.send_if_modified(|progress| {
            progress.stored = progress.stored.max(lsn);
            if alone {
                progress.synced = progress.stored;
            }
            false
        });
        tell();
        self.progress.send_modify(|_| {});
    }

    /// Records that nothing is left to be stored: a newer owner was handed all of it.
    pub fn hand_over(&self) {
        if let Ok(mut core) = self.core() {
            (core.waiting_since, core.shipping_since) = (None, None);
            core.state.landed();
        }
    }

    /// Records that a check of ownership which began at `started` found this owner in place.
    pub fn confirm(&self, started: Duration) {
        if let Ok(mut core) = self.core() {
            core.confirmed = core.confirmed.max(started);
        }
    }
}
