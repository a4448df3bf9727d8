//! Removals happen beside everything else: a store that does not answer for them holds up nothing that counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::session::open::Settings;
use crate::store::adapters::memory::{Fate, Memory, Request};

use super::cluster::{CHECK, Cluster};
use super::outages::{session_with, set};
use super::run;

#[test]
fn removals_that_are_never_answered_hold_up_neither_uploads_nor_a_handover_nor_a_close() {
    run(async {
        for closes in [false, true] {
            let memory = Memory::default();
            let silent = Arc::new(AtomicBool::new(false));
            let switch = Arc::clone(&silent);
            // To find out what can be removed, the data are listed.
            let script = move |request, name: &str| {
                let asks = matches!(request, Request::List | Request::Delete) && name.contains("/data/");
                let never = asks && switch.load(Ordering::Relaxed);
                (if never { Duration::from_secs(100_000) } else { Duration::ZERO }, Fate::Done)
            };
            let settings = Cluster::settings_for_tests().waiting(CHECK * 1_000);
            let store = Arc::new(memory.through(Arc::new(script), 1000));
            let (older, _) = session_with(store, settings.clone()).await.expect("opens");
            silent.store(true, Ordering::Relaxed);
            set(&older, 1);
            older.flush(CHECK * 10).await.expect("is stored");
            set(&older, 2);
            if closes {
                older.close(CHECK * 10).await.expect("lets go");
            }
            let (newer, _) = session_with(Arc::new(memory), settings).await.expect("goes on");
            assert_eq!((newer.journal().lsn(), newer.origin().clean), (2, true), "closes: {closes}");
        }
    });
}
