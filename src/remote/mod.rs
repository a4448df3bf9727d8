//! The store, by whichever kind it is: which adapter is behind a spec, and what the rest of the core knows of all this.
//!
//! `store` is the seam that every adapter keeps, and `patience` what everybody else holds: nothing outside this folder sends a
//! request of its own, or knows which kind of store it is.

mod answer;
mod bucket;
mod directory;
mod examine;
mod foreign;
mod http;
mod limits;
pub mod memory;
mod parts;
mod patience;
mod probe;
mod resolver;
mod rules;
mod spec;
mod store;
mod supabase;
mod traffic;
mod turns;

#[cfg(test)]
mod again;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod odd;

use std::sync::Arc;

use crate::error::{Code, Error, Result};
use crate::host::Host;
use patience::PLACES;
use store::{joined, listed};

pub use answer::{Failure, Meaning};
#[cfg(any(test, feature = "fuzzing"))]
pub use answer::{Refusal, judge};
pub use examine::{Examination, examine};
pub use foreign::Foreign;
pub use patience::Remote;
#[cfg(any(test, feature = "fuzzing"))]
pub use rules::{keeps_versions, rules};
pub use spec::StoreSpec;
pub use store::{Asked, Findings, Listed, Rates, Setting, Store, Told};
pub use traffic::Traffic;

/// The adapter for the store that `spec` names. Nothing is sent yet.
fn adapter(spec: &StoreSpec, host: Arc<dyn Host>) -> Result<Arc<dyn Store>> {
    Ok(match spec {
        StoreSpec::Directory { path, create } => Arc::new(directory::Directory::at(path, *create, host)),
        StoreSpec::Memory { .. } => Arc::new(memory::Memory::default()),
        StoreSpec::S3(spec) => Arc::new(bucket::Bucket::s3(spec, host)?),
        StoreSpec::Gcs(spec) => Arc::new(bucket::Bucket::gcs(spec, host)?),
        StoreSpec::Supabase(spec) => Arc::new(supabase::Supabase::new(spec, host)?),
    })
}

/// Reaches the bucket of others that `spec` names. Nothing is sent yet.
pub fn foreign(spec: &StoreSpec, host: Arc<dyn Host>) -> Result<Foreign> {
    Ok(match spec {
        StoreSpec::S3(s3) => Foreign::over(bucket::Bucket::s3(s3, Arc::clone(&host))?, spec, host),
        StoreSpec::Gcs(gcs) => Foreign::over(bucket::Bucket::gcs(gcs, Arc::clone(&host))?, spec, host),
        StoreSpec::Supabase(of) => Foreign::over(supabase::Supabase::new(of, Arc::clone(&host))?, spec, host),
        StoreSpec::Directory { .. } | StoreSpec::Memory { .. } => {
            return Err(Error::new(
                Code::InvalidOption,
                "this kind of store cannot be the source of a migration",
            ));
        }
    })
}

impl Remote {
    /// Reaches the store that `spec` names. Nothing is sent yet.
    pub fn connect(spec: &StoreSpec, host: Arc<dyn Host>) -> Result<Remote> {
        let http = spec.http();
        let places = http.map_or(PLACES, |http| http.max_concurrent_requests);
        let allow_public = http.is_some_and(|http| http.allow_public);
        Ok(Remote::unknown(adapter(spec, Arc::clone(&host))?, host, places, allow_public))
    }
}
