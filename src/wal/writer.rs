//! Writing a log: append, and rewrite it without stopping.
//!
//! Nothing is ever appended to a file that a former open wrote, and a nonce is spent even when its append fails (I14). A
//! failed append is cut back, so that what follows it is readable; if that fails too, the log is poisoned (I16). A rewrite
//! removes the old file only when the new one has everything durably: at each instant one of the two is the whole log.

use std::sync::Arc;

use crate::error::{Cause, Code, Error, Result};
use crate::format::seal::Ring;
use crate::id::{Claim, Lsn, TenantTag};
use crate::platform::disk::LogFile;
use crate::platform::host::{Host, random};

use super::folder::{Folder, unavailable};
use super::frame::{Codec, Frame, FrameKind, Header};
use super::slack::slack;
use super::tail::{Tail, sync};

/// A buffer that grew larger than this for one batch is let go again.
const KEPT_BUFFER: usize = 1 << 20;

/// Lineage of a log: the tenant whose history it holds, and the keys that seal it.
#[derive(Clone)]
pub struct Lineage {
    /// The keys.
    pub ring: Arc<Ring>,
    /// The tenant.
    pub tag: TenantTag,
    /// The claim under which it is written.
    pub claim: Claim,
}

/// Outcome of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It is in the log.
    Stored,
    /// It was written to a file that has no name any more: the directory was removed.
    Vanished,
}

/// A log being written. It keeps its folder, and so the lock.
pub struct Wal {
    folder: Arc<Folder>,
    lineage: Lineage,
    tail: Arc<Tail>,
    sequence: u64,
    codec: Codec,
    /// Bytes up to the end of the last whole frame.
    len: u64,
    lsn: Lsn,
    counter: u64,
    buffer: Vec<u8>,
    mirror: Option<Mirror>,
    /// Set once its last frame says that it was closed.
    ended: bool,
}

/// While the log is being rewritten: the batches that the new one lacks.
#[derive(Default)]
struct Mirror {
    entries: Vec<u8>,
    ends: Vec<(Lsn, usize)>,
}

/// A rewritten log, complete and durable up to its base. Dropped unused, it is removed.
pub struct NewLog(Option<Wal>);

/// A log that was replaced.
pub struct OldLog {
    folder: Arc<Folder>,
    sequence: u64,
    successor: Arc<Tail>,
}

impl OldLog {
    /// Syncs the successor and removes the old file. Blocks. If the sync fails, the old file stays and the log is poisoned; if
    /// only the removal fails, both stay and recovery takes the better one.
    pub fn remove(self, host: &dyn Host) {
        if sync(host, self.successor.as_ref()).is_ok() {
            let _ = self.folder.discard(self.sequence);
        }
    }
}

impl Drop for NewLog {
    fn drop(&mut self) {
        if let Some(wal) = self.0.take() {
            let _ = wal.folder.discard(wal.sequence);
        }
    }
}

impl Wal {
    /// Starts a log whose base is the state `base` at `lsn`. Durable under its name when this returns; blocks. On an error
    /// the folder is as before, and what may be left over counts for nothing beside the log that was there.
    pub fn create(
        folder: &Arc<Folder>,
        host: &dyn Host,
        lineage: Lineage,
        lsn: Lsn,
        base: &[u8],
    ) -> Result<Wal> {
        let (tag, claim, boot) = (lineage.tag, lineage.claim, folder.boot());
        let header = Header { tag, claim, start: lsn, salt: random(host), boot, tells_ends: true };
        let (mut bytes, codec) = header.write(&lineage.ring);
        codec.write(&mut bytes, &Frame { kind: FrameKind::Base, lsn, counter: 0, synced: 0 }, base)?;
        let (sequence, file) = folder.start_file()?;
        let tail = Arc::new(Tail::new(file));
        let written = tail.append(&bytes).and_then(|()| {
            tail.note_appended(lsn);
            sync(host, tail.as_ref())
        });
        let written = written.map_err(|error| unavailable("starting a log", error));
        if let Err(error) = written.and_then(|()| folder.publish(sequence)) {
            let _ = folder.discard(sequence);
            return Err(error);
        }
        let (folder, len) = (Arc::clone(folder), bytes.len() as u64);
        Ok(Wal {
            folder,
            lineage,
            tail,
            sequence,
            codec,
            len,
            lsn,
            counter: 1,
            buffer: Vec::new(),
            mirror: None,
            ended: false,
        })
    }

