//! Frames that do not read: what a stop of their writer left of them, and what rot did to them.
//!
//! A checksum tells more than that it fails: which single bit would make it hold, and whether the last bytes alone are wrong. Rot is
//! never taken for a write that was cut short where it can be told (I17).

use super::{AAD_AT, Codec, FRAME_LEN, MARKER, take};
use crate::id::Lsn;

/// Start of the length.
const LEN_AT: usize = 4;
/// Start of the checksum.
const CRC_AT: usize = 8;

/// The polynomial of the CRC-32.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// A checksum one bit later.
fn step(sum: u32) -> u32 {
    if sum & 1 == 1 { sum >> 1 ^ POLYNOMIAL } else { sum >> 1 }
}

/// A checksum one bit earlier.
fn step_back(sum: u32) -> u32 {
    if sum >> 31 == 1 { (sum ^ POLYNOMIAL) << 1 | 1 } else { sum << 1 }
}

impl Codec {
    /// Length that the frame at the start of `bytes` says it has, whether or not so much is there; `None` if its marker or its
    /// length are not.
    pub fn told(bytes: &[u8]) -> Option<usize> {
        let mut rest = bytes.strip_prefix(&MARKER)?;
        usize::try_from(u32::from_le_bytes(take(&mut rest)?)).ok()?.checked_add(FRAME_LEN)
    }

    /// Number of bytes of a marker with which `bytes` start.
    pub fn marked(bytes: &[u8]) -> usize {
        bytes.iter().zip(MARKER).take_while(|(byte, marker)| **byte == *marker).count()
    }

    /// True if a frame at the start of `bytes` reads once one bit behind its marker is turned: it was whole, and that bit rotted.
    pub fn is_one_bit_off(&self, bytes: &[u8]) -> bool {
        self.has_rotten_length(bytes) || self.has_rotten_bit(bytes)
    }

    fn has_rotten_length(&self, bytes: &[u8]) -> bool {
        let Some(len) = bytes.get(LEN_AT..).and_then(|mut rest| take(&mut rest)).map(u32::from_le_bytes)
        else {
            return false;
        };
        (0..u32::BITS).any(|bit| {
            let whole = usize::try_from(len ^ 1 << bit).ok().and_then(|len| len.checked_add(FRAME_LEN));
            whole.and_then(|whole| bytes.get(..whole)).is_some_and(|frame| self.is_one(frame))
        })
    }

    /// The checksum that the frame at the start of `bytes` has and the one that it says, and its bytes from the kind on without
    /// the last `left_out`.
    fn sums(&self, bytes: &[u8], left_out: usize) -> Option<(u32, u32, usize)> {
        let whole = Codec::extent(bytes)?.checked_sub(left_out)?;
        let len = take::<4>(&mut bytes.get(LEN_AT..)?)?;
        let said = u32::from_le_bytes(take(&mut bytes.get(CRC_AT..)?)?);
        let rest = bytes.get(AAD_AT..whole)?;
        Some((self.crc(&len, rest), said, rest.len()))
    }

    fn has_rotten_bit(&self, bytes: &[u8]) -> bool {
        let Some((found, said, len)) = self.sums(bytes, 0) else { return false };
        let change = found ^ said;
        if change.count_ones() == 1 {
            // Of the checksum itself.
            return true;
        }
        // The changes by the last bit, by the one before it, and so on.
        let mut sum = 1;
        (0..len.saturating_mul(8)).any(|_| {
            sum = step(sum);
            sum == change
        })
    }

    /// True if the frame that `bytes` are reads once its last `count` bytes, fewer than four, are others.
    pub fn lacks_only_its_last(&self, bytes: &[u8], count: usize) -> bool {
        if Codec::extent(bytes) != Some(bytes.len()) || count >= 4 {
            return false;
        }
        let Some((before, said, _)) = self.sums(bytes, count) else { return false };
        // Back from the checksum: each of these bytes leaves eight more bits open.
        let back = (0..8 * count).fold(!said, |sum, _| step_back(sum));
        (back ^ !before) >> (8 * count) == 0
    }

    /// True if `bytes` are what a writer leaves that is stopped within a frame: a part of it, and nothing behind.
    pub fn is_cut_short(bytes: &[u8]) -> bool {
        let told = MARKER.len().min(bytes.len());
        bytes.get(..told) == MARKER.get(..told) && Codec::extent(bytes).is_none()
    }

    /// True if `bytes` are one frame whose marker or length was changed: with the right ones its checksum holds.
    pub fn is_one(&self, bytes: &[u8]) -> bool {
        let Some(len) = bytes.len().checked_sub(FRAME_LEN).and_then(|len| u32::try_from(len).ok()) else {
            return false;
        };
        let mut mended = bytes.to_vec();
        mended.splice(..8, MARKER.into_iter().chain(len.to_le_bytes()));
        self.next_frame(&mended).is_some_and(|(_, whole)| whole == bytes.len())
    }

    /// The LSN of the last one of frames that fill `bytes` by their lengths and follow one another by their numbers. Nothing of it
    /// is checked: for a file whose header does not read.
    pub fn tiled(mut bytes: &[u8]) -> Option<Lsn> {
        let mut last: Option<Lsn> = None;
        while !bytes.is_empty() {
            let whole = Codec::extent(bytes)?;
            let mut head = bytes.get(AAD_AT..)?;
            let (kind, lsn) = (take::<1>(&mut head)?, u64::from_le_bytes(take(&mut head)?));
            let next = match (last, kind) {
                (None, [1]) => Some(lsn),
                (Some(last), [2]) => last.checked_add(1),
                (Some(last), [3]) => Some(last),
                _ => None,
            };
            last = Some(next.filter(|next| *next == lsn)?);
            bytes = bytes.get(whole..)?;
        }
        last
    }

    /// Start of what may be the next frame in `bytes`.
    pub fn find_marker(bytes: &[u8]) -> Option<usize> {
        bytes.windows(MARKER.len()).position(|window| window == MARKER)
    }
}
