//! Write-once stores: refused by the preflight, and no obstacle for objects that they have already.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::adapters::memory::{Fate, Memory, Request};
use super::contract::entries::host;
use super::retrying::PLACES;
use super::{Meaning, RetryingStore, examine};
use crate::error::Code;

/// `memory` behind a store that refuses a name that is there, and loses the first answer if `loses`.
fn once(memory: &Memory, loses: bool) -> Arc<Memory> {
    let (stored, loses) = (memory.clone(), AtomicBool::new(loses));
    let script = move |request, name: &str| {
        let fate = match request {
            Request::Put if stored.objects().contains_key(name) => Fate::Refuse(Meaning::Denied),
            Request::Put if loses.swap(false, Ordering::Relaxed) => Fate::FailAfter,
            _ => Fate::Done,
        };
        (Duration::ZERO, fate)
    };
    Arc::new(memory.through(Arc::new(script), 1000))
}

#[tokio::test]
async fn repeated_put_that_is_refused_is_done_if_its_bytes_are_there() {
    let memory = Memory::default();
    let remote = RetryingStore::new(once(&memory, true), host());
    remote.put("v1/data/x", Bytes::from_static(b"ours")).await.expect("the first try stored it");
    let refused = remote.put("v1/data/x", Bytes::from_static(b"other")).await.expect_err("other bytes");
    assert_eq!(refused.code(), Code::RemoteRefused);
    assert_eq!(memory.objects().get("v1/data/x").map(|bytes| &bytes[..]), Some(&b"ours"[..]));
}

#[tokio::test]
async fn store_that_takes_a_name_once_only_is_found_unfit_and_nothing_is_left_in_it() {
    let memory = Memory::default();
    let remote = RetryingStore::unknown(once(&memory, false), host(), PLACES, false);
    let error = remote.require_fit().await.expect_err("it is unfit");
    assert_eq!(error.code(), Code::RemoteRefused);
    assert!(error.message.contains("may not store again"), "{}", error.message);
    let told = examine(&remote).await.write;
    assert_eq!(told.done, Some(false), "{told:?}");
    assert!(told.problem.as_ref().is_some_and(|text| text.contains("again")), "{told:?}");
    assert_eq!(memory.objects().len(), 0);
}
