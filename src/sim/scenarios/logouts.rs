//! Sessions that are deleted while others take them over: a tombstone wins for good, or whoever deletes is told that it did not.
//! `anew` are of those that were paired anew meanwhile.

mod anew;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::super::cluster::{CHECK, Cluster, Weather, hold};
use super::super::host::Rng;
use super::super::machine::{Machine, Opening};
use super::super::outages::{FOR_EVER, session_with, set};
use super::super::run;
use super::super::turnstile::Turnstile;
use super::{calm, opened, write};
use crate::error::Code;
use crate::journal::Life;
use crate::platform::host::sleep;
use crate::session::Session;
use crate::store::adapters::memory::{Fate, Memory, Request};

/// More requests than an open makes here.
const REQUESTS: usize = 20;
/// More requests than a logout makes before it removes anything, if nobody is above it.
const LOGOUT: usize = 7;
/// More than all of them.
const ALL: usize = 10_000;
const TIMEOUT: Duration = Duration::from_secs(5);

type Answer = Arc<Mutex<Option<Result<(), Code>>>>;

/// A live owner whose requests go no further, and one that will take over from it.
struct Race {
    cluster: Arc<Cluster>,
    old: Machine,
    olds: Arc<Turnstile>,
    next: Machine,
    nexts: Arc<Turnstile>,
    answer: Answer,
}

impl Race {
    async fn new(seed: u64) -> Race {
        let cluster = Cluster::new(seed, 1000, Weather::default());
        let mut old = Machine::new(&cluster);
        let olds = old.start_gated(Opening::default());
        olds.admit(ALL);
        sleep(Duration::from_millis(100)).await;
        assert!(old.process().write(&mut Rng::new(seed)));
        old.session().flush(TIMEOUT).await.expect("is stored");
        olds.hold();
        let mut next = Machine::new(&cluster);
        let nexts = next.start_gated(Opening { takeover: true, ..Opening::default() });
        Race { cluster, old, olds, next, nexts, answer: Arc::default() }
    }

    async fn step(gate: &Turnstile, count: usize) {
        for _ in 0..count {
            gate.admit(1);
            sleep(Duration::from_micros(50)).await;
        }
    }

    /// The old owner begins to delete the session, and comes so many requests far.
    async fn delete(&self, requests: usize) {
        let answer = Arc::clone(&self.answer);
        self.old.process().background(move |session: Arc<Session>| async move {
            let told = session.delete().await.map_err(|error| error.code());
            *hold(&answer) = Some(told);
        });
        sleep(Duration::from_micros(50)).await;
        Race::step(&self.olds, requests).await;
    }

    /// The next owner goes live, if it can, and writes.
    async fn go_live(&self) {
        self.nexts.admit(ALL);
        sleep(Duration::from_millis(100)).await;
        for _ in 0..3 {
            self.next.process().write(&mut Rng::new(6));
        }
        sleep(Duration::from_millis(400)).await;
    }

    /// Stores the state of the next owner anew until nothing is there any more of what it opened with.
    async fn forget_where_it_came_from(&self) {
        let Some(session) = self.next.process().session() else { return };
        for _ in 0..3 {
            if self.next.process().write(&mut Rng::new(7)) {
                // It may be deleted just then.
                let _ = session.renew(TIMEOUT).await;
            }
        }
    }

    fn has_tombstone(&self) -> bool {
        self.cluster.store.objects().keys().any(|name| name.ends_with(".deleted"))
    }

    /// The refusal of a blank machine's open; `None` if it opens.
    async fn open_elsewhere(&self) -> Option<Code> {
        let mut last = opened(&self.cluster, Opening { takeover: true, ..Opening::default() }).await;
        let refused = last.process().refused();
        assert_eq!(last.process().is_live(), refused.is_none());
        last.kill();
        refused
    }
}

