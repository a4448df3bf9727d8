//! Upkeep of the log behind a journal: syncing it, rewriting it, and making it anew where somebody removed it.
//!
//! What blocks runs away from the lock and from the event loop, except when the directory is gone: then the batch in hand is
//! safe nowhere, and everything is written again before it is answered (contract trap 25).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Cause, Error, Result};
use crate::event::{Event, EventSink};
use crate::id::Lsn;
use crate::platform::disk::LogFile;
use crate::platform::host::{Lane, blocking, blocking_in, sleep};
use crate::platform::meter::METERS;
use crate::wal::{Wal, sync};

use super::{Core, Journal, Life, Log, Progress};

/// Longest time from a write to its sync, whoever waits for it: what a power cut can take at level `os`.
pub const SYNC_WITHIN: Duration = Duration::from_secs(5);
/// Pause after a rewrite that failed; twice as long after each further one.
pub(super) const ROLL_PAUSE: Duration = Duration::from_secs(10);
/// The longest such pause.
const MAX_ROLL_PAUSE: Duration = Duration::from_secs(600);

impl Journal {
    /// The folder was removed under us. Everything is still in memory: write it all to a new folder, before answering.
    pub(super) fn rehome(&self, core: &mut Core, lsn: Lsn) -> Result<()> {
        let base = core.state.snapshot().encode();
        let Some(wal) = core.log.on_disk() else { return Ok(()) };
        let (lineage, folder) = (wal.lineage().clone(), Arc::clone(wal.folder()));
        let anew = folder.relock();
        let anew = anew.and_then(|()| Wal::create(&folder, self.host.as_ref(), lineage, lsn, &base));
        match anew {
            Ok(wal) => {
                core.log = Log::Disk(wal);
                core.rolling = false;
                core.rehomed = true;
                self.aged.notify_one();
                Ok(())
            }
            Err(error) => {
                METERS.append_failures.one();
                // Memory has the batch and the disk has nothing: only a reopen from the store can make sense of it.
                self.finish(core, Life::Poisoned);
                Err(Error::new(
                    Cause::Poisoned,
                    format!("the session directory was removed while in use and cannot be restored: {error}"),
                ))
            }
        }
    }

    /// Resolves when the batch `lsn` of the log survives a power cut, at once if there is no log. One sync serves all who wait.
    pub async fn sync(&self, lsn: Lsn) -> Result<()> {
        let _turn = self.syncing.lock().await;
        if self.progress().synced >= lsn {
            return Ok(());
        }
        self.sync_now().await
    }

    /// Marks the log as closed, with what the store has of it, and syncs it. The mark is there as soon as this is polled, however long the
    /// disk takes over the sync.
    pub async fn end_log(&self, stored: Lsn) -> Result<()> {
        // Where there is no room for the mark, the next open knows less, and has as much.
        if let Some(wal) = self.core()?.log.on_disk() {
            let _ = wal.end(stored);
        }
        let _turn = self.syncing.lock().await;
        self.sync_now().await
    }

    async fn sync_now(&self) -> Result<()> {
        let (file, target): (Arc<dyn LogFile>, Lsn) = {
            let mut core = self.core()?;
            if core.life == Life::Poisoned {
                return core.life.refusal();
            }
            let lsn = core.lsn;
            let Some(wal) = core.log.on_disk() else { return Ok(()) };
            (wal.syncer(), lsn)
        };
        let host = Arc::clone(&self.host);
        let synced = blocking_in(&self.host, Lane::Sync, move || sync(host.as_ref(), file.as_ref())).await;
        let mut core = self.core()?;
        if let Err(error) = synced {
            // After a failed sync nobody knows what is on disk: only a reopen reads it.
            if let Some(wal) = core.log.on_disk() {
                wal.poison();
            }
            self.fail(&mut core);
            return Err(Error::new(
                Cause::Poisoned,
                format!("the disk failed to sync ({}); open the session again", error.kind()),
            ));
        }
        self.progress.send_modify(|progress| progress.synced = progress.synced.max(target));
        Ok(())
    }

    /// The log failed. Nothing is accepted any more, and what memory has, all of which was resolved, still goes to the store.
    pub(super) fn fail(&self, core: &mut Core) {
        if core.life == Life::Poisoned {
            return;
        }
        if self.replicated && !core.life.is_over() {
            let rest = core.lsn;
            core.urgent = core.cut != core.lsn;
            self.progress.send_modify(|progress| progress.rest = rest);
        }
        self.finish(core, Life::Poisoned);
    }

    /// Ships nothing more after the log failed.
    pub fn give_up(&self) {
        self.progress.send_modify(|progress| progress.rest = 0);
    }

