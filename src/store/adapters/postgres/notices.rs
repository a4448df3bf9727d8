//! Notices of changed claims, and locks, over one connection that listens and holds.
//!
//! A lock that is free costs nothing but a wait; so nothing depends on this connection. A pooler in transaction mode lets it listen and passes nothing on, and a lock would
//! stay behind there: locks are held only over a connection that has heard a notice of its own.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::timeout;
use tokio_postgres::types::Type;
use tokio_postgres::{AsyncMessage, Client};

use super::connection::{Connection, Dialler};
use super::failure::broken;
use crate::format::name::read_notice;
use crate::id::hex;
use crate::platform::host::{random, sleep};
use crate::platform::meter::METERS;
use crate::store::adapters::listening::{Listen, listen};
use crate::store::adapters::pool::{ConnectionPool, ConnectionPurpose, Dial};
use crate::store::{Notice, Operation};

/// The channel.
pub const CHANNEL: &str = "baileys_hybrid_auth";
/// Time that an open waits for a lock. Without one, its successor waits longer.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// Locks of one process: those of a server are limited, and not ours alone.
const MOST_LOCKS: usize = 1000;

/// Hearing of a connection: whether a notice of its own reaches it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hearing {
    /// It may still come.
    Unknown,
    /// It is a session of its own.
    Own,
    /// A pooler is in between.
    Deaf,
}

enum LockOrder {
    Hold(u64, oneshot::Sender<bool>),
    Release(u64),
}

/// Notices of one store, and the locks of this process.
pub struct Notices {
    heard: broadcast::Sender<Notice>,
    orders: mpsc::UnboundedSender<LockOrder>,
}

/// Locks that are wanted, and those who wait for one.
struct Locks {
    orders: mpsc::UnboundedReceiver<LockOrder>,
    wanted: BTreeSet<u64>,
    waiting: Vec<(u64, oneshot::Sender<bool>)>,
}

impl Notices {
    /// Listens to the database of `pool`, as long as a session is in it.
    pub fn of(pool: &Arc<ConnectionPool<Dialler>>) -> Notices {
        let (orders, received) = mpsc::unbounded_channel();
        let locks = Locks { orders: received, wanted: BTreeSet::new(), waiting: Vec::new() };
        Notices { heard: listen(pool, locks), orders }
    }

    /// All from now on.
    pub fn follow(&self) -> broadcast::Receiver<Notice> {
        self.heard.subscribe()
    }

    /// Holds a lock until it is released; false if it could not be held in time.
    pub async fn hold(&self, lock: u64) -> bool {
        let (answer, wait) = oneshot::channel();
        let asked = self.orders.send(LockOrder::Hold(lock, answer));
        asked.is_ok() && matches!(timeout(LONGEST_WAIT, wait).await, Ok(Ok(true)))
    }

    /// Lets go of a lock.
    pub fn release(&self, lock: u64) {
        // Without a listener there is none.
        let _ = self.orders.send(LockOrder::Release(lock));
    }
}

#[async_trait]
impl Listen<Dialler> for Locks {
    fn is_needed(&self) -> bool {
        !self.wanted.is_empty()
    }

