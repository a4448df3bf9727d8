//! The bytes behind the first place of a log that does not read: what a stopped process, a power cut or rot left there.
//!
//! A process that is killed cuts the last write short and does nothing else. A power cut loses sectors, which read as zeros
//! afterwards, and comes with another boot. Everything else is damage. Nothing is believed of a frame that its checksum and
//! its seal do not say.

use crate::id::Lsn;

use super::frame::{Codec, FRAME_LEN, Frame, FrameKind};

/// Bytes checksummed for each byte of the tail before the search gives up: bodies may hold any number of false markers,
/// each of which would cost a checksum of all the rest.
const EFFORT: usize = 64;
/// Bytes of the smallest batch: the deletion of the shortest key.
const LEAST_BODY: usize = 7;
/// Zeros in a row that a sealed frame does not have by chance.
const LOST: usize = 64;
/// Bytes that a disk writes or loses together, and zeros of a part of them that a frame does not have there by chance.
const SECTOR: usize = 512;
const PART: usize = 4;

/// Batches behind a place that does not read, without a gap between them: with a state that reaches the first, a whole one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suffix {
    /// The LSN of the first one.
    first: Lsn,
    entries: Vec<u8>,
    /// End of the entries of each LSN.
    ends: Vec<(Lsn, usize)>,
    /// True if the session was closed after the last one, or nothing is behind it and the machine has not stopped since.
    pub is_end: bool,
}

impl Suffix {
    /// The LSN of the first batch.
    pub fn first(&self) -> Lsn {
        self.first
    }

    /// The LSN of the last batch.
    pub fn last(&self) -> Lsn {
        self.ends.last().map_or(0, |(lsn, _)| *lsn)
    }

    /// The entries that make a state at `lsn` the last one, if none is missing in between.
    pub fn after(&self, lsn: Lsn) -> Option<&[u8]> {
        if lsn.checked_add(1)? < self.first || lsn >= self.last() {
            return None;
        }
        let start = self.ends.iter().rev().find(|(at, _)| *at <= lsn).map_or(0, |(_, end)| *end);
        self.entries.get(start..)
    }
}

/// Knowledge from the bytes behind the last good frame.
pub struct TailScan<'a> {
    bytes: &'a [u8],
    /// Their start in the file.
    offset: usize,
    codec: &'a Codec,
    good: Lsn,
    /// The highest LSN of a frame that reads, `good` if there is none.
    pub newest: Lsn,
    /// The highest LSN of which such a frame says that it was synced.
    pub synced: Lsn,
    /// True if all of it was searched.
    pub complete: bool,
    /// Start of the first frame that reads.
    gap: usize,
    /// End of the last frame that reads.
    read_to: usize,
    /// The last frames that follow one another without a gap, and where they end.
    run: Vec<(Frame, usize, usize)>,
}

