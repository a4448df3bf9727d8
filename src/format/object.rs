//! Remote objects: a clear header, a compressed and sealed body, and a digest over both.
//!
//! The header is authenticated with the body, and must equal what the object's *name* and its place in the chain say
//! before the body is looked at (I6, I15). The trailing digest tells damage from a wrong key, without any key.
//! The byte tables are in `docs/format.md`; nothing here panics on any input.

mod pack;

use bytes::Bytes;

use crate::error::{Cause, Code, Error, Result};
use crate::format::fields::{Fields, put_claim};
use crate::format::record::MAX_BATCH_LEN;
use crate::format::seal::{Context, KeyId, KeyPurpose, Ring, Seal, Suite};
use crate::id::{Claim, Digest, Lsn, TenantTag};

const MAGIC: [u8; 4] = *b"BHAo";
const VERSION: u8 = 1;
/// Bytes before the body.
pub const HEADER_LEN: usize = 176;
const DIGEST_LEN: usize = 32;
const ZSTD: u8 = 1;

/// Kind of an object. The number stands in files and never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    /// A claim; its body is the watch interval in milliseconds.
    Claim = 1,
    /// Says that a claim has a base.
    Live = 2,
    /// Says that a claim ended cleanly.
    Released = 3,
    /// A tombstone.
    Deleted = 4,
    /// The whole state.
    Base = 5,
    /// Changes.
    Segment = 6,
    /// Says that a claim accepts nothing more, and is still storing what it accepted.
    Leaving = 7,
    /// Pieces of the files of a browser profile.
    Pack = 8,
}

impl ObjectKind {
    fn from_byte(byte: u8) -> Option<ObjectKind> {
        use ObjectKind::{Base, Claim, Deleted, Leaving, Live, Pack, Released, Segment};
        let kinds = [Claim, Live, Released, Deleted, Base, Segment, Leaving, Pack];
        kinds.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// A point in a history: who wrote it, how far it had come, and the digest of the object that got it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Link {
    /// The writer.
    pub claim: Claim,
    /// The LSN reached.
    pub lsn: Lsn,
    /// The digest of the last object of the chain.
    pub digest: Digest,
}

/// Fields of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// Its kind.
    pub kind: ObjectKind,
    /// Tenant that it belongs to.
    pub tag: TenantTag,
    /// The claim that wrote it.
    pub claim: Claim,
    /// First LSN covered; for all but segments the same as `last`. The number of a pack.
    pub first: Lsn,
    /// Last LSN covered.
    pub last: Lsn,
    /// The object before it: for a segment the object it continues, for the first base of a claim the history it was
    /// restored from, for a later base and for `.released` the point of its own chain at which it stands.
    pub previous: Link,
    /// Time at which it was made, in milliseconds since 1970; for people only.
    pub wall_ms: u64,
}

/// An object ready to be stored: immutable from here on, a retry sends the same bytes.
#[derive(Debug, Clone)]
pub struct SealedObject {
    /// The bytes.
    pub bytes: Bytes,
    /// Their digest.
    pub digest: Digest,
}

/// Makes the objects of one claim: one key, one counter for all of them (I14).
#[derive(Debug)]
pub struct Sealer {
    seal: Seal,
    tag: TenantTag,
    claim: Claim,
    counter: u64,
}

impl Sealer {
    /// A sealer for `claim`, whose owner id is fresh randomness and salts the key.
    pub fn new(ring: &Ring, tag: TenantTag, claim: Claim) -> Sealer {
        Sealer { seal: ring.sealer(&context(tag, &claim)), tag, claim, counter: 0 }
    }

    /// Seals `body` as an object of `kind` covering `first..=last`.
    pub fn seal(
        &mut self,
        kind: ObjectKind,
        span: (Lsn, Lsn),
        previous: Link,
        wall_ms: u64,
        body: &[u8],
    ) -> Result<SealedObject> {
        let counter = self.counter;
        self.counter += 1;
        let packed = pack::pack(body)
            .map_err(|error| Error::new(Code::Internal, format!("compression failed: {error}")))?;
        let mut out = Vec::with_capacity(HEADER_LEN + packed.len() + self.seal.overhead() + DIGEST_LEN);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[VERSION, kind as u8, self.seal.suite as u8, ZSTD]);
        out.extend_from_slice(&self.seal.key_id);
        out.extend_from_slice(&self.seal.commitment);
        out.extend_from_slice(&self.tag.0);
        put_claim(&mut out, &self.claim);
        out.extend_from_slice(&span.0.to_le_bytes());
        out.extend_from_slice(&span.1.to_le_bytes());
        put_claim(&mut out, &previous.claim);
        out.extend_from_slice(&previous.lsn.to_le_bytes());
        out.extend_from_slice(&previous.digest.0);
        out.extend_from_slice(&counter.to_le_bytes());
        out.extend_from_slice(&wall_ms.to_le_bytes());
        out.extend_from_slice(&(body.len() as u64).to_le_bytes());
        debug_assert_eq!(out.len(), HEADER_LEN);
        out.extend_from_slice(&packed);
        self.seal.seal(counter, &mut out, 0..HEADER_LEN);
        let digest = Digest::of(&out);
        out.extend_from_slice(&digest.0);
        Ok(SealedObject { bytes: out.into(), digest })
    }
}

