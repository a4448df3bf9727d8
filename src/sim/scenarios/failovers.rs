//! Servers that take the place of others and have forgotten the end of what was acknowledged: the owner is told by the server
//! itself, and has the whole state stored there before it acknowledges anything again, or hands it over.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;

use super::super::cluster::{CHECK, Cluster, hold};
use super::super::outages::{Told, session_with, set};
use super::super::run;
use crate::event::Event;
use crate::platform::host::sleep;
use crate::session::Session;
use crate::session::open::Settings;
use crate::store::adapters::memory::{Memory, Request};

const LONG: Duration = Duration::from_secs(600);
/// Writes of an owner before anything befalls it.
const WRITES: u32 = 9;

type Objects = BTreeMap<String, Bytes>;

/// A store whose server can be replaced, and all of its states so far.
#[derive(Clone)]
struct Pair {
    memory: Memory,
    server: Arc<AtomicU64>,
    states: Arc<Mutex<Vec<Objects>>>,
    folds: bool,
}

impl Pair {
    fn new(folds: bool) -> Pair {
        let states = Arc::new(Mutex::new(Vec::<Objects>::new()));
        let observer = Arc::clone(&states);
        let memory = Memory::default().observed(Arc::new(move |request, _, objects| {
            if matches!(request, Request::Put | Request::Delete) {
                hold(&observer).push(objects.clone());
            }
        }));
        Pair { memory, server: Arc::new(AtomicU64::new(1)), states, folds }
    }

    /// A session of a client of its own.
    async fn session(&self, settings: Settings) -> (Session, Told) {
        let client = self.memory.served_by(Arc::clone(&self.server), self.folds);
        session_with(Arc::new(client), settings).await.expect("opens")
    }

    /// An owner that has had everything acknowledged.
    async fn owner(&self) -> (Session, Told) {
        let (session, told) = self.session(patient()).await;
        for id in 0..WRITES {
            flushed(&session, id).await;
        }
        (session, told)
    }

    /// Another server answers, which knows the store as it was after so many changes.
    fn fail_over(&self, step: usize) {
        let state = hold(&self.states).get(step).cloned().expect("is there");
        *self.memory.objects() = state;
        self.server.fetch_add(1, Ordering::Relaxed);
    }

    fn steps(&self) -> usize {
        hold(&self.states).len()
    }

    /// The last LSN that a blank machine would restore, without disturbing the owner.
    async fn restorable(&self) -> u64 {
        let objects = self.memory.objects().clone();
        self.restorable_from(objects).await
    }

    async fn restorable_from(&self, objects: Objects) -> u64 {
        let copy = Memory::default();
        copy.objects().extend(objects);
        let settings = patient().taking_over();
        let (heir, _) = session_with(Arc::new(copy), settings).await.expect("restores");
        let lsn = heir.journal().lsn();
        heir.close(LONG).await.expect("closes");
        lsn
    }
}

fn patient() -> Settings {
    Cluster::settings_for_tests()
}

async fn flushed(session: &Session, id: u32) -> u64 {
    set(session, id);
    session.flush(LONG).await.expect("is stored")
}

fn changes(told: &Told) -> usize {
    hold(told).iter().filter(|(_, event)| matches!(event, Event::ServerChanged)).count()
}

#[test]
fn whatever_a_failover_forgets_the_next_acknowledged_write_can_be_restored() {
    run(async {
        for folds in [false, true] {
            let mut step = 0;
            loop {
                let pair = Pair::new(folds);
                let (session, told) = pair.owner().await;
                if step == pair.steps() {
                    break;
                }
                pair.fail_over(step);
                let confirmed = flushed(&session, WRITES).await;
                assert_eq!(pair.restorable().await, confirmed, "back at step {step}, folds: {folds}");
                assert_eq!(changes(&told), 1, "back at step {step}");
                // It is over: what follows is a segment, as ever.
                let (before, confirmed) = (pair.steps(), flushed(&session, WRITES + 1).await);
                assert_eq!(pair.steps(), before + 1);
                assert_eq!(pair.restorable().await, confirmed);
                session.close(LONG).await.expect("closes");
                step += 1;
            }
            assert!(step > usize::try_from(WRITES).expect("is small"), "{step}");
        }
    });
}

#[test]
fn a_session_that_writes_nothing_stores_anew_what_a_failover_forgot() {
    run(async {
        let pair = Pair::new(true);
        let (session, told) = pair.owner().await;
        pair.fail_over(pair.steps() - 4);
        assert!(pair.restorable().await < u64::from(WRITES));
        sleep(CHECK * 3).await;
        assert_eq!((pair.restorable().await, changes(&told)), (u64::from(WRITES), 1));
        session.close(LONG).await.expect("closes");
    });
}

#[test]
fn an_owner_that_hands_over_after_a_failover_leaves_no_hole() {
    run(async {
        for folds in [false, true] {
            // From the first segment on: before it the claim itself is forgotten.
            for back in 1..=usize::try_from(WRITES).expect("is small") {
                let pair = Pair::new(folds);
                let (session, _) = pair.owner().await;
                pair.fail_over(pair.steps() - 1 - back);
                set(&session, WRITES);
                let (heir, told) = pair.session(patient()).await;
                assert_eq!(heir.journal().lsn(), u64::from(WRITES) + 1, "back by {back}, folds: {folds}");
                session.close(LONG).await.expect("everything was handed over");
                assert_eq!(changes(&told), 0);
                let confirmed = flushed(&heir, WRITES + 1).await;
                assert_eq!(pair.restorable().await, confirmed);
                heir.close(LONG).await.expect("closes");
            }
        }
    });
}

#[test]
fn there_is_no_moment_after_a_failover_at_which_a_successor_finds_a_hole() {
    run(async {
        for folds in [false, true] {
            for back in 1..=usize::try_from(WRITES).expect("is small") {
                let pair = Pair::new(folds);
                let (session, _) = pair.owner().await;
                let steps = pair.steps();
                pair.fail_over(steps - 1 - back);
                // Several segments' worth: some are cut before the change is known.
                for id in WRITES..WRITES + 3 {
                    set(&session, id);
                    sleep(Duration::from_millis(5)).await;
                }
                let confirmed = session.flush(LONG).await.expect("is stored");
                let moments = hold(&pair.states).split_off(steps);
                assert!(moments.len() >= 3, "marks and a base: {}", moments.len());
                let mut reached = 0;
                for objects in moments {
                    let restored = pair.restorable_from(objects).await;
                    assert!(restored >= reached, "back by {back}, folds: {folds}");
                    reached = restored;
                }
                assert_eq!(reached, confirmed);
                session.close(LONG).await.expect("closes");
            }
        }
    });
}
