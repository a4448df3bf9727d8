//! Stores that keep silent, refuse some things, or remove what is old: a running session goes on and says what it must.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;

use crate::error::{Code, Result};
use crate::event::Event;
use crate::format::record::{key, push};
use crate::ownership::listing::SharedListing;
use crate::platform::disk::memory::MemoryDisk;
use crate::platform::host::{Host, sleep};
use crate::replication::Pace;
use crate::session::Session;
use crate::session::open::{Settings, Site, open};
use crate::store::adapters::memory::{Fate, Memory, Request};
use crate::store::{Failure, Meaning, RetryingStore, Store};

use super::cluster::{CHECK, Cluster, hold};
use super::host::SimHost;
use super::run;

/// Time that a request takes that is never answered.
pub(super) const FOR_EVER: Duration = Duration::from_secs(100_000);

pub(super) type Told = Arc<Mutex<Vec<(Instant, Event)>>>;

/// A session of its own on `store`, and what it tells.
async fn session_on(store: Arc<dyn Store>, refresh: Duration) -> Result<(Session, Told)> {
    session_with(store, Cluster::settings_for_tests().refreshing_after(refresh).taking_over()).await
}

/// The same, as `settings` say.
pub(super) async fn session_with(store: Arc<dyn Store>, settings: Settings) -> Result<(Session, Told)> {
    let host: Arc<dyn Host> = SimHost::new(11, Instant::now());
    let site = Site::of(store, &host);
    let told = Told::default();
    let listener = Arc::clone(&told);
    let events = Arc::new(move |event| hold(&listener).push((Instant::now(), event)));
    let session = open(host, Arc::new(MemoryDisk::default()), settings, Some(site), None, events).await?;
    Ok((session, told))
}

pub(super) fn set(session: &Session, id: u32) {
    let mut batch = Vec::new();
    push(&mut batch, &key("session", &(id % 7).to_string()), Some(&id.to_le_bytes()));
    session.journal().append(&batch, false).expect("a live session takes it");
}

#[test]
fn what_does_not_change_is_stored_again_before_it_grows_old() {
    const OLD: Duration = Duration::from_secs(60);
    run(async {
        for writes in [0, 1, 5] {
            let store = Memory::default();
            let stored = Arc::new(Mutex::new(BTreeMap::<String, Instant>::new()));
            let observer = Arc::clone(&stored);
            let seen = store.observed(Arc::new(move |request, name, _| {
                if request == Request::Put {
                    hold(&observer).insert(name.to_owned(), Instant::now());
                }
            }));
            let (session, _) = session_on(Arc::new(seen), OLD).await.expect("opens");
            for id in 0..writes {
                set(&session, id);
                sleep(Duration::from_secs(1)).await;
            }
            for _ in 0..100 {
                sleep(Duration::from_secs(7)).await;
                // What a rule of the bucket would have removed by now must not be missed.
                let old = |name: &String| hold(&stored)[name].elapsed() > OLD;
                let kept: Vec<(String, Bytes)> = store
                    .objects()
                    .iter()
                    .filter(|(name, _)| !old(name))
                    .map(|(name, bytes)| (name.clone(), bytes.clone()))
                    .collect();
                let rest = Memory::default();
                rest.objects().extend(kept);
                let (heir, _) = session_on(Arc::new(rest), OLD).await.expect("restores from what is young");
                assert_eq!(heir.journal().lsn(), session.journal().lsn());
                heir.close(CHECK).await.expect("closes");
            }
            let (bases, all) = {
                let names = store.objects();
                (names.keys().filter(|name| name.ends_with(".base")).count(), names.len())
            };
            // Two marks, two bases, and what lies between these.
            assert!(
                bases <= 2 && all <= 4 + writes as usize,
                "{bases} bases, {all} objects after {writes} writes"
            );
        }
    });
}

#[test]
fn a_store_that_keeps_silent_is_told_of_within_an_interval_and_does_not_hold_up_a_close() {
    run(async {
        // Beside what an open asks behind its back, or later.
        let moments = [Duration::ZERO, Duration::from_secs(2)];
        for (urgent, moment) in
            [false, true].into_iter().flat_map(|urgent| moments.map(|moment| (urgent, moment)))
        {
            let silent = Arc::new(AtomicBool::new(false));
            let switch = Arc::clone(&silent);
            let script = move |_, _: &str| {
                let time = if switch.load(Ordering::Relaxed) { FOR_EVER } else { Duration::ZERO };
                (time, Fate::Done)
            };
            let store = Memory::default().through(Arc::new(script), 1000);
            let (session, told) = session_on(Arc::new(store), FOR_EVER).await.expect("opens");
            set(&session, 1);
            sleep(moment).await;
            silent.store(true, Ordering::Relaxed);
            let since = Instant::now();
            if urgent {
                set(&session, 2);
            }
            sleep(CHECK * 3).await;
            let degraded = hold(&told).iter().find(|(_, event)| matches!(event, Event::Degraded(_))).cloned();
            let (at, _) = degraded.expect("it is told, whether something waits or not");
            // At the latest the next check shows it, and an interval later it is told.
            assert!(at - since <= CHECK * 2 + CHECK / 2, "{:?}", at - since);
            set(&session, 3);
            let since = Instant::now();
            let closed = session.close(Duration::from_secs(3)).await;
            assert_eq!(closed.map_err(|error| error.code()), Err(Code::RemoteUnavailable));
            assert!(since.elapsed() < Duration::from_secs(4), "{:?}", since.elapsed());
        }
    });
}