#[test]
fn a_tombstone_wins_for_good_however_late_it_is_or_whoever_deletes_is_told_that_it_did_not() {
    let (mut won, mut lost, mut overtaken) = (0, 0, 0);
    for (before, asked) in (0..REQUESTS).flat_map(|before| (0..LOGOUT).map(move |asked| (before, asked))) {
        for dies in [false, true] {
            run(async {
                let mut race = Race::new(21).await;
                Race::step(&race.nexts, before).await;
                race.delete(asked).await;
                race.go_live().await;
                let was_live = race.next.process().is_live();
                race.forget_where_it_came_from().await;
                if dies {
                    race.next.kill();
                }
                race.olds.admit(ALL);
                sleep(Duration::from_secs(4)).await;
                let context = format!("the next at {before}, the logout at {asked}, dies: {dies}");
                let told = hold(&race.answer).take().unwrap_or_else(|| panic!("{context}: no answer"));
                let lives = !dies && race.next.process().is_live();
                race.old.kill();
                race.next.kill();
                let refused = race.open_elsewhere().await;
                match told {
                    Ok(()) => {
                        won += 1;
                        overtaken += usize::from(was_live);
                        assert!(!lives, "{context}: the next owner goes on");
                        assert_eq!(refused, Some(Code::Deleted), "{context}");
                    }
                    Err(code) => {
                        lost += 1;
                        assert_eq!(code, Code::Fenced, "{context}");
                        assert_eq!(refused, None, "{context}");
                    }
                }
            });
        }
    }
    assert!(won > 0 && lost > 0 && overtaken > 0, "{won} won, {overtaken} of them late, {lost} lost");
}

#[test]
fn an_owner_that_goes_on_from_what_was_deleted_ends_although_whoever_deleted_it_died() {
    let mut ended = 0;
    for forgets in [false, true] {
        for asked in 0..LOGOUT {
            run(async {
                let mut race = Race::new(22).await;
                // One request: whoever deletes looks who owns the session, before the next owner claims it.
                race.delete(1).await;
                race.go_live().await;
                assert!(race.next.process().is_live());
                if forgets {
                    race.forget_where_it_came_from().await;
                }
                Race::step(&race.olds, asked).await;
                race.old.kill();
                let has_tombstone = race.has_tombstone();
                sleep(Duration::from_secs(3)).await;
                let context = format!("the logout at {asked}, forgets: {forgets}");
                let life = race.next.session().journal().life();
                race.next.process().host.rethrow();
                race.next.kill();
                let refused = race.open_elsewhere().await;
                if has_tombstone {
                    ended += 1;
                    assert!(matches!(life, Life::Deleted | Life::Fenced), "{context}: {life:?}");
                    assert_eq!(refused, Some(Code::Deleted), "{context}");
                } else {
                    assert_eq!((life, refused), (Life::Live, None), "{context}");
                }
            });
        }
    }
    assert!(ended > 0, "no tombstone came");
}

#[test]
fn one_that_was_deleted_is_not_opened_from_the_log_of_an_owner_that_never_heard_of_it() {
    run(async {
        let mut race = Race::new(23).await;
        race.delete(1).await;
        race.go_live().await;
        race.next.session().flush(TIMEOUT).await.expect("is stored");
        race.next.kill();
        // The tombstone, and the end of whoever stored it.
        while !race.has_tombstone() {
            Race::step(&race.olds, 1).await;
        }
        race.old.kill();
        race.next.start(Opening::default());
        sleep(Duration::from_secs(3)).await;
        assert_eq!(race.next.process().refused(), Some(Code::Deleted));
        race.next.kill();
    });
}

