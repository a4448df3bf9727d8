//! Losses: packs that are damaged, gone or named by nobody, and states that are not to be trusted.

use super::*;

#[tokio::test(start_paused = true)]
async fn damaged_or_lost_pack_is_an_error_and_never_an_older_generation() {
    let (store, place) = (Memory::default(), Place::new());
    let session = place.open(&store).await;
    place.write("table", &noise(50_000, 1));
    place.back_up(&session).await;
    place.write("other", &noise(50_000, 2));
    place.back_up(&session).await;
    let name = packs(&store).pop().expect("is stored");
    let whole = store.objects()[&name].clone();
    for bad in [None, Some(0), Some(whole.len() / 2), Some(whole.len() - 1)] {
        let mut bytes = whole.to_vec();
        if let Some(at) = bad {
            bytes[at] ^= 4;
        }
        match bad {
            Some(_) => store.objects().insert(name.clone(), bytes.into()),
            None => store.objects().remove(&name),
        };
        assert_eq!(place.restored(&session, None).await, Err(Code::RemoteCorrupt), "{bad:?}");
        let older = place.restored(&session, Some(1)).await.expect("is whole, and was asked for");
        assert_eq!(older.len(), 1);
    }
    let left: Vec<_> = std::fs::read_dir(place.folder.path())
        .expect("reads")
        .flatten()
        .map(|item| item.file_name())
        .collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().ends_with(".staged")), "{left:?}");
    store.objects().insert(name, whole);
    assert_eq!(place.restored(&session, None).await, Ok(place.contents()));
}

#[tokio::test(start_paused = true)]
async fn owner_stores_again_what_the_store_has_lost() {
    let (store, place) = (Memory::default(), Place::new());
    let session = place.open(&store).await;
    place.write("table", &noise(200_000, 1));
    place.back_up(&session).await;
    for name in packs(&store) {
        store.objects().remove(&name);
    }
    let audited = BackupOrder { audit: true, ..place.order(3) };
    let report = place.keeper.backup(&session, audited).await.expect("is stored");
    assert_eq!(report.repaired, 1);
    assert_eq!(place.restored(&session, None).await, Ok(place.contents()));
    assert_eq!(place.restored(&session, Some(1)).await, Err(Code::NotFound), "what needed it is given up");
}

#[tokio::test(start_paused = true)]
async fn generations_are_kept_again_after_a_repair_that_failed_at_first() {
    let (memory, place) = (Memory::default(), Place::new());
    let outage = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let fails = Arc::clone(&outage);
    let script = move |request, name: &str| {
        let lost = fails.load(std::sync::atomic::Ordering::Relaxed);
        let is_pack = request == Request::Put && name.starts_with("v1/packs/");
        (Duration::ZERO, if lost && is_pack { Fate::FailBefore } else { Fate::Done })
    };
    let store = memory.through(Arc::new(script), 1000);
    let session = place.open(&store).await;
    place.write("table", &noise(200_000, 1));
    place.back_up(&session).await;
    for name in packs(&memory) {
        memory.objects().remove(&name);
    }
    outage.store(true, std::sync::atomic::Ordering::Relaxed);
    let audited = || BackupOrder { audit: true, ..place.order(3) };
    let failed = place.keeper.backup(&session, audited()).await.map_err(|error| error.code());
    assert_eq!(failed.err(), Some(Code::RemoteUnavailable), "nothing could be stored again");
    outage.store(false, std::sync::atomic::Ordering::Relaxed);
    let report = place.keeper.backup(&session, audited()).await.expect("is stored");
    assert_eq!(report.repaired, 1);
    let mut made = vec![(report.generation, place.contents())];
    for round in 2..=3 {
        place.write("log", &noise(10_000, round));
        made.push((place.back_up(&session).await.generation, place.contents()));
    }
    for (generation, contents) in made {
        assert_eq!(place.restored(&session, Some(generation)).await, Ok(contents), "{generation}");
    }
}

