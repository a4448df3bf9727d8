//! Outages: how long a request may take, and the events about it.
//!
//! An outage ends nothing. It is told once, within an interval, also when the store does not fail but keeps silent; whoever
//! closes the session waits for none of it.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use crate::error::{Cause, Result};
use crate::event::Event;
use crate::journal::Life;
use crate::platform::host::sleep;
use crate::store::{Failure, Meaning};

use super::stop::{NoAnswer, Stop, Work};
use super::{MAX_PAUSE, PutFuture, Replicator};

/// The longest pause between tries while somebody waits.
const HURRIED: Duration = Duration::from_secs(1);

/// Outcome of storing an object.
#[derive(Debug)]
pub enum Put {
    /// It is stored.
    Stored,
    /// A segment is not sent: another server answers, which may lack the one before it.
    Elsewhere,
    /// The store says that it can never accept it.
    Refused(Failure),
}

impl Replicator {
    /// Stores an object, however long it takes; stops when the session ends or a newer owner shows up meanwhile. True if it is stored: a
    /// segment is not sent to another server, which may lack the one before it.
    pub(super) async fn store(&mut self, name: &str, bytes: Bytes) -> Work<bool> {
        loop {
            match self.store_if_possible(name, bytes.clone()).await? {
                Put::Stored => return Ok(true),
                Put::Elsewhere => return Ok(false),
                // Only somebody who changes the bucket's limits can help; until then it all stays here.
                Put::Refused(failure) => {
                    let until = self.now() + MAX_PAUSE;
                    while self.now() < until {
                        self.back_off(&failure, self.pace.check_interval).await?;
                    }
                }
            }
        }
    }

    /// The same, but gives up on what the store says it can never accept.
    pub(super) async fn store_if_possible(&mut self, name: &str, bytes: Bytes) -> Work<Put> {
        let mut delays = self.owner.tenancy.remote.backoff(MAX_PAUSE);
        self.looked = None;
        loop {
            if self.is_elsewhere() && self.on_the_way.as_ref().is_some_and(|segment| segment.name == name) {
                return Ok(Put::Elsewhere);
            }
            let began = self.now();
            let (owner, whole) = (Arc::clone(&self.owner), (name.to_owned(), bytes.clone()));
            let mut request: PutFuture =
                Box::pin(async move { owner.put_then_check(&whole.0, whole.1).await });
            match self.answer_within(&mut request, self.pace.check_interval + sending(bytes.len())).await {
                Err(NoAnswer::Ended) => {
                    if self.is_fenced() {
                        self.interrupted = Mutex::new(Some((name.to_owned(), request)));
                    }
                    return Err(Stop::Ended);
                }
                Ok(standing) => {
                    self.looked = standing.map(|standing| (began, standing));
                    self.took = self.now().saturating_sub(began);
                    return Ok(Put::Stored);
                }
                Err(NoAnswer::Failed(failure)) if is_final(failure.meaning) => {
                    return Ok(Put::Refused(failure));
                }
                Err(NoAnswer::Failed(failure)) => {
                    let planned = delays.next().unwrap_or(MAX_PAUSE);
                    self.back_off(&failure, planned).await?;
                }
            }
        }
    }

    /// Stores an object, however often the store fails: for a caller that ends it in time.
    pub(super) async fn put_until_stored(&self, name: &str, bytes: Bytes) -> Result<()> {
        loop {
            match self.owner.tenancy.remote.put(name, bytes.clone()).await {
                Err(error) if error.cause == Cause::Unreachable => {}
                answer => return answer,
            }
        }
    }

    /// Waits for an answer, and says so when it keeps us waiting.
    pub(super) async fn answer<T>(
        &self,
        request: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, NoAnswer> {
        self.answer_within(request, self.pace.check_interval).await
    }

    /// The same, where it is no news that an answer takes so long.
    async fn answer_within<T>(
        &self,
        request: impl Future<Output = Result<T, Failure>>,
        expected: Duration,
    ) -> Result<T, NoAnswer> {
        let (mut request, mut over) = (pin!(request), pin!(self.over()));
        let mut silence = pin!(sleep(expected));
        let mut told = false;
        loop {
            tokio::select! {
                biased;
                answer = &mut request => return answer.map_err(NoAnswer::Failed),
                () = &mut over => return Err(NoAnswer::Ended),
                () = &mut silence, if !told => {
                    told = true;
                    self.degrade(&Failure::new(Meaning::Transient, "no answer yet"));
                }
            }
        }
    }

    /// Tells of a failure once, and waits before the next try: not for long when somebody waits for it.
    pub(super) async fn back_off(&mut self, failure: &Failure, planned: Duration) -> Work {
        self.degrade(failure);
        let (remote, began) = (&self.owner.tenancy.remote, self.now());
        let pause = failure.pause(planned);
        let mut over = pin!(self.over());
        loop {
            let pause = if self.journal.is_awaited() { failure.pause(planned.min(HURRIED)) } else { pause };
            let passed = self.now().saturating_sub(began);
            if passed >= pause {
                break;
            }
            tokio::select! {
                biased;
                () = &mut over => return Err(Stop::Ended),
                // Perhaps somebody waits by now.
                () = self.journal.wake.notified() => {}
                () = sleep(pause - passed) => {}
            }
        }
        tokio::select! {
            biased;
            () = over => Err(Stop::Ended),
            () = remote.turn_to_retry() => Ok(()),
        }
    }

    /// Resolves when nothing more is to be shipped, or only what a newer owner waits for.
    pub(super) async fn over(&self) {
        let over = self.journal.follow();
        let _ = { over }.wait_for(|progress| progress.is_done() || progress.life == Life::Fenced).await;
    }

    pub(super) fn is_fenced(&self) -> bool {
        self.journal.progress().life == Life::Fenced
    }

    fn degrade(&self, failure: &Failure) {
        let error = failure.error("replicating");
        let first = {
            let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
            health.last_error = Some(error.clone());
            !std::mem::replace(&mut health.degraded, true)
        };
        if first {
            (self.events)(Event::Degraded(error));
        }
    }

    /// Notes that the store answers, and now has everything that was shipped if it is `stored`. Says whether it failed before.
    pub(super) fn recover(&self, stored: bool) -> bool {
        let wall_ms = stored.then(|| self.owner.tenancy.host().wall_ms());
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        health.last_backup_ms = wall_ms.or(health.last_backup_ms);
        std::mem::replace(&mut health.degraded, false)
    }

    pub(super) fn tell_recovered(&self) {
        let lsn = self.journal.progress().stored;
        (self.events)(Event::Recovered { lsn });
    }
}

/// Time that so many bytes may take on their way before it is worth telling: a megabyte a second.
fn sending(len: usize) -> Duration {
    Duration::from_millis(len as u64 / 1000)
}

/// True if only somebody who changes the bucket can help.
fn is_final(meaning: Meaning) -> bool {
    matches!(meaning, Meaning::Impossible | Meaning::TooLarge)
}
