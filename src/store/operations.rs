//! The seam: what is asked of one kind of store, and what it answers.
//!
//! Asked of a store is only this: a completed PUT is seen by every LIST that starts later, a GET returns a listed object's
//! bytes or nothing, and a PUT is all or nothing. No create-if-absent, no clocks, and overwriting only with the same bytes.
//! A store whose failover may forget what it acknowledged tells so, by another [`Incarnation`].
//! An adapter makes one request of each call; it takes no decision about ownership, and never asks twice.

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::broadcast;

use super::failure::Failure;

/// Operations of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Store an object.
    Put,
    /// Read an object.
    Get,
    /// List names.
    List,
    /// Remove objects.
    Delete,
}

impl Operation {
    /// True if the store is another one afterwards.
    pub fn changes(self) -> bool {
        matches!(self, Operation::Put | Operation::Delete)
    }
}

/// Survival of what a store has acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Another server has it as well.
    Replicated,
    /// It is on the disk of the server.
    Disk,
    /// It is on the disk after about a second: a crash of the server loses what came in between.
    Second,
    /// It is in the memory of the server alone.
    Memory,
}

impl Durability {
    /// The stable name that JavaScript sees.
    pub fn as_str(self) -> &'static str {
        match self {
            Durability::Replicated => "replicated",
            Durability::Disk => "disk",
            Durability::Second => "second",
            Durability::Memory => "memory",
        }
    }
}

/// Facts that a store tells about itself.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// True if anybody can read the objects in it, if that can be told.
    pub is_public: Option<bool>,
    /// Lead of its clock over this machine's, in milliseconds, if it tells.
    pub skew_ms: Option<i64>,
    /// Risks of its configuration, each with its remedy.
    pub risks: Vec<String>,
}

/// Cost of listings, in bytes of answers: estimates, by which one way to ask is chosen over another.
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    /// A name.
    pub row: u64,
    /// A request, beside its names.
    pub request: u64,
    /// Price of a request that is made again and again, as a session that only looks after itself does: its price.
    pub regular: u64,
}

/// An object, as far as a listing tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedObject {
    /// Its name, without the folder.
    pub name: String,
    /// Its size.
    pub bytes: Option<u64>,
    /// Time at which it was last stored, by the store's own clock, in milliseconds since 1970.
    pub modified_ms: Option<u64>,
}

/// Questions about a bucket as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// Rules for objects of a certain age.
    Lifecycle,
    /// True if what is replaced or removed is kept.
    Versioning,
    /// The bytes of the largest object that it takes.
    Largest,
}

/// Answers about a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BucketAnswer {
    /// Its own words: XML.
    Document(Bytes),
    /// So many bytes.
    Bytes(u64),
    /// Such a thing is not set.
    Nothing,
    /// This kind of store has no such thing.
    Impossible,
    /// This kind of store does not tell.
    Silence,
}

/// One life of a server: while it stays the same, nothing that was acknowledged was forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incarnation(u64);

impl Incarnation {
    /// The life that the server itself describes so.
    pub fn of(description: &str) -> Incarnation {
        let digest = Sha256::digest(description.as_bytes());
        Incarnation(digest.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes)))
    }
}

/// Word that the claims of a tenant changed: too short to tell a tenant by, as others may hear it.
pub type Notice = u16;

/// One kind of store. Names are relative to the bucket's prefix and consist of characters that every store takes.
#[async_trait]
pub trait Store: Send + Sync {
    /// Stores `bytes` under `name`. Done when every later LIST shows it.
    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), Failure>;
    /// The same, and then the names in `folder` that start with `prefix`, listed after it was stored. `None`: nothing was listed,
    /// because that takes another request here, or failed.
    async fn put_then_list(
        &self,
        name: &str,
        bytes: Bytes,
        _folder: &str,
        _prefix: &str,
    ) -> Result<Option<Vec<String>>, Failure> {
        self.put(name, bytes).await?;
        Ok(None)
    }
    /// The life of the server that it is connected to; `None` where a server has but one.
    fn incarnation(&self) -> Option<Incarnation> {
        None
    }
    /// Survival of what it has acknowledged, once it told; `None` where that is the business of the provider.
    fn durability(&self) -> Option<Durability> {
        None
    }
    /// Holds a lock for as long as this process is connected, or until it lets go; false where the store has no such lock.
    async fn hold_lock(&self, _lock: u64) -> bool {
        false
    }
    /// Lets go of a lock.
    fn release_lock(&self, _lock: u64) {}
    /// True if nobody holds a lock.
    async fn is_lock_free(&self, _lock: u64) -> Result<bool, Failure> {
        Ok(false)
    }
    /// Notices of changed claims, each as soon as the store tells of it; `None` where it never does. They may be lost, and decide nothing.
    fn notices(&self) -> Option<broadcast::Receiver<Notice>> {
        None
    }
    /// The bytes under `name`, or `None` if there is no such object.
    async fn get(&self, name: &str) -> Result<Option<Bytes>, Failure>;
    /// All names in `folder` that start with `prefix`, without the folder, each once and in any order. Not those in folders
    /// below it.
    async fn list(&self, folder: &str, prefix: &str) -> Result<Vec<String>, Failure>;
    /// The same, with what the listing tells of each object beside its name.
    async fn details(&self, folder: &str, prefix: &str) -> Result<Vec<ListedObject>, Failure> {
        let names = self.list(folder, prefix).await?;
        Ok(names.into_iter().map(|name| ListedObject { name, bytes: None, modified_ms: None }).collect())
    }
    /// Number of names that one request to remove them takes.
    fn most_removed_at_once(&self) -> usize {
        usize::MAX
    }
    /// Removes objects, in one request. One that is not there is no failure.
    async fn delete(&self, names: Vec<String>) -> Result<(), Failure>;
    /// Facts that it tells about itself; `name` is an object in it.
    async fn inspect(&self, _name: &str) -> Result<Findings, Failure> {
        Ok(Findings::default())
    }
    /// Cost of listings.
    fn rates(&self) -> Rates {
        // A million LISTs cost as much as 50 GB to the internet.
        Rates { row: 300, request: 1 << 10, regular: 48 << 10 }
    }
    /// Lead of its clock over this machine's, in milliseconds, by the answers so far.
    fn skew_ms(&self) -> Option<i64> {
        None
    }
    /// Settings of the bucket.
    async fn setting(&self, _which: Setting) -> Result<BucketAnswer, Failure> {
        Ok(BucketAnswer::Silence)
    }
}

/// Details of an object by the object store library.
pub(super) fn listed(name: &str, meta: &object_store::ObjectMeta) -> ListedObject {
    let modified_ms = u64::try_from(meta.last_modified.timestamp_millis()).ok();
    ListedObject { name: name.to_owned(), bytes: Some(meta.size), modified_ms }
}

/// `name` within the folder `prefix`, which may be empty.
pub(super) fn joined(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") }
}
