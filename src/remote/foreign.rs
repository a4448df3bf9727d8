//! Buckets of others: listing all that is in one, however deep, and reading and removing what somebody else named.
//!
//! For migrations. Nothing is stored and nothing is probed: a bucket that is only read stays as it was.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::bucket::Bucket;
use super::supabase::Supabase;
use super::{Failure, Meaning, PLACES, Remote, Store, StoreSpec};
use crate::error::{Code, Error, Result};
use crate::host::Host;

/// No object is called so; whoever asks for it learns whether there is a bucket.
const NOWHERE: &str = "nowhere";

/// One page of a listing. Names are relative to the prefix of the store.
#[derive(Debug, Default)]
pub struct Page {
    /// Objects.
    pub names: Vec<String>,
    /// Folders that have to be listed by themselves, where the store does not look into them.
    pub folders: Vec<String>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// What is asked of an adapter beside the five operations.
#[async_trait]
pub trait Walk: Store {
    /// One page of what lies below `folder`, from `cursor` on.
    async fn page(&self, folder: &str, cursor: Option<&str>) -> Result<Page, Failure>;
}

/// A bucket with names of others.
pub struct Foreign {
    remote: Remote,
    walk: Arc<dyn Walk>,
}

impl Foreign {
    /// Reaches the bucket that `spec` names. Nothing is sent yet.
    pub fn connect(spec: &StoreSpec, host: Arc<dyn Host>) -> Result<Foreign> {
        Ok(match spec {
            StoreSpec::S3(s3) => Foreign::over(Bucket::s3(s3, Arc::clone(&host))?, spec, host),
            StoreSpec::Gcs(gcs) => Foreign::over(Bucket::gcs(gcs, Arc::clone(&host))?, spec, host),
            StoreSpec::Supabase(of) => Foreign::over(Supabase::new(of, Arc::clone(&host))?, spec, host),
            StoreSpec::Directory { .. } | StoreSpec::Memory { .. } => {
                return Err(Error::new(
                    Code::InvalidOption,
                    "this kind of store is not read as a bucket of others",
                ));
            }
        })
    }

    fn over(adapter: impl Walk + 'static, spec: &StoreSpec, host: Arc<dyn Host>) -> Foreign {
        let walk: Arc<dyn Walk> = Arc::new(adapter);
        let places = spec.http().map_or(PLACES, |http| http.max_concurrent_requests);
        let store: Arc<dyn Store> = walk.clone();
        Foreign { remote: Remote::unknown(store, host, places, true), walk }
    }

    /// The names of all objects below `folder`, which may be empty, in order and with the folder.
    pub async fn names(&self, folder: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            let mut cursor: Option<String> = None;
            loop {
                let page = || self.remote.once("", self.walk.page(&folder, cursor.as_deref()));
                let page = self.remote.patiently("listing the source", page).await?;
                names.extend(page.names);
                folders.extend(page.folders);
                match page.next {
                    None => break,
                    next if next == cursor => {
                        let endless = Failure::new(Meaning::Transient, "the listing does not come to an end");
                        return Err(endless.error("listing the source"));
                    }
                    next => cursor = next,
                }
            }
        }
        if names.is_empty() {
            // Some stores list a bucket that is gone as one that is empty.
            self.remote.get(NOWHERE).await?;
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// The bytes of an object, or `None` if it is gone.
    pub async fn read(&self, name: &str) -> Result<Option<Bytes>> {
        self.remote.get(possible(name)?).await
    }

    /// Removes objects. One that is not there is no failure.
    pub async fn remove(&self, names: Vec<String>) -> Result<()> {
        names.iter().try_for_each(|name| possible(name).map(|_| ()))?;
        self.remote.delete(names).await
    }
}

/// Refuses a name that would become another one on its way: an address takes `.` and `..` for steps.
fn possible(name: &str) -> Result<&str> {
    if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(Error::new(
            Code::RemoteRefused,
            "the source has an object with an empty part, `.` or `..` in its name: rename or remove it",
        ));
    }
    Ok(name)
}

/// The folder `folder` within `prefix`, both of which may be empty, as every name in it begins.
pub fn start(prefix: &str, folder: &str) -> String {
    [prefix, folder].iter().filter(|part| !part.is_empty()).map(|part| format!("{part}/")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_begins_where_its_names_do() {
        let all = [("", "", ""), ("p", "", "p/"), ("", "f", "f/"), ("p/q", "f/g", "p/q/f/g/")];
        for (prefix, folder, expected) in all {
            assert_eq!(start(prefix, folder), expected);
        }
    }

    #[test]
    fn names_that_an_address_would_change_are_refused_and_odd_ones_are_not() {
        for name in ["", "a//b", "/a", "a/", ".", "a/../b", "./a"] {
            assert_eq!(possible(name).map_err(|error| error.code), Err(Code::RemoteRefused), "{name}");
        }
        for name in ["a", "u/+49 151/creds.json", "\u{e4}/..a/b..", "a%2Fb#?"] {
            assert_eq!(possible(name).map_err(|error| error.code), Ok(name));
        }
    }
}
