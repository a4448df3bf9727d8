//! What a store that takes a name only once is to us: unfit when it is tried out, and no obstacle for what it has already.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;

use super::contract::entries::host;
use super::memory::Memory;
use super::patience::PLACES;
use super::{Failure, Meaning, Remote, Store, examine};
use crate::error::Code;

/// Refuses to store under a name that is there, and loses the first answer if it is told to.
#[derive(Default)]
struct Once {
    memory: Memory,
    loses: AtomicBool,
}

#[async_trait]
impl Store for Once {
    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), Failure> {
        if self.memory.objects().contains_key(name) {
            return Err(Failure::new(Meaning::Denied, "status 403, AccessDenied"));
        }
        self.memory.put(name, bytes).await?;
        if self.loses.swap(false, Ordering::Relaxed) {
            return Err(Failure::new(Meaning::Ambiguous, "the connection broke"));
        }
        Ok(())
    }
    async fn get(&self, name: &str) -> Result<Option<Bytes>, Failure> {
        self.memory.get(name).await
    }
    async fn list(&self, folder: &str, prefix: &str) -> Result<Vec<String>, Failure> {
        self.memory.list(folder, prefix).await
    }
    async fn delete(&self, names: Vec<String>) -> Result<(), Failure> {
        self.memory.delete(names).await
    }
}

#[tokio::test]
async fn repeated_put_that_is_refused_is_done_if_its_bytes_are_there() {
    let store = Arc::new(Once { loses: AtomicBool::new(true), ..Once::default() });
    let remote = Remote::new(Arc::clone(&store) as _, host());
    remote.put("v1/data/x", Bytes::from_static(b"ours")).await.expect("the first try stored it");
    let refused = remote.put("v1/data/x", Bytes::from_static(b"other")).await.expect_err("other bytes");
    assert_eq!(refused.code, Code::RemoteRefused);
    assert_eq!(store.memory.objects().get("v1/data/x").map(|bytes| &bytes[..]), Some(&b"ours"[..]));
}

#[tokio::test]
async fn store_that_takes_a_name_once_only_is_found_unfit_and_nothing_is_left_in_it() {
    let store = Arc::new(Once::default());
    let remote = Remote::unknown(Arc::clone(&store) as _, host(), PLACES, false);
    let error = remote.require_fit().await.expect_err("it is unfit");
    assert_eq!(error.code, Code::RemoteRefused);
    assert!(error.message.contains("may not store again"), "{}", error.message);
    let told = serde_json::to_value(examine(&remote).await).expect("an examination");
    assert_eq!(told["write"]["done"], false, "{told}");
    assert!(told["write"]["problem"].as_str().is_some_and(|text| text.contains("again")), "{told}");
    assert_eq!(store.memory.objects().len(), 0);
}
