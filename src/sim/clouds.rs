//! Stories of sessions that keep no log: their disks are read-only, and what resolved is in the store or in the history that
//! goes on.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::Code;
use crate::format::name::{DataName, Span};
use crate::format::record::{key, push};
use crate::journal::Life;
use crate::platform::host::{Host, sleep};
use crate::session::{Mode, OriginSource, Session};

use super::cluster::{CHECK, Cluster, Weather};
use super::machine::{Machine, Opening};
use super::run;

const CLOUD: Opening = Opening {
    takeover: false,
    fresh: false,
    impatient: false,
    strict: false,
    mode: Mode::Cloud,
    pace: None,
    neighbours: 0,
    judged: None,
    existing: false,
    seed: false,
    leave: false,
    import: false,
};
const LONGEST: Duration = Duration::from_secs(5);

/// A store whose requests take up to this long.
fn slow(millis: u64) -> Arc<Cluster> {
    Cluster::new(3, 1000, Weather { slow: millis, ..Weather::default() })
}

async fn opened(cluster: &Arc<Cluster>, how: Opening) -> Machine {
    let mut machine = Machine::new(cluster);
    machine.start(how);
    sleep(Duration::from_secs(3)).await;
    machine
}

/// The course of a `set`: it is accepted, and then it resolves or not.
async fn set(session: Arc<Session>, id: &'static str, value: u8) -> Result<(), Code> {
    let mut batch = Vec::new();
    push(&mut batch, &key("session", id), Some(&[3, value]));
    let lsn = session.journal().append(&batch, false).map_err(|error| error.code())?;
    session.settle(lsn, LONGEST).await.map_err(|error| error.code())
}

fn get(machine: &Machine, id: &str) -> Option<u8> {
    let read = machine.session().journal().read(|state| state.get(&key("session", id)).map(|value| value[1]));
    read.expect("reads")
}

fn segments(cluster: &Cluster) -> usize {
    let names = cluster.store.objects();
    let names = names.keys().filter_map(|name| DataName::parse(name.rsplit('/').next()?));
    names.filter(|name| matches!(name.span, Span::Segment(..))).count()
}

#[test]
fn what_resolved_is_restored_by_a_blank_machine_at_whatever_instant_the_writer_dies() {
    run(async {
        for instant in 0..60 {
            let cluster = slow(40);
            let mut writer = opened(&cluster, CLOUD).await;
            let resolved = Arc::new(std::sync::Mutex::new(0));
            let (session, told) = (writer.session(), Arc::clone(&resolved));
            writer.process().host.spawn(Box::pin(async move {
                for n in 1..=100 {
                    set(Arc::clone(&session), "n", n).await.expect("stored");
                    *told.lock().expect("whole") = n;
                }
            }));
            sleep(Duration::from_millis(instant * 7)).await;
            writer.kill();
            let heir = opened(&cluster, CLOUD).await;
            let resolved = *resolved.lock().expect("whole");
            let found = get(&heir, "n").unwrap_or(0);
            assert!(found >= resolved, "after {} ms: {resolved} resolved, {found} found", instant * 7);
            assert!(found <= resolved + 1, "nobody wrote that");
        }
    });
}

#[test]
fn writes_that_come_while_an_upload_is_under_way_share_the_next_one() {
    run(async {
        let cluster = slow(0);
        let machine = opened(&cluster, CLOUD).await;
        // Each request now takes time, and one upload can be waited in.
        cluster.set_weather(Weather { slow: 200, ..Weather::default() });
        let before = segments(&cluster);
        let ids = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
        let first = set(machine.session(), "first", 1);
        let rest = ids.map(|id| {
            let session = machine.session();
            async move {
                sleep(Duration::from_millis(1)).await;
                set(session, id, 2).await
            }
        });
        let (first, rest) = futures::join!(first, futures::future::join_all(rest));
        assert!(first.is_ok() && rest.iter().all(Result::is_ok));
        assert!(segments(&cluster) - before <= 2, "{} segments for 11 writes", segments(&cluster) - before);
    });
}

#[test]
fn a_write_does_not_wait_for_the_flush_interval() {
    run(async {
        let cluster = slow(0);
        let machine = opened(&cluster, CLOUD).await;
        for n in 0..20 {
            let began = Instant::now();
            set(machine.session(), "n", n).await.expect("stored");
            assert!(began.elapsed() < Duration::from_millis(10), "{:?}", began.elapsed());
        }
    });
}

#[test]
fn a_write_that_an_outage_refuses_is_kept_and_arrives_later() {
    run(async {
        let cluster = slow(0);
        let machine = opened(&cluster, CLOUD).await;
        cluster.outage.store(true, Ordering::Relaxed);
        let refused = set(machine.session(), "a", 1).await;
        assert_eq!(refused, Err(Code::RemoteUnavailable));
        assert_eq!(get(&machine, "a"), Some(1), "it counts here");
        assert!(machine.process().is_live() && machine.process().told() == ["degraded"]);
        cluster.outage.store(false, Ordering::Relaxed);
        // To say it again changes nothing, and resolves when the first time has arrived.
        assert_eq!(set(machine.session(), "a", 1).await, Ok(()));
        assert_eq!(machine.process().told(), ["degraded", "recovered"]);
        let mut machine = machine;
        machine.kill();
        assert_eq!(get(&opened(&cluster, CLOUD).await, "a"), Some(1));
    });
}

