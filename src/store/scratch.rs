//! Scratch folders: a folder of its own in a store, in which the contract of that store is tried.
//!
//! Invariant: nothing outside the folder is stored, read, listed or removed, and no two trials share one.

use bytes::Bytes;

use super::operations::ListedObject;
use super::retrying::RetryingStore;
use crate::error::{Code, Error, Result};
use crate::id::hex;
use crate::platform::host::random;

/// Start of the names of these folders, beside those of sessions.
const START: &str = "v1/contract-";

/// A folder for one trial, and two connections to the store that share nothing, where the store lets them.
pub struct TrialFolder {
    folder: String,
    first: RetryingStore,
    second: RetryingStore,
}

impl TrialFolder {
    /// A folder that nothing else uses, in the store that both connections reach.
    pub fn new(first: RetryingStore, second: RetryingStore) -> TrialFolder {
        let folder = format!("{START}{}", hex(&random::<16>(first.host().as_ref())));
        TrialFolder { folder, first, second }
    }

    /// Its name.
    pub fn folder(&self) -> &str {
        &self.folder
    }

    fn by(&self, second: bool) -> &RetryingStore {
        if second { &self.second } else { &self.first }
    }

    /// A name in the folder, or the folder itself for "".
    fn within(&self, name: &str) -> Result<String> {
        if name.is_empty() {
            return Ok(self.folder.clone());
        }
        if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(Error::new(Code::InvalidOption, "the name does not stay in the scratch folder"));
        }
        Ok(format!("{}/{name}", self.folder))
    }

    /// Stores an object.
    pub async fn put(&self, second: bool, name: &str, bytes: Bytes) -> Result<()> {
        self.by(second).put(&self.within(name)?, bytes).await
    }

    /// Stores an object, and lists its folder in the same exchange; `None` where the store has no such exchange.
    pub async fn put_then_list(&self, name: &str, bytes: Bytes, folder: &str) -> Result<Option<Vec<String>>> {
        let (name, folder) = (self.within(name)?, self.within(folder)?);
        let ask = || self.first.put_then_list_once(&name, bytes.clone(), &folder, "");
        self.first.with_retries("storing an object", ask).await
    }

    /// Reads an object.
    pub async fn get(&self, second: bool, name: &str) -> Result<Option<Bytes>> {
        self.by(second).get(&self.within(name)?).await
    }

    /// Lists names, as a check of ownership does.
    pub async fn list(&self, second: bool, folder: &str, prefix: &str) -> Result<Vec<String>> {
        self.by(second).list(&self.within(folder)?, prefix).await
    }

    /// Lists objects with their sizes and times, as the tools of operators do.
    pub async fn details(&self, folder: &str, prefix: &str) -> Result<Vec<ListedObject>> {
        self.first.details(&self.within(folder)?, prefix).await
    }

    /// Removes objects.
    pub async fn remove(&self, names: &[String]) -> Result<()> {
        let names = names.iter().map(|name| self.within(name)).collect::<Result<Vec<String>>>()?;
        if names.contains(&self.folder) {
            return Err(Error::new(Code::InvalidOption, "a folder is no object"));
        }
        self.first.delete(names).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::sim::SimHost;
    use crate::store::adapters::memory::Memory;

    #[tokio::test(start_paused = true)]
    async fn trial_reaches_nothing_outside_its_folder() {
        let memory = Memory::default();
        let connect =
            || RetryingStore::new(Arc::new(memory.clone()), SimHost::new(1, tokio::time::Instant::now()));
        connect().put("v1/claims/x", Bytes::from_static(b"1")).await.expect("stores");
        let scratch = TrialFolder::new(connect(), connect());
        for name in ["../claims/x", "a/../../claims/x", "/claims/x", "a//b", "./a", ".."] {
            assert!(scratch.get(false, name).await.is_err(), "{name}");
            assert!(scratch.put(true, name, Bytes::new()).await.is_err(), "{name}");
            assert!(scratch.list(false, name, "").await.is_err(), "{name}");
            assert!(scratch.remove(&[name.to_owned()]).await.is_err(), "{name}");
        }
        scratch.put(false, "f/a", Bytes::from_static(b"2")).await.expect("stores");
        assert_eq!(scratch.list(true, "f", "").await, Ok(vec!["a".to_owned()]));
        assert!(scratch.remove(&[String::new()]).await.is_err());
        scratch.remove(&["f/a".to_owned()]).await.expect("removes");
        assert_eq!(memory.objects().keys().cloned().collect::<Vec<_>>(), ["v1/claims/x"]);
    }

    #[tokio::test(start_paused = true)]
    async fn no_two_trials_share_a_folder() {
        let remote =
            RetryingStore::new(Arc::new(Memory::default()), SimHost::new(1, tokio::time::Instant::now()));
        let folders = [(); 2].map(|()| TrialFolder::new(remote.clone(), remote.clone()).folder().to_owned());
        assert_ne!(folders[0], folders[1]);
    }
}
