//! Stories of owners whose looks for a newer one fail: it is noticed in time all the same, unless the store answers none.

use tokio::time::Instant;

use super::super::outages::{session_with, set as put};
use super::*;
use crate::ownership::lease::handover_wait;
use crate::store::Meaning;
use crate::store::adapters::memory::{Fate, Request};

const INTERVAL: Duration = Duration::from_secs(5);

/// Opens an owner whose requests fare as `fate` says, given the time since its start, and another one soon after it looked. Gives
/// the times from that claim on at which the first is refused, and at which the second is open.
async fn race(
    fate: impl Fn(Request, &str, Duration) -> Fate + Send + Sync + 'static,
) -> (Duration, Duration) {
    let memory = Memory::default();
    let settings = || Cluster::settings_for_tests().checking_every(INTERVAL);
    let began = Instant::now();
    let script = move |request, name: &str| (Duration::ZERO, fate(request, name, began.elapsed()));
    let store = Arc::new(memory.through(Arc::new(script), 1000));
    let (older, _) = session_with(store, settings()).await.expect("opens");
    put(&older, 1);
    // Just after a tick, by the clock of the first.
    sleep((INTERVAL * 2 + INTERVAL / 10).saturating_sub(began.elapsed())).await;
    let claimed = Instant::now();
    let refused = async {
        // Nothing is written: an acknowledgement would look as well.
        while older.journal().life() == Life::Live && claimed.elapsed() < INTERVAL * 100 {
            sleep(Duration::from_millis(1)).await;
        }
        claimed.elapsed()
    };
    let opened = async {
        let newer = session_with(Arc::new(memory.clone()), settings()).await.expect("opens").0;
        (newer, claimed.elapsed())
    };
    let (refused, (newer, opened)) = tokio::join!(refused, opened);
    assert_eq!(newer.journal().lsn(), older.journal().lsn(), "the rest was handed over");
    (refused, opened)
}

fn is_look(request: Request, name: &str) -> bool {
    request == Request::List && name.starts_with("v1/claims")
}

#[test]
fn a_newer_owner_is_noticed_in_time_though_the_look_at_each_tick_fails() {
    run(async {
        let (refused, opened) = race(|request, name, at| {
            let beyond = Duration::from_nanos((at.as_nanos() % INTERVAL.as_nanos()) as u64);
            let fails = is_look(request, name) && at > INTERVAL * 3 - CHECK && beyond < INTERVAL / 20;
            if fails { Fate::FailBefore } else { Fate::Done }
        })
        .await;
        assert!(refused <= INTERVAL * 5 / 4, "after {refused:?}");
        assert!(refused < opened && opened <= handover_wait(INTERVAL) + INTERVAL, "{opened:?}");
    });
}

#[test]
fn a_newer_owner_is_noticed_in_time_though_the_store_asks_to_be_left_alone() {
    run(async {
        for asks in [1, 4, 20, 300].map(Duration::from_secs) {
            let (refused, opened) = race(move |request, name, at| {
                let throttled =
                    is_look(request, name) && (INTERVAL * 3 - CHECK..INTERVAL * 3 + CHECK).contains(&at);
                if throttled { Fate::Refuse(Meaning::Throttled(Some(asks))) } else { Fate::Done }
            })
            .await;
            assert!(refused <= INTERVAL * 7 / 4, "{asks:?}: after {refused:?}");
            assert!(refused < opened && opened <= handover_wait(INTERVAL) + INTERVAL, "{asks:?}: {opened:?}");
        }
    });
}

#[test]
fn a_store_that_fails_is_not_asked_more_than_a_few_times_in_an_interval() {
    run(async {
        let looks = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let (seen, away) = (Arc::clone(&looks), Arc::new(AtomicBool::new(false)));
        let switch = Arc::clone(&away);
        let script = move |request, name: &str| {
            let fails = switch.load(Ordering::Relaxed);
            seen.fetch_add(usize::from(fails && is_look(request, name)), Ordering::Relaxed);
            (Duration::ZERO, if fails { Fate::FailBefore } else { Fate::Done })
        };
        let store = Arc::new(Memory::default().through(Arc::new(script), 1000));
        let settings = Cluster::settings_for_tests().checking_every(INTERVAL);
        let (session, told) = session_with(store, settings).await.expect("opens");
        sleep(INTERVAL).await;
        away.store(true, Ordering::Relaxed);
        sleep(INTERVAL * 100).await;
        let count = looks.load(Ordering::Relaxed);
        assert!((300..=550).contains(&count), "{count} looks in 100 intervals");
        away.store(false, Ordering::Relaxed);
        sleep(INTERVAL + INTERVAL / 4).await;
        let told =
            told.lock().expect("is whole").iter().map(|(_, event)| format!("{event:?}")).collect::<Vec<_>>();
        assert!(told.last().is_some_and(|last| last.starts_with("Recovered")), "{told:?}");
        session.close(INTERVAL).await.expect("closes");
    });
}
