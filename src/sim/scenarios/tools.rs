//! Tools that claim, and users who come back meanwhile: a tool withdraws, and never ends what it did not judge.
//!
//! A tool judged the last claim by a listing. Every request of it may be late by any number of requests of the user, and the other
//! way round.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::super::cluster::{CHECK, Cluster, Weather, hold};
use super::super::host::Rng;
use super::super::machine::{Machine, Opening};
use super::super::outages::{session_with, set};
use super::super::run;
use super::super::turnstile::Turnstile;
use super::opened;
use crate::error::Code;
use crate::id::Claim;
use crate::journal::Life;
use crate::platform::host::sleep;
use crate::session::Session;
use crate::store::adapters::memory::{Fate, Memory, Request};

/// More requests than an open and one shipped write make here.
const REQUESTS: usize = 16;
/// More than all of them.
const ALL: usize = 10_000;

/// A session that was written and released, and its claim, which is what a tool judges.
async fn left(seed: u64) -> (Arc<Cluster>, Claim) {
    let cluster = Cluster::new(seed, 1000, Weather::default());
    let mut machine = opened(&cluster, Opening::default()).await;
    let session = machine.session();
    assert!(machine.process().write(&mut Rng::new(seed)));
    session.close(Duration::from_secs(5)).await.expect("is released");
    let claim = session.claim().expect("it has a store");
    machine.kill();
    (cluster, claim)
}

/// Lets one request through after another, until nothing more happens by itself.
async fn admit(gate: &Turnstile, machine: &Machine, count: usize) {
    for _ in 0..count {
        gate.admit(1);
        sleep(Duration::from_micros(50)).await;
        machine.process().write(&mut Rng::new(2));
    }
    // Pauses that have nothing to do with requests pass.
    sleep(Duration::from_millis(30)).await;
}

/// Closes a session, as `rekey` does.
async fn close(session: Arc<Session>) {
    // Whether it handed over or was in nobody's way.
    let _ = session.close(Duration::from_secs(5)).await;
}

/// Opens the session once more, which lives.
async fn opens_again(cluster: &Arc<Cluster>, context: &str) {
    let mut user = opened(cluster, Opening { takeover: true, ..Opening::default() }).await;
    assert!(user.process().is_live(), "{context}: {:?}", user.process().refused());
    user.kill();
}

#[test]
fn whoever_comes_back_is_never_ended_by_a_tool_that_judged_what_was_before() {
    let (mut withdrew, mut went_on) = (0, 0);
    for (first, second) in (0..REQUESTS).flat_map(|first| (0..REQUESTS).map(move |second| (first, second))) {
        for seed in [11, 12] {
            run(async {
                let (cluster, judged) = left(seed).await;
                let (mut tool, mut user) = (Machine::new(&cluster), Machine::new(&cluster));
                let tools =
                    tool.start_gated(Opening { takeover: true, judged: Some(judged), ..Opening::default() });
                let users = user.start_gated(Opening::default());
                for _ in 0..first {
                    tools.admit(1);
                    sleep(Duration::from_micros(50)).await;
                }
                admit(&users, &user, second).await;
                let was_live = user.process().is_live();
                tools.admit(ALL);
                sleep(Duration::from_millis(100)).await;
                if tool.process().session().is_some() {
                    went_on += 1;
                    tool.process().background(close);
                } else {
                    withdrew += 1;
                    assert_eq!(tool.process().refused(), Some(Code::OwnedElsewhere));
                }
                users.admit(ALL);
                sleep(Duration::from_secs(4)).await;
                let context = format!("the tool at {first}, the user at {second}, live then: {was_live}");
                assert!(user.process().is_live(), "{context}: {:?}", user.process().refused());
                assert!(user.process().write(&mut Rng::new(3)), "{context}");
                user.session().flush(Duration::from_secs(5)).await.expect("is stored");
                user.process().host.rethrow();
                tool.kill();
                user.kill();
                let mut last = opened(&cluster, Opening { takeover: true, ..Opening::default() }).await;
                assert_eq!(last.session().journal().life(), Life::Live, "{context}");
                last.kill();
            });
        }
    }
    assert!(withdrew > 0 && went_on > 0, "{withdrew} withdrew, {went_on} went on");
}

