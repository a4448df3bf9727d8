//! A directory as the bucket: for trying out, for tests, and for mounts that several machines share.
//!
//! The object store library does the work: temporary file, sync, rename, sync of the parent.
#![expect(
    clippy::disallowed_methods,
    reason = "an adapter reaches its own kind of store; here that is a directory"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use object_store::local::LocalFileSystem;
use object_store::{ObjectStore, ObjectStoreExt, path};

use super::{Failure, Listed, Meaning, Store, listed};
use crate::error::{Code, Error, Result};

/// A directory as the bucket.
pub struct Directory {
    files: LocalFileSystem,
    root: PathBuf,
}

impl Directory {
    /// Opens the directory at `path`, which is made if it does not exist.
    pub fn open(path: &Path) -> Result<Directory> {
        let failed = |what: &str, detail: String| {
            Error::new(Code::RemoteUnavailable, format!("the bucket directory cannot be {what}: {detail}"))
        };
        // What lies in the bucket is private even where the bucket's own directory is not.
        private_dir(path)
            .and_then(|()| private_dir(&path.join("v1")))
            .map_err(|error| failed("made", error.kind().to_string()))?;
        let files =
            LocalFileSystem::new_with_prefix(path).map_err(|_| failed("opened", "not a directory".into()))?;
        Ok(Directory { files: files.with_fsync(true), root: path.to_owned() })
    }
}

fn private_dir(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Removes what writers that were killed left in `folder`: `name#1` and the like, which no listing shows. A writer that is
/// still at it fails, and tries again.
fn sweep(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.contains('#')) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn path_of(name: &str) -> Result<path::Path, Failure> {
    path::Path::parse(name).map_err(|_| Failure::new(Meaning::Impossible, "the name is not allowed"))
}

/// Says what a failed file operation means, without the path, which holds the tenant.
fn failure(error: object_store::Error) -> Failure {
    let (meaning, detail) = match &error {
        object_store::Error::PermissionDenied { .. } => (Meaning::Denied, "permission denied"),
        object_store::Error::NotFound { .. } => (Meaning::NotConfigured, "the directory is gone"),
        object_store::Error::InvalidPath { .. } => (Meaning::Impossible, "the name is not allowed"),
        _ => (Meaning::Transient, "a file operation failed"),
    };
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            return Failure::new(meaning, format!("{detail}: {}", io.kind()));
        }
        source = inner.source();
    }
    Failure::new(meaning, detail)
}

#[async_trait]
impl Store for Directory {
    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), Failure> {
        self.files.put(&path_of(name)?, bytes.into()).await.map(|_| ()).map_err(failure)
    }

    async fn get(&self, name: &str) -> Result<Option<Bytes>, Failure> {
        match self.files.get(&path_of(name)?).await {
            Ok(found) => found.bytes().await.map(Some).map_err(failure),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failure(error)),
        }
    }

    async fn list(&self, folder: &str, prefix: &str) -> Result<Vec<String>, Failure> {
        Ok(self.details(folder, prefix).await?.into_iter().map(|listed| listed.name).collect())
    }

    async fn details(&self, folder: &str, prefix: &str) -> Result<Vec<Listed>, Failure> {
        let folder = path_of(folder)?;
        let listing = self.files.list_with_delimiter(Some(&folder)).await.map_err(failure)?;
        let found = listing.objects.iter().filter_map(|meta| Some((meta.location.filename()?, meta)));
        Ok(found
            .filter(|(name, _)| name.starts_with(prefix))
            .map(|(name, meta)| listed(name, meta))
            .collect())
    }

    async fn delete(&self, names: Vec<String>) -> Result<(), Failure> {
        // Data folders belong to one tenant, so nobody else's writers are disturbed.
        let folders =
            names.iter().filter(|name| name.starts_with("v1/data/")).filter_map(|name| name.rsplit_once('/'));
        let folders: BTreeSet<PathBuf> = folders.map(|(folder, _)| self.root.join(folder)).collect();
        let names: Vec<path::Path> =
            names.iter().map(|name| path_of(name)).collect::<Result<_, Failure>>()?;
        let names = futures::stream::iter(names.into_iter().map(Ok));
        let mut gone = self.files.delete_stream(names.boxed());
        while let Some(answer) = gone.next().await {
            match answer {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(failure(error)),
            }
        }
        folders.iter().for_each(|folder| sweep(folder));
        Ok(())
    }
}
