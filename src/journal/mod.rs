//! The journal: a tenant's memory and its local log, if it has one, under one lock.
//!
//! A batch is in the log before it is in memory, and both before `append` answers (I11); it is all or nothing (I12). Once
//! the journal has ended (fenced, closed, deleted, poisoned) nothing is accepted any more (I16). This runs on the thread
//! that calls: no network, no sync, no waiting, and one memory copy per value.

mod cut_recorder;
mod figures;
#[cfg(test)]
mod interleaved;
mod life;
mod log;
pub mod memtable;
mod room;
mod shipping;
mod upkeep;

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{Notify, oneshot, watch};

use crate::error::{Cause, Code, Error, Result};
use crate::format::record::MAX_BATCH_LEN;
use crate::id::Lsn;
use crate::journal::memtable::Memtable;
use crate::platform::host::Host;
use crate::platform::meter::METERS;
use crate::platform::sync::{AsyncMutex, Mutex, MutexGuard};
use crate::wal::{Appended, Folder};

pub use cut_recorder::CutRecorder;
pub use life::{Life, Progress};
pub use log::Log;
pub use shipping::{Cut, Urgency};
pub use upkeep::SYNC_WITHIN;

struct Core {
    life: Life,
    state: Memtable,
    log: Log,
    lsn: Lsn,
    /// Everything up to here was cut for the store.
    cut: Lsn,
    /// Something waits that must not wait for the interval.
    urgent: bool,
    /// Somebody waits for everything up to here to be stored.
    awaited: Lsn,
    /// Times of the oldest change that is not cut yet, and of the oldest that is cut and not acknowledged.
    waiting_since: Option<Duration>,
    shipping_since: Option<Duration>,
    /// Start of the last check of ownership that succeeded.
    confirmed: Duration,
    rolling: bool,
    /// No rewrite before this, for the last one failed, and how long the pause after the next failure is.
    roll_at: Duration,
    roll_pause: Duration,
    /// Something was written that the background sync has not been told of.
    aging: bool,
    /// The share of the room that was told last.
    passed: u8,
    /// The folder was made anew, and nobody was told yet.
    rehomed: bool,
    /// Recorder of the state at each cut.
    recorders: Vec<Weak<CutRecorder>>,
}

impl Core {
    /// Tells those who keep it what the state is at a cut.
    fn testify(&mut self) {
        let Core { recorders, state, lsn, .. } = self;
        recorders.retain(|recorder| {
            let Some(recorder) = recorder.upgrade() else { return false };
            recorder.keep(*lsn, state);
            true
        });
    }
}

/// A tenant's memory and its local log.
pub struct Journal {
    host: Arc<dyn Host>,
    /// Location of its log; `None`: it has none, and every change is shipped at once.
    folder: Option<Arc<Folder>>,
    core: Mutex<Core>,
    /// Wakes whoever ships.
    pub wake: Notify,
    /// Wakes whoever keeps the log small.
    tending: Notify,
    /// Wakes whoever syncs in the background.
    aged: Notify,
    progress: watch::Sender<Progress>,
    /// One sync at a time; whoever waited finds its LSN synced.
    syncing: AsyncMutex<()>,
    /// Callers that wait for the whole state to be stored anew.
    renewals: Mutex<Vec<oneshot::Sender<()>>>,
    /// True if what changes is shipped to a store.
    replicated: bool,
    /// Bytes that the state may have: what is more, nobody can open again.
    room: usize,
    /// Time without a successful check after which changes are refused; `None`: for ever.
    lease: Option<Duration>,
}

impl Journal {
    /// A journal of `state` at `lsn` without a store.
    pub fn local(host: Arc<dyn Host>, state: Memtable, lsn: Lsn, log: Log) -> Journal {
        Journal { replicated: false, ..Journal::replicated(host, state, lsn, log, None) }
    }

