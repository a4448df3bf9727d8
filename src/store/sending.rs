//! Sending: one PUT of one object, with what is counted of it.
//!
//! An object that is there to the byte is stored, whatever was answered to its PUT.

use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::failure::{Failure, Meaning};
use super::retrying::RetryingStore;
use super::stats::kind_of;
use crate::platform::meter::METERS;

impl RetryingStore {
    /// Sends an object, once. A key that may not store again is refused where an earlier try took effect and its answer was lost:
    /// what is there to the byte is stored.
    pub(super) async fn put_one(&self, name: &str, bytes: Bytes) -> Result<(), Failure> {
        let refused = match self.put_strictly(name, bytes.clone()).await {
            Err(failure) if failure.meaning == Meaning::Denied => failure,
            answer => return answer,
        };
        match self.get_one(name).await {
            Ok(Some(there)) if there == bytes => {
                METERS.refused_repeats.one();
                Ok(())
            }
            _ => Err(refused),
        }
    }

    /// Stores an object, once; a refusal stays one whatever is there.
    pub(super) async fn put_strictly(&self, name: &str, bytes: Bytes) -> Result<(), Failure> {
        let len = bytes.len() as u64;
        self.once(name, async {
            self.traffic.puts.fetch_add(1, Ordering::Relaxed);
            self.traffic.sent.fetch_add(len, Ordering::Relaxed);
            self.store.put(name, bytes).await?;
            self.uploaded(name, len);
            Ok(())
        })
        .await
    }

    /// The same, and then a listing where the store makes that one exchange.
    pub(super) async fn put_then_list(
        &self,
        name: &str,
        bytes: Bytes,
        folder: &str,
        prefix: &str,
    ) -> Result<Option<Vec<String>>, Failure> {
        let len = bytes.len() as u64;
        self.once(name, async {
            self.traffic.puts.fetch_add(1, Ordering::Relaxed);
            self.traffic.sent.fetch_add(len, Ordering::Relaxed);
            let names = self.store.put_then_list(name, bytes, folder, prefix).await?;
            self.uploaded(name, len);
            self.traffic.lists.fetch_add(u64::from(names.is_some()), Ordering::Relaxed);
            Ok(names)
        })
        .await
    }

    fn uploaded(&self, name: &str, len: u64) {
        if let Some(of) = kind_of(name) {
            of(&METERS.uploads).one();
            of(&METERS.uploaded).add(len);
        }
    }
}