#[tokio::test(start_paused = true)]
async fn loss_gives_up_the_generations_that_need_it_and_no_other() {
    let (store, place) = (Memory::default(), Place::new());
    let session = place.open(&store).await;
    place.write("old", &noise(100_000, 1));
    place.back_up(&session).await;
    let lost = packs(&store);
    place.remove("old");
    let mut made = Vec::new();
    for round in 2..=3 {
        place.write("table", &noise(50_000, round));
        made.push((place.back_up(&session).await.generation, place.contents()));
    }
    for name in lost {
        assert!(store.objects().remove(&name).is_some(), "generation 1 needs it");
    }
    // Nothing of the newest generation is lost, and nothing of the profile changed.
    let audited = BackupOrder { audit: true, ..place.order(3) };
    let report = place.keeper.backup(&session, audited).await.expect("is stored");
    assert_eq!((report.changed, report.generation, report.packs), (false, 3, 0));
    for (generation, contents) in made {
        assert_eq!(place.restored(&session, Some(generation)).await, Ok(contents), "{generation}");
    }
    assert_eq!(place.restored(&session, Some(1)).await, Err(Code::NotFound), "it is given up");
}

#[tokio::test(start_paused = true)]
async fn pack_whose_batch_never_came_is_removed_by_the_next_owner() {
    let (store, place) = (Memory::default(), Place::new());
    let session = place.open(&store).await;
    place.write("table", &noise(50_000, 1));
    place.back_up(&session).await;
    // Whatever is put under the data of the tenant fails from now on: packs arrive, batches do not.
    let stuck = store.through(
        Arc::new(|request, name: &str| {
            let fate = if request == Request::Put && name.starts_with("v1/data") {
                Fate::FailBefore
            } else {
                Fate::Done
            };
            (Duration::ZERO, fate)
        }),
        1000,
    );
    session.close(WAIT).await.expect("closes");
    let other = Place::new();
    let session = other.open_with(&store, &[7], identity).await.expect("opens");
    drop(session);
    let session = other.open_with(&stuck, &[7], |settings| settings.waiting(Duration::ZERO)).await;
    assert!(session.is_err(), "its base is not stored either");
    let third = Place::new();
    let session = third.open(&store).await;
    let orphan = session.owner().expect("has one");
    let name = backup::store(orphan, 900, noise(10_000, 9)).await.expect("is stored").name;
    assert_eq!(packs(&store).len(), 2);
    session.close(WAIT).await.expect("closes");
    let last = Place::new();
    let session = last.open(&store).await;
    last.write("table", &noise(50_000, 1));
    last.back_up(&session).await;
    assert!(!packs(&store).iter().any(|stored| stored.ends_with(&name.to_string())));
    assert_eq!(packs(&store).len(), 1);
    assert_eq!(last.restored(&session, None).await, Ok(last.contents()));
}

