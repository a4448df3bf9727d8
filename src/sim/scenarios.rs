//! Single stories, told once: what a user would notice if it were otherwise.
//!
//! Those here are of owners that follow one another, and of a store that loses what it had; `disks` are of what is local, `slow_disks` of disks that take their time, `rot`
//! of logs that were damaged, `limits` of stores that take no large objects, `losses` of stores that lose some, `slow_puts` of
//! uploads that take longer than a handover, `closes` of ends that are cut short, `copies` of processes that are copied as they run,
//! `guards` of what is rare, `tools` of tools that go on where a session was left, `looks` of those who only look, `lookouts` of owners whose looks for a newer one fail, `logouts` of sessions that are deleted while others take them over, and `costs` of what goes over the wire.

mod closes;
mod copies;
mod costs;
mod disks;
mod failovers;
mod forged;
mod guards;
mod limits;
mod locks;
mod logouts;
mod lookouts;
mod looks;
mod losses;
mod notices;
mod rot;
mod slow_disks;
mod slow_puts;
mod stale;
mod tools;

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use crate::error::{Code, Error};
use crate::event::Event;
use crate::format::name::{DataName, Span};
use crate::format::record::{key, push};
use crate::journal::Life;
use crate::platform::host::sleep;
use crate::replication::Pace;
use crate::session::open::Settings;
use crate::session::{OriginSource, Session, Status, StoreState};
use crate::store::adapters::memory::Memory;

use super::cluster::{CHECK, Cluster, Weather};
use super::host::Rng;
use super::machine::{Machine, Opening};
use super::{outages, run};

fn calm() -> Arc<Cluster> {
    Cluster::new(3, 1000, Weather::default())
}

/// A machine with an open session.
async fn opened(cluster: &Arc<Cluster>, how: Opening) -> Machine {
    let mut machine = Machine::new(cluster);
    machine.start(how);
    sleep(Duration::from_millis(100)).await;
    machine
}

fn write(machine: &Machine, times: usize) {
    let mut rng = Rng::new(5);
    for _ in 0..times {
        assert!(machine.process().write(&mut rng));
    }
}

fn set(session: &Session, id: &str, value: &[u8]) -> Result<u64, Code> {
    let mut batch = Vec::new();
    push(&mut batch, &key("session", id), Some(value));
    session.journal().append(&batch, false).map_err(|error| error.code())
}

fn get(session: &Session, id: &str) -> Option<Vec<u8>> {
    session.journal().read(|state| state.get(&key("session", id)).map(<[u8]>::to_vec)).expect("reads")
}

/// The data objects in the store.
fn data(cluster: &Cluster) -> Vec<DataName> {
    cluster.store.objects().keys().filter_map(|name| DataName::parse(name.rsplit('/').next()?)).collect()
}

#[test]
fn a_healthy_handover_loses_nothing_and_says_so() {
    run(async {
        let cluster = calm();
        let first = opened(&cluster, Opening::default()).await;
        write(&first, 5);
        let mut second = Machine::new(&cluster);
        second.start(Opening::default());
        // The first one goes on until it is told; every write that was accepted must be there.
        let mut rng = Rng::new(1);
        for _ in 0..1_000 {
            if !first.process().write(&mut rng) {
                break;
            }
            sleep(Duration::from_millis(7)).await;
        }
        sleep(CHECK * 2).await;
        let (old, new) = (first.session(), second.session());
        assert_eq!(old.journal().progress().life, Life::Fenced);
        assert_eq!(new.origin().source, OriginSource::Remote);
        assert!(new.origin().clean, "the predecessor handed everything over");
        assert_eq!(new.journal().lsn(), old.journal().lsn(), "I20");
    });
}

/// Looks at a session at the very moment that wakes somebody who waits for it.
struct Onlooker {
    session: Arc<Session>,
    seen: Mutex<Vec<Status>>,
}

impl Wake for Onlooker {
    fn wake(self: Arc<Self>) {
        let status = self.session.status().expect("has one");
        self.seen.lock().expect("is whole").push(status);
    }
}

