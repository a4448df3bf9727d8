//! Connections that break, keep silent or lead to another server, without any server.

use std::collections::VecDeque;
use std::future::pending;

use futures::future::join_all;
use tokio::sync::oneshot;

use super::*;
use crate::sim::SimHost;

/// A connection that leads to the server whose life it has.
struct Line {
    life: Mutex<ServerLife>,
    closed: AtomicBool,
}

impl PooledConnection for Line {
    fn life(&self) -> ServerLife {
        self.life.lock().expect("is whole").clone()
    }

    fn answered_by(&self, life: &ServerLife) {
        *self.life.lock().expect("is whole") = life.clone();
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }
}

/// Leads to one server after another; the last one stays.
struct Exchange {
    host: Arc<dyn Host>,
    servers: Mutex<VecDeque<&'static str>>,
    takes: Duration,
    dialled: AtomicUsize,
}

#[async_trait]
impl Dial for Exchange {
    type Link = Line;

    async fn connect(&self, _purpose: ConnectionPurpose) -> Result<Line, Failure> {
        self.dialled.fetch_add(1, Ordering::Relaxed);
        sleep(self.takes).await;
        let mut servers = self.servers.lock().expect("is whole");
        let server = if servers.len() > 1 { servers.pop_front() } else { servers.front().copied() };
        match server {
            Some("") | None => Err(Failure::new(Meaning::Transient, "no connection")),
            Some(life) => Ok(Line {
                life: Mutex::new(ServerLife::read(life.to_owned())),
                closed: AtomicBool::new(false),
            }),
        }
    }

    fn host(&self) -> &Arc<dyn Host> {
        &self.host
    }
}

fn pool(servers: &[&'static str], most: usize) -> Arc<ConnectionPool<Exchange>> {
    let host: Arc<dyn Host> = SimHost::new(1, tokio::time::Instant::now());
    let servers = Mutex::new(servers.iter().copied().collect());
    let takes = Duration::from_millis(10);
    ConnectionPool::new(Exchange { host, servers, takes, dialled: AtomicUsize::new(0) }, most)
}

const WITHIN: Duration = Duration::from_secs(20);

/// A put over the pool, which answers at once.
async fn put(pool: &Arc<ConnectionPool<Exchange>>) -> Result<Arc<Line>, Failure> {
    pool.ask(ConnectionPurpose::Short, Operation::Put, WITHIN, |line| async move { Ok(line) }).await
}

fn dialled(pool: &ConnectionPool<Exchange>) -> usize {
    pool.dialler().dialled.load(Ordering::Relaxed)
}

fn open(pool: &ConnectionPool<Exchange>) -> usize {
    let is_open = |slot: &&PoolSlot<Line>| slot.held.try_lock().is_ok_and(|held| held.connection.is_some());
    pool.slots.iter().filter(is_open).count()
}

fn text(life: &str) -> Option<ServerLife> {
    Some(ServerLife::read(life.to_owned()))
}

#[tokio::test(start_paused = true)]
async fn request_is_never_sent_to_another_server_than_the_one_that_answered_when_it_began() {
    let pool = pool(&["1:00000001", "1:00000002"], 1);
    let line = put(&pool).await.expect("answers");
    line.closed.store(true, Ordering::Relaxed);
    let sent = AtomicBool::new(false);
    let work = |_: Arc<Line>| async {
        sent.store(true, Ordering::Relaxed);
        Ok(())
    };
    let failure =
        pool.ask(ConnectionPurpose::Short, Operation::Put, WITHIN, work).await.expect_err("another server");
    assert_eq!(failure.meaning, Meaning::Transient);
    assert!(!sent.load(Ordering::Relaxed));
    assert_eq!(pool.life(), text("1:00000002"));
    put(&pool).await.expect("whoever knows of it goes on");
}

#[tokio::test(start_paused = true)]
async fn answer_of_a_server_that_was_replaced_meanwhile_does_not_count() {
    let pool = pool(&["1:00000001", "1:00000002"], 3);
    let (answer, waits) = oneshot::channel::<()>();
    let slow = pool.ask(ConnectionPurpose::Short, Operation::Put, WITHIN, |_| async move {
        waits.await.expect("is answered");
        Ok(())
    });
    let other = async {
        // Two under way make another connection worth it.
        sleep(Duration::from_secs(1)).await;
        let work = |_: Arc<Line>| async {
            sleep(Duration::from_millis(5)).await;
            Ok(())
        };
        let more = (0..3).map(|_| pool.ask(ConnectionPurpose::Short, Operation::Put, WITHIN, work));
        join_all(more).await;
        answer.send(()).expect("is awaited");
    };
    let (slow, ()) = futures::join!(slow, other);
    assert_eq!(dialled(&pool), 2);
    assert_eq!(slow.expect_err("was replaced").meaning, Meaning::Ambiguous);
}

#[tokio::test(start_paused = true)]
async fn server_on_a_former_timeline_is_refused_and_one_of_another_cluster_is_not() {
    let pool = pool(&["1:00000002", "1:00000001", "1:00000001", "2:00000001"], 1);
    put(&pool).await.expect("answers").closed.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        assert_eq!(put(&pool).await.err().map(|failure| failure.meaning), Some(Meaning::Transient));
        assert_eq!(pool.life(), text("1:00000002"));
    }
    assert!(put(&pool).await.is_err(), "it was begun under the former one");
    put(&pool).await.expect("a new cluster");
    assert_eq!(pool.life(), text("2:00000001"));
}