fn context(tag: TenantTag, claim: &Claim) -> Context<'_> {
    Context { purpose: KeyPurpose::Object, salt: &claim.owner.0, tag, epoch: claim.epoch }
}

/// An object that was read and whose digest held; its body is still closed.
#[derive(Debug, Clone)]
pub struct Object {
    /// Fields of the header.
    pub meta: Meta,
    /// The digest of the bytes.
    pub digest: Digest,
    suite: Suite,
    key_id: [u8; 8],
    commitment: [u8; 16],
    counter: u64,
    body_len: u64,
    bytes: Bytes,
}

fn corrupt(message: impl std::fmt::Display) -> Error {
    Error::new(Cause::Damaged, message)
}

impl Object {
    /// The key that it needs; `None` if it is not encrypted.
    pub fn key_id(&self) -> Option<KeyId> {
        (!self.is_plain()).then_some(self.key_id)
    }

    /// Its size in the store.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Reads an object's header and checks its digest. Any flipped, missing or extra byte is refused here.
    pub fn read(bytes: Bytes) -> Result<Object> {
        let covered = bytes.len().checked_sub(DIGEST_LEN).filter(|len| *len >= HEADER_LEN);
        let (covered, stored) =
            covered.map(|len| bytes.split_at(len)).ok_or_else(|| corrupt("is truncated"))?;
        let digest = Digest::of(covered);
        if digest.0 != stored {
            return Err(corrupt("does not match its digest"));
        }
        let mut fields = Fields::of(covered);
        let header = || corrupt("has an invalid header");
        let magic: [u8; 4] = fields.take().ok_or_else(header)?;
        let [version, kind, suite, packing] = fields.take().ok_or_else(header)?;
        if magic != MAGIC || version != VERSION || packing != ZSTD {
            return Err(corrupt(format!("has a format that this release does not know (version {version})")));
        }
        let read = |mut fields: Fields<'_>| {
            let (key_id, commitment) = (fields.take()?, fields.take()?);
            let tag = TenantTag(fields.take()?);
            let claim = fields.claim()?;
            let (first, last) = (fields.u64()?, fields.u64()?);
            let previous =
                Link { claim: fields.claim()?, lsn: fields.u64()?, digest: Digest(fields.take()?) };
            let (counter, wall_ms, body_len) = (fields.u64()?, fields.u64()?, fields.u64()?);
            let meta =
                Meta { kind: ObjectKind::from_byte(kind)?, tag, claim, first, last, previous, wall_ms };
            let suite = Suite::from_byte(suite)?;
            Some(Object { meta, digest, suite, key_id, commitment, counter, body_len, bytes: bytes.clone() })
        };
        read(fields).ok_or_else(header)
    }

    /// True if the body is not encrypted.
    pub fn is_plain(&self) -> bool {
        self.suite == Suite::Plain
    }

    /// Opens the body.
    pub fn body(&self, ring: &Ring) -> Result<Vec<u8>> {
        let seal =
            ring.opener(self.suite, self.key_id, self.commitment, &context(self.meta.tag, &self.meta.claim))?;
        let header = self.bytes.get(..HEADER_LEN).unwrap_or_default();
        let mut body = self.bytes.get(HEADER_LEN..self.bytes.len() - DIGEST_LEN).unwrap_or_default().to_vec();
        seal.open(self.counter, header, &mut body)
            .map_err(|_| corrupt("was changed after it was encrypted"))?;
        let len = usize::try_from(self.body_len).ok().filter(|len| *len <= MAX_BATCH_LEN);
        let len = len.ok_or_else(|| corrupt("has an impossible size"))?;
        // zstd never gives more than it was asked for: a small body cannot claim a large one, beyond its own ratio.
        let unpacked = pack::unpack(&body, len).map_err(|_| corrupt("does not decompress"))?;
        if unpacked.len() != len {
            return Err(corrupt("does not decompress to its stated length"));
        }
        Ok(unpacked)
    }
}

#[cfg(test)]
mod tests;