#[test]
fn an_instance_that_lost_its_session_cannot_delete_it_in_a_store_that_forgot_its_successor() {
    for closes in [false, true] {
        run(async {
            let cluster = calm();
            let mut old = opened(&cluster, Opening::default()).await;
            write(&old, 1);
            old.session().flush(TIMEOUT).await.expect("is stored");
            let image = cluster.store.objects().clone();
            let mut next = opened(&cluster, Opening { takeover: true, ..Opening::default() }).await;
            write(&next, 1);
            next.session().flush(TIMEOUT).await.expect("is stored");
            sleep(CHECK * 3).await;
            assert_eq!(old.session().journal().life(), Life::Fenced);
            if closes {
                old.session().close(TIMEOUT).await.expect("handed everything over");
            }
            cluster.harm_by(|objects| *objects = image);
            let told = old.session().delete().await.map_err(|error| error.code());
            assert_eq!(told, Err(Code::Fenced));
            old.kill();
            sleep(CHECK * 8).await;
            assert!(next.process().is_live());
            next.session().flush(TIMEOUT).await.expect("is stored again");
            next.kill();
            let mut last = opened(&cluster, Opening { takeover: true, ..Opening::default() }).await;
            assert_eq!(last.session().journal().lsn(), 2);
            last.kill();
        });
    }
}

#[test]
fn a_late_tombstone_ends_the_owner_that_went_on_and_what_is_paired_anew_is_another_session() {
    run(async {
        let mut race = Race::new(25).await;
        race.delete(1).await;
        race.go_live().await;
        race.next.session().flush(TIMEOUT).await.expect("is stored");
        race.next.kill();
        while !race.has_tombstone() {
            Race::step(&race.olds, 1).await;
        }
        race.old.kill();
        assert_eq!(race.open_elsewhere().await, Some(Code::Deleted));
        let mut anew = opened(&race.cluster, Opening { fresh: true, ..Opening::default() }).await;
        sleep(Duration::from_secs(3)).await;
        assert_eq!(anew.session().journal().lsn(), 0);
        write(&anew, 1);
        anew.session().flush(TIMEOUT).await.expect("is stored");
        anew.kill();
        assert_eq!(race.open_elsewhere().await, None);
    });
}

#[test]
fn a_tombstone_ends_nothing_once_a_second_owner_went_on_even_from_a_first_that_was_refused() {
    run(async {
        let mut race = Race::new(26).await;
        race.delete(1).await;
        let bases =
            |race: &Race| race.cluster.store.objects().keys().filter(|it| it.ends_with(".base")).count();
        while bases(&race) < 2 {
            Race::step(&race.nexts, 1).await;
        }
        let mut second = opened(&race.cluster, Opening { takeover: true, ..Opening::default() }).await;
        race.nexts.admit(ALL);
        sleep(Duration::from_millis(100)).await;
        assert_eq!(race.next.process().refused(), Some(Code::OwnedElsewhere));
        while !race.has_tombstone() {
            Race::step(&race.olds, 1).await;
        }
        race.old.kill();
        sleep(Duration::from_secs(3)).await;
        assert!(second.process().is_live());
        second.kill();
        assert_eq!(race.open_elsewhere().await, None);
    });
}

#[test]
fn a_session_that_hands_over_stops_when_it_turns_out_to_be_deleted() {
    run(async {
        let (memory, hangs) = (Memory::default(), Arc::new(AtomicBool::new(false)));
        let on = Arc::clone(&hangs);
        let script = move |request, name: &str| {
            let hangs = on.load(Ordering::Relaxed) && request == Request::Put && name.starts_with("v1/data");
            (if hangs { FOR_EVER } else { Duration::ZERO }, Fate::Done)
        };
        let settings = Cluster::settings_for_tests();
        let slow = Arc::new(memory.through(Arc::new(script), 1000));
        let (session, _) = session_with(slow, settings.clone()).await.expect("opens");
        set(&session, 1);
        session.flush(TIMEOUT).await.expect("is stored");
        hangs.store(true, Ordering::Relaxed);
        set(&session, 2);
        sleep(CHECK / 2).await;
        let (heir, _) = session_with(Arc::new(memory.clone()), settings.taking_over()).await.expect("opens");
        sleep(CHECK * 2).await;
        assert_eq!(session.journal().life(), Life::Fenced);
        heir.delete().await.expect("is deleted");
        let began = Instant::now();
        session.delete().await.expect("it was deleted where it was taken over");
        assert!(began.elapsed() < CHECK, "{:?}", began.elapsed());
    });
}
