//! A session: one tenant's life in this process, from open to close, delete or fence.
//!
//! What was resolved is in the log or in the store, or its loss is told by whoever closes (I11); a tombstone comes before anything
//! is removed (I10).

mod deletion;
pub mod open;
mod status;
mod waiting;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::error::{Cause, Code, Error, Result};
use crate::event::{Event, EventSink};
use crate::id::Lsn;
use crate::journal::{Journal, Life, SYNC_WITHIN};
use crate::ownership::lease::Owner;
use crate::platform::host::{Host, blocking};
use crate::platform::meter::{METERS, Opens};
use crate::replication::{Health, Replicator};

#[cfg(test)]
pub use status::StoreState;
pub use status::{Status, Uploads};

/// Place in which a session was found when it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginSource {
    /// Nowhere: it was made new.
    Fresh,
    /// In files of another kind.
    Imported,
    /// In the local log.
    Local,
    /// In the store.
    Remote,
}

impl OriginSource {
    /// The stable name that JavaScript sees.
    pub fn as_str(self) -> &'static str {
        match self {
            OriginSource::Fresh => "fresh",
            OriginSource::Imported => "imported",
            OriginSource::Local => "local",
            OriginSource::Remote => "remote",
        }
    }

    /// Durations of successful opens from there.
    pub fn opens(self) -> &'static Opens {
        match self {
            OriginSource::Fresh => &METERS.opens.fresh,
            OriginSource::Imported => &METERS.opens.imported,
            OriginSource::Local => &METERS.opens.local,
            OriginSource::Remote => &METERS.opens.remote,
        }
    }
}

/// Place in which a session lives. It follows from the options, and all that depends on it asks this one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// On the disk.
    Local,
    /// In both.
    Hybrid,
    /// In the store.
    Cloud,
}

impl Mode {
    /// The stable name that JavaScript sees.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Local => "local",
            Mode::Hybrid => "hybrid",
            Mode::Cloud => "cloud",
        }
    }

    /// True if there is a local log. Without one the store alone has the session, and a write is safe when that has it.
    pub fn keeps_log(self) -> bool {
        match self {
            Mode::Local | Mode::Hybrid => true,
            Mode::Cloud => false,
        }
    }
}

/// Origin of a session when it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The place.
    pub source: OriginSource,
    /// True if nothing that was ever resolved can be missing.
    pub clean: bool,
}

impl Origin {
    /// Made new.
    pub fn fresh() -> Origin {
        Origin { source: OriginSource::Fresh, clean: true }
    }

    /// Taken over from files of another kind.
    pub fn imported() -> Origin {
        Origin { source: OriginSource::Imported, clean: true }
    }

    /// From the local log.
    pub fn local(clean: bool) -> Origin {
        Origin { source: OriginSource::Local, clean }
    }

    /// From the store.
    pub fn remote(clean: bool) -> Origin {
        Origin { source: OriginSource::Remote, clean }
    }
}

/// One tenant's session.
pub struct Session {
    host: Arc<dyn Host>,
    mode: Mode,
    journal: Arc<Journal>,
    origin: Origin,
    remote: Option<Replication>,
    /// Turns true when the background work has ended.
    idle: watch::Receiver<bool>,
}

struct Replication {
    owner: Arc<Owner>,
    events: EventSink,
    health: Arc<Mutex<Health>>,
    /// True once a tombstone was on its way to the store: the rest is done when it is asked for again.
    burying: AtomicBool,
}

impl Session {
    /// A session without a store.
    pub fn local(host: Arc<dyn Host>, journal: Arc<Journal>, events: EventSink, origin: Origin) -> Session {
        let (done, idle) = watch::channel(false);
        let task = keep(Arc::clone(&journal), Arc::clone(&events));
        host.spawn(Box::pin(Arc::clone(&journal).sync_in_background(events)));
        host.spawn(Box::pin(async move {
            task.await;
            let _ = done.send(true);
        }));
        Session { host, mode: Mode::Local, journal, origin, remote: None, idle }
    }

    /// A session with a store, with or without a log as `mode` says.
    pub fn replicated(
        host: Arc<dyn Host>,
        mode: Mode,
        journal: Arc<Journal>,
        origin: Origin,
        owner: Arc<Owner>,
        replicator: Replicator,
    ) -> Session {
        let (done, idle) = watch::channel(false);
        let (health, events) = (replicator.health(), replicator.events());
        if mode.keeps_log() {
            host.spawn(Box::pin(Arc::clone(&journal).sync_in_background(replicator.events())));
        }
        host.spawn(Box::pin(async move {
            replicator.run().await;
            let _ = done.send(true);
        }));
        let remote = Replication { owner, events, health, burying: AtomicBool::new(false) };
        Session { host, mode, journal, origin, remote: Some(remote), idle }
    }

    /// Its mode.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The memory and the log.
    pub fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    /// The claim it is written under, if there is a store.
    #[cfg(test)]
    pub fn claim(&self) -> Option<crate::id::Claim> {
        self.remote.as_ref().map(|remote| remote.owner.claim)
    }

