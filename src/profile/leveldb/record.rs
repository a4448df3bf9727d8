//! The records of a manifest or a log of LevelDB: blocks of 32 KiB, in them fragments with a masked CRC-32C each.
//!
//! ```text
//! fragment   checksum of type and payload, 4 bytes | length of the payload, 2 bytes | type | payload
//! type       1 a whole record | 2 its first fragment | 3 one between | 4 its last
//! ```
//!
//! Invariant: one block is held at a time. A file that ends within a fragment, between the fragments of a record, or in zeros that
//! were reserved, ends with the record before: its writer was at work, and the end is told, as a browser that goes on behind
//! such a rest makes damage of it. All else that is not as it should be is a fault, wherever
//! it is, and so is such an end with a good fragment behind it, which LevelDB would drop without a word.

use std::io::{self, Read};

use super::crc32c::crc32c;

const BLOCK: usize = 32 * 1024;
const HEADER: usize = 7;

/// Reason for which a file cannot be read to its end.
#[derive(Debug)]
pub enum ReadFault {
    /// The system refused.
    Unreadable(io::Error),
    /// The content is not what LevelDB writes.
    Damaged(&'static str),
}

/// Calls `each` with the length of every record. Gives the end of the last one.
pub fn each_length(
    file: &mut dyn Read,
    each: &mut dyn FnMut(u64) -> Result<(), ReadFault>,
) -> Result<u64, ReadFault> {
    let mut length = 0;
    fragments(file, |payload, ends| {
        length += payload.len() as u64;
        if ends { each(std::mem::take(&mut length)) } else { Ok(()) }
    })
}

/// Calls `each` with every record. Gives the end of the last one.
pub fn each(
    file: &mut dyn Read,
    each: &mut dyn FnMut(&[u8]) -> Result<(), ReadFault>,
) -> Result<u64, ReadFault> {
    let mut record = Vec::new();
    fragments(file, |payload, ends| {
        record.extend_from_slice(payload);
        if ends {
            each(&record)?;
            record.clear();
        }
        Ok(())
    })
}

/// Calls `on` with the payload of every fragment, and whether its record ends with it. Gives the end of the last record.
fn fragments(
    file: &mut dyn Read,
    mut on: impl FnMut(&[u8], bool) -> Result<(), ReadFault>,
) -> Result<u64, ReadFault> {
    let mut block = Vec::with_capacity(BLOCK);
    let mut within = false;
    let (mut read, mut end) = (0, 0);
    loop {
        let is_last = fill(file, &mut block)? < BLOCK;
        read += block.len() as u64;
        let mut rest = block.as_slice();
        while let Some(next) = BlockStep::read(rest) {
            match next {
                BlockStep::Good { begins, ends, payload, after } => {
                    if begins == within {
                        return Err(ReadFault::Damaged("has fragments of a record out of order"));
                    }
                    within = !ends;
                    on(payload, ends)?;
                    rest = after;
                    if ends {
                        end = read - rest.len() as u64;
                    }
                }
                BlockStep::Torn if is_last && !has_good(rest) => return Ok(end),
                BlockStep::Torn => return Err(ReadFault::Damaged("has a record with a wrong length")),
                BlockStep::Rotten => return Err(ReadFault::Damaged("has a record with a wrong checksum")),
                BlockStep::Unknown => return Err(ReadFault::Damaged("has a record of an unknown type")),
                BlockStep::Blank => {
                    let mut is_blank = !within && is_zero(rest);
                    while is_blank && fill(file, &mut block)? > 0 {
                        is_blank = is_zero(&block);
                    }
                    return if is_blank { Ok(end) } else { Err(ReadFault::Damaged("has a hole")) };
                }
            }
        }
        if is_last {
            return Ok(end);
        }
    }
}

/// Reads the next block, and gives its length: the last one is shorter, or empty.
fn fill(file: &mut dyn Read, block: &mut Vec<u8>) -> Result<usize, ReadFault> {
    block.clear();
    file.take(BLOCK as u64).read_to_end(block).map_err(ReadFault::Unreadable)
}

/// Continuation of a block.
enum BlockStep<'a> {
    /// A fragment.
    Good { begins: bool, ends: bool, payload: &'a [u8], after: &'a [u8] },
    /// A fragment that is longer than what is left.
    Torn,
    /// A fragment whose checksum differs.
    Rotten,
    /// A fragment that no version of LevelDB writes.
    Unknown,
    /// Zeros.
    Blank,
}

impl<'a> BlockStep<'a> {
    /// Reads the beginning of `block`; `None` if a header is longer than it.
    fn read(block: &'a [u8]) -> Option<BlockStep<'a>> {
        let (&[c0, c1, c2, c3, l0, l1, kind], payload) = block.split_first_chunk::<HEADER>()?;
        let length = usize::from(u16::from_le_bytes([l0, l1]));
        if kind == 0 && length == 0 {
            return Some(BlockStep::Blank);
        }
        let Some((payload, after)) = payload.split_at_checked(length) else { return Some(BlockStep::Torn) };
        let covered = block.get(HEADER - 1..HEADER + length)?;
        if u32::from_le_bytes([c0, c1, c2, c3]) != masked(crc32c(covered)) {
            return Some(BlockStep::Rotten);
        }
        let (begins, ends) = match kind {
            1 => (true, true),
            2 => (true, false),
            3 => (false, false),
            4 => (false, true),
            _ => return Some(BlockStep::Unknown),
        };
        Some(BlockStep::Good { begins, ends, payload, after })
    }
}

/// True if a good fragment begins anywhere in `block`: then what is before it was not the end of the file.
fn has_good(block: &[u8]) -> bool {
    let fragments = (0..block.len()).filter_map(|start| BlockStep::read(block.get(start..)?));
    fragments.into_iter().any(|next| matches!(next, BlockStep::Good { .. }))
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// A checksum as it is stored: the checksum of bytes that hold their own checksum says little.
pub fn masked(checksum: u32) -> u32 {
    checksum.rotate_right(15).wrapping_add(0xa282_ead8)
}
