//! The size of the largest object that a bucket takes: its own limit, and that of the server above it.
//!
//! The bucket tells its own. That of the server, which counts for every bucket, stands in what it says of resumable uploads,
//! which nothing of ours uses; where that is not told, the bucket's alone is known.

use reqwest::Method;
use serde::Deserialize;

use super::Supabase;
use crate::store::failure::{Failure, Meaning};
use crate::store::{BucketAnswer, Operation};

/// The largest upload that the server takes.
const MAX_SIZE: &str = "tus-max-size";

#[derive(Deserialize)]
struct Row {
    file_size_limit: Option<u64>,
}

impl Supabase {
    pub(super) async fn largest(&self) -> Result<BucketAnswer, Failure> {
        let row = self.send(Method::GET, self.url(&["bucket"], "")?, None, Operation::Get).await;
        let row = row.map_err(|failure| match failure.meaning {
            // A bucket that a role may not look at is, for it, not there.
            Meaning::NotConfigured | Meaning::Absent => Failure { meaning: Meaning::Denied, ..failure },
            _ => failure,
        })?;
        let row: Row = serde_json::from_slice(&row.body)
            .map_err(|_| Failure::new(Meaning::Transient, "the answer was not understood"))?;
        let limits = [row.file_size_limit, self.of_the_server().await];
        Ok(limits.into_iter().flatten().min().map_or(BucketAnswer::Nothing, BucketAnswer::Bytes))
    }

    async fn of_the_server(&self) -> Option<u64> {
        let mut url = self.base.clone();
        url.path_segments_mut().ok()?.extend(["upload", "resumable"]);
        let reply = self.send(Method::OPTIONS, url, None, Operation::Get).await.ok()?;
        reply.headers.get(MAX_SIZE)?.to_str().ok()?.parse().ok()
    }
}
