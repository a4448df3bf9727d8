//! Real threads in one registry: opens, closes, writes, syncs, flushes and deletions of the same tenants at once, over one store.
//!
//! What must hold whatever the order: a tenant has one live session at a time, a write that resolved is there at the next open, and
//! what is closed leaves nothing behind. `THREADS_SEED=<n>` repeats the choices, not the order in which the system runs them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;

use crate::error::Code;
use crate::format::record::{key, session_batch};
use crate::journal::Life;
use crate::platform::disk::memory::MemoryDisk;
use crate::platform::host::{Host, RealHost, random};
use crate::registry::{OpenRequest, Registry};
use crate::session::{Mode, Session};
use crate::sim::{Cluster, Rng};
use crate::store::StoreSpec;

const TENANTS: u64 = 3;
const TASKS: u64 = 12;
const ROUNDS: u64 = 60;
const LONG: Duration = Duration::from_secs(60);

fn request(tenant: u64, store: bool) -> OpenRequest {
    let settings = Cluster::settings_for_tests().of_tenant(&format!("tenant-{tenant}"));
    OpenRequest {
        settings: settings.in_mode(if store { Mode::Hybrid } else { Mode::Local }),
        store: store.then(|| StoreSpec::Memory { name: "one".to_owned() }),
        seed: None,
        listener: Arc::new(|_| {}),
    }
}

fn value(session: &Session, id: &str) -> Option<u64> {
    let read = session.journal().read(|state| state.get(&key("session", id)).map(<[u8]>::to_vec));
    read.expect("an open session answers")
        .map(|bytes| u64::from_le_bytes(bytes.try_into().expect("a number")))
}

/// Every session that somebody has open, by tenant: while one lives, all who open that tenant have it.
#[derive(Default)]
struct OpenSessions(Mutex<HashMap<u64, Vec<Arc<Session>>>>);

impl OpenSessions {
    fn all(&self) -> MutexGuard<'_, HashMap<u64, Vec<Arc<Session>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, tenant: u64, session: &Arc<Session>) {
        let mut all = self.all();
        let others = all.entry(tenant).or_default();
        let is_live = |session: &Arc<Session>| session.journal().life() == Life::Live;
        let another = others.iter().find(|other| is_live(other) && !Arc::ptr_eq(other, session));
        assert!(another.is_none() || !is_live(session), "tenant {tenant} has two live sessions");
        others.push(Arc::clone(session));
    }

    fn leave(&self, tenant: u64, session: &Arc<Session>) {
        let mut all = self.all();
        let others = all.entry(tenant).or_default();
        let at = others.iter().position(|other| Arc::ptr_eq(other, session)).expect("entered");
        others.swap_remove(at);
    }
}

/// Opens tenants, writes a counter of its own to each, and closes them, again and again.
async fn work(registry: &Registry, opened: &OpenSessions, store: bool, task: u64, mut rng: Rng) {
    let id = format!("of-{task}");
    let mut written = HashMap::<u64, u64>::new();
    for round in 1..=ROUNDS {
        let tenant = rng.below(TENANTS);
        let open = registry.open(request(tenant, store)).await.expect("opens");
        let session = open.session;
        opened.enter(tenant, &session);
        assert_eq!(value(&session, &id), written.get(&tenant).copied(), "task {task}, round {round}");
        for step in 0..rng.below(4) {
            let count = round * 10 + step;
            let batch = session_batch(&[(&id, Some(&count.to_le_bytes()))]);
            let lsn = session.journal().append(&batch, false).expect("a session that is held takes it");
            written.insert(tenant, count);
            match rng.below(4) {
                0 => session.settle(lsn, LONG).await.expect("is synced"),
                1 => assert!(session.flush(LONG).await.expect("is stored") >= lsn),
                2 => tokio::task::yield_now().await,
                _ => {}
            }
        }
        assert_eq!(value(&session, &id), written.get(&tenant).copied());
        opened.leave(tenant, &session);
        registry.close(registry.take(open.handle), LONG).await.expect("closes");
    }
}

fn seed() -> u64 {
    let given = std::env::var("THREADS_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| std::process::id().into());
    println!("THREADS_SEED={seed}");
    seed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_many_threads_do_at_once_a_tenant_has_one_session_and_keeps_what_it_was_given() {
    let seed = seed();
    for store in [true, false] {
        let host: Arc<dyn Host> = Arc::new(RealHost::new(tokio::runtime::Handle::current()));
        let registry = Arc::new(Registry::new(host, Arc::new(MemoryDisk::default())));
        let opened = Arc::new(OpenSessions::default());
        let tasks = (0..TASKS).map(|task| {
            let (registry, opened) = (Arc::clone(&registry), Arc::clone(&opened));
            let rng = Rng::new(seed * TASKS + task);
            tokio::spawn(async move { work(&registry, &opened, store, task, rng).await })
        });
        for ended in join_all(tasks).await {
            ended.expect("no task failed");
        }
        assert_eq!((registry.slots.len(), registry.running.len(), registry.handles.len()), (0, 0, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_resolves_after_the_end_of_a_session_that_many_threads_write_to() {
    for life in [Life::Fenced, Life::Closed, Life::Deleted, Life::LeaseLost] {
        let host: Arc<dyn Host> = Arc::new(RealHost::new(tokio::runtime::Handle::current()));
        let id = u64::from_le_bytes(random(host.as_ref()));
        let registry = Registry::new(host, Arc::new(MemoryDisk::default()));
        let session = registry.open(request(id, false)).await.expect("opens").session;
        let (ended, highest) = (AtomicBool::new(false), AtomicU64::new(0));
        let at_end = std::thread::scope(|scope| {
            for writer in 0..4_u64 {
                let (session, ended, highest) = (&session, &ended, &highest);
                scope.spawn(move || {
                    for count in 0_u64.. {
                        let was_over = ended.load(Ordering::SeqCst);
                        let batch = session_batch(&[(&writer.to_string(), Some(&count.to_le_bytes()))]);
                        match session.journal().append(&batch, false) {
                            Ok(lsn) => {
                                assert!(!was_over, "LSN {lsn} resolved after {life:?}");
                                highest.fetch_max(lsn, Ordering::SeqCst);
                            }
                            Err(error) => {
                                let codes = [Code::Fenced, Code::Closed, Code::Deleted, Code::LeaseLost];
                                assert!(codes.contains(&error.code()), "{error}");
                                return;
                            }
                        }
                    }
                });
            }
            while session.journal().lsn() < 200 {
                std::thread::yield_now();
            }
            session.journal().end(life);
            ended.store(true, Ordering::SeqCst);
            session.journal().lsn()
        });
        assert_eq!((session.journal().lsn(), highest.into_inner()), (at_end, at_end), "{life:?}");
    }
}