    /// A journal of `state` at `lsn`, all of which the store has. With a lease, whoever opens it confirms when it was looked for a newer
    /// owner.
    pub fn replicated(
        host: Arc<dyn Host>,
        state: Memtable,
        lsn: Lsn,
        mut log: Log,
        lease: Option<Duration>,
    ) -> Journal {
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
            confirmed: Duration::ZERO,
            rolling: false,
            roll_at: Duration::ZERO,
            roll_pause: upkeep::ROLL_PAUSE,
            aging: false,
            passed: 0,
            rehomed: false,
            recorders: Vec::new(),
        };
        let progress = Progress { life: Life::Live, stored: 0, synced: lsn, rest: 0 };
        Journal {
            host,
            folder,
            core: Mutex::new(core),
            wake: Notify::new(),
            tending: Notify::new(),
            aged: Notify::new(),
            progress: watch::Sender::new(progress),
            syncing: AsyncMutex::default(),
            renewals: Mutex::default(),
            replicated: true,
            room: MAX_BATCH_LEN,
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
            let message = "an earlier bug made this session unusable; open it again and report the bug";
            Error::new(Code::Internal, message)
        })
    }

    /// Stage of the session's life.
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
                format!(
                    "a batch of {} bytes exceeds the limit of {MAX_BATCH_LEN}; set fewer values at once",
                    batch.len()
                ),
            ));
        }
        let mut core = self.core()?;
        self.accepts(&mut core)?;
        let (changes, unchanged) = core.state.changes(batch)?;
        METERS.unchanged.add(unchanged);
        room::check(&core.state, changes.as_ref(), self.room)?;
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
        core.life
            .refusal()
            .map_err(|error| error.reworded(|message| format!("{message}; nothing of this write was stored")))
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
                if error.cause == Cause::Poisoned {
                    self.fail(&mut core);
                }
                return Err(error);
            }
        }
        // Waking a thread costs more than the whole append: only for news. Whoever ships looks at what is pending before it
        // sleeps, and sleeps no longer than what is pending may wait.
        let first = core.cut == core.lsn;
        let fuller = room::passed(core.state.bytes(), self.room) > core.passed;
        let news = first || (urgent && !core.urgent);
        let tends = fuller || self.may_roll(&core);
        let aged = !std::mem::replace(&mut core.aging, true);
        core.lsn = lsn;
        core.urgent |= urgent;
        if core.waiting_since.is_none() {
            core.waiting_since = Some(self.host.now());
        }
        drop(core);
        if news {
            self.wake.notify_one();
        }
        if tends {
            self.tending.notify_one();
        }
        if aged {
            self.aged.notify_one();
        }
        Ok(lsn)
    }

    /// Without a store nothing is ever shipped: what it would have is not kept in mind.
    fn apply(&self, state: &mut Memtable, changes: &[u8]) -> Result<()> {
        if self.replicated {
            state.apply(changes);
            return Ok(());
        }
        state.absorb(changes)
    }

    /// Looks at the state.
    pub fn read<T>(&self, look: impl FnOnce(&Memtable) -> T) -> Result<T> {
        let core = self.core()?;
        if matches!(core.life, Life::Closed | Life::Deleted) {
            core.life.refusal()?;
        }
        Ok(look(&core.state))
    }

    /// Keeps what the state is at each cut from now on, the last one included unless something was written since.
    pub fn record_cuts(&self) -> Result<Arc<CutRecorder>> {
        let mut core = self.core()?;
        let recorder = Arc::new(CutRecorder::default());
        core.recorders.push(Arc::downgrade(&recorder));
        if core.cut == core.lsn {
            core.testify();
        }
        Ok(recorder)
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

    /// State that others wait for, now.
    pub fn progress(&self) -> Progress {
        *self.progress.borrow()
    }

    /// Follows what others wait for.
    pub fn follow(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// The folder of the log, if there is one.
    pub fn folder(&self) -> Option<&Arc<Folder>> {
        self.folder.as_ref()
    }

    /// True if a change is in a log of this machine when it was accepted.
    fn keeps_log(&self) -> bool {
        self.folder.is_some()
    }
}