#[test]
fn a_tool_deletes_for_good_or_leaves_the_session_to_whoever_came_back() {
    let (mut deleted, mut left_alone) = (0, 0);
    for (first, second) in
        (0..REQUESTS + 4).flat_map(|first| (0..REQUESTS).map(move |second| (first, second)))
    {
        for takeover in [true, false] {
            run(async {
                let (cluster, judged) = left(15).await;
                let (mut tool, mut user) = (Machine::new(&cluster), Machine::new(&cluster));
                let tools =
                    tool.start_gated(Opening { takeover: true, judged: Some(judged), ..Opening::default() });
                let users = user.start_gated(Opening { takeover, ..Opening::default() });
                let answer = Arc::new(Mutex::new(None));
                let mut asked = false;
                let mut ask = |tool: &Machine| {
                    if tool.process().session().is_some() && !std::mem::replace(&mut asked, true) {
                        let answer = Arc::clone(&answer);
                        tool.process().background(move |session: Arc<Session>| async move {
                            let told = session.delete().await.map_err(|error| error.code());
                            *hold(&answer) = Some(told);
                        });
                    }
                };
                for _ in 0..first {
                    tools.admit(1);
                    sleep(Duration::from_micros(50)).await;
                    ask(&tool);
                }
                admit(&users, &user, second).await;
                users.admit(ALL);
                sleep(Duration::from_millis(300)).await;
                user.process().write(&mut Rng::new(4));
                tools.admit(ALL);
                for _ in 0..10 {
                    sleep(Duration::from_millis(400)).await;
                    ask(&tool);
                }
                let context = format!("the tool at {first}, the user at {second}, takeover: {takeover}");
                let told = hold(&answer).take();
                tool.process().host.rethrow();
                user.process().host.rethrow();
                let is_live = user.process().is_live();
                tool.kill();
                user.kill();
                let mut last = opened(&cluster, Opening { takeover: true, ..Opening::default() }).await;
                if told == Some(Ok(())) {
                    deleted += 1;
                    assert!(!is_live, "{context}: the user goes on");
                    assert_eq!(last.process().refused(), Some(Code::Deleted), "{context}");
                } else {
                    left_alone += 1;
                    assert!(matches!(told, None | Some(Err(Code::Fenced))), "{context}: {told:?}");
                    assert!(is_live && last.process().is_live(), "{context}: {:?}", last.process().refused());
                }
                last.kill();
            });
        }
    }
    assert!(deleted > 0 && left_alone > 0, "{deleted} deleted, {left_alone} left alone");
}

#[test]
fn an_owner_that_hands_over_to_a_tool_was_running_and_is_not_deleted() {
    for runs in [true, false] {
        run(async {
            let cluster = Cluster::new(16, 1000, Weather::default());
            let mut owner = opened(&cluster, Opening::default()).await;
            assert!(owner.process().write(&mut Rng::new(5)));
            let session = owner.session();
            session.flush(Duration::from_secs(5)).await.expect("is stored");
            let judged = session.claim();
            if !runs {
                owner.kill();
            }
            let mut tool = Machine::new(&cluster);
            tool.start(Opening { judged, ..Opening::default() });
            sleep(Duration::from_secs(4)).await;
            assert_eq!(tool.process().session().is_some(), !runs);
            assert_eq!(tool.process().refused(), runs.then_some(Code::OwnedElsewhere));
            tool.kill();
            if runs {
                owner.kill();
            }
            opens_again(&cluster, &format!("runs: {runs}")).await;
        });
    }
}

#[test]
fn an_owner_that_hands_over_before_a_tool_first_looks_is_left_alone() {
    let mut early = 0;
    for seen in 0..REQUESTS - 4 {
        run(async {
            let cluster = Cluster::new(17, 1000, Weather::default());
            let mut owner = opened(&cluster, Opening::default()).await;
            assert!(owner.process().write(&mut Rng::new(5)));
            let session = owner.session();
            session.flush(Duration::from_secs(5)).await.expect("is stored");
            let judged = session.claim();
            let mut tool = Machine::new(&cluster);
            let gate = tool.start_gated(Opening { judged, ..Opening::default() });
            admit(&gate, &owner, seen).await;
            // The owner looks, and lets go at once if the tool's claim is there.
            sleep(CHECK * 2).await;
            early += usize::from(!owner.process().is_live());
            gate.admit(ALL);
            sleep(Duration::from_secs(4)).await;
            assert_eq!(tool.process().refused(), Some(Code::OwnedElsewhere), "after {seen} requests");
            tool.kill();
            owner.kill();
            opens_again(&cluster, &format!("after {seen} requests")).await;
        });
    }
    assert!(early > 0, "it never let go before the tool looked");
}