    /// Appends the batch `lsn`, which must follow the last one. When it answers, the batch survives the death of the process.
    /// On an error nothing of it remains and the next append may well succeed (`LOCAL_UNAVAILABLE`), or nothing is accepted
    /// any more (`IO_POISONED`).
    pub fn append(&mut self, lsn: Lsn, entries: &[u8]) -> Result<Appended> {
        // A gap would end the log for every later recovery.
        if self.lsn.checked_add(1) != Some(lsn) {
            return Err(out_of_order());
        }
        self.buffer.clear();
        self.frame(lsn, entries)?;
        self.write(lsn)?;
        if let Some(mirror) = &mut self.mirror {
            mirror.entries.extend_from_slice(entries);
            mirror.ends.push((lsn, mirror.entries.len()));
        }
        Ok(if self.tail.linked() { Appended::Stored } else { Appended::Vanished })
    }

    /// Marks the log as closed after its last batch, with what the store has of it. Without the mark, the next open cannot tell
    /// whether something was lost at its end. One that is marked already stays as it is: nothing follows an end.
    pub fn end(&mut self, stored: Lsn) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        if self.tail.has_failed() {
            return Err(poisoned());
        }
        self.buffer.clear();
        let frame = Frame { kind: FrameKind::End, lsn: self.lsn, counter: self.counter, synced: stored };
        self.codec.write(&mut self.buffer, &frame, &[])?;
        self.counter += 1;
        self.write(self.lsn)?;
        self.ended = true;
        Ok(())
    }

    /// Adds a frame to the buffer, under a nonce of its own.
    fn frame(&mut self, lsn: Lsn, entries: &[u8]) -> Result<()> {
        if self.tail.has_failed() {
            return Err(poisoned());
        }
        let frame = Frame { kind: FrameKind::Batch, lsn, counter: self.counter, synced: self.tail.synced() };
        self.codec.write(&mut self.buffer, &frame, entries)?;
        self.counter += 1;
        Ok(())
    }

    /// Writes the buffer, with which `lsn` is reached.
    fn write(&mut self, lsn: Lsn) -> Result<()> {
        let written = self.tail.append(&self.buffer);
        let bytes = self.buffer.len() as u64;
        if self.buffer.capacity() > KEPT_BUFFER {
            self.buffer = Vec::new();
        }
        if let Err(error) = written {
            // Whatever part of it was written must go before anything else is: recovery would stop there.
            if self.tail.truncate(self.len).is_err() {
                self.poison();
                return Err(poisoned());
            }
            return Err(unavailable("writing the local log", error));
        }
        self.len += bytes;
        self.lsn = lsn;
        self.tail.note_appended(lsn);
        Ok(())
    }

    /// Bytes of the file.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The last batch in it.
    #[cfg(test)]
    pub fn lsn(&self) -> Lsn {
        self.lsn
    }

    /// The directory it lies in.
    pub fn folder(&self) -> &Arc<Folder> {
        &self.folder
    }

    /// Lineage of the log.
    pub fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    /// The number in the file's name.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Handle to sync, on whatever thread may block. A sync covers what was appended before it began; if it fails, the log is
    /// poisoned by that alone.
    pub fn syncer(&self) -> Arc<dyn LogFile> {
        Arc::clone(&self.tail) as Arc<dyn LogFile>
    }

    /// The highest LSN that survives a power cut by this file alone.
    #[cfg(test)]
    pub fn synced(&self) -> Lsn {
        self.tail.synced()
    }

    /// Nobody knows what is on the disk any more: accept nothing.
    pub fn poison(&mut self) {
        self.tail.fail();
    }

    /// True if garbage dominates, given the bytes of the live state.
    pub fn needs_roll(&self, live: usize) -> bool {
        let limit = u64::try_from(live).unwrap_or(u64::MAX).saturating_mul(3).saturating_add(slack());
        self.mirror.is_none() && self.len > limit && !self.tail.has_failed()
    }

    /// From now on, batches are kept for the new log as well. The state to rewrite is that of this instant.
    pub fn begin_roll(&mut self) {
        self.mirror = Some(Mirror::default());
    }

    /// `LOCAL_UNAVAILABLE` if a log of `live` bytes would leave no room for what is appended meanwhile. A rewrite that fills the
    /// disk makes writes fail that would have fitted, of all who share it.
    pub fn require_room(folder: &Folder, live: usize) -> Result<()> {
        let needed = u64::try_from(live).unwrap_or(u64::MAX).saturating_mul(2).saturating_add(slack());
        match folder.room() {
            Some(room) if room < needed => Err(Error::new(
                Code::LocalUnavailable,
                format!(
                    "the local log cannot be compacted: {needed} bytes of free disk space are needed, {room} are free; writes continue"
                ),
            )),
            _ => Ok(()),
        }
    }

    /// True if a sync of it failed, or it could not be cut back.
    pub fn has_failed(&self) -> bool {
        self.tail.has_failed()
    }

    /// Writes the new log with `base`, the state at `lsn` when the roll began. Slow: not on the thread that appends.
    pub fn prepare_roll(
        folder: &Arc<Folder>,
        host: &dyn Host,
        lineage: Lineage,
        lsn: Lsn,
        base: &[u8],
    ) -> Result<NewLog> {
        Wal::create(folder, host, lineage, lsn, base).map(|wal| NewLog(Some(wal)))
    }

    /// Switches to the new log, after the batches since its base were appended to it in one write. On an error the old log
    /// goes on. The old file stays until [`OldLog::remove`]: what was synced in it need not be in the new one yet.
    pub fn finish_roll(&mut self, mut new: NewLog) -> Result<OldLog> {
        let (Some(mirror), Some(wal)) = (self.mirror.take(), new.0.as_mut()) else {
            return Err(out_of_order());
        };
        if self.tail.has_failed() {
            return Err(poisoned());
        }
        let mut start = 0;
        let mut last = wal.lsn;
        for (lsn, end) in mirror.ends {
            if last.checked_add(1) != Some(lsn) {
                return Err(out_of_order());
            }
            wal.frame(lsn, mirror.entries.get(start..end).unwrap_or_default())?;
            (start, last) = (end, lsn);
        }
        if last != self.lsn {
            return Err(out_of_order());
        }
        if last > wal.lsn {
            wal.write(last)?;
        }
        let Some(wal) = new.0.take() else { return Err(out_of_order()) };
        let old = std::mem::replace(self, wal);
        let successor = Arc::clone(&self.tail);
        Ok(OldLog { folder: old.folder, sequence: old.sequence, successor })
    }

    /// Batches appended since the roll began.
    #[cfg(test)]
    pub(super) fn mirrored(&self) -> u64 {
        self.mirror.as_ref().map_or(0, |mirror| mirror.ends.len() as u64)
    }

    /// Goes on with the log as it is.
    pub fn abort_roll(&mut self) {
        self.mirror = None;
    }
}

fn poisoned() -> Error {
    Error::new(Cause::Poisoned, "the local log failed and could not be repaired; open the session again")
}

/// A mistake of ours: batches are numbered without a gap.
fn out_of_order() -> Error {
    Error::new(Code::Internal, "a batch was logged out of order; report this")
}