impl<'a> TailScan<'a> {
    /// Looks at every frame that reads in `bytes`, which start at `offset` in the file, with an LSN above `good`.
    pub fn look(bytes: &'a [u8], offset: usize, codec: &'a Codec, good: Lsn) -> TailScan<'a> {
        let (run, gap) = (Vec::new(), bytes.len());
        let mut seen = TailScan {
            bytes,
            offset,
            codec,
            good,
            newest: good,
            synced: 0,
            complete: true,
            gap,
            read_to: 0,
            run,
        };
        let mut effort = bytes.len().saturating_mul(EFFORT);
        let mut at = 0;
        while let Some(rest) = bytes.get(at..)
            && let Some(next) = Codec::find_marker(rest)
        {
            at += next;
            let rest = bytes.get(at..).unwrap_or_default();
            match effort.checked_sub(Codec::extent(rest).unwrap_or(0)) {
                Some(left) => effort = left,
                None => return TailScan { complete: false, ..seen },
            }
            match codec.next_frame(rest) {
                Some((frame, whole)) => {
                    if frame.lsn > good {
                        seen.note(frame, at, at + whole);
                    }
                    at += whole;
                }
                None => at += 1,
            }
        }
        seen
    }

    fn note(&mut self, frame: Frame, start: usize, end: usize) {
        self.newest = self.newest.max(frame.lsn);
        self.gap = self.gap.min(start);
        self.read_to = end;
        if frame.kind == FrameKind::Batch {
            self.synced = self.synced.max(frame.synced);
        }
        let follows = self.run.last().is_some_and(|(last, _, until)| {
            let next = if frame.kind == FrameKind::End { Some(last.lsn) } else { last.lsn.checked_add(1) };
            *until == start && last.kind == FrameKind::Batch && next == Some(frame.lsn)
        });
        if !follows {
            self.run.clear();
        }
        if follows || frame.kind == FrameKind::Batch {
            self.run.push((frame, start, end));
        }
    }

    /// True if a process that was stopped within its last write explains these bytes: nothing of it was confirmed.
    pub fn is_cut_short(&self) -> bool {
        self.is_cut(self.bytes) && self.newest == self.good
    }

    /// True if `rest` is a part of a frame. A whole one of which the length rotted looks like that too, whatever was cut short behind it,
    /// and was confirmed.
    fn is_cut(&self, rest: &[u8]) -> bool {
        Codec::is_cut_short(rest)
            && !self.codec.is_one(rest)
            && !self.codec.is_one_bit_off(rest)
            && !has_successor(rest)
    }

    /// True if this is where the end of an orderly closed log was, which holds no batch: by its length, or by its checksum where
    /// the length rotted.
    pub fn is_lost_end(&self) -> bool {
        self.newest == self.good
            && self.bytes.len() == self.codec.least()
            && (Codec::extent(self.bytes) == Some(self.codec.least()) || self.codec.is_one(self.bytes))
    }

    /// True if a power cut explains what does not read: sectors that were never written read as zeros, of which a frame may have
    /// but a few bytes at its start or its end. The first frame must have lost some: one of which all was written did read, and what
    /// was torn behind it does not explain why it no longer does.
    pub fn has_lost_sectors(&self) -> bool {
        let gap = self.bytes.get(..self.gap).unwrap_or_default();
        let Some(told) = Codec::told(gap) else {
            return self.is_lost_from(gap, Codec::marked(gap));
        };
        let first = gap.get(..told).unwrap_or(gap);
        // A frame does not reach into one that reads.
        let fits = told <= gap.len() || self.gap == self.bytes.len();
        let mut zeros = 0;
        let has_run = first.iter().any(|byte| {
            zeros = if *byte == 0 { zeros + 1 } else { 0 };
            zeros >= LOST
        });
        fits && !self.codec.is_one_bit_off(gap) && (has_run || self.has_lost_part(gap, first))
    }

    /// True if `gap` reads as zeros from within the marker of its first frame on, where a sector or the frame starts.
    fn is_lost_from(&self, gap: &[u8], at: usize) -> bool {
        let rest = gap.get(at..).unwrap_or_default();
        let (start, zeros) = (self.offset + at, rest.iter().take_while(|byte| **byte == 0).count());
        let is_edge = at == 0 || start.is_multiple_of(SECTOR);
        let ends = zeros == rest.len() || start + zeros >= (start + 1).next_multiple_of(SECTOR);
        zeros > 0 && (zeros >= LOST || (is_edge && ends))
    }

    /// True if all that `gap` has of some sector is zeros, and nothing behind it in that sector reads; the sector has a part of
    /// the `first` frame.
    fn has_lost_part(&self, gap: &[u8], first: &[u8]) -> bool {
        let edge = (SECTOR - self.offset % SECTOR).min(gap.len());
        let (head, others) = gap.split_at(edge);
        let (mut start, mut end) = (0, 0);
        std::iter::once(head).chain(others.chunks(SECTOR)).any(|part| {
            (start, end) = (end, end + part.len());
            let ends = (self.offset + end).is_multiple_of(SECTOR) || end == self.bytes.len();
            // Of fewer bytes, which a frame may have as zeros, the checksum tells.
            let is_last = || end == first.len() && self.codec.lacks_only_its_last(first, part.len());
            let is_lost = ends && start < first.len() && part.iter().all(|byte| *byte == 0);
            is_lost && (part.len() >= PART || is_last())
        })
    }

    /// The highest LSN that these bytes can have held; `None` if that cannot be told.
    pub fn limit(&self) -> Option<Lsn> {
        if !self.complete {
            return None;
        }
        // What lies before a frame that reads has lower LSNs: also before an end whose last batch is the one that does not read.
        let mut rest = self.bytes.get(self.read_to..).unwrap_or_default();
        let most = self.newest.saturating_add((rest.len() / (self.codec.least() + LEAST_BODY)) as u64);
        if self.is_cut(rest) {
            return Some(self.newest);
        }
        if self.codec.is_one(rest) {
            return Some(self.newest.saturating_add(u64::from(rest.len() > self.codec.least())));
        }
        // Frames that end where the file does, by their own lengths.
        let mut frames: u64 = 0;
        while let Some(whole) = Codec::extent(rest) {
            frames += u64::from(whole > self.codec.least());
            rest = rest.get(whole..).unwrap_or_default();
        }
        Some(if rest.is_empty() { self.newest.saturating_add(frames) } else { most })
    }

    /// The batches up to the newest one, opened, if they go on to the end of the file.
    pub fn suffix(&self, same_boot: bool) -> Option<Suffix> {
        let (first, (last, _, end)) = (self.run.first()?.0.lsn, self.run.last()?);
        let rest = self.bytes.get(*end..)?;
        let is_cut = !rest.is_empty() && self.is_cut(rest);
        if !self.complete || last.lsn != self.newest || !(rest.is_empty() || is_cut) {
            return None;
        }
        let is_end = last.kind == FrameKind::End || (same_boot && !is_cut);
        let (mut entries, mut ends, mut buffer) = (Vec::new(), Vec::new(), Vec::new());
        for (frame, start, end) in &self.run {
            self.codec.open(frame, self.bytes.get(*start..*end)?, &mut buffer, &mut entries).ok()?;
            if frame.kind == FrameKind::Batch {
                ends.push((frame.lsn, entries.len()));
            }
        }
        Some(Suffix { first, entries, ends, is_end })
    }
}

/// True if another frame begins where the first one of `bytes` ends with one bit of its length changed back: a write that was cut short
/// has nothing behind it, be that damaged as well.
fn has_successor(bytes: &[u8]) -> bool {
    let told = bytes.get(4..8).and_then(|len| len.first_chunk()).map(|len| u32::from_le_bytes(*len));
    told.is_some_and(|told| {
        (0..u32::BITS).any(|bit| {
            let behind = usize::try_from(told ^ (1 << bit))
                .ok()
                .and_then(|len| bytes.get(FRAME_LEN.checked_add(len)?..));
            behind.is_some_and(|behind| behind.len() >= FRAME_LEN && Codec::find_marker(behind) == Some(0))
        })
    })
}
