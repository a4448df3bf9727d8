//! Notices, with those who begin to wait and the store that tells in every order that shuttle tries.

use async_trait::async_trait;
use bytes::Bytes;
use shuttle::future;
use tokio::sync::broadcast;

use super::*;
use crate::platform::sync::stepped::step;
use crate::sim::interleaved::{SteppedHost, explore};
use crate::store::{Failure, Store};

/// A store that tells, to those who listen when it does.
struct Telling(broadcast::Sender<Notice>);

#[async_trait]
impl Store for Telling {
    fn notices(&self) -> Option<broadcast::Receiver<Notice>> {
        step();
        let notices = self.0.subscribe();
        step();
        Some(notices)
    }

    async fn put(&self, _: &str, _: Bytes) -> Result<(), Failure> {
        Ok(())
    }

    async fn get(&self, _: &str) -> Result<Option<Bytes>, Failure> {
        Ok(None)
    }

    async fn list(&self, _: &str, _: &str) -> Result<Vec<String>, Failure> {
        Ok(Vec::new())
    }

    async fn delete(&self, _: Vec<String>) -> Result<(), Failure> {
        Ok(())
    }
}

#[test]
fn what_a_store_tells_after_somebody_began_to_wait_wakes_him() {
    explore(500, || {
        let (tell, _) = broadcast::channel(2);
        let store = Arc::new(Telling(tell.clone()));
        let remote = RetryingStore::new(store, Arc::new(SteppedHost::default()));
        let attention = Arc::new(Attention::default());
        let waiters = (0..3).map(|n| {
            let (attention, remote, tell) = (Arc::clone(&attention), remote.clone(), tell.clone());
            let tenant = TenantName::visible(&format!("tenant-{n}")).expect("a good id");
            future::spawn(async move {
                for _ in 0..2 {
                    let mut noticed = attention.of(&tenant, &remote);
                    // Sent to nobody: it was told before somebody listened, which none of these may find.
                    tell.send(tenant.notice()).expect("somebody listens");
                    noticed.wait().await;
                }
            })
        });
        let waiters: Vec<_> = waiters.collect();
        waiters.into_iter().for_each(|waiter| future::block_on(waiter).expect("is woken"));
    });
}
