//! Stores that keep silent: the profiles in one do not keep those in another waiting, and need little memory meanwhile.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;
use tokio::time::timeout;

use super::*;

const LONG: Duration = Duration::from_secs(86_400);

/// The same objects through a network in which no request of this kind for a pack is answered.
fn silent(store: &Memory, kind: Request) -> Memory {
    let script = move |request, name: &str| {
        let hangs = request == kind && name.starts_with("v1/packs/");
        (if hangs { LONG } else { Duration::ZERO }, Fate::Done)
    };
    store.through(Arc::new(script), 1000)
}

#[tokio::test(start_paused = true)]
async fn packs_that_a_store_does_not_take_keep_no_other_profile_waiting() {
    let mut places = Vec::new();
    for seed in 0..4 {
        let place = Place::new();
        let session = place.open(&silent(&Memory::default(), Request::Put)).await;
        place.write("table", &noise(50_000, seed));
        places.push((place, session));
    }
    let mut waiting = Vec::new();
    for (place, session) in &places {
        let mut backup = Box::pin(place.back_up(session));
        assert!(timeout(WAIT, &mut backup).await.is_err(), "its store keeps silent");
        waiting.push(backup);
    }
    let place = Place::new();
    let session = place.open(&Memory::default()).await;
    place.write("table", &noise(50_000, 9));
    let report = timeout(WAIT, place.back_up(&session)).await.expect("its store answers");
    assert_eq!((report.generation, report.packs), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn packs_that_a_store_does_not_give_keep_no_other_profile_waiting() {
    let mut places = Vec::new();
    for seed in 0..8 {
        let (store, place) = (Memory::default(), Place::new());
        let session = place.open(&store).await;
        place.write("table", &noise(50_000, seed));
        place.back_up(&session).await;
        session.close(WAIT).await.expect("closes");
        let other = Place::new();
        let session = other.open(&silent(&store, Request::Get)).await;
        places.push((other, session));
    }
    let mut waiting = Vec::new();
    for (place, session) in &places {
        let mut restore = Box::pin(place.restored(session, None));
        assert!(timeout(WAIT, &mut restore).await.is_err(), "its store keeps silent");
        waiting.push(restore);
    }
    let place = Place::new();
    let session = place.open(&Memory::default()).await;
    place.write("table", &noise(50_000, 9));
    place.back_up(&session).await;
    let restored = timeout(WAIT, place.restored(&session, None)).await.expect("its store answers");
    assert_eq!(restored, Ok(place.contents()));
}

#[tokio::test(start_paused = true)]
async fn restores_from_one_store_hold_few_packs_in_memory() {
    let (store, place) = (Memory::default(), Place::new());
    let session = place.open(&store).await;
    for (seed, name) in ["one", "two", "three", "four", "five"].into_iter().enumerate() {
        place.write(name, &noise(50_000, seed as u64));
        assert_eq!(place.back_up(&session).await.packs, 1);
    }
    session.close(WAIT).await.expect("closes");
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = {
        let asked = Arc::clone(&asked);
        let script = move |request, name: &str| {
            let hangs = request == Request::Get && name.starts_with("v1/packs/");
            asked.fetch_add(usize::from(hangs), Ordering::Relaxed);
            (if hangs { LONG } else { Duration::ZERO }, Fate::Done)
        };
        store.through(Arc::new(script), 1000)
    };
    let other = Place::new();
    let session = other.open(&counting).await;
    let restores = join_all((0..3).map(|_| other.restored(&session, None)));
    assert!(timeout(WAIT, restores).await.is_err(), "its store keeps silent");
    assert_eq!(asked.load(Ordering::Relaxed), 4, "packs asked for at once");
}
