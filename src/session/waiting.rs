//! Waiting: for a write to be safe, for all of them to be stored, for the whole state to be stored anew.
//!
//! Who waits is answered in time, and never told that a write is safe which nobody could restore.

use std::sync::PoisonError;
use std::time::Duration;

use super::Session;
use crate::error::{Cause, Code, Error, Result};
use crate::id::Lsn;
use crate::journal::{Life, Progress};

impl Session {
    /// Resolves when every batch that was resolved before is restorable from the store; without a store, when it survives a
    /// power cut.
    pub async fn flush(&self, timeout: Duration) -> Result<Lsn> {
        let target = self.journal.hurry()?;
        if self.remote.is_none() {
            // A close that came meanwhile, of the last open, keeps everything: what is synced survives whoever syncs it.
            let life = self.journal.progress().life;
            if !matches!(life, Life::Closing | Life::Closed) {
                life.refusal()?;
            }
            self.journal.sync(target).await?;
            return Ok(target);
        }
        let settled = self.settled(target);
        match tokio::time::timeout(timeout, settled).await {
            Ok(progress) if progress.stored >= target => Ok(target),
            Ok(progress) => progress.life.refusal().map(|()| target),
            Err(_) if self.journal.progress().life == Life::Fenced => Life::Fenced.refusal().map(|()| target),
            Err(_) => Err(self.unreachable("not everything is in the store yet")),
        }
    }

    /// Resolves when the whole state was stored anew, and the removal of what that makes superfluous was tried. Without a store, at
    /// once. Rejects as soon as the session ends.
    pub async fn renew(&self, timeout: Duration) -> Result<()> {
        self.journal.progress().life.refusal()?;
        if self.remote.is_none() {
            return Ok(());
        }
        let mut progress = self.journal.follow();
        let ended = progress.wait_for(|progress| !matches!(progress.life, Life::Live | Life::Closing));
        let renewed = async {
            tokio::select! {
                biased;
                renewed = self.journal.renew() => renewed.or_else(|_| self.unrenewed()),
                _ = ended => self.journal.progress().life.refusal(),
            }
        };
        let late = || Err(self.unreachable("the state has not been stored again yet"));
        tokio::time::timeout(timeout, renewed).await.unwrap_or_else(|_| late())
    }

    /// Resolves when the batch `lsn` survives a power cut of this machine: when it is synced or, without a log, when any
    /// successor would restore it. Without a log a failure does not take the write back: it is kept in memory and goes on being
    /// sent, and is lost if the process ends before it arrives.
    pub async fn settle(&self, lsn: Lsn, timeout: Duration) -> Result<()> {
        if self.mode.keeps_log() {
            return self.journal.sync(lsn).await;
        }
        self.journal.hurry()?;
        let in_time = tokio::time::timeout(timeout, self.settled(lsn)).await.is_ok();
        let now = self.journal.progress();
        if now.stored >= lsn {
            return Ok(());
        }
        match now.life {
            Life::Closed | Life::Closing if in_time => Err(Error::new(
                Code::Closed,
                "this session was closed before the store confirmed this write, which may be lost: open the session again and check",
            )),
            Life::Live | Life::Closing => Err(self.unreachable(
                "this write is not in the store yet; it is in memory and is still being sent, and is lost if the process ends before it arrives",
            )),
            over => over.refusal().map_err(|error| {
                // It was accepted and sent before that, and nobody can take it back.
                let unsure = "this write may still have been stored: before you repeat it, check the session at its new owner";
                error.reworded(|message| format!("{message}; {unsure}"))
            }),
        }
    }

    /// Reason that whoever ships does not store the whole state anew.
    fn unrenewed(&self) -> Result<()> {
        self.journal.progress().life.refusal()?;
        let health = self.remote.as_ref().map(|remote| &remote.health);
        let refused = health
            .and_then(|health| health.lock().unwrap_or_else(PoisonError::into_inner).base_refused.clone());
        Err(refused.unwrap_or_else(|| self.unreachable("the state was not stored again")))
    }

    /// Progress once any successor would restore up to `lsn`, or it is certain that none will.
    async fn settled(&self, lsn: Lsn) -> Progress {
        let mut progress = self.journal.follow();
        let settled = progress.wait_for(|progress| {
            // One that is fenced may still learn that its successor goes on from here.
            let waits = matches!(progress.life, Life::Live | Life::Closing | Life::Fenced);
            progress.stored >= lsn || !waits
        });
        tokio::select! {
            biased;
            _ = settled => {}
            () = self.ended() => {}
        }
        self.journal.progress()
    }

    pub(super) fn unreachable(&self, what: &str) -> Error {
        let health = self
            .remote
            .as_ref()
            .map(|remote| remote.health.lock().unwrap_or_else(PoisonError::into_inner).clone());
        let reason = health.filter(|health| health.degraded).and_then(|health| health.last_error);
        let reason = reason.map_or_else(|| "the store is slow".to_owned(), |error| error.message);
        Error::new(Cause::Unreachable, format!("{what}: {reason}"))
    }
}
