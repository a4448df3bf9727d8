//! Guards that only rare stories need: each of these fails when one of them is taken out.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::cluster::{CHECK, Cluster, Weather};
use super::super::machine::{Machine, Opening};
use super::super::outages::{session_with, set};
use super::super::run;
use super::slow_puts::slow;
use crate::error::Code;
use crate::format::record::session_batch;
use crate::platform::host::sleep;
use crate::replication::Pace;
use crate::session::open::Settings;
use crate::store::adapters::memory::{Fate, Memory, Request};

const LONG: Duration = Duration::from_secs(600);

fn takeover() -> Settings {
    Cluster::settings_for_tests().taking_over()
}

fn lazy() -> Settings {
    Cluster::settings_for_tests().checking_every(CHECK * 10)
}

#[test]
fn a_successor_waits_for_a_quiet_owner_that_looks_seldom() {
    run(async {
        let memory = Memory::default();
        let (older, _, _) = slow(&memory, Duration::ZERO, lazy()).await;
        set(&older, 1);
        older.flush(CHECK * 4).await.expect("is stored");
        let newer = session_with(Arc::new(memory), Cluster::settings_for_tests()).await;
        let (newer, _) = newer.expect("opens");
        // Nothing that it stored has made it look meanwhile.
        let late = older.journal().append(&session_batch(&[("late", Some(&[3]))]), false);
        assert_eq!(late.map_err(|error| error.code()), Err(Code::Fenced), "two owners accepted writes");
        older.close(LONG).await.expect("nothing is missing");
        newer.close(LONG).await.expect("closes");
    });
}

#[test]
fn a_successor_waits_for_the_rest_as_long_as_an_owner_that_looks_seldom_may_take() {
    run(async {
        let memory = Memory::default();
        let (older, _, on) = slow(&memory, Duration::from_secs(30), lazy()).await;
        set(&older, 1);
        older.flush(CHECK * 4).await.expect("is stored");
        on.store(true, Ordering::Relaxed);
        set(&older, 2);
        sleep(CHECK).await;
        let newer = session_with(Arc::new(memory), Cluster::settings_for_tests()).await;
        let (newer, _) = newer.expect("opens");
        assert_eq!((newer.journal().lsn(), newer.origin().clean), (2, true));
        older.close(LONG).await.expect("nothing is missing");
        newer.close(LONG).await.expect("closes");
    });
}

#[test]
fn whoever_expects_a_claim_leaves_what_somebody_else_began_since_as_it_is() {
    run(async {
        let memory = Memory::default();
        let mut claims = Vec::new();
        for id in 1..3 {
            let (session, _) = session_with(Arc::new(memory.clone()), takeover()).await.expect("opens");
            set(&session, id);
            claims.push(session.claim());
            session.close(CHECK * 4).await.expect("closes");
        }
        let names = || memory.objects().keys().cloned().collect::<Vec<_>>();
        let before = names();
        let refused = session_with(Arc::new(memory.clone()), takeover().after(claims[0])).await.map(|_| ());
        assert_eq!(refused.map_err(|error| error.code()), Err(Code::OwnedElsewhere));
        assert_eq!(names(), before, "nobody has to give way to it");
        let last = session_with(Arc::new(memory.clone()), takeover().after(claims[1])).await;
        let (session, _) = last.expect("is still the last");
        session.close(CHECK * 4).await.expect("closes");
    });
}

#[test]
fn a_close_looks_once_more_and_fills_a_store_that_was_emptied_since() {
    run(async {
        let memory = Memory::default();
        let (session, _) = session_with(Arc::new(memory.clone()), takeover()).await.expect("opens");
        set(&session, 1);
        session.flush(CHECK * 4).await.expect("is stored");
        memory.objects().clear();
        session.close(CHECK * 8).await.expect("closes");
        let heir = session_with(Arc::new(memory), takeover()).await.map(|(heir, _)| heir.journal().lsn());
        assert_eq!(heir.map_err(|error| error.code()), Ok(1));
    });
}

#[test]
fn what_was_restored_just_before_its_history_was_deleted_does_not_come_back() {
    run(async {
        let cluster = Cluster::new(3, 1000, Weather::default());
        let script = |request, name: &str| {
            let slow = request == Request::Put && name.ends_with(".deleted");
            (if slow { CHECK * 16 } else { Duration::ZERO }, Fate::Done)
        };
        let store = Arc::new(cluster.store.through(Arc::new(script), 1000));
        let (older, _) = session_with(store, takeover()).await.expect("opens");
        set(&older, 1);
        older.flush(CHECK * 4).await.expect("is stored");
        let restored_and_dead = async {
            sleep(CHECK).await;
            let mut newer = Machine::new(&cluster);
            newer.start(Opening { takeover: true, ..Opening::default() });
            sleep(CHECK).await;
            assert_eq!(
                newer.session().journal().lsn(),
                1,
                "it read the store before the tombstone was there"
            );
            newer.kill();
        };
        let (deleted, ()) = tokio::join!(older.delete(), restored_and_dead);
        deleted.expect("is deleted");
        let back = session_with(Arc::new(cluster.store.clone()), takeover()).await.map(|_| ());
        assert_eq!(back.map_err(|error| error.code()), Err(Code::Deleted));
    });
}
