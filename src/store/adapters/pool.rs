//! The connections to one server of a database: few for any number of sessions, with requests pipelined over each.
//!
//! Invariants: a request that was begun while one server answered is never sent to another one, and its answer counts only if
//! that server still is the one that answers. A connection whose fate is unknown is not used again.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use super::life::ServerLife;
use crate::platform::host::{Host, sleep};
use crate::store::Operation;
use crate::store::failure::{Failure, Meaning};

/// Time after which a connection that nobody used is closed. An open session looks for a newer owner more often.
const IDLE: Duration = Duration::from_secs(60);

/// The purpose of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ConnectionPurpose {
    /// Requests that are answered at once.
    Short,
    /// Reading objects, which takes as long as the network does; or listening.
    Long,
}

/// A connection that was greeted.
pub trait PooledConnection: Send + Sync + 'static {
    /// The life of the server that answered last. A pooler may lead to another one without a word.
    fn life(&self) -> ServerLife;
    /// Notes the life of the server that answered just now.
    fn answered_by(&self, life: &ServerLife);
    /// True if nothing can be asked over it any more.
    fn is_closed(&self) -> bool;
}

/// Makes connections.
#[async_trait]
pub trait Dial: Send + Sync + 'static {
    /// Its connections.
    type Link: PooledConnection;
    /// A connection whose server takes writes.
    async fn connect(&self, purpose: ConnectionPurpose) -> Result<Self::Link, Failure>;
    /// The machine that it dials from.
    fn host(&self) -> &Arc<dyn Host>;
}

/// A request that failed.
pub struct RequestFailure {
    /// The failure.
    pub failure: Failure,
    /// True if the connection is of no use any more.
    pub ends_connection: bool,
}

struct PoolSlot<L> {
    held: tokio::sync::Mutex<SlotState<L>>,
    under_way: AtomicUsize,
    /// Time of its last use, in nanoseconds.
    used: AtomicU64,
}

struct SlotState<L> {
    connection: Option<Arc<L>>,
    /// Time of the last connection that did not come about, and the reason.
    failed: Option<(Duration, Failure)>,
}

impl<L> Default for PoolSlot<L> {
    fn default() -> PoolSlot<L> {
        let held = tokio::sync::Mutex::new(SlotState { connection: None, failed: None });
        PoolSlot { held, under_way: AtomicUsize::new(0), used: AtomicU64::new(0) }
    }
}

/// A request under way on a slot.
struct RequestGuard<'a>(&'a AtomicUsize);

impl Drop for RequestGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The connections to one database.
pub struct ConnectionPool<D: Dial> {
    dialler: D,
    slots: Vec<PoolSlot<D::Link>>,
    /// The life of the server that answers.
    life: Mutex<Option<ServerLife>>,
    is_tended: AtomicBool,
}

impl<D: Dial> ConnectionPool<D> {
    /// At most `most` connections by `dialler`. Nothing is sent yet.
    pub fn new(dialler: D, most: usize) -> Arc<ConnectionPool<D>> {
        // Whoever makes it is about to use it.
        let made = u64::try_from(dialler.host().now().as_nanos()).unwrap_or(u64::MAX);
        let slot = |_| PoolSlot { used: AtomicU64::new(made), ..PoolSlot::default() };
        let slots = (0..most.max(1)).map(slot).collect();
        Arc::new(ConnectionPool { dialler, slots, life: Mutex::default(), is_tended: AtomicBool::new(false) })
    }

    /// The dialler.
    pub fn dialler(&self) -> &D {
        &self.dialler
    }