#[test]
fn of_two_tools_that_judged_the_same_claim_one_at_most_goes_on() {
    let mut both_withdrew = 0;
    for (first, second) in (0..REQUESTS).flat_map(|first| (0..REQUESTS).map(move |second| (first, second))) {
        for seed in [13, 14] {
            run(async {
                let (cluster, judged) = left(seed).await;
                let how = Opening { takeover: true, judged: Some(judged), ..Opening::default() };
                let (mut one, mut other) = (Machine::new(&cluster), Machine::new(&cluster));
                let gates = [one.start_gated(how), other.start_gated(how)];
                admit(&gates[0], &one, first).await;
                admit(&gates[1], &other, second).await;
                gates.iter().for_each(|gate| gate.admit(ALL));
                sleep(Duration::from_secs(4)).await;
                let went_on = [&one, &other].map(|tool| usize::from(tool.process().session().is_some()));
                let context = format!("one at {first}, the other at {second}");
                assert!(went_on != [1, 1], "{context}: both went on");
                both_withdrew += usize::from(went_on == [0, 0]);
                one.kill();
                other.kill();
                opens_again(&cluster, &context).await;
            });
        }
    }
    assert!(both_withdrew > 0, "they never met");
}

#[test]
fn a_tool_that_the_store_fails_leaves_no_claim_above_the_owner_that_it_judged() {
    let (mut failed, mut landed) = (0, 0);
    for (takeover, fate) in [
        (true, Fate::FailBefore),
        (true, Fate::FailAfter),
        (false, Fate::FailBefore),
        (false, Fate::FailAfter),
    ] {
        for answered in 0..REQUESTS {
            run(async {
                let memory = Memory::default();
                let mut settings = Cluster::settings_for_tests();
                // The owner looks when all is over.
                settings.tenure.pace.check_interval = Duration::from_secs(3600);
                let owner = session_with(Arc::new(memory.clone()), settings.clone()).await;
                let (owner, _) = owner.expect("opens");
                set(&owner, 1);
                owner.flush(Duration::from_secs(5)).await.expect("is stored");
                let before: Vec<String> = memory.objects().keys().cloned().collect();
                let (asked, tried) = (AtomicUsize::new(0), Arc::new(AtomicBool::new(false)));
                let has_tried = Arc::clone(&tried);
                let script = move |request, name: &str| {
                    if request == Request::Put && name.ends_with(".base") {
                        has_tried.store(true, Ordering::Relaxed);
                    }
                    // What is to be removed can be.
                    let fails =
                        request != Request::Delete && asked.fetch_add(1, Ordering::Relaxed) >= answered;
                    (Duration::ZERO, if fails { fate } else { Fate::Done })
                };
                let mut tool = settings.after(owner.claim());
                tool.tenure.takeover = takeover;
                tool.tenure.pace.check_interval = CHECK;
                let store = memory.through(Arc::new(script), 1000);
                let opened = session_with(Arc::new(store), tool).await;
                // A base may have arrived, and then others go on from it.
                if tried.load(Ordering::Relaxed) {
                    return;
                }
                let context = format!("after {answered} answers, {fate:?}, takeover: {takeover}");
                assert!(opened.is_err(), "{context}");
                failed += 1;
                landed += usize::from(fate == Fate::FailAfter);
                let after: Vec<String> = memory.objects().keys().cloned().collect();
                assert_eq!(after, before, "{context}");
                set(&owner, 2);
                owner.flush(Duration::from_secs(5)).await.expect("it owns the session");
                assert_eq!(owner.journal().life(), Life::Live, "{context}");
            });
        }
    }
    assert!(failed > 8 && landed > 4, "{failed} failed, {landed} of them after they arrived");
}