    /// Syncs the log within [`SYNC_WITHIN`] of each write, until the session ends or is fenced: that bounds what a power cut takes. One sync
    /// serves all writes of that time, and none is made where nothing was written or somebody synced it already.
    pub async fn sync_in_background(self: Arc<Self>, events: EventSink) {
        let mut progress = self.follow();
        let ended = |progress: &Progress| progress.life != Life::Live;
        loop {
            tokio::select! {
                biased;
                _ = progress.wait_for(ended) => return,
                () = self.aged.notified() => {}
            }
            if self.core().is_ok_and(|mut core| std::mem::take(&mut core.rehomed)) {
                METERS.repairs.one();
                events(Event::Repaired(
                    "the folder of the session was removed while in use and has been restored".to_owned(),
                ));
            }
            tokio::select! {
                biased;
                // What a fenced session wrote last is as safe as the rest of it.
                _ = progress.wait_for(ended) => {}
                () = sleep(SYNC_WITHIN) => {}
            }
            let lsn = match self.core() {
                Ok(mut core) if !core.life.is_over() => {
                    core.aging = false;
                    core.lsn
                }
                _ => return,
            };
            if let Err(error) = self.sync(lsn).await {
                events(Event::Failed(error));
                return;
            }
        }
    }

    /// Keeps the log small, and tells how full the state is, as long as it is polled. Nobody waits for it: a slow disk holds up no
    /// upload, no handover and no close. Whoever drops it within a rewrite has ended the session before: the log goes on as it is, and
    /// of the new one nothing is left that counts.
    pub async fn tend(&self, events: &EventSink) -> Infallible {
        loop {
            if let Some(error) = self.crowding() {
                events(Event::Failed(error));
            }
            match self.roll_if_due().await {
                // What was written while the log was rewritten woke nobody.
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => events(Event::Failed(error)),
            }
            let pause = self.pause_until_roll();
            tokio::select! {
                biased;
                () = self.tending.notified() => {}
                () = sleep(pause.unwrap_or_default()), if pause.is_some() => {}
            }
        }
    }

    /// Time until a rewrite that failed is tried again.
    fn pause_until_roll(&self) -> Option<Duration> {
        let core = self.core().ok()?;
        let is_due = core.life == Life::Live && !core.rolling && core.log.needs_roll(core.state.bytes());
        is_due.then(|| core.roll_at.saturating_sub(self.host.now()))
    }

    /// True if a rewrite is due and nothing speaks against it.
    pub(super) fn may_roll(&self, core: &Core) -> bool {
        !core.rolling && core.log.needs_roll(core.state.bytes()) && self.host.now() >= core.roll_at
    }

    /// True while its log is being rewritten.
    #[cfg(test)]
    pub fn is_rolling(&self) -> bool {
        self.core().is_ok_and(|core| core.rolling)
    }

    /// After a rewrite that failed, the next one is not tried for a while: each takes the room of a whole state.
    fn roll_failed(&self, core: &mut Core, error: Error) -> Error {
        core.roll_at = self.host.now() + core.roll_pause;
        core.roll_pause = (core.roll_pause * 2).min(MAX_ROLL_PAUSE);
        error
    }

    /// Writes the log anew if garbage dominates it, and says whether it did. Appends go on meanwhile: with many of them the new
    /// log may soon be due as well.
    async fn roll_if_due(&self) -> Result<bool> {
        let (lsn, live, snapshot, lineage, folder) = {
            let mut core = self.core()?;
            let (lsn, live) = (core.lsn, core.state.bytes());
            // A session that ends writes nothing more.
            if core.life != Life::Live || !self.may_roll(&core) {
                return Ok(false);
            }
            let snapshot = core.state.snapshot();
            let Some(wal) = core.log.on_disk() else { return Ok(false) };
            wal.begin_roll();
            let (lineage, folder) = (wal.lineage().clone(), Arc::clone(wal.folder()));
            core.rolling = true;
            (lsn, live, snapshot, lineage, folder)
        };
        let host = Arc::clone(&self.host);
        let ready = blocking(&self.host, move || {
            Wal::require_room(&folder, live)?;
            Wal::prepare_roll(&folder, host.as_ref(), lineage, lsn, &snapshot.encode())
        })
        .await;
        let old = {
            let mut core = self.core()?;
            if !core.rolling {
                // The folder vanished meanwhile and the log was written anew: that one counts.
                return Ok(true);
            }
            core.rolling = false;
            let Some(wal) = core.log.on_disk() else { return Ok(false) };
            let old = ready.and_then(|new| wal.finish_roll(new));
            match old {
                Ok(old) => {
                    core.roll_pause = ROLL_PAUSE;
                    old
                }
                Err(error) => {
                    wal.abort_roll();
                    return Err(self.roll_failed(&mut core, error));
                }
            }
        };
        let host = Arc::clone(&self.host);
        blocking(&self.host, move || old.remove(host.as_ref())).await;
        let mut core = self.core()?;
        if core.log.on_disk().is_some_and(|wal| wal.has_failed()) {
            self.fail(&mut core);
            return Err(Error::new(
                Cause::Poisoned,
                "the disk failed to sync the rewritten log; open the session again",
            ));
        }
        Ok(true)
    }
}
