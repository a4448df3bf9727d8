//! Stores that lose an object, come back older, or were away while another one stood in their place: a running owner has everything
//! in memory, notices it, and stores it again, so that what `flush()` confirms can be restored.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::super::cluster::{CHECK, Cluster, hold};
use super::super::machine::Opening;
use super::super::outages::{Told, session_with, set};
use super::super::run;
use super::super::weather::Weather;
use super::{calm, opened, write};
use crate::event::Event;
use crate::platform::host::sleep;
use crate::replication::Pace;
use crate::session::open::Settings;
use crate::session::{OriginSource, Session};
use crate::store::adapters::memory::{Memory, Request};

const LONG: Duration = Duration::from_secs(600);
/// Writes after a loss: more than it takes until the chain is looked at.
const WRITES: u32 = 40;

type Objects = BTreeMap<String, Bytes>;

fn settings() -> Settings {
    Cluster::settings_for_tests().taking_over()
}

async fn flushed(session: &Session, ids: std::ops::Range<u32>) {
    for id in ids {
        set(session, id);
        session.flush(LONG).await.expect("is stored");
    }
}

/// An owner with a predecessor, two bases, and segments before and after the second. Ids up to 12 are written.
async fn owner(memory: &Memory) -> (Session, Told) {
    let (former, _) = session_with(Arc::new(memory.clone()), settings()).await.expect("opens");
    flushed(&former, 0..3).await;
    former.close(LONG).await.expect("closes");
    let (session, told) = session_with(Arc::new(memory.clone()), settings()).await.expect("opens");
    flushed(&session, 3..8).await;
    session.renew(LONG).await.expect("a second base");
    flushed(&session, 8..12).await;
    (session, told)
}

/// The last LSN that a blank machine would restore, without disturbing the owner.
async fn restorable(memory: &Memory) -> u64 {
    let copy = Memory::default();
    copy.objects().extend(memory.objects().clone());
    let (heir, _) = session_with(Arc::new(copy), settings()).await.expect("restores");
    let lsn = heir.journal().lsn();
    heir.close(LONG).await.expect("closes");
    lsn
}

fn repairs(told: &Told) -> usize {
    let is_repair =
        |event: &Event| matches!(event, Event::Repaired(what) if what.contains("the store had lost"));
    hold(told).iter().filter(|(_, event)| is_repair(event)).count()
}

#[test]
fn whichever_object_a_store_loses_the_owner_notices_and_what_is_confirmed_afterwards_is_restorable() {
    run(async {
        let mut noticed = 0;
        for at in 0.. {
            let memory = Memory::default();
            let (session, told) = owner(&memory).await;
            let lost = memory.objects().keys().nth(at).cloned();
            let Some(lost) = lost else {
                assert!(at >= 12, "two marks, two bases, nine segments: {at}");
                break;
            };
            memory.objects().remove(&lost);
            flushed(&session, 12..12 + WRITES).await;
            sleep(CHECK * 4).await;
            noticed += repairs(&told);
            set(&session, 1_000);
            let confirmed = session.flush(LONG).await.expect("is stored");
            assert_eq!(restorable(&memory).await, confirmed, "without {lost}");
            let marks = ["", ".live"].map(|mark| {
                memory.objects().keys().any(|name| {
                    name.starts_with("v1/claims")
                        && name.ends_with(&format!("{}{mark}", session.claim().expect("has one")))
                })
            });
            assert_eq!(marks, [true; 2], "without {lost}");
            session.close(LONG).await.expect("closes");
        }
        // All but what the second base made superfluous: it was kept against damage.
        assert!(noticed >= 7, "{noticed}");
    });
}

#[test]
fn a_store_that_came_back_older_is_brought_up_to_date_by_the_owner() {
    run(async {
        let states = Arc::new(std::sync::Mutex::new(Vec::<Objects>::new()));
        let memory = Memory::default();
        let observer = Arc::clone(&states);
        let seen = memory.observed(Arc::new(move |request, _, objects| {
            if matches!(request, Request::Put | Request::Delete) {
                hold(&observer).push(objects.clone());
            }
        }));
        let (session, _) = owner(&seen).await;
        session.close(LONG).await.expect("closes");
        let steps = hold(&states).len();
        for step in 0..steps {
            let memory = Memory::default();
            let (session, _) = owner(&memory).await;
            *memory.objects() = hold(&states).get(step).cloned().expect("is there");
            flushed(&session, 12..12 + WRITES).await;
            sleep(CHECK * 4).await;
            set(&session, 1_000);
            let confirmed = session.flush(LONG).await.expect("is stored");
            assert_eq!(restorable(&memory).await, confirmed, "back at step {step}");
            session.close(LONG).await.expect("closes");
        }
    });
}

#[test]
fn a_store_that_was_away_while_an_empty_one_stood_in_its_place_is_brought_up_to_date() {
    run(async {
        let memory = Memory::default();
        let (session, told) = owner(&memory).await;
        let away = std::mem::take(&mut *memory.objects());
        flushed(&session, 12..14).await;
        assert!(
            hold(&told).iter().any(|(_, event)| matches!(event, Event::Failed(_))),
            "it was filled again"
        );
        *memory.objects() = away;
        flushed(&session, 14..16).await;
        sleep(CHECK * 20).await;
        assert_eq!(repairs(&told), 1);
        assert_eq!(restorable(&memory).await, 16);
        session.close(LONG).await.expect("closes");
    });
}

