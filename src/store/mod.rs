//! The store, by whichever kind it is: which adapter is behind a spec, and what the rest of the core knows of all this.
//!
//! `operations` is the seam that every adapter keeps, and `retrying` the only way to it from outside: nothing outside this folder
//! sends a request of its own, or knows the kind of the store.

pub mod adapters;
mod examine;
mod failure;
mod import_source;
mod limiter;
mod limits;
mod operations;
mod parts;
mod preflight;
mod retrying;
mod rules;
mod scratch;
mod sending;
mod spec;
mod stats;

#[cfg(test)]
mod checksum;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod odd_settings;
#[cfg(test)]
mod write_once;

use std::sync::Arc;

use crate::error::{Code, Error, Result};
use crate::platform::host::Host;
use operations::{joined, listed};
use retrying::PLACES;

pub use examine::{Examination, Knowledge, Latency, Step, examine};
pub use failure::{Failure, Meaning};
#[cfg(any(test, feature = "fuzzing"))]
pub use failure::{Refusal, judge};
pub use import_source::ImportSource;
pub use operations::{
    BucketAnswer, Durability, Findings, Incarnation, ListedObject, Notice, Operation, Rates, Setting, Store,
};
pub use parts::{Reread, SMALLEST};
pub use retrying::RetryingStore;
pub use rules::{Expiry, Rule};
#[cfg(any(test, feature = "fuzzing"))]
pub use rules::{keeps_versions, rules};
pub use scratch::TrialFolder;
pub use spec::StoreSpec;
pub use stats::StoreStats;

/// Folder of scratch objects, which lie there for a moment each.
pub const PROBE: &str = "v1/probe";

/// The adapter for the store that `spec` names. Nothing is sent yet.
fn adapter(spec: &StoreSpec, host: Arc<dyn Host>) -> Result<Arc<dyn Store>> {
    Ok(match spec {
        StoreSpec::Directory { path, create, remembered_in } => {
            Arc::new(adapters::directory::Directory::at(path, *create, remembered_in.0.as_deref(), host))
        }
        StoreSpec::Memory { .. } => Arc::new(adapters::memory::Memory::default()),
        StoreSpec::S3(spec) => Arc::new(adapters::bucket::Bucket::s3(spec, host)?),
        StoreSpec::Gcs(spec) => Arc::new(adapters::bucket::Bucket::gcs(spec, host)?),
        StoreSpec::Supabase(spec) => Arc::new(adapters::supabase::Supabase::new(spec, host)?),
        StoreSpec::Postgres(spec) => Arc::new(adapters::postgres::Postgres::new(spec, host)?),
        StoreSpec::Redis(spec) => Arc::new(adapters::redis::Redis::new(spec, host)?),
    })
}

/// Reaches the bucket of others that `spec` names. Nothing is sent yet.
pub fn foreign(spec: &StoreSpec, host: Arc<dyn Host>) -> Result<ImportSource> {
    Ok(match spec {
        StoreSpec::S3(s3) => {
            ImportSource::over(adapters::bucket::Bucket::s3(s3, Arc::clone(&host))?, spec, host)
        }
        StoreSpec::Gcs(gcs) => {
            ImportSource::over(adapters::bucket::Bucket::gcs(gcs, Arc::clone(&host))?, spec, host)
        }
        StoreSpec::Supabase(of) => {
            ImportSource::over(adapters::supabase::Supabase::new(of, Arc::clone(&host))?, spec, host)
        }
        StoreSpec::Directory { .. }
        | StoreSpec::Memory { .. }
        | StoreSpec::Postgres(_)
        | StoreSpec::Redis(_) => {
            return Err(Error::new(
                Code::InvalidOption,
                "this kind of store cannot be the source of a migration",
            ));
        }
    })
}

impl RetryingStore {
    /// Reaches the store that `spec` names. Nothing is sent yet.
    pub fn connect(spec: &StoreSpec, host: Arc<dyn Host>) -> Result<RetryingStore> {
        let http = spec.http();
        let places = http.map_or(PLACES, |http| http.max_concurrent_requests);
        let allow_public = http.is_some_and(|http| http.allow_public);
        Ok(RetryingStore::unknown(adapter(spec, Arc::clone(&host))?, host, places, allow_public))
    }
}
