//! One tenant in one store: listing what is there, and reading objects that are what their names say (I15).

mod birth;
mod doubt;
mod proof;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::error::{Cause, Error, Result};
use crate::format::name::{CLAIMS, ClaimName, DataName, Mark, PackName, Span, TenantName};
use crate::format::object::{Object, ObjectKind};
use crate::format::seal::Ring;
use crate::id::{Claim, TenantTag};
use crate::ownership::decide::{Claims, Survey};
use crate::ownership::listing::SharedListing;
use crate::platform::host::{Host, Lane, blocking_in};
use crate::store::{Failure, Reread, RetryingStore};

use proof::Manner;
pub use proof::NameProofs;

/// Size of objects that take too long to seal or to open to hold up a worker of the runtime.
pub const LARGE: usize = 64 << 10;

/// One tenant in one store.
#[derive(Clone)]
pub struct Tenancy {
    /// The store.
    pub remote: RetryingStore,
    /// Listings of claims, shared with the other tenants of this process.
    pub listing: Arc<SharedListing>,
    /// The keys.
    pub ring: Arc<Ring>,
    /// The tenant in names.
    pub name: TenantName,
    /// The tenant in headers.
    pub tag: TenantTag,
    /// Knowledge of names.
    pub known: Arc<NameProofs>,
}

/// The number of times that a listing is read which names what is gone.
const LOOKS: usize = 3;

impl Tenancy {
    /// The machine.
    pub fn host(&self) -> &Arc<dyn Host> {
        self.remote.host()
    }

    /// The claims, from a LIST that starts after this call; tried again while that may help.
    pub async fn claims(&self) -> Result<Claims> {
        let mut listed = Claims::default();
        for _ in 0..LOOKS {
            listed = self.remote.with_retries("listing claims", || self.listing.claims(&self.name)).await?;
            if let Some(claims) = self.proven(listed.clone(), Manner::Patient).await? {
                return Ok(claims);
            }
        }
        Ok(self.unproven(listed))
    }

    /// The claims, from a LIST that starts after this call; asked once. What stands behind a new name may take `limit` to be read.
    pub async fn look(&self, limit: Duration) -> Result<Claims, Failure> {
        let mut listed = Claims::default();
        for _ in 0..LOOKS {
            listed = self.listing.claims(&self.name).await?;
            if let Ok(Some(claims)) = self.proven(listed.clone(), Manner::Within(limit)).await {
                return Ok(claims);
            }
        }
        Ok(self.unproven(listed))
    }

    /// The same from a LIST that started at `tick` or later, and that others may have asked for. It may wait as long as `within` for
    /// those who ask for the same.
    pub async fn look_since(
        &self,
        tick: Duration,
        within: Duration,
        limit: Duration,
    ) -> Result<Claims, Failure> {
        let listed = self.listing.claims_since(&self.name, tick, within).await?;
        match self.proven(listed, Manner::Within(limit)).await {
            Ok(Some(claims)) => Ok(claims),
            _ => self.look(limit).await,
        }
    }

    /// Stores an object, once. The claims come with it where the store lists them in the same exchange, after it was stored; what
    /// stands behind a new name may take `limit` to be read.
    pub async fn put_then_look(
        &self,
        name: &str,
        bytes: Bytes,
        limit: Duration,
    ) -> Result<Option<Claims>, Failure> {
        let prefix = self.name.claims_prefix();
        let Some(names) = self.remote.put_then_list_once(name, bytes, CLAIMS, &prefix).await? else {
            return Ok(None);
        };
        let listed = names.iter().filter_map(|name| ClaimName::parse(&self.name, name)).collect();
        Ok(self.proven(listed, Manner::Within(limit)).await.unwrap_or(None))
    }

    /// The claims, and then the data: in this order (see [`Survey`]).
    pub async fn survey(&self) -> Result<Survey> {
        let claims = self.claims().await?;
        let names = self.remote.list(&self.name.data_folder(), "").await?;
        let mut survey = Survey::of(claims, names.iter().map(String::as_str));
        self.proven_history(&mut survey).await?;
        Ok(survey)
    }

    /// `claims` that were listed otherwise, without what nobody with a key made.
    pub async fn vetted(&self, claims: Claims) -> Result<Claims> {
        Ok(self.proven(claims.clone(), Manner::Patient).await?.unwrap_or_else(|| self.unproven(claims)))
    }

    /// Takes out of a survey that was listed otherwise what nobody with a key made.
    pub async fn vet(&self, survey: &mut Survey) -> Result<()> {
        survey.claims = self.vetted(survey.claims.clone()).await?;
        match self.proven_history(survey).await {
            Err(error) if error.cause == Cause::Keyless => {
                self.known.tell(error);
                Ok(())
            }
            vetted => vetted,
        }
    }

