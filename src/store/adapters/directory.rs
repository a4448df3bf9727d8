//! A directory as the bucket: for trying out, for tests, and for mounts that several machines share.
//!
//! An object is written beside its name, synced, renamed and its folder synced: whoever lists it finds it whole. A listing reads
//! names only, and asks the system about none of them. Everything runs on threads of this directory's own: a mount that hangs
//! holds up its own sessions and nothing else.

mod files;
mod listings;
mod presence;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::platform::host::{Host, ThreadPool, random};
use crate::store::limiter::RESERVED;
use crate::store::retrying::PLACES;
use crate::store::{Failure, ListedObject, Meaning, Rates, Store};
use files::FileTree;
use listings::Listings;
use presence::Presence;

/// A directory as the bucket.
pub struct Directory {
    files: Arc<FileTree>,
    listings: Arc<Listings>,
    threads: Arc<ThreadPool>,
    host: Arc<dyn Host>,
}

impl Directory {
    /// The directory at `path`, which is made if `create` says so and none is remembered in that folder of this machine. Nothing is
    /// asked of it yet: it may hang.
    pub fn at(path: &Path, create: bool, remembered_in: Option<&Path>, host: Arc<dyn Host>) -> Directory {
        let files = Arc::new(FileTree::in_root(Presence::of(path.to_owned(), create, remembered_in)));
        // Whoever has a turn has a thread.
        let threads = Arc::new(ThreadPool::new("bha-directory", PLACES + RESERVED));
        Directory { listings: Arc::new(Listings::over(Arc::clone(&files))), files, threads, host }
    }

    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&FileTree) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let files = Arc::clone(&self.files);
        self.threads.ask(move || work(&files)).await.unwrap_or_else(|| Err(stopped()))
    }
}

fn stopped() -> Failure {
    Failure::new(Meaning::Transient, "a file operation was stopped")
}

/// A name as a path below the root: never out of it.
fn relative(name: &str) -> Result<PathBuf, Failure> {
    let odd = |part: &str| matches!(part, "" | "." | "..") || part.contains(['\0', '\\']);
    if name.split('/').any(odd) {
        return Err(Failure::new(Meaning::Impossible, "the name is not allowed"));
    }
    Ok(name.split('/').collect())
}

#[async_trait]
impl Store for Directory {
    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), Failure> {
        let path = relative(name)?;
        let nonce = u64::from_le_bytes(random(self.host.as_ref()));
        self.ask(move |files| files.put(&path, &bytes, nonce)).await
    }

    async fn get(&self, name: &str) -> Result<Option<Bytes>, Failure> {
        let path = relative(name)?;
        self.ask(move |files| files.get(&path)).await
    }

    async fn list(&self, folder: &str, prefix: &str) -> Result<Vec<String>, Failure> {
        let (folder, prefix) = (relative(folder)?, prefix.to_owned());
        self.listings.ask(&self.threads, folder, prefix).await.unwrap_or_else(|| Err(stopped()))
    }

    async fn details(&self, folder: &str, prefix: &str) -> Result<Vec<ListedObject>, Failure> {
        let (folder, prefix) = (relative(folder)?, prefix.to_owned());
        self.ask(move |files| files.details(&folder, &prefix)).await
    }

    fn rates(&self) -> Rates {
        // A reading of a folder passes all of its names, and is shared by whoever asks at the same time.
        Rates { row: 1, request: 500, regular: 500 }
    }

    async fn delete(&self, names: Vec<String>) -> Result<(), Failure> {
        let paths: Vec<PathBuf> = names.iter().map(|name| relative(name)).collect::<Result<_, _>>()?;
        self.ask(move |files| files.delete(&paths)).await
    }
}

#[cfg(test)]
mod tests;
