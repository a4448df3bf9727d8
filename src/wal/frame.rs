//! The bytes of a log: a header that says whose it is and how it is sealed, then frames.
//!
//! A frame's checksum starts from the file's own salt, so that stale bytes and frames of other files never pass for its
//! own. No input panics, and nothing allocates beyond the file. All numbers are little endian.
//!
//! | header at | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic `BHAl` |
//! | 4 | 1 | format version, 2; 1 is read |
//! | 5 | 1 | suite: 0 plain, 1 AES-256-GCM |
//! | 6 | 2 | mark of the boot under which it is written, zero where that is unknown and in version 1 |
//! | 8 | 8 | key id, zero when plain |
//! | 16 | 16 | key commitment, zero when plain |
//! | 32 | 32 | salt, random for each file |
//! | 64 | 16 | tenant tag |
//! | 80 | 8 | claim: epoch |
//! | 88 | 16 | claim: owner |
//! | 104 | 8 | starting LSN: that of the base |
//! | 112 | 4 | CRC-32 of bytes 0 to 111 |
//!
//! | frame at | bytes | field |
//! |---|---|---|
//! | 0 | 4 | marker `BHAf` |
//! | 4 | 4 | length of the sealed body |
//! | 8 | 4 | CRC-32 of: the salt, bytes 4 to 7, byte 12 to the end of the body |
//! | 12 | 1 | kind: 1 base, 2 batch, 3 end (not in version 1) |
//! | 13 | 8 | LSN |
//! | 21 | 8 | counter: the nonce |
//! | 29 | 8 | synced through: the highest LSN of this file known to survive a power cut; in the end, the highest LSN that the store has |
//! | 37 | length | record entries, sealed; bytes 12 to 36 are the associated data; a 16-byte tag at the end unless plain |

mod broken;

use crate::error::{Cause, Code, Error, Result};
use crate::format::record::MAX_BATCH_LEN;
use crate::format::seal::{Context, Forgery, KeyId, KeyPurpose, Ring, Seal, Suite};
use crate::id::{Claim, Lsn, OwnerId, TenantTag};

const MAGIC: [u8; 4] = *b"BHAl";
/// The version that is written.
const VERSION: u8 = 2;
/// The versions that are read.
const KNOWN: [u8; 2] = [1, VERSION];
/// Place of the version.
const VERSION_AT: usize = 4;
/// Bytes of a log's header.
pub const HEADER_LEN: usize = 116;

const MARKER: [u8; 4] = *b"BHAf";
/// Bytes of a frame before its body.
pub const FRAME_LEN: usize = 37;
/// Start of the authenticated part of a frame's head.
const AAD_AT: usize = 12;

/// Kind of a frame. The number stands in files and never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// The whole state.
    Base = 1,
    /// One batch.
    Batch = 2,
    /// The session was closed: nothing follows.
    End = 3,
}

/// Header of a log: the tenant that it belongs to.
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
    /// The boot of the machine under which it is written; 0 if unknown.
    pub boot: u16,
    /// True if a log of its version says of itself that it was closed.
    pub tells_ends: bool,
}

/// Outcome of reading a header.
pub enum Heading {
    /// It reads, and its frames can be opened.
    Whole(Header, Box<Codec>),
    /// It is damaged: nothing is known.
    Damaged,
    /// It reads, but the log cannot be opened with these keys.
    Locked(Header, Error),
}

