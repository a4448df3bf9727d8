//! Stores that limit the size of an object: what is larger travels in parts, and what can never be stored stops nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
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

#[test]
fn a_lost_mark_is_stored_again_without_a_base_which_the_store_may_not_take() {
    run(async {
        for (mark, takes_bases) in [("", false), (".live", false), ("", true), (".live", true)] {
            let (memory, on) = (Memory::default(), Arc::new(AtomicBool::new(false)));
            let (session, told) = session_with(no_bases(&memory, &on), settings()).await.expect("opens");
            set(&session, 0, 100);
            session.flush(LONG).await.expect("is stored");
            if !takes_bases {
                on.store(true, Ordering::Relaxed);
                session.renew(LONG).await.expect_err("the base is refused");
            }
            let claim = session.claim().expect("has one");
            let lost =
                memory.objects().keys().find(|name| name.ends_with(&format!("{claim}{mark}"))).cloned();
            let lost = lost.expect("is there");
            memory.objects().remove(&lost);
            for id in 1..80 {
                set(&session, id, 100);
                session.flush(Duration::from_secs(5)).await.expect("segments go on");
            }
            sleep(CHECK * 4).await;
            assert!(memory.objects().contains_key(&lost), "{lost} is there again");
            assert_eq!(base_refused(&session), (!takes_bases).then_some(Code::RemoteRefused), "as before");
            assert_eq!(names(&memory, ".base").len(), 1, "{lost} needs none");
            let repaired = |(_, event): &(_, Event)| matches!(event, Event::Repaired(_));
            assert_eq!(hold(&told).iter().filter(|event| repaired(event)).count(), 1);
            assert!(!hold(&told).iter().any(|(_, event)| matches!(event, Event::Degraded(_))));
            let (heir, _) = opened(&memory).await;
            assert_eq!(heir.journal().lsn(), 80, "without {lost}");
            heir.close(LONG).await.expect("closes");
        }
    });
}

#[test]
fn a_store_that_lost_a_segment_and_takes_no_base_is_told_of_and_nothing_is_acknowledged_over_the_hole() {
    run(async {
        for comes_back in [true, false] {
            let (memory, on) = (Memory::default(), Arc::new(AtomicBool::new(false)));
            let (session, _) = session_with(no_bases(&memory, &on), settings()).await.expect("opens");
            for id in 0..5 {
                set(&session, id, 100);
                session.flush(LONG).await.expect("is stored");
            }
            on.store(true, Ordering::Relaxed);
            let lost = names(&memory, ".seg").first().cloned().expect("there is one");
            let bytes = memory.objects().remove(&lost).expect("is there");
            for id in 5..45 {
                set(&session, id, 100);
                // Until the chain is looked at.
                let _ = session.flush(Duration::from_secs(5)).await;
            }
            sleep(CHECK * 4).await;
            set(&session, 100, 100);
            session.flush(Duration::from_secs(60)).await.expect_err("not over a hole that is known");
            assert_eq!(base_refused(&session), Some(Code::RemoteRefused));
            if comes_back {
                memory.objects().insert(lost, bytes);
            } else {
                on.store(false, Ordering::Relaxed);
            }
            let confirmed = session.flush(LONG).await.expect("is stored");
            assert_eq!(
                base_refused(&session),
                comes_back.then_some(Code::RemoteRefused),
                "back: {comes_back}"
            );
            let (heir, _) = opened(&memory).await;
            assert_eq!(heir.journal().lsn(), confirmed, "back: {comes_back}");
            heir.close(LONG).await.expect("closes");
        }
    });
}

#[test]
fn a_server_that_has_the_chain_and_takes_no_base_gets_the_segments_after_it() {
    run(async {
        for (folds, hands_over) in [(false, false), (true, false), (false, true), (true, true)] {
            let (memory, on) = (Memory::default(), Arc::new(AtomicBool::new(false)));
            let server = Arc::new(AtomicU64::new(1));
            let store = no_bases(&memory.served_by(Arc::clone(&server), folds), &on);
            let (session, _) = session_with(store, Cluster::settings_for_tests()).await.expect("opens");
            for id in 0..5 {
                set(&session, id, 100);
                session.flush(LONG).await.expect("is stored");
            }
            on.store(true, Ordering::Relaxed);
            server.fetch_add(1, Ordering::Relaxed);
            if !hands_over {
                // Several segments' worth: some are cut before the change is known.
                for id in 5..9 {
                    set(&session, id, 100);
                    sleep(Duration::from_millis(5)).await;
                }
                for id in 9..20 {
                    session.flush(Duration::from_secs(60)).await.expect("segments go on");
                    set(&session, id, 100);
                }
                session.flush(Duration::from_secs(5)).await.expect("segments go on");
                assert_eq!(base_refused(&session), Some(Code::RemoteRefused), "folds: {folds}");
            }
            set(&session, 20, 100);
            let client = memory.served_by(Arc::clone(&server), folds);
            let (heir, _) =
                session_with(Arc::new(client), Cluster::settings_for_tests()).await.expect("opens");
            assert_eq!(heir.journal().lsn(), session.journal().lsn(), "folds: {folds}, {hands_over}");
            session.close(LONG).await.expect("everything was handed over");
            heir.close(LONG).await.expect("closes");
        }
    });
}