    /// The claim that it is written under, and the means to store beside its history.
    pub fn owner(&self) -> Result<&Arc<Owner>> {
        let remote = self.remote.as_ref();
        remote.map(|remote| &remote.owner).ok_or_else(|| {
            Error::new(
                Code::InvalidOption,
                "a browser profile needs a store; set `store` or SESSION_BACKUP_STORE",
            )
        })
    }

    /// The machine.
    pub fn host(&self) -> &Arc<dyn Host> {
        &self.host
    }

    /// Its origin.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Stores the rest, releases ownership and unlocks. After `timeout` it lets go with what it has: the local log keeps the
    /// rest, and the next open here sends it.
    pub async fn close(&self, timeout: Duration) -> Result<()> {
        self.journal.end(Life::Closing);
        if self.remote.is_none() {
            self.journal.end(Life::Closed);
        }
        let mut fenced = false;
        if tokio::time::timeout(timeout, self.ended()).await.is_err() {
            fenced = self.journal.life() == Life::Fenced;
            self.journal.give_up();
            self.journal.end(Life::Closed);
            self.ended().await;
        }
        self.tell_unreleased();
        let (lsn, progress) = (self.journal.lsn(), self.journal.progress());
        let stored = if self.handed_over() { lsn } else { progress.stored };
        let within = timeout.max(SYNC_WITHIN);
        let synced =
            if progress.life == Life::Poisoned { Ok(()) } else { self.end_log(stored, within).await };
        self.unlock(within).await;
        synced?;
        let safe = progress.stored.max(progress.synced);
        if progress.life == Life::Poisoned && safe < lsn {
            let lost = format!(
                "closed; the local log failed, and LSN {} to {lsn} may not be on the disk{}",
                safe + 1,
                if self.remote.is_some() { ", nor in the store" } else { "" }
            );
            return Err(Error::new(Cause::Poisoned, lost));
        }
        fenced |= progress.life == Life::Fenced;
        if fenced && progress.stored < lsn && !self.handed_over() {
            return Err(Error::new(
                Code::Fenced,
                format!(
                    "closed; a newer instance owns this session and does not have LSN {} to {lsn}",
                    progress.stored + 1
                ),
            ));
        }
        let lost = progress.life == Life::LeaseLost;
        if self.remote.is_some() && (lost || progress.life == Life::Closed) && progress.stored < lsn {
            let where_it_is = if self.mode.keeps_log() {
                "are only in the local log, and the next open here sends them"
            } else {
                "did not reach the store and are lost"
            };
            let what = format!("closed; LSN {} to {lsn} {where_it_is}", progress.stored + 1);
            return Err(if lost { Error::new(Code::LeaseLost, what) } else { self.unreachable(&what) });
        }
        Ok(())
    }

    /// Marks the log as closed, and waits for the disk, but not for ever: what a sync lacks is lost in a power cut at the most.
    async fn end_log(&self, stored: Lsn, within: Duration) -> Result<()> {
        if let Ok(synced) = tokio::time::timeout(within, self.journal.end_log(stored)).await {
            return synced;
        }
        let (lsn, safe) = (self.journal.lsn(), stored.max(self.journal.progress().synced));
        if safe >= lsn {
            return Ok(());
        }
        let unsure = format!(
            "closed; the disk does not answer, and LSN {} to {lsn} may not be on it after a power cut: check the disk, and open the session again",
            safe + 1
        );
        Err(Error::new(Cause::Poisoned, unsure))
    }

    /// Lets go of the folder. Where the disk holds up somebody who changes names in it, it is let go after that, whoever waits.
    async fn unlock(&self, within: Duration) {
        let Some(folder) = self.journal.folder().cloned() else { return };
        if !folder.try_unlock() {
            let _ = tokio::time::timeout(within, blocking(&self.host, move || folder.unlock())).await;
        }
    }

    /// Tells that a close was cut short before it released the session.
    fn tell_unreleased(&self) {
        let Some(remote) = &self.remote else { return };
        let mut health = remote.health.lock().unwrap_or_else(PoisonError::into_inner);
        let progress = self.journal.progress();
        // What is missing besides is told by whoever closes.
        if progress.life != Life::Closed || health.let_go || progress.stored < self.journal.lsn() {
            return;
        }
        let why = "everything is stored, but the release is not, because the close timed out; the next open on another machine has to wait and is not clean";
        let error = Error::new(Cause::Unreachable, why);
        (health.last_error, health.let_go) = (Some(error.clone()), true);
        drop(health);
        (remote.events)(Event::Failed(error));
    }

    /// True if all that was accepted here was stored before a newer owner went on.
    fn handed_over(&self) -> bool {
        let health = self.remote.as_ref().map(|remote| &remote.health);
        health.is_some_and(|health| health.lock().unwrap_or_else(PoisonError::into_inner).handed_over)
    }

    async fn ended(&self) {
        let mut idle = self.idle.clone();
        // A task that was dropped with its runtime has ended as well.
        let _ = idle.wait_for(|idle| *idle).await;
    }
}

/// The background work of a session without a store: rewriting the log when garbage dominates it.
async fn keep(journal: Arc<Journal>, events: EventSink) {
    let mut progress = journal.follow();
    tokio::select! {
        biased;
        _ = progress.wait_for(|progress| progress.life.is_over()) => {}
        never = journal.tend(&events) => match never {},
    }
}