#[test]
fn the_status_has_what_is_stored_when_those_who_wait_for_it_are_told() {
    run(async {
        let cluster = calm();
        let machine = opened(&cluster, Opening::default()).await;
        let session = machine.session();
        cluster.outage.store(true, Ordering::Relaxed);
        write(&machine, 1);
        sleep(CHECK).await;
        let onlooker = Arc::new(Onlooker { session: Arc::clone(&session), seen: Mutex::default() });
        let waker = Waker::from(Arc::clone(&onlooker));
        let mut flush = pin!(session.flush(CHECK * 100));
        assert!(flush.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        cluster.outage.store(false, Ordering::Relaxed);
        sleep(CHECK * 10).await;
        let seen = onlooker.seen.lock().expect("is whole").clone();
        let told = seen.iter().find(|status| status.remote_durable_lsn == Some(1)).expect("it was stored");
        assert_eq!((told.store, told.last_backup_at.is_some()), (StoreState::Ok, true), "{told:?}");
    });
}

#[test]
fn a_predecessor_that_is_waited_for_hands_over_once_the_store_takes_its_data_again() {
    run(async {
        let memory = Memory::default();
        let deaf = Arc::new(AtomicBool::new(false));
        let settings = Cluster::settings_for_tests();
        let settings = settings.checking_every(Duration::from_secs(5)).waiting(CHECK * 1_000);
        let store = outages::takes_no_data_while(&memory, &deaf);
        let (older, told) = outages::session_with(store, settings.clone()).await.expect("opens");
        outages::set(&older, 1);
        older.flush(CHECK * 10).await.expect("is stored");
        deaf.store(true, Ordering::Relaxed);
        outages::set(&older, 2);
        let healing = async {
            while !told.lock().expect("is whole").iter().any(|(_, event)| matches!(event, Event::Fenced)) {
                sleep(CHECK).await;
            }
            // Longer than a single request is tried for, and not as long as a handover may take.
            sleep(Duration::from_secs(9)).await;
            deaf.store(false, Ordering::Relaxed);
        };
        let opening = outages::session_with(Arc::new(memory), settings);
        let (newer, ()) = futures::join!(opening, healing);
        let (newer, _) = newer.expect("takes over");
        assert_eq!((newer.journal().lsn(), newer.origin().clean), (2, true));
    });
}

#[test]
fn a_machine_that_vanished_is_given_up_after_its_time_and_reported_as_unclean() {
    run(async {
        let cluster = calm();
        let mut first = opened(&cluster, Opening::default()).await;
        write(&first, 5);
        sleep(Duration::from_secs(1)).await;
        first.kill();
        let mut second = Machine::new(&cluster);
        second.start(Opening::default());
        sleep(CHECK).await;
        assert!(second.process().session().is_none(), "it might still be alive");
        sleep(CHECK * 4).await;
        assert!(!second.session().origin().clean);
    });
}

#[test]
fn a_restart_on_the_same_disk_waits_for_nobody_and_keeps_the_unsent_tail() {
    run(async {
        let cluster = calm();
        let mut machine = opened(&cluster, Opening::default()).await;
        cluster.outage.store(true, Ordering::Relaxed);
        write(&machine, 20);
        machine.kill();
        cluster.outage.store(false, Ordering::Relaxed);
        machine.start(Opening::default());
        sleep(Duration::from_millis(100)).await;
        assert_eq!(machine.session().origin().source, OriginSource::Local);
        assert_eq!(machine.session().journal().lsn(), 20);
    });
}

#[test]
fn under_the_strict_policy_silence_ends_the_session() {
    run(async {
        let cluster = calm();
        let machine = opened(&cluster, Opening { strict: true, ..Opening::default() }).await;
        write(&machine, 1);
        cluster.outage.store(true, Ordering::Relaxed);
        sleep(CHECK * 4).await;
        assert_eq!(set(&machine.session(), "a", b"\x031"), Err(Code::LeaseLost));
        cluster.outage.store(false, Ordering::Relaxed);
        sleep(CHECK * 4).await;
        assert_eq!(
            set(&machine.session(), "a", b"\x031"),
            Err(Code::LeaseLost),
            "it does not come back by itself"
        );
    });
}

#[test]
fn a_store_emptied_under_a_running_session_is_filled_again() {
    run(async {
        let cluster = calm();
        let mut machine = opened(&cluster, Opening::default()).await;
        write(&machine, 5);
        sleep(Duration::from_secs(1)).await;
        cluster.tampered.store(true, Ordering::Relaxed);
        assert!(!std::mem::take(&mut *cluster.store.objects()).is_empty());
        cluster.oracle().emptied();
        let session = machine.session();
        set(&session, "x", b"\x03z").expect("sets");
        sleep(CHECK * 10).await;
        let names = data(&cluster);
        assert!(names.iter().any(|name| matches!(name.span, Span::Base(6))), "{names:?}");
        assert_eq!(session.journal().progress().stored, 6, "what the new base holds is acknowledged");
        assert!(names.iter().all(|name| name.claim == session.claim().expect("has one")));
        assert_eq!(session.journal().progress().life, Life::Live);
        drop(session);
        machine.kill();
        let blank = opened(&cluster, Opening { takeover: true, ..Opening::default() }).await;
        assert_eq!(get(&blank.session(), "x"), Some(b"\x03z".to_vec()));
    });
}

#[test]
fn what_waited_when_the_store_was_emptied_is_acknowledged_with_the_refill() {
    run(async {
        let cluster = calm();
        let machine = opened(&cluster, Opening::default()).await;
        write(&machine, 1);
        // Just before a tick: the next change waits for its interval, and the tick comes first.
        sleep(Duration::from_millis(840)).await;
        write(&machine, 1);
        sleep(Duration::from_millis(30)).await;
        assert_eq!(machine.session().journal().progress().stored, 2);
        cluster.tampered.store(true, Ordering::Relaxed);
        cluster.store.objects().clear();
        cluster.oracle().emptied();
        set(&machine.session(), "x", b"\x03z").expect("sets");
        sleep(Duration::from_millis(60)).await;
        assert!(data(&cluster).iter().any(|name| matches!(name.span, Span::Base(3))), "{:?}", data(&cluster));
        assert_eq!(machine.session().journal().progress().stored, 3);
    });
}

#[test]
fn closing_stores_the_rest_and_the_next_open_is_clean_and_waits_for_nobody() {
    run(async {
        let cluster = calm();
        let mut machine = opened(&cluster, Opening::default()).await;
        write(&machine, 9);
        machine.session().close(Duration::from_secs(5)).await.expect("closes");
        assert_eq!(set(&machine.session(), "a", b"\x031"), Err(Code::Closed));
        machine.wipe();
        machine.start(Opening::default());
        sleep(Duration::from_millis(50)).await;
        assert_eq!((machine.session().origin().clean, machine.session().journal().lsn()), (true, 9));
    });
}

#[test]
fn closing_during_an_outage_gives_up_in_time_and_loses_nothing() {
    run(async {
        let cluster = calm();
        let mut machine = opened(&cluster, Opening::default()).await;
        write(&machine, 3);
        sleep(Duration::from_secs(1)).await;
        cluster.outage.store(true, Ordering::Relaxed);
        write(&machine, 4);
        let session = machine.session();
        let began = tokio::time::Instant::now();
        let error = session.close(Duration::from_secs(2)).await.expect_err("the store is away");
        assert_eq!(error.code(), Code::RemoteUnavailable);
        assert!(error.message.contains("4 to 7"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(3));
        drop(session);
        machine.kill();
        cluster.outage.store(false, Ordering::Relaxed);
        machine.start(Opening::default());
        sleep(Duration::from_millis(100)).await;
        assert_eq!(
            (machine.session().origin().source, machine.session().journal().lsn()),
            (OriginSource::Local, 7)
        );
    });
}
