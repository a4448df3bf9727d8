//! The journal: a tenant's memory and its local log, if it has one, under one lock.
//!
//! A batch is in the log before it is in memory, and both before `append` answers (I11); it is all or nothing (I12). Once
//! the journal has ended (fenced, closed, deleted, poisoned) nothing is accepted any more (I16). This runs on the thread
//! that calls: no network, no sync, no waiting, and one memory copy per value.

mod life;
mod log;
mod upkeep;
mod witness;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, oneshot, watch};

use crate::error::{Code, Error, Result};
use crate::host::Host;
use crate::id::Lsn;
use crate::meter::METERS;
use crate::record::MAX_BATCH_LEN;
use crate::state::{Snapshot, State};
use crate::wal::{Appended, Folder};

pub use life::{Life, Progress};
pub use log::Log;
pub use witness::Witness;

struct Core {
    life: Life,
    state: State,
    log: Log,
    lsn: Lsn,
    /// Everything up to here was cut for the store.
    cut: Lsn,
    /// Something waits that must not wait for the interval.
    urgent: bool,
    /// Somebody waits for everything up to here to be stored.
    awaited: Lsn,
    /// When the oldest change was made that is not cut yet, and the oldest that is cut and not acknowledged.
    waiting_since: Option<Duration>,
    shipping_since: Option<Duration>,
    /// When the last check of ownership that succeeded had started.
    confirmed: Duration,
    rolling: bool,
    /// Who keeps what the state was at each cut.
    witnesses: Vec<Weak<Witness>>,
}

impl Core {
    /// Tells those who keep it what the state is at a cut.
    fn testify(&mut self) {
        let Core { witnesses, state, lsn, .. } = self;
        witnesses.retain(|witness| {
            let Some(witness) = witness.upgrade() else { return false };
            witness.keep(*lsn, state);
            true
        });
    }
}

/// A tenant's memory and its local log.
pub struct Journal {
    host: Arc<dyn Host>,
    /// Where its log lies; `None`: it has none, and every change is shipped at once.
    folder: Option<Arc<Folder>>,
    core: Mutex<Core>,
    /// Wakes whoever ships and maintains.
    pub wake: Notify,
    progress: watch::Sender<Progress>,
    /// One sync at a time; whoever waited finds its LSN synced.
    syncing: tokio::sync::Mutex<()>,
    /// Who waits for the whole state to be stored anew.
    renewals: Mutex<Vec<oneshot::Sender<()>>>,
    /// Whether what changes is shipped to a store.
    replicated: bool,
    /// How long without a successful check before changes are refused; `None`: for ever.
    lease: Option<Duration>,
}

/// What to ship: the last values of the keys changed in `first..=last`.
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

impl Journal {
    /// A journal of `state` at `lsn` without a store.
    pub fn local(host: Arc<dyn Host>, state: State, lsn: Lsn, log: Log) -> Journal {
        Journal { replicated: false, ..Journal::replicated(host, state, lsn, log, None) }
    }

    /// A journal of `state` at `lsn`, all of which the store has.
    pub fn replicated(
        host: Arc<dyn Host>,
        state: State,
        lsn: Lsn,
        mut log: Log,
        lease: Option<Duration>,
    ) -> Journal {
        let confirmed = host.now();
        let folder = log.on_disk().map(|wal| Arc::clone(wal.folder()));
        let core = Core {
            life: Life::Live,
            state,
            log,
            lsn,
            cut: lsn,
            urgent: false,
            awaited: 0,
            waiting_since: None,
            shipping_since: None,
            confirmed,
            rolling: false,
            witnesses: Vec::new(),
        };
        let progress = Progress { life: Life::Live, stored: 0, synced: lsn };
        Journal {
            host,
            folder,
            core: Mutex::new(core),
            wake: Notify::new(),
            progress: watch::Sender::new(progress),
            syncing: tokio::sync::Mutex::default(),
            renewals: Mutex::default(),
            replicated: true,
            lease,
        }
    }

