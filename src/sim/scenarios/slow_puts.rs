//! Uploads that take longer than a handover: a newer owner is noticed all the same, and what can arrive does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::super::cluster::{CHECK, Cluster};
use super::super::outages::{Told, session_with, set};
use super::super::run;
use crate::error::Code;
use crate::journal::Life;
use crate::ownership::lease::{handover_wait, linger};
use crate::platform::host::sleep;
use crate::replication::Pace;
use crate::session::Session;
use crate::session::open::Settings;
use crate::store::adapters::memory::{Fate, Memory, Request};

const LONG: Duration = Duration::from_secs(600);

/// A session whose uploads of data take `time` once the switch is on, while everything else is answered at once.
pub(super) async fn slow(
    memory: &Memory,
    time: Duration,
    settings: Settings,
) -> (Session, Told, Arc<AtomicBool>) {
    let on = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&on);
    let script = move |request, name: &str| {
        let slow = switch.load(Ordering::Relaxed) && request == Request::Put && name.contains("/data/");
        (if slow { time } else { Duration::ZERO }, Fate::Done)
    };
    let store = Arc::new(memory.through(Arc::new(script), 1000));
    let (session, told) = session_with(store, settings).await.expect("opens");
    (session, told, on)
}

/// Writes until it is refused; says when that was.
async fn write_until_refused(session: &Session) -> Instant {
    let mut batch = Vec::new();
    for id in 0_u32.. {
        batch.clear();
        crate::format::record::push(
            &mut batch,
            &crate::format::record::key("session", "x"),
            Some(&id.to_le_bytes()),
        );
        if session.journal().append(&batch, false).is_err() {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    Instant::now()
}

#[test]
fn an_owner_is_refused_within_a_check_and_a_margin_however_long_its_upload_takes() {
    run(async {
        let wait = handover_wait(CHECK);
        for time in [Duration::from_secs(1), wait * 3 / 2, wait * 10, LONG] {
            for base in [false, true] {
                let memory = Memory::default();
                let (older, _, on) = slow(&memory, time, Cluster::settings_for_tests()).await;
                set(&older, 1);
                older.flush(Duration::from_secs(5)).await.expect("is stored");
                on.store(true, Ordering::Relaxed);
                if base {
                    _ = tokio::time::timeout(CHECK / 4, older.renew(LONG)).await;
                } else {
                    set(&older, 2);
                    sleep(CHECK / 4).await;
                }
                let claimed = Instant::now();
                let opened = async {
                    let newer = session_with(Arc::new(memory.clone()), Cluster::settings_for_tests()).await;
                    (newer.expect("opens").0, Instant::now())
                };
                let (refused, (newer, opened)) = tokio::join!(write_until_refused(&older), opened);
                assert!(refused - claimed <= CHECK + CHECK / 4, "{time:?}: after {:?}", refused - claimed);
                assert!(refused < opened, "{time:?}: two owners accepted writes");
                assert!(opened - claimed <= wait + linger(CHECK) + CHECK, "{time:?}: {:?}", opened - claimed);
                let flushed = older.flush(LONG).await.map_err(|error| error.code());
                let closed = older.close(LONG).await;
                if time * 2 < linger(CHECK) {
                    assert_eq!(
                        newer.journal().lsn(),
                        older.journal().lsn(),
                        "{time:?}: the rest was waited for"
                    );
                    assert!(newer.origin().clean);
                    assert_eq!(flushed, Ok(older.journal().lsn()), "{time:?}: all of it was handed over");
                    closed.expect("nothing is missing");
                } else {
                    let error = closed.expect_err("the last writes are nowhere else");
                    assert_eq!((flushed, error.code()), (Err(Code::Fenced), Code::Fenced), "{time:?}");
                }
                newer.close(LONG).await.expect("closes");
            }
        }
    });
}

#[test]
fn whoever_took_over_without_waiting_is_not_said_to_have_the_last_writes() {
    run(async {
        let memory = Memory::default();
        let (older, _, _) = slow(&memory, Duration::ZERO, Cluster::settings_for_tests()).await;
        set(&older, 1);
        older.flush(Duration::from_secs(5)).await.expect("is stored");
        let settings = Cluster::settings_for_tests().taking_over();
        let (newer, _) = session_with(Arc::new(memory), settings).await.expect("takes over");
        for id in 2..5 {
            set(&older, id);
        }
        let error = older.close(LONG).await.expect_err("three writes are nowhere else");
        assert_eq!(error.code(), Code::Fenced);
        assert!(error.message.contains("LSN 2 to 4"), "{error}");
        assert_eq!(newer.journal().lsn(), 1);
        newer.close(LONG).await.expect("closes");
    });
}

#[test]
fn a_successor_waits_by_the_longer_of_both_intervals() {
    run(async {
        let memory = Memory::default();
        let lazy = Cluster::settings_for_tests().checking_every(CHECK * 10);
        let (older, _, _) = slow(&memory, Duration::ZERO, lazy).await;
        set(&older, 1);
        let opened = async {
            let newer = session_with(Arc::new(memory.clone()), Cluster::settings_for_tests()).await;
            (newer.expect("opens").0, Instant::now())
        };
        let (refused, (newer, opened)) = tokio::join!(write_until_refused(&older), opened);
        assert!(refused < opened, "two owners accepted writes");
        assert_eq!(newer.journal().lsn(), older.journal().lsn());
        older.close(LONG).await.expect("closes");
        newer.close(LONG).await.expect("closes");
    });
}

#[test]
fn a_session_that_was_fenced_and_closed_leaves_nothing_in_memory() {
    run(async {
        let memory = Memory::default();
        let settings = || Cluster::settings_for_tests().taking_over();
        let (older, _) = session_with(Arc::new(memory.clone()), settings()).await.expect("opens");
        set(&older, 1);
        older.flush(CHECK * 4).await.expect("stores");
        let journal = Arc::downgrade(older.journal());
        let (newer, _) = session_with(Arc::new(memory), settings()).await.expect("takes over");
        sleep(CHECK * 4).await;
        assert_eq!(older.journal().life(), Life::Fenced);
        older.close(CHECK * 8).await.expect("closes");
        drop(older);
        sleep(Duration::from_secs(60)).await;
        assert!(journal.upgrade().is_none(), "something of it goes on");
        newer.close(CHECK * 8).await.expect("closes");
    });
}
