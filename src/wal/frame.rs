//! The bytes of a log: a header that says whose it is and how it is sealed, then frames.
//!
//! A frame's checksum starts from the file's own salt, so that stale bytes and frames of other files never pass for its
//! own. The tables are in `docs/format.md`. No input panics, and nothing allocates beyond the file.

use crate::error::{Code, Error, Result};
use crate::id::{Claim, Lsn, OwnerId, TenantTag};
use crate::seal::{Context, Purpose, Ring, Seal, Suite, Tampered};

const MAGIC: [u8; 4] = *b"BHAl";
const VERSION: u8 = 1;
/// Bytes of a log's header.
pub const HEADER_LEN: usize = 116;

const MARKER: [u8; 4] = *b"BHAf";
/// Bytes of a frame before its body.
pub const FRAME_LEN: usize = 37;
/// Where the authenticated part of a frame's head starts.
const AAD_AT: usize = 12;

/// What a frame holds. The number stands in files and never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The whole state.
    Base = 1,
    /// One batch.
    Batch = 2,
}

/// Whose log it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The tenant.
    pub tag: TenantTag,
    /// The claim under which it is written.
    pub claim: Claim,
    /// The LSN of its base.
    pub start: Lsn,
    /// Randomness of this file alone.
    pub salt: [u8; 32],
}

impl Header {
    fn context(&self) -> Context<'_> {
        Context { purpose: Purpose::Log, salt: &self.salt, tag: self.tag, epoch: self.claim.epoch }
    }

    /// The header's bytes, and what seals and checks the frames behind it.
    pub fn write(&self, ring: &Ring) -> (Vec<u8>, Codec) {
        let seal = ring.sealer(&self.context());
        let mut out = Vec::with_capacity(HEADER_LEN);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[VERSION, seal.suite as u8, 0, 0]);
        out.extend_from_slice(&seal.key_id);
        out.extend_from_slice(&seal.commitment);
        out.extend_from_slice(&self.salt);
        out.extend_from_slice(&self.tag.0);
        out.extend_from_slice(&self.claim.epoch.to_le_bytes());
        out.extend_from_slice(&self.claim.owner.0);
        out.extend_from_slice(&self.start.to_le_bytes());
        out.extend_from_slice(&crc32fast::hash(&out).to_le_bytes());
        (out, Codec::new(seal, &self.salt))
    }

    /// Reads a header. `Ok(None)`: damaged. An unknown version, another tenant and a missing key are errors of their own.
    pub fn read(bytes: &[u8], ring: &Ring, tag: TenantTag) -> Result<Option<(Header, Codec)>> {
        let Some((head, crc)) = bytes.get(..HEADER_LEN).and_then(|head| head.split_last_chunk::<4>()) else {
            return Ok(None);
        };
        if !head.starts_with(&MAGIC) || crc32fast::hash(head) != u32::from_le_bytes(*crc) {
            return Ok(None);
        }
        let mut rest = head;
        let mut read = || {
            let [_, _, _, _, version, suite, _, _] = take(&mut rest)?;
            let (key_id, commitment, salt) = (take(&mut rest)?, take(&mut rest)?, take(&mut rest)?);
            let tag = TenantTag(take(&mut rest)?);
            let claim =
                Claim { epoch: u64::from_le_bytes(take(&mut rest)?), owner: OwnerId(take(&mut rest)?) };
            let start = u64::from_le_bytes(take(&mut rest)?);
            Some((version, suite, key_id, commitment, Header { tag, claim, start, salt }))
        };
        let Some((version, suite, key_id, commitment, header)) = read() else { return Ok(None) };
        let (VERSION, Some(suite)) = (version, Suite::from_byte(suite)) else {
            let message = format!(
                "the local log has format version {version}; this release reads version {VERSION}, install a newer one"
            );
            return Err(Error::new(Code::LocalCorrupt, message));
        };
        if header.tag != tag {
            return Err(Error::new(
                Code::LocalCorrupt,
                "the local log belongs to another tenant; give each tenant its own folder back",
            ));
        }
        let seal = ring.opener(suite, key_id, commitment, &header.context());
        let seal = seal.map_err(|error| Error::new(error.code, format!("the local log {error}")))?;
        Ok(Some((header, Codec::new(seal, &header.salt))))
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (field, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*field)
}

