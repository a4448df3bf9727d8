//! Shared listings, with those who ask and the one who serves them in every order that shuttle tries.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use shuttle::future;
use shuttle::rand::{Rng, thread_rng};

use super::*;
use crate::format::name::Mark;
use crate::id::{Claim, OwnerId};
use crate::platform::host::Host;
use crate::platform::sync::stepped::step;
use crate::sim::interleaved::{SteppedHost, explore};
use crate::store::Store;

/// A store whose claims grow: all tenants have the same, and a listing shows those that there were when it began.
#[derive(Default)]
struct Growing {
    tenants: Vec<TenantName>,
    epoch: AtomicU64,
}

impl Growing {
    /// Stores a newer claim, and gives its epoch.
    fn claim(&self) -> u64 {
        step();
        self.epoch.fetch_add(1, Ordering::SeqCst) + 1
    }
}

#[async_trait]
impl Store for Growing {
    async fn put(&self, _: &str, _: Bytes) -> Result<(), Failure> {
        Ok(())
    }

    async fn get(&self, _: &str) -> Result<Option<Bytes>, Failure> {
        Ok(None)
    }

    async fn list(&self, folder: &str, prefix: &str) -> Result<Vec<String>, Failure> {
        let claim = Claim { epoch: self.epoch.load(Ordering::SeqCst), owner: OwnerId([1; 16]) };
        let names = self.tenants.iter().map(|tenant| ClaimName { claim, mark: Mark::Claimed }.object(tenant));
        let names = names.filter_map(|name| name.strip_prefix(&format!("{folder}/")).map(str::to_owned));
        for _ in 0..thread_rng().gen_range(0..3) {
            future::yield_now().await;
        }
        Ok(names.filter(|name| name.starts_with(prefix)).collect())
    }

    async fn delete(&self, _: Vec<String>) -> Result<(), Failure> {
        Ok(())
    }
}

struct Asked {
    host: Arc<SteppedHost>,
    store: Arc<Growing>,
    listing: Arc<SharedListing>,
}

impl Asked {
    fn new(tenants: usize) -> Asked {
        let named = |n: usize| TenantName::visible(&format!("tenant-{n}")).expect("a good id");
        let store = Arc::new(Growing { tenants: (0..tenants).map(named).collect(), ..Growing::default() });
        let host = Arc::new(SteppedHost::default());
        let remote =
            RetryingStore::new(Arc::clone(&store) as Arc<dyn Store>, Arc::clone(&host) as Arc<dyn Host>);
        Asked { host, store, listing: Arc::new(SharedListing::new(remote)) }
    }

    /// Asks for each tenant, `rounds` times and all at once, and gives the answers that came.
    fn ask(&self, rounds: u64, hurried: fn(u64) -> bool) -> usize {
        let askers = self.store.tenants.iter().enumerate().map(|(n, tenant)| {
            let (host, store) = (Arc::clone(&self.host), Arc::clone(&self.store));
            let (listing, tenant) = (Arc::clone(&self.listing), tenant.clone());
            future::spawn(async move {
                let mut answers = 0;
                for round in 0..rounds {
                    let claim = store.claim();
                    let answer = if hurried(n as u64 + round) {
                        listing.claims(&tenant).await
                    } else {
                        let tick = host.now();
                        // Somebody else's question may be served meanwhile.
                        future::yield_now().await;
                        listing.claims_since(&tenant, tick, Duration::from_millis(50)).await
                    };
                    let Ok(claims) = answer else { continue };
                    let seen = claims.highest().map_or(0, |claim| claim.epoch);
                    assert!(seen >= claim, "asked after claim {claim}, and was shown {seen}");
                    answers += 1;
                }
                answers
            })
        });
        let askers: Vec<_> = askers.collect();
        askers.into_iter().map(|asker| future::block_on(asker).expect("ends")).sum()
    }
}

#[test]
fn an_answer_is_never_from_a_listing_that_began_before_the_question() {
    explore(400, || {
        let asked = Asked::new(3);
        assert_eq!(asked.ask(2, |turn| turn % 3 != 0), 6, "everybody is answered");
        assert!(asked.listing.desk().waiting.is_empty());
    });
}

#[test]
fn who_waits_is_told_when_the_one_who_serves_is_gone_and_the_next_question_is_served() {
    explore(400, || {
        let asked = Asked::new(2);
        let killer = {
            let host = Arc::clone(&asked.host);
            future::spawn(async move {
                for _ in 0..thread_rng().gen_range(0..6) {
                    future::yield_now().await;
                }
                host.drop_one.notify_waiters();
            })
        };
        assert!(asked.ask(2, |_| true) <= 4);
        future::block_on(killer).expect("ends");
        // The one who was told to go may still answer, before he does.
        assert!((0..3).any(|_| asked.ask(1, |_| true) == 2), "everybody is answered again");
    });
}