impl Header {
    /// The key is derived from the salt and the owner. The epoch and the tag are in it anyway, so that a log moved under
    /// another tenant or claim does not open (I15).
    fn seal<T>(&self, derive: impl FnOnce(&Context<'_>) -> T) -> T {
        let mut salt = [0; 48];
        salt[..32].copy_from_slice(&self.salt);
        salt[32..].copy_from_slice(&self.claim.owner.0);
        derive(&Context { purpose: KeyPurpose::Log, salt: &salt, tag: self.tag, epoch: self.claim.epoch })
    }

    /// The header's bytes, and what seals the frames behind it.
    pub fn write(&self, ring: &Ring) -> (Vec<u8>, Codec) {
        let seal = self.seal(|context| ring.sealer(context));
        let mut out = Vec::with_capacity(HEADER_LEN);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[VERSION, seal.suite as u8]);
        out.extend_from_slice(&self.boot.to_le_bytes());
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

    /// Reads a header. An unknown version or suite and another tenant are errors: nothing may be concluded from such a file.
    pub fn read(bytes: &[u8], ring: &Ring, tag: TenantTag) -> Result<Heading> {
        let unknown = |what: &str, number: u8| {
            Error::new(
                Cause::LocalDamage,
                format!(
                    "the local log has {what} {number}, which this release cannot read; install a newer one"
                ),
            )
        };
        let Some(&version) = bytes.strip_prefix(&MAGIC).and_then(<[u8]>::first) else {
            return Ok(Heading::Damaged);
        };
        let checked = bytes.get(..HEADER_LEN).and_then(|head| head.split_last_chunk::<4>());
        let fits = |version: u8| {
            checked.is_some_and(|(head, crc)| {
                let mut sum = crc32fast::Hasher::new();
                sum.update(&MAGIC);
                sum.update(&[version]);
                sum.update(head.get(VERSION_AT + 1..).unwrap_or_default());
                sum.finalize() == u32::from_le_bytes(*crc)
            })
        };
        let is_known = KNOWN.contains(&version);
        // With the checksum of a known one, another version byte is damage, and not another version.
        if !is_known && !KNOWN.into_iter().any(fits) {
            return Err(unknown("format version", version));
        }
        let fields = checked.filter(|_| is_known && fits(version)).and_then(|(head, _)| Header::fields(head));
        let Some((suite, key_id, commitment, header)) = fields else { return Ok(Heading::Damaged) };
        let suite = Suite::from_byte(suite).ok_or_else(|| unknown("encryption suite", suite))?;
        if header.tag != tag {
            return Err(Error::new(
                Cause::LocalDamage,
                "the local log belongs to another tenant; move it back to its own directory",
            ));
        }
        if suite == Suite::Plain && !ring.takes_plain() {
            // Whoever can write to the disk could otherwise replace a session that was encrypted.
            return Ok(Heading::Locked(
                header,
                Error::new(
                    Cause::Keyless,
                    "the local log is not encrypted although keys are configured; pass `acceptUnencrypted: true` once to accept it",
                ),
            ));
        }
        Ok(match header.seal(|context| ring.opener(suite, key_id, commitment, context)) {
            Ok(seal) => Heading::Whole(header, Box::new(Codec::new(seal, &header.salt))),
            Err(error) => {
                Heading::Locked(header, error.reworded(|message| format!("the local log {message}")))
            }
        })
    }

    /// The key that the log in `bytes` says it needs; `None` if it is not encrypted or not a log.
    pub fn key_id(bytes: &[u8]) -> Option<KeyId> {
        let head = bytes.get(..HEADER_LEN).filter(|head| head.starts_with(&MAGIC))?;
        let (suite, key_id, ..) = Header::fields(head)?;
        (suite != Suite::Plain as u8).then_some(key_id)
    }

    fn fields(head: &[u8]) -> Option<(u8, [u8; 8], [u8; 16], Header)> {
        let mut rest = head.get(VERSION_AT..)?;
        let tells_ends = take::<1>(&mut rest)? != [1];
        let [suite] = take(&mut rest)?;
        let boot = u16::from_le_bytes(take(&mut rest)?);
        let (key_id, commitment, salt) = (take(&mut rest)?, take(&mut rest)?, take(&mut rest)?);
        let tag = TenantTag(take(&mut rest)?);
        let claim = Claim { epoch: u64::from_le_bytes(take(&mut rest)?), owner: OwnerId(take(&mut rest)?) };
        let start = u64::from_le_bytes(take(&mut rest)?);
        Some((suite, key_id, commitment, Header { tag, claim, start, salt, boot, tells_ends }))
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (field, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*field)
}

/// Fields of the head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Its kind.
    pub kind: FrameKind,
    /// The LSN that is reached with it.
    pub lsn: Lsn,
    /// The nonce: spent even when an append fails.
    pub counter: u64,
    /// The highest LSN of this file known to survive a power cut when it was written; at the end, the highest one that the
    /// store has.
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

    /// Appends a frame with `body` to `buffer`. On an error the buffer is as before.
    pub fn write(&self, buffer: &mut Vec<u8>, frame: &Frame, body: &[u8]) -> Result<()> {
        let len =
            u32::try_from(body.len() + self.seal.overhead()).ok().filter(|_| body.len() <= MAX_BATCH_LEN);
        let Some(len) = len else {
            let message = format!("{} bytes are more than the maximum of a batch or state", body.len());
            return Err(Error::new(Code::InvalidOption, message));
        };
        let at = buffer.len();
        buffer.reserve(FRAME_LEN + body.len() + self.seal.overhead());
        buffer.extend_from_slice(&MARKER);
        buffer.extend_from_slice(&len.to_le_bytes());
        buffer.extend_from_slice(&[0; 4]);
        buffer.push(frame.kind as u8);
        buffer.extend_from_slice(&frame.lsn.to_le_bytes());
        buffer.extend_from_slice(&frame.counter.to_le_bytes());
        buffer.extend_from_slice(&frame.synced.to_le_bytes());
        buffer.extend_from_slice(body);
        self.seal.seal(frame.counter, buffer, at + AAD_AT..at + FRAME_LEN);
        let written = buffer.get_mut(at..).and_then(|frame| frame.split_at_mut_checked(AAD_AT));
        if let Some((head, rest)) = written
            && let Some((_, crc)) = head.split_last_chunk_mut()
        {
            *crc = self.crc(&len.to_le_bytes(), rest).to_le_bytes();
        }
        Ok(())
    }

    fn crc(&self, len: &[u8], rest: &[u8]) -> u32 {
        let mut crc = self.salted.clone();
        crc.update(len);
        crc.update(rest);
        crc.finalize()
    }

    /// The frame at the start of `bytes` and its whole length, if it is there and its checksum holds.
    pub fn next_frame(&self, bytes: &[u8]) -> Option<(Frame, usize)> {
        let whole = Codec::extent(bytes)?;
        let mut rest = bytes.get(MARKER.len()..whole)?;
        let len: [u8; 4] = take(&mut rest)?;
        let crc = u32::from_le_bytes(take(&mut rest)?);
        if crc != self.crc(&len, rest) {
            return None;
        }
        let kind = match take::<1>(&mut rest)? {
            [1] => FrameKind::Base,
            [2] => FrameKind::Batch,
            [3] => FrameKind::End,
            _ => return None,
        };
        let [lsn, counter, synced] =
            [take(&mut rest)?, take(&mut rest)?, take(&mut rest)?].map(u64::from_le_bytes);
        Some((Frame { kind, lsn, counter, synced }, whole))
    }

    /// Bytes of a frame that has no entries.
    pub fn least(&self) -> usize {
        FRAME_LEN + self.seal.overhead()
    }

    /// Length that the frame at the start of `bytes` says it has, if it starts like one and all of it is there.
    pub fn extent(bytes: &[u8]) -> Option<usize> {
        let mut rest = bytes.strip_prefix(&MARKER)?;
        let len = usize::try_from(u32::from_le_bytes(take(&mut rest)?)).ok()?;
        FRAME_LEN.checked_add(len).filter(|whole| *whole <= bytes.len())
    }

    /// Appends to `out` the body of the frame that [`Codec::next_frame`] found to be all of `whole`. `buffer` is reused.
    pub fn open(
        &self,
        frame: &Frame,
        whole: &[u8],
        buffer: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> std::result::Result<(), Forgery> {
        let (head, body) = whole.split_at_checked(FRAME_LEN).ok_or(Forgery)?;
        buffer.clear();
        buffer.extend_from_slice(body);
        self.seal.open(frame.counter, head.get(AAD_AT..).ok_or(Forgery)?, buffer)?;
        out.extend_from_slice(buffer);
        Ok(())
    }
}