#[tokio::test(start_paused = true)]
async fn state_that_names_a_file_outside_is_not_written() {
    let (store, place) = (Memory::default(), Place::new());
    let session = place.open(&store).await;
    place.write("table", b"bytes");
    place.back_up(&session).await;
    let catalog = session.journal().read(Catalog::read).expect("reads").expect("reads");
    for path in ["../out", "/out", "a/../../out", "c:\\out", "a\\b", ""] {
        let mut bad = catalog.clone();
        let versions = bad.files.pop_first().expect("has one").1;
        bad.files.insert(path.to_owned(), versions);
        let tenancy = &session.owner().expect("has one").tenancy;
        let to = place.folder.path().join("never");
        let refused = restore_from(tenancy, &bad, to.clone(), None).await.map_err(|error| error.code());
        assert_eq!((refused.err(), to.exists()), (Some(Code::RemoteCorrupt), false), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn piece_that_is_not_what_the_state_says_is_not_written() {
    let (store, place) = (Memory::default(), Place::new());
    let session = place.open(&store).await;
    place.write("table", &noise(50_000, 1));
    place.back_up(&session).await;
    let mut catalog = session.journal().read(Catalog::read).expect("reads").expect("reads");
    let mut files = catalog.files.values_mut().flat_map(BTreeMap::values_mut).flatten();
    files.next().expect("has one").pieces[1].hash[3] ^= 1;
    let tenancy = &session.owner().expect("has one").tenancy;
    let to = place.folder.path().join("never");
    let refused = restore_from(tenancy, &catalog, to.clone(), None).await.map_err(|error| error.code());
    assert_eq!((refused.err(), to.exists()), (Some(Code::RemoteCorrupt), false));
}

#[tokio::test(start_paused = true)]
async fn pack_of_the_last_acknowledged_state_stays_until_the_next_one_is_acknowledged() {
    let memory = Memory::default();
    let outage = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let fails = Arc::clone(&outage);
    let script = move |request, name: &str| {
        let lost = fails.load(std::sync::atomic::Ordering::Relaxed);
        let fate = if lost && request == Request::Put && name.starts_with("v1/data") {
            Fate::FailBefore
        } else {
            Fate::Done
        };
        (Duration::ZERO, fate)
    };
    let (store, place) = (memory.through(Arc::new(script), 1000), Place::new());
    let session = place.open(&store).await;
    place.write("table", &noise(50_000, 1));
    place.back_up(&session).await;
    let acknowledged = packs(&memory);
    outage.store(true, std::sync::atomic::Ordering::Relaxed);
    place.write("table", &noise(50_000, 2));
    let order = || BackupOrder { keep: 1, audit: true, timeout: Duration::from_secs(5), ..place.order(1) };
    let late = place.keeper.backup(&session, order()).await.map_err(|error| error.code());
    assert_eq!(late.err(), Some(Code::RemoteUnavailable));
    let unchanged = place.keeper.backup(&session, order()).await.map_err(|error| error.code());
    assert_eq!(
        unchanged.err(),
        Some(Code::RemoteUnavailable),
        "nothing has changed, and nothing is acknowledged"
    );
    assert!(acknowledged.iter().all(|name| packs(&memory).contains(name)), "a successor would need it");
    outage.store(false, std::sync::atomic::Ordering::Relaxed);
    let settled = place.keeper.backup(&session, order()).await.expect("is stored");
    assert_eq!((settled.uncollected, packs(&memory).len()), (None, 1));
    assert!(!packs(&memory).contains(&acknowledged[0]));
}

#[tokio::test(start_paused = true)]
async fn pack_of_a_newer_owner_is_none_of_an_older_one() {
    let (store, place) = (Memory::default(), Place::new());
    let session = place.open(&store).await;
    place.write("table", &noise(50_000, 1));
    place.back_up(&session).await;
    let other = Place::new();
    let successor = other.open_with(&store, &[7], Settings::taking_over).await.expect("takes over");
    // Stored, and not named yet.
    backup::store(successor.owner().expect("has one"), 50, noise(10_000, 5)).await.expect("is stored");
    let catalog = session.journal().read(Catalog::read).expect("reads").expect("reads");
    let owner = session.owner().expect("has one");
    collect::collect(&owner.tenancy, &owner.claim, &catalog, WAIT).await.expect("lists");
    assert_eq!(packs(&store).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn packs_that_a_failover_forgot_are_stored_again_by_the_next_backup() {
    let (memory, place) = (Memory::default(), Place::new());
    let server = Arc::new(std::sync::atomic::AtomicU64::new(1));
    let session = place.open(&memory.served_by(Arc::clone(&server), true)).await;
    place.write("table", &noise(100_000, 1));
    place.back_up(&session).await;
    let before = memory.objects().clone();
    place.write("other", &noise(100_000, 2));
    place.back_up(&session).await;
    *memory.objects() = before;
    server.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    place.write("log", &noise(10_000, 3));
    let report = place.back_up(&session).await;
    assert_eq!(report.repaired, 1);
    assert_eq!(place.restored(&session, None).await, Ok(place.contents()));
}