/// `memory` behind a store that refuses for good to store under the names that `refuses` says.
pub(super) fn refusing(
    memory: &Memory,
    refuses: impl Fn(&str) -> bool + Send + Sync + 'static,
) -> Arc<Memory> {
    let script = move |request, name: &str| {
        let refused = request == Request::Put && refuses(name);
        (Duration::ZERO, if refused { Fate::Refuse(Meaning::Impossible) } else { Fate::Done })
    };
    Arc::new(memory.through(Arc::new(script), 1000))
}

#[test]
fn a_base_that_the_store_can_never_take_is_told_of_and_segments_go_on() {
    run(async {
        let memory = Memory::default();
        let bases = AtomicUsize::new(0);
        let store = refusing(&memory, move |name| {
            name.ends_with(".base") && bases.fetch_add(1, Ordering::Relaxed) > 0
        });
        let (session, told) = session_on(store, FOR_EVER).await.expect("opens");
        for id in 0..600 {
            set(&session, id);
            session.flush(Duration::from_secs(5)).await.expect("segments go on");
        }
        let failed = |(_, event): &(Instant, Event)| matches!(event, Event::Failed(error) if error.code() == Code::RemoteRefused);
        assert_eq!(hold(&told).iter().filter(|event| failed(event)).count(), 1, "it lasts, and is told once");
        let (heir, _) = session_on(Arc::new(memory), FOR_EVER).await.expect("the segments are all there");
        assert_eq!(heir.journal().lsn(), 600);
    });
}

/// The store as a machine reaches it whose data are refused while it is `deaf`.
pub(super) fn takes_no_data_while(memory: &Memory, deaf: &Arc<AtomicBool>) -> Arc<Memory> {
    let deaf = Arc::clone(deaf);
    let script = move |request, name: &str| {
        let refused = deaf.load(Ordering::Relaxed) && request == Request::Put && name.contains("/data/");
        (Duration::ZERO, if refused { Fate::FailBefore } else { Fate::Done })
    };
    Arc::new(memory.through(Arc::new(script), 1000))
}

#[test]
fn closing_a_session_whose_tail_did_not_reach_the_newer_owner_says_so() {
    run(async {
        let memory = Memory::default();
        let deaf = Arc::new(AtomicBool::new(false));
        let (older, told) = session_on(takes_no_data_while(&memory, &deaf), FOR_EVER).await.expect("opens");
        set(&older, 1);
        older.flush(Duration::from_secs(5)).await.expect("is stored");
        deaf.store(true, Ordering::Relaxed);
        set(&older, 2);
        set(&older, 3);
        let (newer, _) = session_on(Arc::new(memory), FOR_EVER).await.expect("takes over");
        assert_eq!(newer.journal().lsn(), 1);
        while !hold(&told).iter().any(|(_, event)| matches!(event, Event::Fenced)) {
            sleep(CHECK).await;
        }
        let error = older.close(Duration::from_secs(60)).await.expect_err("two writes are nowhere");
        assert_eq!(error.code(), Code::Fenced);
        assert!(error.message.contains("LSN 2 to 3"), "{error}");
        newer.close(Duration::from_secs(5)).await.expect("closes");
    });
}

#[test]
fn whoever_flushes_after_a_long_outage_does_not_wait_for_the_longest_pause() {
    run(async {
        for close in [false, true] {
            let away = Arc::new(AtomicBool::new(false));
            let switch = Arc::clone(&away);
            let script = move |_, _: &str| {
                let fate = if switch.load(Ordering::Relaxed) { Fate::FailBefore } else { Fate::Done };
                (Duration::ZERO, fate)
            };
            let store = Memory::default().through(Arc::new(script), 1000);
            let (session, _) = session_on(Arc::new(store), FOR_EVER).await.expect("opens");
            away.store(true, Ordering::Relaxed);
            set(&session, 1);
            // By now the pauses are as long as they get.
            sleep(Duration::from_secs(300)).await;
            away.store(false, Ordering::Relaxed);
            let since = Instant::now();
            if close {
                session.close(Duration::from_secs(5)).await.expect("stores the rest");
            } else {
                session.flush(Duration::from_secs(5)).await.expect("is stored");
            }
            assert!(since.elapsed() <= Duration::from_secs(2), "{:?}", since.elapsed());
        }
    });
}