    async fn listen(&mut self, pool: Arc<ConnectionPool<Dialler>>, to: &broadcast::Sender<Notice>) -> bool {
        let Ok((client, mut driver)) = pool.dialler().dial(ConnectionPurpose::Long).await else {
            return false;
        };
        let host = Arc::clone(pool.dialler().host());
        let (pass_on, mut told) = mpsc::unbounded_channel();
        let open = METERS.connections.raise();
        host.spawn(Box::pin(async move {
            while let Some(Ok(message)) = poll_fn(|cx| driver.poll_message(cx)).await {
                if let AsyncMessage::Notification(notification) = message {
                    // Whoever listened may be gone; then so is the client, and this ends.
                    let _ = pass_on.send(notification.payload().to_owned());
                }
            }
            drop(open);
        }));
        if client.batch_execute(&format!("listen {CHANNEL}")).await.is_err() {
            return false;
        }
        let own = format!("own {}", hex(&random::<8>(host.as_ref())));
        announce(&pool, &own).await;
        let pool = Arc::downgrade(&pool);
        let mut hearing = Hearing::Unknown;
        let mut deaf = pin!(sleep(LONGEST_WAIT));
        loop {
            tokio::select! {
                () = &mut deaf, if hearing == Hearing::Unknown => {
                    hearing = Hearing::Deaf;
                    self.give_up();
                }
                payload = told.recv() => match payload {
                    None => return true,
                    Some(payload) if payload == own => {
                        hearing = Hearing::Own;
                        self.hold_all(&client).await;
                    }
                    Some(payload) => {
                        if let Some(notice) = read_notice(&payload) {
                            // Nobody may be waiting.
                            let _ = to.send(notice);
                        }
                    }
                },
                Some(order) = self.orders.recv() => self.obey(order, &client, hearing).await,
                () = sleep(Duration::from_secs(60)) => {
                    if self.wanted.is_empty() && pool.upgrade().is_none_or(|pool| pool.is_idle()) {
                        return true;
                    }
                }
            }
        }
    }
}

/// Sends a notice over another connection: only one that is a session of its own hears it.
async fn announce(pool: &Arc<ConnectionPool<Dialler>>, text: &str) {
    let work = |connection: Arc<Connection>| async move {
        let told = connection
            .client()
            .query_typed("select pg_notify($1, $2)", &[(&CHANNEL, Type::TEXT), (&text, Type::TEXT)])
            .await;
        told.map(|_| ()).map_err(|error| broken(&error, Operation::List))
    };
    // Unheard it costs a wait.
    let _ = pool.ask(ConnectionPurpose::Short, Operation::List, LONGEST_WAIT, work).await;
}

impl Locks {
    async fn obey(&mut self, order: LockOrder, client: &Client, hearing: Hearing) {
        match (order, hearing) {
            (LockOrder::Hold(_, answer), _) if self.wanted.len() >= MOST_LOCKS => _ = answer.send(false),
            (LockOrder::Hold(_, answer), Hearing::Deaf) => _ = answer.send(false),
            (LockOrder::Hold(lock, answer), Hearing::Own) => {
                self.wanted.insert(lock);
                // Whoever asked may have given up.
                let _ = answer.send(try_lock(client, lock).await);
            }
            (LockOrder::Hold(lock, answer), Hearing::Unknown) => {
                self.wanted.insert(lock);
                self.waiting.push((lock, answer));
            }
            (LockOrder::Release(lock), hearing) => {
                self.waiting.retain(|(other, _)| *other != lock);
                if self.wanted.remove(&lock) && hearing == Hearing::Own {
                    // It falls with the connection at the latest.
                    let key = lock.cast_signed();
                    let _ = client.query_typed("select pg_advisory_unlock($1)", &[(&key, Type::INT8)]).await;
                }
            }
        }
    }

    /// Holds none: the connection does not hear what it is sent.
    fn give_up(&mut self) {
        self.wanted.clear();
        for (_, answer) in self.waiting.drain(..) {
            // Whoever asked may have given up.
            let _ = answer.send(false);
        }
    }

    /// Holds all that are wanted, over a new connection.
    async fn hold_all(&mut self, client: &Client) {
        let waiting = std::mem::take(&mut self.waiting);
        for lock in self.wanted.clone() {
            let is_held = try_lock(client, lock).await;
            if !is_held {
                self.wanted.remove(&lock);
            }
        }
        for (lock, answer) in waiting {
            let _ = answer.send(self.wanted.contains(&lock));
        }
    }
}

async fn try_lock(client: &Client, lock: u64) -> bool {
    let locked =
        client.query_typed_one("select pg_try_advisory_lock($1)", &[(&lock.cast_signed(), Type::INT8)]).await;
    locked.is_ok_and(|row| row.get(0))
}