#[test]
fn a_store_that_came_back_older_after_an_outage_is_noticed_when_it_answers_again() {
    run(async {
        let memory = Memory::default();
        let deaf = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let store = super::super::outages::takes_no_data_while(&memory, &deaf);
        let (session, told) = session_with(store, settings()).await.expect("opens");
        flushed(&session, 0..3).await;
        let older = memory.objects().clone();
        flushed(&session, 3..6).await;
        deaf.store(true, std::sync::atomic::Ordering::Relaxed);
        set(&session, 6);
        sleep(CHECK * 4).await;
        *memory.objects() = older;
        deaf.store(false, std::sync::atomic::Ordering::Relaxed);
        let confirmed = session.flush(LONG).await.expect("is stored");
        sleep(CHECK * 2).await;
        assert_eq!((repairs(&told), restorable(&memory).await), (1, confirmed));
        session.close(LONG).await.expect("closes");
    });
}

#[test]
fn a_store_that_loses_nothing_is_never_said_to_have_and_a_quiet_session_hardly_asks() {
    run(async {
        let memory = Memory::default();
        let lists = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = Arc::clone(&lists);
        let seen = memory.observed(Arc::new(move |request, name, _| {
            if request == Request::List && name.starts_with("v1/data") {
                count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        }));
        let settings = settings().checking_every(Duration::from_secs(60));
        let (session, told) = session_with(Arc::new(seen), settings).await.expect("opens");
        flushed(&session, 0..200).await;
        sleep(Duration::from_secs(2 * 24 * 3600)).await;
        assert!(
            hold(&told).iter().all(|(_, event)| matches!(event, Event::Backup { .. })),
            "{:?}",
            hold(&told)
        );
        let lists = lists.load(std::sync::atomic::Ordering::Relaxed);
        assert!((200 / 32..25).contains(&lists), "{lists} listings of data");
        session.close(LONG).await.expect("closes");
    });
}

#[test]
fn store_whose_listings_are_behind_gets_the_full_state_at_growing_pauses_and_not_in_a_loop() {
    run(async {
        let cluster = Cluster::new(3, 1000, Weather { slow: 20, ..Weather::default() });
        let machine = opened(&cluster, Opening::default()).await;
        sleep(Duration::from_secs(1)).await;
        let shown = cluster.store.objects().clone();
        cluster.show_stale("v1/data/", shown, Duration::from_secs(120));
        for _ in 0..80 {
            write(&machine, 1);
            sleep(CHECK).await;
        }
        sleep(Duration::from_secs(90)).await;
        let healed = machine.process().told().iter().filter(|what| **what == "repaired").count();
        assert!((2..=12).contains(&healed), "stored anew {healed} times in two minutes");
        sleep(CHECK * 300).await;
        let after = machine.process().told().iter().filter(|what| **what == "repaired").count();
        assert!(
            after <= healed + 1,
            "stored anew {after} times, {healed} of them while listings were behind"
        );
        let lsn = machine.session().journal().lsn();
        assert_eq!(restorable(&cluster.store).await, lsn);
    });
}

#[test]
fn store_that_does_not_list_what_it_takes_is_filled_at_growing_pauses_and_not_in_a_loop() {
    run(async {
        let cluster = calm();
        let machine = opened(&cluster, Opening::default()).await;
        sleep(Duration::from_secs(1)).await;
        cluster.show_stale("v1/", Objects::new(), Duration::from_secs(60));
        write(&machine, 1);
        sleep(Duration::from_secs(120)).await;
        let filled = machine.process().told().iter().filter(|what| **what == "failed").count();
        assert!((1..=12).contains(&filled), "filled {filled} times in a minute");
        assert!(machine.process().is_live());
        let lsn = machine.session().journal().lsn();
        assert_eq!(machine.session().journal().progress().stored, lsn);
        assert_eq!(restorable(&cluster.store).await, lsn);
    });
}

#[test]
fn session_of_which_every_mark_was_lost_goes_on_and_does_not_begin_anew() {
    for seed in 0..20 {
        run(async move {
            let cluster = Cluster::new(seed, 1000, Weather::default());
            let mut machine = opened(&cluster, Opening::default()).await;
            write(&machine, 3);
            sleep(Duration::from_secs(2)).await;
            machine.kill();
            cluster.harm_by(|objects| objects.retain(|name, _| !name.starts_with("v1/claims/")));
            let mut heir = opened(&cluster, Opening { takeover: true, ..Opening::default() }).await;
            assert_eq!(
                (heir.session().origin().source, heir.session().journal().lsn()),
                (OriginSource::Remote, 3)
            );
            write(&heir, 1);
            sleep(Duration::from_secs(2)).await;
            heir.kill();
            let last = opened(&cluster, Opening { takeover: true, ..Opening::default() }).await;
            assert_eq!(last.session().journal().lsn(), 4, "seed {seed}");
        });
    }
}