#[tokio::test(start_paused = true)]
async fn life_that_an_answer_tells_counts_for_all_connections() {
    let pool = pool(&["1:00000001"], 2);
    let line = put(&pool).await.expect("answers");
    assert!(
        pool.answered(&line, &ServerLife::read("1:00000002".to_owned())),
        "a pooler leads to another one"
    );
    assert_eq!(pool.life(), text("1:00000002"));
    assert!(
        !pool.answered(&line, &ServerLife::read("1:00000001".to_owned())),
        "the former one is no authority"
    );
    assert_eq!(pool.life(), text("1:00000002"));
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_a_connection_that_fails_share_its_failure() {
    let pool = pool(&[""], 1);
    let failed = join_all((0..100).map(|_| put(&pool))).await;
    assert!(failed.iter().all(Result::is_err));
    assert_eq!(dialled(&pool), 1);
    assert!(put(&pool).await.is_err());
    assert_eq!(dialled(&pool), 2, "who comes later tries again");
}

#[tokio::test(start_paused = true)]
async fn thousands_of_requests_share_the_connections_and_idle_ones_are_closed() {
    let pool = pool(&["1:00000001"], 4);
    let work = |_: Arc<Line>| async {
        sleep(Duration::from_millis(5)).await;
        Ok(())
    };
    let all = (0..2000).map(|_| pool.ask(ConnectionPurpose::Short, Operation::Put, WITHIN, work));
    assert!(join_all(all).await.iter().all(Result::is_ok));
    pool.ask(ConnectionPurpose::Long, Operation::Get, WITHIN, work).await.expect("answers");
    assert_eq!((dialled(&pool), open(&pool)), (4, 4));
    sleep(IDLE * 3).await;
    assert_eq!((open(&pool), pool.is_idle()), (0, true));
    put(&pool).await.expect("answers");
    assert_eq!((open(&pool), pool.is_idle()), (1, false));
}

#[tokio::test(start_paused = true)]
async fn connection_that_keeps_silent_is_not_used_again() {
    let pool = pool(&["1:00000001"], 1);
    let silent = pool
        .ask(ConnectionPurpose::Short, Operation::Put, WITHIN, |_| pending::<Result<(), RequestFailure>>())
        .await;
    assert_eq!(silent.expect_err("no answer").meaning, Meaning::Ambiguous);
    put(&pool).await.expect("answers");
    assert_eq!(dialled(&pool), 2);
}
