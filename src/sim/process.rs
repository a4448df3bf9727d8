//! A process with, sooner or later, a session: it writes, waits, and seals anew.
//!
//! The oracle is shown each write that was accepted, and when it resolved.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::error::{Code, Error};
use crate::format::record::{CREDS_KEY, key, push};
use crate::id::{Claim, Lsn};
use crate::journal::Life;
use crate::platform::host::{Host, Task};
use crate::session::{Mode, Session};

use super::cluster::{Cluster, hold};
use super::host::{Rng, SimHost};
use super::keys::Number;
use super::oracle::Writes;
use super::sometimes::{Moment, saw};
use super::watch::Terms;

/// The result of an open.
pub(super) enum Door {
    Opening,
    Open(Arc<Session>),
    Refused(Error),
}

/// Time that a write of a session without a log waits to be stored.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);

/// Time that sealing anew waits for the store.
const RENEW_TIMEOUT: Duration = Duration::from_secs(20);

/// A process with, sooner or later, a session.
pub struct Process {
    pub(super) cluster: Arc<Cluster>,
    pub host: Arc<SimHost>,
    pub(super) door: Arc<Mutex<Door>>,
    pub(super) book: Arc<Mutex<Book>>,
    /// Writes that are known to be synced to the disk.
    pub(super) synced: Arc<Mutex<Writes>>,
    /// Writes of a session that lives here without a store.
    pub(super) alone: Arc<Mutex<Option<Writes>>>,
    pub(super) number: u64,
    /// The key that it seals with.
    pub(super) key: Number,
    pub stopped: bool,
    /// Terms by which it looks for newer owners; `None` if something holds it up.
    pub(super) terms: Option<Terms>,
    pub(super) tenant: usize,
    /// Sessions of other tenants in the same process.
    pub(super) neighbours: Vec<Process>,
}

/// Knowledge of a process about its own history.
#[derive(Default)]
pub(super) struct Book {
    /// Writes that were there when it opened.
    pub(super) inherited: Writes,
    /// Its own, by LSN.
    pub(super) own: Vec<(Lsn, u64)>,
    pub(super) fenced: bool,
    pub(super) told: Vec<&'static str>,
}

impl Process {
    /// The session, and those of other tenants beside it.
    pub fn rooms(&self) -> impl Iterator<Item = &Process> {
        std::iter::once(self).chain(&self.neighbours)
    }

    /// Something holds it up: it is not bound to look for newer owners in time.
    pub(super) fn hold_up(&mut self) {
        self.terms = None;
        self.neighbours.iter_mut().for_each(Process::hold_up);
    }

    /// The session, if it is open.
    pub fn session(&self) -> Option<Arc<Session>> {
        match &*hold(&self.door) {
            Door::Open(session) => Some(Arc::clone(session)),
            Door::Opening | Door::Refused(_) => None,
        }
    }

    /// Reason that it did not open, if so.
    pub fn refused(&self) -> Option<Code> {
        match &*hold(&self.door) {
            Door::Refused(error) => Some(error.code()),
            Door::Opening | Door::Open(_) => None,
        }
    }