#[test]
fn whoever_cannot_store_its_changes_learns_of_a_newer_owner_all_the_same() {
    run(async {
        let memory = Memory::default();
        let bases = AtomicUsize::new(0);
        let store = refusing(&memory, move |name| {
            name.ends_with(".seg") || (name.ends_with(".base") && bases.fetch_add(1, Ordering::Relaxed) > 0)
        });
        let (older, told) = session_on(store, FOR_EVER).await.expect("opens");
        set(&older, 1);
        sleep(CHECK * 4).await;
        let (newer, _) = session_on(Arc::new(memory), FOR_EVER).await.expect("takes over");
        sleep(CHECK * 4).await;
        assert!(hold(&told).iter().any(|(_, event)| matches!(event, Event::Fenced)));
        newer.close(Duration::from_secs(5)).await.expect("closes");
    });
}

#[test]
fn what_waits_when_the_state_is_stored_anew_is_not_held_up_by_a_store_that_does_not_take_it() {
    run(async {
        let memory = Memory::default();
        let bases = AtomicUsize::new(0);
        let store = refusing(&memory, move |name| {
            name.ends_with(".base") && bases.fetch_add(1, Ordering::Relaxed) > 0
        });
        let (older, _) = session_on(store, FOR_EVER).await.expect("opens");
        set(&older, 1);
        older.flush(Duration::from_secs(5)).await.expect("is stored");
        set(&older, 2);
        let renewed = older.renew(CHECK * 4).await;
        assert_eq!(renewed.map_err(|error| error.code()), Err(Code::RemoteRefused), "it will never be");
        let (newer, _) = session_on(Arc::new(memory), FOR_EVER).await.expect("takes over");
        assert_eq!(newer.journal().lsn(), 2);
        sleep(CHECK * 8).await;
        older.close(Duration::from_secs(5)).await.expect("nothing of it is missing");
        newer.close(Duration::from_secs(5)).await.expect("closes");
    });
}

#[test]
fn whoever_waits_for_the_state_to_be_stored_anew_learns_at_once_that_the_session_ended() {
    run(async {
        for closed in [false, true] {
            let memory = Memory::default();
            let deaf = Arc::new(AtomicBool::new(false));
            let store = takes_no_data_while(&memory, &deaf);
            let (older, _) = session_on(store, FOR_EVER).await.expect("opens");
            deaf.store(true, Ordering::Relaxed);
            set(&older, 1);
            let ending = async {
                sleep(CHECK).await;
                if closed {
                    older.close(CHECK).await.err();
                } else {
                    let (newer, _) = session_on(Arc::new(memory), FOR_EVER).await.expect("takes over");
                    newer.close(CHECK).await.expect("closes");
                }
            };
            let renewed = tokio::time::timeout(CHECK * 20, older.renew(CHECK * 1000));
            let (renewed, ()) = futures::join!(renewed, ending);
            let expected = if closed { Code::Closed } else { Code::Fenced };
            assert_eq!(renewed.expect("at once").map_err(|error| error.code()), Err(expected));
        }
    });
}

#[test]
fn nobody_begins_anew_in_a_store_that_is_being_filled_again() {
    run(async {
        let memory = Memory::default();
        let deaf = Arc::new(AtomicBool::new(false));
        let (owner, told) = session_on(takes_no_data_while(&memory, &deaf), FOR_EVER).await.expect("opens");
        set(&owner, 1);
        owner.flush(Duration::from_secs(5)).await.expect("is stored");
        deaf.store(true, Ordering::Relaxed);
        memory.objects().clear();
        sleep(CHECK * 4).await;
        set(&owner, 2);
        let newcomer = session_on(Arc::new(memory.clone()), FOR_EVER).await;
        assert_eq!(newcomer.map(|_| ()).map_err(|error| error.code()), Err(Code::RemoteCorrupt));
        deaf.store(false, Ordering::Relaxed);
        owner.flush(Duration::from_secs(60)).await.expect("nobody disturbed it");
        assert!(!hold(&told).iter().any(|(_, event)| matches!(event, Event::Fenced)));
        let (newer, _) = session_on(Arc::new(memory), FOR_EVER).await.expect("takes over");
        assert_eq!(newer.journal().lsn(), 2);
    });
}
