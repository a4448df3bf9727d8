//! Stores that tell of changed claims: who is concerned looks at once, and nothing depends on it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::super::cluster::Cluster;
use super::super::outages::{session_with, set};
use super::super::run;
use crate::replication::Pace;
use crate::session::open::Settings;
use crate::store::adapters::memory::{Fate, Memory, Request};

const LONG: Duration = Duration::from_secs(600);
/// A pace at which nobody looks in time by itself.
const RARELY: Duration = Duration::from_secs(60);

fn settings() -> Settings {
    Cluster::settings_for_tests().checking_every(RARELY)
}

/// Time that a successor waits for an owner that has nothing to do.
async fn handover(memory: Memory) -> Duration {
    let (owner, _) = session_with(Arc::new(memory.clone()), settings()).await.expect("opens");
    set(&owner, 1);
    owner.flush(LONG).await.expect("is stored");
    let began = Instant::now();
    let (heir, _) = session_with(Arc::new(memory), settings()).await.expect("opens");
    let took = began.elapsed();
    assert_eq!(heir.journal().lsn(), 1);
    owner.close(LONG).await.expect("everything was handed over");
    heir.close(LONG).await.expect("closes");
    took
}

#[test]
fn a_successor_that_waits_for_a_slow_owner_goes_on_when_it_is_told_of_the_release() {
    run(async {
        let slow = |request, name: &str| {
            let is_data = request == Request::Put && name.starts_with("v1/data/");
            (if is_data { Duration::from_millis(300) } else { Duration::ZERO }, Fate::Done)
        };
        let memory = Memory::default().telling().through(Arc::new(slow), 1000);
        let (owner, _) = session_with(Arc::new(memory.clone()), settings()).await.expect("opens");
        set(&owner, 1);
        let began = Instant::now();
        let (heir, _) = session_with(Arc::new(memory), settings()).await.expect("opens");
        // Its own base takes as long as the last segment of the owner.
        assert!(began.elapsed() < Duration::from_millis(900), "{:?}", began.elapsed());
        assert_eq!(heir.journal().lsn(), 1);
        owner.close(LONG).await.expect("everything was handed over");
        heir.close(LONG).await.expect("closes");
    });
}

#[test]
fn an_owner_that_is_told_of_a_claim_hands_over_at_once_and_its_successor_goes_on_at_once() {
    run(async {
        let told = handover(Memory::default().telling()).await;
        assert!(told < Duration::from_secs(1), "{told:?}");
        let untold = handover(Memory::default()).await;
        assert!(untold > Duration::from_secs(10), "{untold:?}");
    });
}
