//! Ends that do not come out as asked: a release that is cut short, and writes without a log that are refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::super::cluster::{CHECK, Cluster, hold};
use super::super::outages::{FOR_EVER, session_with, set, takes_no_data_while};
use super::super::run;
use crate::error::Code;
use crate::event::Event;
use crate::format::record::session_batch;
use crate::platform::host::sleep;
use crate::session::Mode;
use crate::session::open::Settings;
use crate::store::adapters::memory::{Fate, Memory, Request};

#[test]
fn a_close_whose_time_is_over_before_its_release_is_stored_says_so_once_and_the_next_open_waits() {
    run(async {
        let memory = Memory::default();
        let script = |request, name: &str| {
            let slow = request == Request::Put && name.ends_with(".released");
            (if slow { FOR_EVER } else { Duration::ZERO }, Fate::Done)
        };
        let store = Arc::new(memory.through(Arc::new(script), 1000));
        let (session, told) = session_with(store, Cluster::settings_for_tests()).await.expect("opens");
        set(&session, 1);
        session.close(CHECK * 4).await.expect("all is stored");
        // Whoever opens it again in this process closes it once more.
        session.close(CHECK).await.expect("it is closed");
        let failed: Vec<String> = hold(&told)
            .iter()
            .filter_map(|(_, event)| match event {
                Event::Failed(error) => Some(error.message.clone()),
                _ => None,
            })
            .collect();
        assert!(matches!(&failed[..], [only] if only.contains("the release is not")), "{failed:?}");
        let began = Instant::now();
        let (heir, _) = session_with(Arc::new(memory), Cluster::settings_for_tests()).await.expect("opens");
        assert_eq!((heir.journal().lsn(), heir.origin().clean), (1, false));
        assert!(began.elapsed() > CHECK * 2, "it waited for one that might run");
        heir.close(CHECK * 4).await.expect("closes");
    });
}

#[test]
fn a_write_without_a_log_that_is_refused_says_whether_it_may_be_stored_all_the_same() {
    run(async {
        let memory = Memory::default();
        let deaf = Arc::new(AtomicBool::new(false));
        let cloud = Cluster::settings_for_tests().in_mode(Mode::Cloud).taking_over();
        let store = takes_no_data_while(&memory, &deaf);
        let (session, _) = session_with(store, cloud.clone()).await.expect("opens");
        deaf.store(true, Ordering::Relaxed);
        set(&session, 1);
        let settled = async { session.settle(1, FOR_EVER).await.expect_err("it is refused") };
        let opened = async {
            sleep(CHECK).await;
            session_with(Arc::new(memory.clone()), cloud.clone()).await.expect("takes over")
        };
        let (sent, (newer, _)) = futures::join!(settled, opened);
        assert_eq!(sent.code(), Code::Fenced);
        assert!(sent.message.contains("may still have been stored"), "{sent}");
        let batch = session_batch(&[("late", Some(&[3]))]);
        let late = session.journal().append(&batch, false).expect_err("it is refused at once");
        assert!(late.message.contains("nothing of this write was stored"), "{late}");
        newer.close(CHECK * 4).await.expect("closes");
    });
}