    /// The state of the store, as its events told it.
    pub fn told(&self) -> Vec<&'static str> {
        hold(&self.book).told.clone()
    }

    /// True if it accepts changes.
    pub fn is_live(&self) -> bool {
        self.session().is_some_and(|session| session.journal().progress().life == Life::Live)
    }

    /// True if it owns the session that the store has.
    pub fn is_owner(&self) -> bool {
        self.is_live() && self.session().is_some_and(|session| session.mode() != Mode::Local)
    }

    /// Writes a batch: its number, some keys that are overwritten and deleted all the time, and which write was last.
    pub fn write(&self, rng: &mut Rng) -> bool {
        let Some(session) = self.session() else { return false };
        let number = self.cluster.next_write.fetch_add(1, Ordering::Relaxed);
        let value = [&[3][..], &number.to_le_bytes()].concat();
        let mut batch = Vec::new();
        push(&mut batch, &key("write", &number.to_string()), Some(&value));
        push(&mut batch, &key("last", ""), Some(&value));
        let hot = rng.below(4).to_string();
        push(&mut batch, &key("hot", &hot), (!rng.chance(30)).then_some(&value));
        if self.cluster.creds.load(Ordering::Relaxed) {
            push(&mut batch, CREDS_KEY, Some(&value));
        }
        let before = session.journal().lsn();
        match session.journal().append(&batch, rng.chance(20)) {
            Ok(lsn) => {
                assert_eq!(lsn, before + 1);
                let mut book = hold(&self.book);
                assert!(!book.fenced, "I16: a fenced session accepted a write");
                if let Some(terms) = self.terms.filter(|_| self.host.keeps_time()) {
                    self.cluster.oracle_of(self.tenant).looks_out(self.number, terms);
                }
                book.own.push((lsn, number));
                let Some(claim) = session.claim() else {
                    hold(&self.alone).get_or_insert_default().insert(number);
                    self.cluster.oracle_of(self.tenant).wrote_alone(number, batch);
                    return true;
                };
                self.cluster.oracle_of(self.tenant).wrote(claim, number, batch);
                if !session.mode().keeps_log() {
                    self.see_resolved(session, claim, lsn, number);
                }
                true
            }
            Err(error) => {
                if error.code() == Code::LeaseLost {
                    saw(Moment::LeaseLost);
                }
                let full =
                    error.code() == Code::LocalUnavailable && self.cluster.full.load(Ordering::Relaxed);
                if full {
                    saw(Moment::SpaceRanOut);
                }
                assert!(
                    full || matches!(
                        error.code(),
                        Code::Fenced | Code::Closed | Code::Deleted | Code::LeaseLost
                    ),
                    "{error:?}"
                );
                false
            }
        }
    }

    /// Writes, and waits until that is synced.
    pub fn write_durably(&self, rng: &mut Rng) -> bool {
        if !self.write(rng) {
            return false;
        }
        let last = hold(&self.book).own.last().copied();
        let Some((lsn, number)) = last else { return false };
        let synced = Arc::clone(&self.synced);
        self.background(move |session: Arc<Session>| async move {
            if session.mode().keeps_log() && session.settle(lsn, WRITE_TIMEOUT).await.is_ok() {
                hold(&synced).insert(number);
            }
        });
        true
    }

    /// Tells the oracle when a write of a session without a log resolves, as `set` does.
    fn see_resolved(&self, session: Arc<Session>, claim: Claim, lsn: Lsn, number: u64) {
        let (cluster, tenant) = (Arc::clone(&self.cluster), self.tenant);
        self.host.spawn(Box::pin(async move {
            match session.settle(lsn, WRITE_TIMEOUT).await {
                Ok(()) => cluster.oracle_of(tenant).kept(claim, lsn, number),
                Err(error) => assert!(
                    matches!(
                        error.code(),
                        Code::Fenced
                            | Code::Closed
                            | Code::Deleted
                            | Code::LeaseLost
                            | Code::RemoteUnavailable
                    ),
                    "{error:?}"
                ),
            }
        }));
    }

    /// Seals the session anew with the key that this process was started with, as `rekey` does where one is open.
    pub fn seal_anew(&self) {
        let (cluster, key) = (Arc::clone(&self.cluster), self.key);
        self.background(move |session: Arc<Session>| async move {
            if session.flush(RENEW_TIMEOUT).await.is_ok() && session.renew(RENEW_TIMEOUT).await.is_ok() {
                saw(Moment::SealedAnew);
                let claim = session.claim().expect("a session with a store has a claim");
                cluster.sealed_anew(claim, key, session.journal().progress().stored);
            }
        });
    }

    /// Deletes the session. The oracle is told if that resolves: from then on nothing of it may come back.
    pub fn delete(&self) {
        let (cluster, tenant) = (Arc::clone(&self.cluster), self.tenant);
        if self.session().is_some_and(|session| session.mode() == Mode::Local) {
            *hold(&self.alone) = None;
        }
        self.background(move |session: Arc<Session>| async move {
            if session.delete().await.is_ok()
                && let Some(claim) = session.claim()
            {
                cluster.oracle_of(tenant).deleted(claim);
            }
        });
    }

    /// Does something that takes time, as the process would.
    pub fn background(&self, work: impl AsyncProcess) {
        if let Some(session) = self.session() {
            self.host.spawn(work.on(session));
        }
    }
}

/// Something that a process does with its session.
pub trait AsyncProcess {
    fn on(self, session: Arc<Session>) -> Task;
}

impl<F, T> AsyncProcess for F
where
    F: FnOnce(Arc<Session>) -> T,
    T: Future<Output = ()> + Send + 'static,
{
    fn on(self, session: Arc<Session>) -> Task {
        Box::pin(self(session))
    }
}