/// What the head of a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// What it holds.
    pub kind: Kind,
    /// The LSN that is reached with it.
    pub lsn: Lsn,
    /// The nonce: spent even when an append fails.
    pub counter: u64,
    /// The highest LSN known to survive a power cut when it was written.
    pub synced: Lsn,
}

/// Writes and reads the frames of one file.
pub struct Codec {
    seal: Seal,
    salted: crc32fast::Hasher,
}

impl Codec {
    fn new(seal: Seal, salt: &[u8; 32]) -> Codec {
        let mut salted = crc32fast::Hasher::new();
        salted.update(salt);
        Codec { seal, salted }
    }

    /// Puts a frame with `body` into `buffer`, which is emptied first.
    pub fn write(&self, buffer: &mut Vec<u8>, frame: &Frame, body: &[u8]) {
        buffer.clear();
        buffer.reserve(FRAME_LEN + body.len() + self.seal.overhead());
        let len = u32::try_from(body.len() + self.seal.overhead()).unwrap_or(u32::MAX);
        buffer.extend_from_slice(&MARKER);
        buffer.extend_from_slice(&len.to_le_bytes());
        buffer.extend_from_slice(&[0; 4]);
        buffer.push(frame.kind as u8);
        buffer.extend_from_slice(&frame.lsn.to_le_bytes());
        buffer.extend_from_slice(&frame.counter.to_le_bytes());
        buffer.extend_from_slice(&frame.synced.to_le_bytes());
        buffer.extend_from_slice(body);
        self.seal.seal(frame.counter, buffer, AAD_AT..FRAME_LEN);
        let crc = self.crc(&buffer[4..8], &buffer[AAD_AT..]);
        buffer[8..12].copy_from_slice(&crc.to_le_bytes());
    }

    fn crc(&self, len: &[u8], rest: &[u8]) -> u32 {
        let mut crc = self.salted.clone();
        crc.update(len);
        crc.update(rest);
        crc.finalize()
    }

    /// The frame at the start of `bytes` and its whole length, if it is there and its checksum holds.
    pub fn peek(&self, bytes: &[u8]) -> Option<(Frame, usize)> {
        let mut rest = bytes.strip_prefix(&MARKER)?;
        let len = rest.get(..4)?;
        let whole = FRAME_LEN.checked_add(usize::try_from(u32::from_le_bytes(take(&mut rest)?)).ok()?)?;
        let crc = u32::from_le_bytes(take(&mut rest)?);
        if crc != self.crc(len, bytes.get(AAD_AT..whole)?) {
            return None;
        }
        let kind = match take::<1>(&mut rest)? {
            [1] => Kind::Base,
            [2] => Kind::Batch,
            _ => return None,
        };
        let [lsn, counter, synced] =
            [take(&mut rest)?, take(&mut rest)?, take(&mut rest)?].map(u64::from_le_bytes);
        Some((Frame { kind, lsn, counter, synced }, whole))
    }

    /// The body of a frame that [`Codec::peek`] found at the start of `bytes`.
    pub fn body(&self, bytes: &[u8], frame: &Frame, whole: usize) -> std::result::Result<Vec<u8>, Tampered> {
        let mut body = bytes.get(FRAME_LEN..whole).ok_or(Tampered)?.to_vec();
        self.seal.open(frame.counter, bytes.get(AAD_AT..FRAME_LEN).ok_or(Tampered)?, &mut body)?;
        Ok(body)
    }

    /// Where the next frame might start in `bytes`.
    pub fn find_marker(bytes: &[u8]) -> Option<usize> {
        bytes.windows(MARKER.len()).position(|window| window == MARKER)
    }
}