    /// A data object; `None` when it is gone.
    pub async fn data(&self, name: &DataName) -> Result<Option<Object>> {
        let (kind, first, last) = match name.span {
            Span::Base(lsn) => (ObjectKind::Base, lsn, lsn),
            Span::Segment(first, last) => (ObjectKind::Segment, first, last),
        };
        let read = self.read(&name.object(&self.name), kind, &name.claim).await?;
        let Some(object) = read else { return Ok(None) };
        let (meta, digest) = (&object.meta, object.digest.short());
        if (meta.first, meta.last, digest) != (first, last, name.digest) {
            return Err(corrupt(name, "its header does not match its name"));
        }
        Ok(Some(object))
    }

    /// A pack; `None` when it is gone.
    pub async fn pack(&self, name: &PackName) -> Result<Option<Object>> {
        let read = self.read(&name.object(&self.name), ObjectKind::Pack, &name.claim).await?;
        let Some(object) = read else { return Ok(None) };
        if (object.meta.first, object.digest.short()) != (name.number, name.digest) {
            return Err(corrupt(name, "its header does not match its name"));
        }
        Ok(Some(object))
    }

    /// Statement about a claim; `None` when it is gone.
    pub async fn mark(&self, name: &ClaimName) -> Result<Option<Object>> {
        if let Some(object) = self.known.read_before(name) {
            return Ok(Some(object));
        }
        let bytes = self.remote.get(&name.object(&self.name)).await?;
        self.read_mark(name, bytes)
    }

    /// The same, asked once.
    async fn mark_once(&self, name: &ClaimName) -> Result<Option<Object>> {
        if let Some(object) = self.known.read_before(name) {
            return Ok(Some(object));
        }
        let bytes = self.remote.get_once(&name.object(&self.name)).await;
        self.read_mark(name, bytes.map_err(|failure| failure.error("reading an object"))?)
    }

    fn read_mark(&self, name: &ClaimName, bytes: Option<Bytes>) -> Result<Option<Object>> {
        let Some(bytes) = bytes else { return Ok(None) };
        let kind = match name.mark {
            Mark::Claimed => ObjectKind::Claim,
            Mark::Live => ObjectKind::Live,
            Mark::Leaving => ObjectKind::Leaving,
            Mark::Released => ObjectKind::Released,
            Mark::Deleted => ObjectKind::Deleted,
        };
        let object = self.checked(Object::read(bytes), &name.object(&self.name), kind, &name.claim)?;
        self.known.keep(*name, &object);
        Ok(Some(object))
    }

    /// The body of an object.
    pub fn open(&self, object: &Object) -> Result<Vec<u8>> {
        if object.is_plain() && !self.ring.takes_plain() {
            return Err(Error::new(
                Cause::Keyless,
                "the store holds this session unencrypted although keys are configured; pass `acceptUnencrypted: true` once to accept it",
            ));
        }
        object.body(&self.ring)
    }

    /// Result of `work` on the body of an object. A large one is opened away from the runtime's workers.
    pub async fn with_body<T: Send + 'static>(
        &self,
        object: Object,
        work: impl FnOnce(Result<Vec<u8>>) -> T + Send + 'static,
    ) -> T {
        if object.size() < LARGE {
            return work(self.open(&object));
        }
        let tenancy = self.clone();
        blocking_in(self.host(), Lane::Compute, move || work(tenancy.open(&object))).await
    }

    async fn read(&self, path: &str, kind: ObjectKind, claim: &Claim) -> Result<Option<Object>> {
        let Some(bytes) = self.remote.get(path).await? else { return Ok(None) };
        let read = match self.parsed(bytes).await {
            Err(error) if error.cause == Cause::Damaged => match self.remote.reread(path).await? {
                None => return Ok(None),
                // They are removed, or stored anew in another size, one after another.
                Some(Reread::Parts) => Err(error.with_cause(Cause::Partial)),
                // What was damaged on its way is whole the second time.
                Some(Reread::Whole(bytes)) => self.parsed(bytes).await,
            },
            read => read,
        };
        Ok(Some(self.checked(read, path, kind, claim)?))
    }

    /// Reads an object, a large one away from the runtime's workers.
    async fn parsed(&self, bytes: Bytes) -> Result<Object> {
        if bytes.len() < LARGE {
            return Object::read(bytes);
        }
        blocking_in(self.host(), Lane::Compute, move || Object::read(bytes)).await
    }

    /// An object that is what its name says.
    fn checked(&self, read: Result<Object>, path: &str, kind: ObjectKind, claim: &Claim) -> Result<Object> {
        let object =
            read.map_err(|error| error.reworded(|message| format!("{}: {message}", plain_name(path))))?;
        if (object.meta.kind, object.meta.tag, object.meta.claim) != (kind, self.tag, *claim) {
            return Err(corrupt(&plain_name(path), "it belongs to another name"));
        }
        Ok(object)
    }
}

/// An object's name without the tenant, fit for messages.
fn plain_name(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    let name =
        if path.starts_with(CLAIMS) { name.split_once('.').map_or(name, |(_, claim)| claim) } else { name };
    format!("object {name}")
}

/// An error about a damaged object.
pub fn corrupt(name: &dyn std::fmt::Display, what: &str) -> Error {
    Error::new(Cause::Damaged, format!("{name}: {what}; see the runbook"))
}