#[test]
fn a_write_in_flight_at_a_handover_resolves_only_if_the_successor_has_it() {
    run(async {
        let mut handed_over = 0;
        for takeover in [false, true] {
            for instant in 0..40 {
                let cluster = slow(60);
                let older = opened(&cluster, CLOUD).await;
                set(older.session(), "n", 1).await.expect("stored");
                let mut newer = Machine::new(&cluster);
                newer.start(Opening { takeover, ..CLOUD });
                // Writes without a pause until it is refused.
                sleep(Duration::from_millis(instant * 20)).await;
                let mut last = 1;
                let outcome = loop {
                    match set(older.session(), "n", last + 1).await {
                        Ok(()) => last += 1,
                        Err(code) => break code,
                    }
                    // Accepted before it was fenced, and resolved after that.
                    handed_over += u32::from(older.session().journal().life() == Life::Fenced);
                };
                assert_eq!(outcome, Code::Fenced);
                sleep(Duration::from_secs(5)).await;
                let found = get(&newer, "n").expect("restored");
                assert!(found >= last, "takeover {takeover}, {instant}: {last} resolved, {found} inherited");
                assert!(
                    !takeover || handed_over > 0,
                    "none of the handovers before resolved what was in flight"
                );
            }
        }
    });
}

#[test]
fn a_crashed_predecessor_is_waited_for_and_one_that_closed_is_not() {
    run(async {
        for crash in [false, true] {
            let cluster = slow(0);
            let mut first = opened(&cluster, CLOUD).await;
            set(first.session(), "a", 1).await.expect("stored");
            if !crash {
                first.session().close(LONGEST).await.expect("closes");
            }
            first.kill();
            // The same machine again: it cannot know that the process before it is dead.
            let began = Instant::now();
            first.start(CLOUD);
            while first.process().session().is_none() {
                sleep(Duration::from_millis(5)).await;
            }
            let waited = began.elapsed();
            assert_eq!(waited >= CHECK * 2, crash, "{waited:?}");
            assert_eq!(get(&first, "a"), Some(1));
            assert_eq!(first.session().origin().clean, !crash);
        }
    });
}

#[test]
fn a_close_in_an_outage_says_that_what_did_not_arrive_is_lost() {
    run(async {
        let cluster = slow(0);
        let machine = opened(&cluster, CLOUD).await;
        cluster.outage.store(true, Ordering::Relaxed);
        let session = machine.session();
        let (write, closed) = futures::join!(set(machine.session(), "a", 1), async {
            sleep(Duration::from_millis(100)).await;
            session.close(Duration::from_secs(1)).await
        });
        assert_eq!(write, Err(Code::Closed));
        let error = closed.expect_err("not everything is stored");
        assert_eq!(error.code(), Code::RemoteUnavailable);
        assert!(error.message.contains("lost"), "{}", error.message);
    });
}

#[test]
fn a_log_of_another_mode_that_has_more_than_the_store_is_not_passed_over() {
    run(async {
        let cluster = slow(0);
        let mut machine = opened(&cluster, Opening::default()).await;
        set_in_log(&machine, 1);
        sleep(Duration::from_secs(1)).await;
        cluster.outage.store(true, Ordering::Relaxed);
        set_in_log(&machine, 2);
        machine.kill();
        cluster.outage.store(false, Ordering::Relaxed);
        machine.start(CLOUD);
        sleep(Duration::from_secs(5)).await;
        assert_eq!(
            machine.process().refused(),
            Some(Code::InvalidOption),
            "the log alone has the second write"
        );
        // With the log read and its rest stored, nothing is in the way any more.
        machine.kill();
        machine.start(Opening::default());
        sleep(Duration::from_secs(1)).await;
        assert_eq!((get(&machine, "n"), machine.session().origin().source), (Some(2), OriginSource::Local));
        machine.session().close(LONGEST).await.expect("closes");
        machine.kill();
        machine.start(CLOUD);
        sleep(Duration::from_secs(1)).await;
        assert_eq!((get(&machine, "n"), machine.session().origin().source), (Some(2), OriginSource::Remote));
        // And what is written then goes before the log that is still there.
        set(machine.session(), "n", 3).await.expect("stored");
        machine.session().close(LONGEST).await.expect("closes");
        machine.kill();
        machine.start(Opening::default());
        sleep(Duration::from_secs(1)).await;
        assert_eq!((get(&machine, "n"), machine.session().origin().source), (Some(3), OriginSource::Remote));
    });
}

fn set_in_log(machine: &Machine, value: u8) {
    let mut batch = Vec::new();
    push(&mut batch, &key("session", "n"), Some(&[3, value]));
    machine.session().journal().append(&batch, false).expect("a live session takes it");
}
