//! Shared listings: who shares a listing with whom, and that no answer is older than its question allows.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::format::name::Mark;
use crate::id::{Claim, OwnerId};
use crate::platform::host::Host;
use crate::sim::SimHost;
use crate::store::Store;
use crate::store::adapters::memory::{Fate, Memory};

/// Time and tasks as tokio has them in a test.
fn host() -> Arc<dyn Host> {
    SimHost::new(1, tokio::time::Instant::now())
}

fn tenants(count: usize) -> Vec<TenantName> {
    (0..count).map(|n| TenantName::visible(&format!("tenant-{n}")).expect("a good id")).collect()
}

#[tokio::test(start_paused = true)]
async fn everybody_who_waits_shares_one_listing() {
    let store = Memory::default();
    let tenants = tenants(50);
    for (n, tenant) in tenants.iter().enumerate() {
        let claim = Claim { epoch: n as u64 + 1, owner: OwnerId([1; 16]) };
        store.objects().insert(ClaimName { claim, mark: Mark::Claimed }.object(tenant), "x".into());
    }
    let remote = RetryingStore::new(Arc::new(store), host());
    let listing = Arc::new(SharedListing::new(remote.clone()));
    let answers = join_all(tenants.iter().map(|tenant| listing.claims(tenant))).await;
    for (n, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.expect("lists").highest().map(|claim| claim.epoch), Some(n as u64 + 1));
    }
    let lists = remote.traffic.lists.load(Ordering::Relaxed);
    assert_eq!(lists, 1, "for 50 questions at once");
}