    /// A panic while the lock was held leaves nothing that can be trusted: the session is over, and everybody is told.
    fn core(&self) -> Result<MutexGuard<'_, Core>> {
        self.core.lock().map_err(|_| {
            self.progress.send_if_modified(|progress| {
                let news = !progress.life.is_over();
                progress.life = if news { Life::Poisoned } else { progress.life };
                news
            });
            self.wake.notify_one();
            let message = "an earlier fault put this session out of use; open it again and report the fault";
            Error::new(Code::Internal, message)
        })
    }

    /// How far the session has come in its life.
    pub fn life(&self) -> Life {
        // Taking the lock notices a fault that nobody has noticed yet.
        drop(self.core());
        self.progress().life
    }

    /// Commits a batch and gives its LSN, or the current one if it changes nothing.
    pub fn append(&self, batch: &[u8], urgent: bool) -> Result<Lsn> {
        if batch.len() > MAX_BATCH_LEN {
            return Err(Error::new(
                Code::InvalidOption,
                format!("a batch of {} bytes is too large", batch.len()),
            ));
        }
        let mut core = self.core()?;
        self.accepts(&mut core)?;
        let (changes, unchanged) = core.state.changes(batch)?;
        METERS.unchanged.add(unchanged);
        self.commit(core, changes.as_ref(), urgent)
    }

    /// Deletes every key but the credentials, as one batch.
    pub fn clear(&self) -> Result<Lsn> {
        let mut core = self.core()?;
        self.accepts(&mut core)?;
        let changes = core.state.deletions();
        self.commit(core, &changes, false)
    }

    fn accepts(&self, core: &mut Core) -> Result<()> {
        if let Some(lease) = self.lease
            && core.life == Life::Live
            && self.host.now().saturating_sub(core.confirmed) > lease
        {
            self.finish(core, Life::LeaseLost);
        }
        core.life.refusal()
    }

    fn commit(&self, mut core: MutexGuard<'_, Core>, changes: &[u8], urgent: bool) -> Result<Lsn> {
        if changes.is_empty() {
            return Ok(core.lsn);
        }
        let lsn = core.lsn + 1;
        let urgent = urgent || !self.keeps_log();
        match core.log.append(lsn, changes) {
            Ok(Appended::Stored) => self.apply(&mut core.state, changes)?,
            Ok(Appended::Vanished) => {
                self.apply(&mut core.state, changes)?;
                self.rehome(&mut core, lsn)?;
            }
            Err(error) => {
                METERS.append_failures.one();
                if error.code == Code::IoPoisoned {
                    self.finish(&mut core, Life::Poisoned);
                }
                return Err(error);
            }
        }
        // Waking a thread costs more than the whole append: only for news. Whoever ships looks at what is pending before it
        // sleeps, and sleeps no longer than what is pending may wait.
        let first = core.cut == core.lsn;
        let news =
            first || (urgent && !core.urgent) || (!core.rolling && core.log.needs_roll(core.state.bytes()));
        core.lsn = lsn;
        core.urgent |= urgent;
        if core.waiting_since.is_none() {
            core.waiting_since = Some(self.host.now());
        }
        drop(core);
        if news {
            self.wake.notify_one();
        }
        Ok(lsn)
    }

    /// Without a store nothing is ever shipped: what it would have is not kept in mind.
    fn apply(&self, state: &mut State, changes: &[u8]) -> Result<()> {
        if self.replicated {
            state.apply(changes);
            return Ok(());
        }
        state.absorb(changes)
    }

    /// Looks at the state.
    pub fn read<T>(&self, look: impl FnOnce(&State) -> T) -> Result<T> {
        let core = self.core()?;
        if matches!(core.life, Life::Closed | Life::Deleted) {
            core.life.refusal()?;
        }
        Ok(look(&core.state))
    }

    /// Keeps what the state is at each cut from now on, the last one included unless something was written since.
    pub fn witness(&self) -> Result<Arc<Witness>> {
        let mut core = self.core()?;
        let witness = Arc::new(Witness::default());
        core.witnesses.push(Arc::downgrade(&witness));
        if core.cut == core.lsn {
            core.testify();
        }
        Ok(witness)
    }

    /// What is not cut for the store yet, if there is anything; with the whole state if `with_base`.
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

    /// The whole state as it is now, counted as cut.
    pub fn cut_base(&self) -> Result<(Lsn, Snapshot)> {
        let mut core = self.core()?;
        core.state.cut();
        core.cut = core.lsn;
        core.shipping_since = core.shipping_since.or(core.waiting_since.take());
        core.testify();
        Ok((core.lsn, core.state.snapshot()))
    }

    /// Whether something waits to be shipped, and whether it may wait.
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

    /// Asks that the whole state be stored anew. Tells when it is, and when what it makes superfluous was removed.
    pub fn renew(&self) -> oneshot::Receiver<()> {
        let (done, wait) = oneshot::channel();
        self.renewals.lock().unwrap_or_else(PoisonError::into_inner).push(done);
        self.wake.notify_one();
        wait
    }

    /// Whether somebody asked that the whole state be stored anew.
    pub fn wants_renewal(&self) -> bool {
        !self.renewals.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Those who asked until now.
    pub fn take_renewals(&self) -> Vec<oneshot::Sender<()>> {
        std::mem::take(&mut *self.renewals.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether somebody waits for what is not stored yet.
    pub fn is_awaited(&self) -> bool {
        let stored = self.progress().stored;
        self.core().is_ok_and(|core| core.life == Life::Closing || core.awaited > stored)
    }

    /// Records that any successor would restore up to `lsn`.
    pub fn acknowledge(&self, lsn: Lsn) {
        if let Ok(mut core) = self.core()
            && lsn >= core.cut
        {
            core.shipping_since = None;
            core.state.landed();
        }
        let alone = !self.keeps_log();
        self.progress.send_modify(|progress| {
            progress.stored = progress.stored.max(lsn);
            if alone {
                progress.synced = progress.stored;
            }
        });
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

    /// Ends a life, unless it has ended for good already. Gives the life it has then.
    pub fn end(&self, life: Life) -> Life {
        let Ok(mut core) = self.core() else { return Life::Poisoned };
        let fenced_stays = core.life == Life::Fenced && matches!(life, Life::Closing | Life::LeaseLost);
        if !core.life.is_over() && !fenced_stays {
            self.finish(&mut core, life);
        }
        core.life
    }

    fn finish(&self, core: &mut Core, life: Life) {
        if life == Life::Fenced && core.life != life {
            METERS.fences.one();
        }
        core.life = life;
        self.progress.send_modify(|progress| progress.life = life);
        self.wake.notify_one();
    }

    /// The LSN of the last batch.
    pub fn lsn(&self) -> Lsn {
        self.core().map_or(0, |core| core.lsn)
    }

    /// What others wait for, now.
    pub fn progress(&self) -> Progress {
        *self.progress.borrow()
    }

    /// Follows what others wait for.
    pub fn follow(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Figures for `status()`.
    pub fn figures(&self) -> Result<Figures> {
        let core = self.core()?;
        Ok(Figures {
            lsn: core.lsn,
            keys: core.state.len(),
            bytes: core.state.bytes(),
            dirty_keys: core.state.dirty_len(),
            dirty_bytes: core.state.dirty_bytes(),
            log_bytes: core.log.bytes(),
            lag: core
                .shipping_since
                .or(core.waiting_since)
                .map_or(Duration::ZERO, |since| self.host.now().saturating_sub(since)),
        })
    }

    /// The folder of the log, if there is one.
    pub fn folder(&self) -> Option<&Arc<Folder>> {
        self.folder.as_ref()
    }

    /// Whether a change is in a log of this machine when it was accepted.
    pub fn keeps_log(&self) -> bool {
        self.folder.is_some()
    }
}

/// How soon a change must be shipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Within the flush interval.
    Soon,
    /// At once.
    Now,
}

/// Figures of a journal.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// LSN of the last batch.
    pub lsn: Lsn,
    /// Keys, the credentials among them.
    pub keys: usize,
    /// Bytes of all entries.
    pub bytes: usize,
    /// Keys that the store may not have.
    pub dirty_keys: usize,
    /// Bytes of their entries.
    pub dirty_bytes: usize,
    /// Bytes of the log file.
    pub log_bytes: u64,
    /// Age of the oldest change that the store may not have.
    pub lag: Duration,
}
