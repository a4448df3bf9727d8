//! A turnstile before the store: requests wait until the schedule lets them through, so that an order of requests can be told.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::store::{Failure, Store};

/// Lets one owner's requests through, one per permit.
pub struct Turnstile {
    inner: Arc<dyn Store>,
    permits: Semaphore,
}

impl Turnstile {
    pub fn new(inner: Arc<dyn Store>) -> Arc<Turnstile> {
        Arc::new(Turnstile { inner, permits: Semaphore::new(0) })
    }

    /// Lets `count` requests through.
    pub fn admit(&self, count: usize) {
        self.permits.add_permits(count);
    }

    /// Lets none through from now on, until others are admitted.
    pub fn hold(&self) {
        self.permits.forget_permits(usize::MAX);
    }

    async fn pass(&self) {
        if let Ok(permit) = self.permits.acquire().await {
            permit.forget();
        }
    }
}

#[async_trait]
impl Store for Turnstile {
    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), Failure> {
        self.pass().await;
        self.inner.put(name, bytes).await
    }

    async fn get(&self, name: &str) -> Result<Option<Bytes>, Failure> {
        self.pass().await;
        self.inner.get(name).await
    }

    async fn list(&self, folder: &str, prefix: &str) -> Result<Vec<String>, Failure> {
        self.pass().await;
        self.inner.list(folder, prefix).await
    }

    async fn delete(&self, names: Vec<String>) -> Result<(), Failure> {
        self.pass().await;
        self.inner.delete(names).await
    }
}