    /// The life of the server that answers, once one did.
    pub fn life(&self) -> Option<ServerLife> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Answer of `work` over one of the connections, within so much time.
    pub async fn ask<T, F>(
        self: &Arc<Self>,
        purpose: ConnectionPurpose,
        asked: Operation,
        within: Duration,
        work: impl FnOnce(Arc<D::Link>) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, RequestFailure>>,
    {
        let began = self.life();
        let slot = self.least_busy(purpose);
        slot.under_way.fetch_add(1, Ordering::Relaxed);
        let _under_way = RequestGuard(&slot.under_way);
        let connection = self.connected(slot, purpose).await?;
        if began.is_some_and(|began| began != connection.life()) {
            return Err(Failure::new(Meaning::Transient, "another server answers"));
        }
        let answer = timeout(within, work(Arc::clone(&connection))).await;
        slot.used.store(self.now(), Ordering::Relaxed);
        match answer {
            Ok(Ok(answer)) if self.life() == Some(connection.life()) => Ok(answer),
            Ok(Ok(_)) => {
                drop_from(slot, &connection).await;
                Err(unsettled(asked, "another server answers"))
            }
            Ok(Err(RequestFailure { failure, ends_connection })) => {
                if ends_connection {
                    drop_from(slot, &connection).await;
                }
                Err(failure)
            }
            Err(_) => {
                drop_from(slot, &connection).await;
                Err(unsettled(asked, "no answer in time"))
            }
        }
    }

    /// Notes the life of the server that answered over `connection` just now; false if that one was replaced by a later one.
    pub fn answered(&self, connection: &D::Link, life: &ServerLife) -> bool {
        let mut known = self.life.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_some_and(|known| life.is_before(known)) {
            return false;
        }
        connection.answered_by(life);
        if known.as_ref() != Some(life) {
            *known = Some(life.clone());
        }
        true
    }

    /// The connection for `purpose` with the least to do. Long reads have one of their own: no acknowledgement is behind them.
    fn least_busy(&self, purpose: ConnectionPurpose) -> &PoolSlot<D::Link> {
        let (short, long) = self.slots.split_at(self.slots.len() - usize::from(self.slots.len() > 1));
        let slots = if purpose == ConnectionPurpose::Long && !long.is_empty() { long } else { short };
        let of = slots.iter().min_by_key(|slot| {
            let is_open = slot.held.try_lock().is_ok_and(|held| held.connection.is_some());
            // One more connection is worth it where each has several requests under way.
            slot.under_way.load(Ordering::Relaxed) * 2 + if is_open { 0 } else { 3 }
        });
        #[expect(clippy::indexing_slicing, reason = "there is at least one slot")]
        of.unwrap_or(&self.slots[0])
    }

    async fn connected(
        self: &Arc<Self>,
        slot: &PoolSlot<D::Link>,
        purpose: ConnectionPurpose,
    ) -> Result<Arc<D::Link>, Failure> {
        let asked_at = self.dialler.host().now();
        let mut held = slot.held.lock().await;
        if let Some(connection) = &held.connection
            && !connection.is_closed()
            && self.life().is_none_or(|life| life == connection.life())
        {
            return Ok(Arc::clone(connection));
        }
        held.connection = None;
        // Those who waited while it failed do not wait once more each.
        if let Some((at, failure)) = &held.failed
            && *at > asked_at
        {
            return Err(failure.clone());
        }
        match self.connect(purpose).await {
            Ok(connection) => {
                let connection = Arc::new(connection);
                held.connection = Some(Arc::clone(&connection));
                self.tend();
                Ok(connection)
            }
            Err(failure) => {
                held.failed = Some((self.dialler.host().now(), failure.clone()));
                Err(failure)
            }
        }
    }

    async fn connect(&self, purpose: ConnectionPurpose) -> Result<D::Link, Failure> {
        let connection = self.dialler.connect(purpose).await?;
        if !self.answered(&connection, &connection.life()) {
            return Err(Failure::new(Meaning::Transient, "the server was replaced by another one"));
        }
        Ok(connection)
    }

    /// True if no session is open any more: nothing was asked for a while.
    pub fn is_idle(&self) -> bool {
        self.slots.iter().all(|slot| self.is_unused(slot))
    }

    fn is_unused(&self, slot: &PoolSlot<D::Link>) -> bool {
        let used = Duration::from_nanos(slot.used.load(Ordering::Relaxed));
        slot.under_way.load(Ordering::Relaxed) == 0 && self.dialler.host().now().saturating_sub(used) >= IDLE
    }

    fn now(&self) -> u64 {
        u64::try_from(self.dialler.host().now().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Closes connections that nobody uses, as long as there are any.
    fn tend(self: &Arc<Self>) {
        if self.is_tended.swap(true, Ordering::Relaxed) {
            return;
        }
        let pool = Arc::downgrade(self);
        self.dialler.host().spawn(Box::pin(async move {
            loop {
                sleep(IDLE).await;
                let Some(pool) = Weak::upgrade(&pool) else { return };
                for slot in pool.slots.iter().filter(|slot| pool.is_unused(slot)) {
                    if let Ok(mut held) = slot.held.try_lock() {
                        held.connection = None;
                    }
                }
            }
        }));
    }
}

/// Lets go of a connection, unless another one has taken its place.
async fn drop_from<L>(slot: &PoolSlot<L>, connection: &Arc<L>) {
    let mut held = slot.held.lock().await;
    if held.connection.as_ref().is_some_and(|held| Arc::ptr_eq(held, connection)) {
        held.connection = None;
    }
}

/// Meaning of a request without a complete answer: done or not, if it was to change something.
pub fn unsettled(asked: Operation, detail: &str) -> Failure {
    Failure::new(if asked.changes() { Meaning::Ambiguous } else { Meaning::Transient }, detail)
}

#[cfg(test)]
mod tests;
