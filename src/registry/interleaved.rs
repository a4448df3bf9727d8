//! The registry, with opens and closes of one tenant in every order that shuttle tries.
//!
//! Real threads do the same in `threads`, with a store and more of everything, and in the orders that the system happens to choose.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use shuttle::future;
use shuttle::rand::{Rng, thread_rng};

use super::*;
use crate::format::record::{key, session_batch};
use crate::platform::disk::memory::MemoryDisk;
use crate::session::Mode;
use crate::sim::Cluster;
use crate::sim::interleaved::{SteppedHost, explore};

const LONG: Duration = Duration::from_secs(60);

fn request() -> OpenRequest {
    OpenRequest {
        settings: Cluster::settings_for_tests().in_mode(Mode::Local),
        store: None,
        seed: None,
        listener: Arc::new(|_| {}),
    }
}

fn value(session: &Session, task: u64) -> Option<u64> {
    let read =
        session.journal().read(|state| state.get(&key("session", &task.to_string())).map(<[u8]>::to_vec));
    read.expect("an open session answers")
        .map(|bytes| u64::from_le_bytes(bytes.try_into().expect("a number")))
}

/// Opens the tenant, writes, and closes it, twice. Whoever holds a live session holds the one that all others hold.
async fn work(
    registry: Arc<Registry>,
    held: Arc<Mutex<Vec<Arc<Session>>>>,
    task: u64,
    opens: Arc<AtomicU64>,
) {
    let mut written = None;
    for round in 1..=2_u64 {
        let OpenOutcome { handle, session, shared } = registry.open(request()).await.expect("opens");
        {
            let mut held = held.lock().expect("no panic");
            assert!(held.iter().all(|other| Arc::ptr_eq(other, &session)), "two sessions of one tenant");
            held.push(Arc::clone(&session));
        }
        if !shared {
            opens.fetch_add(1, Ordering::Relaxed);
        }
        assert_eq!(value(&session, task), written, "task {task}, round {round}");
        let batch = session_batch(&[(&task.to_string(), Some(&round.to_le_bytes()))]);
        session.journal().append(&batch, false).expect("a session that is held takes it");
        written = Some(round);
        if thread_rng().gen_bool(0.3) {
            future::yield_now().await;
        }
        {
            let mut held = held.lock().expect("no panic");
            let at = held.iter().position(|other| Arc::ptr_eq(other, &session)).expect("held");
            held.swap_remove(at);
        }
        // It is let go before the close, as a caller does.
        drop(session);
        registry.close(registry.take(handle), LONG).await.expect("closes");
    }
}

#[test]
fn a_tenant_that_is_opened_and_closed_at_once_has_one_session_at_a_time_and_leaves_nothing() {
    explore(150, || {
        let registry =
            Arc::new(Registry::new(Arc::new(SteppedHost::default()), Arc::new(MemoryDisk::default())));
        let (held, opens) = (Arc::default(), Arc::new(AtomicU64::new(0)));
        let tasks = (0..3).map(|task| {
            future::spawn(work(Arc::clone(&registry), Arc::clone(&held), task, Arc::clone(&opens)))
        });
        let tasks: Vec<_> = tasks.collect();
        tasks.into_iter().for_each(|task| future::block_on(task).expect("ends"));
        assert!(opens.load(Ordering::Relaxed) >= 1);
        assert_eq!((registry.slots.len(), registry.running.len(), registry.handles.len()), (0, 0, 0));
        let again = future::block_on(registry.open(request())).expect("opens");
        assert!((0..3).all(|task| value(&again.session, task) == Some(2)), "each has its last write");
        future::block_on(registry.close(registry.take(again.handle), LONG)).expect("closes");
    });
}
