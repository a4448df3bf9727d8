//! Owners: one at a time, of a profile or of a session of Baileys, and the folder that counts.

use super::*;

#[tokio::test(start_paused = true)]
async fn fenced_owner_makes_no_generation_and_removes_nothing() {
    let (store, place) = (Memory::default(), Place::new());
    let session = place.open(&store).await;
    place.write("table", &noise(50_000, 1));
    place.back_up(&session).await;
    let other = Place::new();
    let successor = other.open_with(&store, &[7], Settings::taking_over).await.expect("takes over");
    other.write("table", &noise(60_000, 2));
    other.back_up(&successor).await;
    let expected = other.contents();
    place.write("table", &noise(70_000, 3));
    let refused = place.keeper.backup(&session, place.order(1)).await.map_err(|error| error.code());
    assert_eq!(refused.err(), Some(Code::Fenced));
    assert!(session.delete().await.is_err(), "nor does it delete what it does not own");
    sleep(Duration::from_secs(60)).await;
    assert_eq!(other.restored(&successor, None).await, Ok(expected));
    assert_eq!(other.back_up(&successor).await.generation, 2);
}

#[tokio::test(start_paused = true)]
async fn folder_counts_if_it_holds_the_newest_generation_and_only_then() {
    let (store, place) = (Memory::default(), Place::new());
    let marker = place.folder.path().join("holds.json");
    let held = |session: &Session| {
        session
            .journal()
            .read(|state| is_held(&marker, &Catalog::read(state).expect("reads").generations))
            .expect("is live")
    };
    let session = place.open(&store).await;
    assert!(!held(&session), "before the first");
    place.write("table", &noise(50_000, 1));
    place.back_up(&session).await;
    assert!(held(&session));
    session.close(WAIT).await.expect("closes");
    let session = place.open(&store).await;
    assert!(held(&session), "after a restart");
    session.close(WAIT).await.expect("closes");
    let other = Place::new();
    let session = other.open(&store).await;
    other.write("table", &noise(50_000, 2));
    other.back_up(&session).await;
    assert!(!held(&session), "once another one made a generation");
    // Of the same number, and another one.
    let both = Place::new();
    std::fs::copy(&marker, both.folder.path().join("holds.json")).expect("is there");
    forget(&marker).expect("goes");
    forget(&marker).expect("is gone already");
    assert!(!held(&session));
}

#[tokio::test(start_paused = true)]
async fn profile_is_sealed_anew_under_the_primary_key() {
    let (store, place) = (Memory::default(), Place::new());
    let session = place.open(&store).await;
    place.write("table", &noise(50_000, 1));
    place.back_up(&session).await;
    place.write("log", &noise(20_000, 2));
    place.back_up(&session).await;
    session.close(WAIT).await.expect("closes");
    let session = place.open_with(&store, &[8, 7], identity).await.expect("opens with both");
    reseal(&session, WAIT).await.expect("is sealed anew");
    session.renew(WAIT).await.expect("is stored anew");
    session.close(WAIT).await.expect("closes");
    let blank = Place::new();
    let session = blank.open_with(&store, &[8], identity).await.expect("opens with the new one alone");
    assert_eq!(blank.restored(&session, None).await, Ok(place.contents()));
    assert_eq!(packs(&store).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn deletion_leaves_no_pack() {
    let (store, place) = (Memory::default(), Place::new());
    let session = place.open(&store).await;
    place.write("table", &noise(50_000, 1));
    place.back_up(&session).await;
    session.delete().await.expect("is deleted");
    assert_eq!(packs(&store), Vec::<String>::new());
    let again = Place::new().open_with(&store, &[7], identity).await.map_err(|error| error.code());
    assert_eq!(again.err(), Some(Code::Deleted));
}

#[tokio::test(start_paused = true)]
async fn profile_and_session_of_baileys_are_never_taken_for_each_other() {
    let (store, place) = (Memory::default(), Place::new());
    let session = place.open(&store).await;
    place.write("table", b"bytes");
    place.back_up(&session).await;
    session.close(WAIT).await.expect("closes");
    let opened = Place::new().open_with(&store, &[7], Settings::of_baileys).await;
    assert_eq!(opened.map_err(|error| error.code()).err(), Some(Code::InvalidOption));
    let (store, place) = (Memory::default(), Place::new());
    let session = place.open_with(&store, &[7], Settings::of_baileys).await.expect("opens");
    let mut batch = Vec::new();
    crate::format::record::push(&mut batch, crate::format::record::CREDS_KEY, Some(b"\x01{}"));
    session.journal().append(&batch, true).expect("sets");
    session.flush(WAIT).await.expect("is stored");
    session.close(WAIT).await.expect("closes");
    let opened = Place::new().open_with(&store, &[7], identity).await;
    assert_eq!(opened.map_err(|error| error.code()).err(), Some(Code::InvalidOption));
}
