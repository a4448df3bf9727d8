//! Backups: what they send, what they keep, and that each kept generation restores.

use super::*;

#[tokio::test(start_paused = true)]
async fn every_kept_generation_restores_bit_for_bit_on_a_blank_machine() {
    let (store, place) = (Memory::default(), Place::new());
    let session = place.open(&store).await;
    let mut made = BTreeMap::new();
    for round in 1..=6_u64 {
        place.write("log", &noise(20_000 * usize::try_from(round).expect("small"), 1));
        place.write(&format!("table-{round}"), &noise(70_000, round));
        place.write("empty", b"");
        if round == 4 {
            place.remove("table-2");
        }
        let report = place.back_up(&session).await;
        assert_eq!((report.generation, report.changed), (round, true));
        made.insert(round, place.contents());
    }
    session.close(WAIT).await.expect("closes");
    let blank = Place::new();
    let session = blank.open(&store).await;
    assert_eq!(session.origin().source, OriginSource::Remote);
    for generation in 4..=6 {
        assert_eq!(
            blank.restored(&session, Some(generation)).await.as_ref(),
            Ok(&made[&generation]),
            "{generation}"
        );
    }
    assert_eq!(blank.restored(&session, None).await.as_ref(), Ok(&made[&6]));
    for generation in [0, 3, 7] {
        assert_eq!(blank.restored(&session, Some(generation)).await, Err(Code::NotFound), "{generation}");
    }
}

#[tokio::test(start_paused = true)]
async fn backup_sends_what_changed_and_nothing_when_nothing_did() {
    let (memory, place) = (Memory::default(), Place::new());
    let (store, requests) = counted(&memory);
    let session = place.open(&store).await;
    place.write("table", &noise(2_000_000, 1));
    place.write("log", &noise(100_000, 2));
    assert!(place.back_up(&session).await.sent > 2_000_000);
    place.back_up(&session).await;
    sleep(Duration::from_secs(1)).await;
    let taken = || std::mem::take(&mut *requests.lock().expect("is whole"));
    taken();
    // Of the engine's own looks at its claim there are none in no time.
    let idle = place.back_up(&session).await;
    assert_eq!((idle.changed, idle.sent, idle.packs), (false, 0, 0));
    assert_eq!(taken(), BTreeMap::new());
    place.write("log", &noise(110_000, 2));
    let report = place.back_up(&session).await;
    assert!((10_000..40_000).contains(&report.sent), "{} bytes for 10,000 new ones", report.sent);
    let asked = taken();
    assert_eq!(asked.get("Put"), Some(&2), "a pack and a segment: {asked:?}");
}

#[tokio::test(start_paused = true)]
async fn pack_that_no_generation_needs_is_removed_and_no_other() {
    let (store, place) = (Memory::default(), Place::new());
    let session = place.open(&store).await;
    for round in 1..=8 {
        place.write("table", &noise(100_000, round));
        place.back_up(&session).await;
        place.back_up(&session).await;
    }
    assert_eq!(packs(&store).len(), 3, "one for each of three generations");
    for generation in 6..=8 {
        let restored = place.restored(&session, Some(generation)).await.expect("restores");
        assert_eq!(restored["Kept/table"], noise(100_000, generation));
    }
}

#[tokio::test(start_paused = true)]
async fn pack_with_little_of_use_is_stored_anew() {
    let (store, place) = (Memory::default(), Place::new());
    let session = place.open(&store).await;
    for part in 0..10 {
        place.write(&format!("table-{part}"), &noise(100_000, part));
    }
    place.back_up(&session).await;
    for part in 0..7 {
        place.remove(&format!("table-{part}"));
    }
    for round in 0..6 {
        place.write("log", &noise(1_000, 100 + round));
        place.back_up(&session).await;
    }
    place.back_up(&session).await;
    let stored: usize = store
        .objects()
        .iter()
        .filter(|(name, _)| name.starts_with("v1/packs/"))
        .map(|(_, bytes)| bytes.len())
        .sum();
    assert!(stored < 400_000, "{stored} bytes are stored of 301,000");
    assert_eq!(place.restored(&session, None).await, Ok(place.contents()));
}

#[tokio::test(start_paused = true)]
async fn file_that_may_change_is_read_again_although_its_mark_is_the_same() {
    let (store, place) = (Memory::default(), Place::new());
    let session = place.open(&store).await;
    let at = place.folder.path().join("profile").join(KEPT).join("log");
    let touch = || {
        let file = std::fs::File::options().write(true).open(&at).expect("is there");
        file.set_modified(std::time::UNIX_EPOCH).expect("is ours");
    };
    place.write("log", &noise(50_000, 1));
    touch();
    place.back_up(&session).await;
    // As fast as clocks of file systems are coarse.
    place.write("log", &noise(50_000, 2));
    touch();
    assert!(place.back_up(&session).await.changed);
    assert_eq!(place.restored(&session, None).await, Ok(place.contents()));
}
