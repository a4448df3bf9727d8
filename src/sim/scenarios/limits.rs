//! Stores that limit the size of an object: what is larger travels in parts, and what can never be stored stops nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::super::cluster::{CHECK, Cluster, hold};
use super::super::outages::{Told, refusing, session_with};
use super::super::run;
use crate::error::Code;
use crate::event::Event;
use crate::format::record::{key, push};
use crate::platform::host::sleep;
use crate::replication::Pace;
use crate::session::Session;
use crate::session::open::Settings;
use crate::store::adapters::memory::Memory;

const LONG: Duration = Duration::from_secs(600);
const LIMIT: usize = 60_000;

fn settings() -> Settings {
    Cluster::settings_for_tests().taking_over()
}

/// Sets a value that does not compress.
fn set(session: &Session, id: usize, len: usize) {
    let mut value = vec![3];
    let mut rng = super::super::host::Rng::new(id as u64 + 1);
    while value.len() < len {
        value.extend_from_slice(&rng.next().to_le_bytes());
    }
    let mut batch = Vec::new();
    push(&mut batch, &key("session", &id.to_string()), Some(&value));
    session.journal().append(&batch, false).expect("a live session takes it");
}

/// Sets eight values that together are larger than `LIMIT`.
fn set_eight(session: &Session, first: usize) {
    (first..first + 8).for_each(|id| set(session, id, 20_000));
}

fn is_degraded((_, event): &(tokio::time::Instant, Event)) -> bool {
    matches!(event, Event::Degraded(_) | Event::Failed(_))
}

/// The names in the store that end so.
fn names(memory: &Memory, ending: &str) -> Vec<String> {
    memory.objects().keys().filter(|name| name.ends_with(ending)).cloned().collect()
}

fn limited() -> Memory {
    Memory::default().limited(Arc::new(AtomicUsize::new(LIMIT)))
}

async fn opened(memory: &Memory) -> (Session, Told) {
    session_with(Arc::new(memory.clone()), settings()).await.expect("opens")
}

#[test]
fn a_session_that_is_larger_than_the_store_takes_is_stored_in_parts_and_opens_everywhere() {
    run(async {
        let memory = limited();
        let (session, told) = opened(&memory).await;
        for id in 0..8 {
            set(&session, id, 20_000);
            session.flush(LONG).await.expect("small segments are stored");
        }
        // A batch that is too large by itself, as after an import or a long outage.
        set_eight(&session, 8);
        session.flush(LONG).await.expect("a large segment is stored");
        session.renew(LONG).await.expect("a large base is stored");
        session.close(LONG).await.expect("closes");
        assert!(!hold(&told).iter().any(is_degraded), "{:?}", hold(&told));
        assert!(memory.objects().values().all(|object| object.len() <= LIMIT));
        for _ in 0..3 {
            let (heir, told) = opened(&memory).await;
            assert_eq!((heir.journal().lsn(), heir.origin().clean), (16, true));
            heir.renew(LONG).await.expect("renews");
            heir.close(LONG).await.expect("closes");
            assert!(!hold(&told).iter().any(is_degraded));
            // What is superfluous goes with its parts.
            let (bases, parts) = (names(&memory, ".base"), names(&memory, ".part"));
            assert_eq!(bases.len(), 2, "{bases:?}");
            assert!(parts.iter().all(|part| bases.iter().any(|base| part.starts_with(base))), "{parts:?}");
        }
    });
}

#[test]
fn a_base_with_a_part_that_was_lost_is_damaged_and_the_one_before_it_restores() {
    run(async {
        let memory = limited();
        let (session, _) = opened(&memory).await;
        set_eight(&session, 0);
        session.flush(LONG).await.expect("is stored");
        session.renew(LONG).await.expect("is stored");
        set(&session, 1, 30);
        session.flush(LONG).await.expect("is stored");
        session.close(LONG).await.expect("closes");
        let newest = names(&memory, ".base").pop().expect("there is one");
        let part = names(&memory, ".part").into_iter().find(|part| part.starts_with(&newest));
        memory.objects().remove(&part.expect("it is in parts"));
        let (heir, _) = opened(&memory).await;
        assert_eq!(heir.journal().lsn(), 9);
        heir.close(LONG).await.expect("closes");
    });
}

/// `memory` behind a store that takes no base while the switch is on, whatever its size.
fn no_bases(memory: &Memory, on: &Arc<AtomicBool>) -> Arc<Memory> {
    let on = Arc::clone(on);
    refusing(memory, move |name| on.load(Ordering::Relaxed) && name.contains(".base"))
}

fn base_refused(session: &Session) -> Option<Code> {
    session.status().expect("tells").base_refused.map(|error| error.code())
}

#[test]
fn a_base_that_is_refused_at_a_refresh_or_a_rekey_stops_no_segment_and_stays_in_the_status() {
    const OLD: Duration = Duration::from_secs(60);
    run(async {
        let (memory, on) = (Memory::default(), Arc::new(AtomicBool::new(false)));
        let store = no_bases(&memory, &on);
        let (session, told) = session_with(store, settings().refreshing_after(OLD)).await.expect("opens");
        set(&session, 0, 100);
        session.flush(LONG).await.expect("is stored");
        on.store(true, Ordering::Relaxed);
        let refused = session.renew(LONG).await.expect_err("the base is refused");
        assert_eq!(refused.code(), Code::RemoteRefused, "{refused}");
        for id in 1..100 {
            set(&session, id, 100);
            session.flush(Duration::from_secs(5)).await.expect("segments go on");
            sleep(Duration::from_secs(7)).await;
        }
        assert_eq!(base_refused(&session), Some(Code::RemoteRefused));
        let failed = hold(&told).iter().filter(|(_, event)| matches!(event, Event::Failed(_))).count();
        assert_eq!(failed, 1, "told once");
        assert!(
            !hold(&told).iter().any(|(_, event)| matches!(event, Event::Degraded(_))),
            "segments are taken"
        );
        on.store(false, Ordering::Relaxed);
        let (heir, _) = opened(&memory).await;
        assert_eq!(heir.journal().lsn(), 100);
        heir.close(LONG).await.expect("closes");
    });
}

#[test]
fn a_base_that_was_refused_is_tried_again_and_that_it_is_there_is_told() {
    run(async {
        let (memory, on) = (Memory::default(), Arc::new(AtomicBool::new(false)));
        let store = no_bases(&memory, &on);
        let (session, told) = session_with(store, settings()).await.expect("opens");
        on.store(true, Ordering::Relaxed);
        for id in 0..300 {
            set(&session, id, 20);
            session.flush(Duration::from_secs(5)).await.expect("segments go on");
        }
        assert_eq!(base_refused(&session), Some(Code::RemoteRefused));
        on.store(false, Ordering::Relaxed);
        sleep(Duration::from_secs(3600)).await;
        set(&session, 1, 50);
        session.flush(Duration::from_secs(5)).await.expect("is stored");
        sleep(CHECK).await;
        assert_eq!(base_refused(&session), None);
        assert!(hold(&told).iter().any(|(_, event)| matches!(event, Event::Repaired(_))));
        assert!(names(&memory, ".base").len() > 1);
        session.close(LONG).await.expect("closes");
    });
}