#[tokio::test(start_paused = true)]
async fn an_answer_comes_from_a_listing_that_started_after_the_question() {
    let store = Memory::default();
    let slow = store.through(Arc::new(|_, _| (Duration::from_millis(40), Fate::Done)), 1);
    let remote = RetryingStore::new(Arc::new(slow), host());
    let listing = Arc::new(SharedListing::new(remote));
    let tenant = tenants(1).remove(0);
    let first = tokio::spawn({
        let (listing, tenant) = (Arc::clone(&listing), tenant.clone());
        async move { listing.claims(&tenant).await }
    });
    // The first listing has gathered for a millisecond, read its page at 21, and is on its way back until 41.
    tokio::time::sleep(Duration::from_millis(30)).await;
    let claim = Claim { epoch: 9, owner: OwnerId([1; 16]) };
    store.objects().insert(ClaimName { claim, mark: Mark::Claimed }.object(&tenant), "x".into());
    assert_eq!(listing.claims(&tenant).await.expect("lists").highest(), Some(claim));
    assert_eq!(first.await.expect("runs").expect("lists").highest(), None);
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_is_never_answered_holds_up_nobody_for_long() {
    let store = Memory::default();
    let asked = Arc::new(AtomicUsize::new(0));
    let first_is_lost = {
        let asked = Arc::clone(&asked);
        let silent = move || asked.fetch_add(1, Ordering::Relaxed) == 0;
        store.through(
            Arc::new(move |_, _| {
                (if silent() { Duration::from_secs(3600) } else { Duration::ZERO }, Fate::Done)
            }),
            1,
        )
    };
    let listing = Arc::new(SharedListing::new(RetryingStore::new(Arc::new(first_is_lost), host())));
    let tenants = tenants(2);
    let ask = |tenant: TenantName| {
        let listing = Arc::clone(&listing);
        tokio::spawn(async move { listing.claims(&tenant).await })
    };
    let began = tokio::time::Instant::now();
    let early = ask(tenants[0].clone());
    sleep(LATE / 2).await;
    let later = ask(tenants[1].clone());
    for answer in [early, later] {
        assert!(answer.await.expect("runs").is_ok());
    }
    assert!(began.elapsed() < LATE + Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(asked.load(Ordering::Relaxed), 2, "one listing for both who waited");
}

#[tokio::test(start_paused = true)]
async fn who_is_in_no_hurry_shares_the_listing_of_who_comes_later() {
    let store = Memory::default();
    let remote = RetryingStore::new(Arc::new(store), host());
    let tick = remote.host().now();
    let listing = Arc::new(SharedListing::new(remote.clone()));
    let mut answers = Vec::new();
    for tenant in tenants(40) {
        let listing = Arc::clone(&listing);
        answers.push(tokio::spawn(async move {
            listing.claims_since(&tenant, tick, Duration::from_millis(50)).await
        }));
        sleep(Duration::from_millis(1)).await;
    }
    let hurried = listing.claims(&tenants(1).remove(0)).await;
    assert!(hurried.is_ok());
    for answer in answers {
        assert!(answer.await.expect("runs").is_ok());
    }
    assert_eq!(remote.traffic.lists.load(Ordering::Relaxed), 1, "for 41 questions within 50 ms");
}

#[tokio::test(start_paused = true)]
async fn of_a_tick_everybody_shares_one_listing_however_late_they_wake() {
    let store = Memory::default();
    let slow = store.through(Arc::new(|_, _| (Duration::from_millis(40), Fate::Done)), 1);
    let remote = RetryingStore::new(Arc::new(slow), host());
    let listing = Arc::new(SharedListing::new(remote.clone()));
    let tick = remote.host().now();
    let look = |tenant: TenantName| {
        let listing = Arc::clone(&listing);
        tokio::spawn(async move { listing.claims_since(&tenant, tick, Duration::from_millis(10)).await })
    };
    let mut answers = Vec::new();
    // Some wake with the tick, some while the listing is under way, and some long after it.
    for (n, tenant) in tenants(60).into_iter().enumerate() {
        answers.push(look(tenant));
        sleep(Duration::from_millis(if n < 5 { 0 } else { 7 })).await;
    }
    for answer in answers {
        assert!(answer.await.expect("runs").is_ok());
    }
    assert_eq!(remote.traffic.lists.load(Ordering::Relaxed), 1, "for one tick");
    sleep(Duration::from_millis(1)).await;
    let next = remote.host().now();
    for tenant in &tenants(60)[..2] {
        assert!(listing.claims_since(tenant, next, Duration::ZERO).await.is_ok());
    }
    assert_eq!(
        remote.traffic.lists.load(Ordering::Relaxed),
        3,
        "what was listed before a tick is nothing to it"
    );
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_was_begun_before_a_tick_answers_nobody_of_it_and_who_is_in_a_hurry_not_at_all() {
    let store = Memory::default();
    let slow = store.through(Arc::new(|_, _| (Duration::from_millis(40), Fate::Done)), 1);
    let remote = RetryingStore::new(Arc::new(slow), host());
    let listing = Arc::new(SharedListing::new(remote.clone()));
    let claimed = tenants(1).remove(0);
    let everybody = async |tick: Duration| {
        let looking = tenants(20);
        let answers =
            looking.iter().map(|tenant| listing.claims_since(tenant, tick, Duration::from_millis(5)));
        let first = join_all(answers).await.remove(0);
        first.expect("lists").highest().map(|claim| claim.epoch)
    };
    let before = remote.host().now();
    assert_eq!(everybody(before).await, None);
    let claim = Claim { epoch: 9, owner: OwnerId([1; 16]) };
    store.objects().insert(ClaimName { claim, mark: Mark::Claimed }.object(&claimed), "x".into());
    let after = remote.host().now();
    assert_eq!(everybody(before).await, None, "as of the older tick");
    assert_eq!(listing.claims(&claimed).await.expect("lists").highest(), Some(claim), "as of now");
    assert_eq!(everybody(after).await, Some(9), "as of the newer tick");
}

/// A store that counts the names that its listings give.
struct Counting(Memory, Arc<AtomicUsize>);

#[async_trait::async_trait]
impl Store for Counting {
    async fn put(&self, name: &str, bytes: bytes::Bytes) -> Result<(), Failure> {
        self.0.put(name, bytes).await
    }
    async fn get(&self, name: &str) -> Result<Option<bytes::Bytes>, Failure> {
        self.0.get(name).await
    }
    async fn list(&self, folder: &str, prefix: &str) -> Result<Vec<String>, Failure> {
        let names = self.0.list(folder, prefix).await?;
        self.1.fetch_add(names.len(), Ordering::Relaxed);
        Ok(names)
    }
    async fn delete(&self, names: Vec<String>) -> Result<(), Failure> {
        self.0.delete(names).await
    }
}

/// Names that are listed, and requests that are made, while a fleet of so many tenants is opened, eight at a time.
async fn opening(fleet: usize) -> (usize, usize) {
    let store = Memory::default();
    let tenants = tenants(fleet);
    for tenant in &tenants {
        for epoch in 1..=3 {
            let claim = Claim { epoch, owner: OwnerId([1; 16]) };
            store.objects().insert(ClaimName { claim, mark: Mark::Claimed }.object(tenant), "x".into());
        }
    }
    let rows = Arc::new(AtomicUsize::new(0));
    let remote = RetryingStore::new(Arc::new(Counting(store, Arc::clone(&rows))), host());
    let listing = Arc::new(SharedListing::new(remote.clone()));
    for some in tenants.chunks(8) {
        for _ in 0..4 {
            for answer in join_all(some.iter().map(|tenant| listing.claims(tenant))).await {
                assert_eq!(answer.expect("lists").highest().map(|claim| claim.epoch), Some(3));
            }
        }
    }
    (rows.load(Ordering::Relaxed), usize::try_from(remote.traffic.lists.load(Ordering::Relaxed)).unwrap())
}

#[tokio::test(start_paused = true)]
async fn what_an_open_downloads_does_not_grow_with_the_fleet() {
    for fleet in [100, 1_000, 10_000] {
        let (rows, lists) = opening(fleet).await;
        // Four questions for three names each, and the folder once.
        assert!(rows <= fleet * 4 * 3 + 2 * fleet * 3, "{rows} names for {fleet} tenants");
        assert!(lists <= fleet * 4 + 100, "{lists} requests for {fleet} tenants");
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_with_a_part_of_a_fleet_looks_after_it_with_few_requests() {
    let store = Memory::default();
    let all = tenants(2_000);
    for tenant in &all {
        let claim = Claim { epoch: 1, owner: OwnerId([1; 16]) };
        store.objects().insert(ClaimName { claim, mark: Mark::Claimed }.object(tenant), "x".into());
    }
    let remote = RetryingStore::new(Arc::new(store), host());
    let listing = Arc::new(SharedListing::new(remote.clone()));
    for _ in 0..3 {
        let tick = remote.host().now();
        let own = all.iter().take(200);
        let answers = join_all(own.map(|tenant| listing.claims_since(tenant, tick, GATHER))).await;
        assert!(answers.iter().all(Result::is_ok));
        sleep(Duration::from_secs(5)).await;
    }
    assert_eq!(remote.traffic.lists.load(Ordering::Relaxed), 3 * 2, "two pages for each tick");
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_after_a_panic_is_answered() {
    let store = Memory::default();
    let asked = AtomicUsize::new(0);
    let script = move |_, _: &str| {
        assert!(asked.fetch_add(1, Ordering::Relaxed) > 0, "the first listing fails as nobody planned");
        (Duration::ZERO, Fate::Done)
    };
    let listing = Arc::new(SharedListing::new(RetryingStore::new(
        Arc::new(store.through(Arc::new(script), 1000)),
        host(),
    )));
    let tenant = tenants(1).remove(0);
    let ask = || tokio::time::timeout(Duration::from_secs(60), listing.claims(&tenant));
    ask().await.expect("is told").expect_err("that there is no answer");
    ask().await.expect("is served").expect("and answered");
}
