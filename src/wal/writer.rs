//! Writing a log: append, and rewrite it without stopping.
//!
//! Nothing is ever appended to a file that a former open wrote, and a nonce is spent even when its append fails (I14). A
//! failed append is cut back, so that what follows it is readable; if that fails too, the log is poisoned (I16).

use std::sync::Arc;

use crate::disk::LogFile;
use crate::error::{Code, Error, Result};
use crate::host::{Host, random};
use crate::id::{Claim, Lsn, TenantTag};
use crate::seal::Ring;

use super::folder::{Folder, unavailable};
use super::frame::{Codec, Frame, Header, Kind};

/// A log may be this large, and three times its live bytes, before it is rewritten.
const SLACK: u64 = 4 << 20;
/// A buffer that grew larger than this for one batch is let go again.
const KEPT_BUFFER: usize = 1 << 20;

/// What came of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It is in the log.
    Stored,
    /// It was written to a file that has no name any more: the directory was removed.
    Vanished,
}

/// A log being written.
pub struct Wal {
    folder: Arc<Folder>,
    file: Arc<dyn LogFile>,
    sequence: u64,
    codec: Codec,
    len: u64,
    counter: u64,
    synced: Lsn,
    poisoned: bool,
    buffer: Vec<u8>,
    /// While the log is being rewritten: the batches that the new one lacks.
    mirror: Option<Vec<(Lsn, Vec<u8>)>>,
}

/// A rewritten log, complete up to its base.
pub struct NewLog(Wal);

/// A log that was replaced.
pub struct OldLog {
    folder: Arc<Folder>,
    sequence: u64,
    successor: Arc<dyn LogFile>,
}

impl OldLog {
    /// Removes it, once its successor survives a power cut. If that fails both stay, and recovery takes the better one.
    pub fn remove(self) {
        if self.successor.sync().is_ok() {
            let _ = self.folder.discard(self.sequence);
        }
    }
}

impl Wal {
    /// Starts a log whose base is the state `base` at `lsn`. Durable under its name when this returns.
    pub fn create(
        folder: &Arc<Folder>,
        host: &dyn Host,
        ring: &Ring,
        tag: TenantTag,
        claim: Claim,
        lsn: Lsn,
        base: &[u8],
    ) -> Result<Wal> {
        let (sequence, file) = folder.start_file().map_err(|error| unavailable("starting a log", &error))?;
        let header = Header { tag, claim, start: lsn, salt: random(host) };
        let (bytes, codec) = header.write(ring);
        let mut wal = Wal {
            folder: Arc::clone(folder),
            file,
            sequence,
            codec,
            len: bytes.len() as u64,
            counter: 0,
            synced: 0,
            poisoned: false,
            buffer: Vec::new(),
            mirror: None,
        };
        let write = |wal: &mut Wal| {
            wal.frame(Kind::Base, lsn, base);
            wal.file.append(&bytes)?;
            wal.file.append(&wal.buffer)?;
            wal.file.sync()?;
            wal.folder.publish(wal.sequence)
        };
        if let Err(error) = write(&mut wal) {
            let _ = folder.discard(sequence);
            return Err(unavailable("starting a log", &error));
        }
        wal.len += wal.buffer.len() as u64;
        wal.synced = lsn;
        wal.trim();
        Ok(wal)
    }

    /// Fills the buffer with a frame, under a nonce of its own.
    fn frame(&mut self, kind: Kind, lsn: Lsn, body: &[u8]) {
        let frame = Frame { kind, lsn, counter: self.counter, synced: self.synced };
        self.counter += 1;
        self.codec.write(&mut self.buffer, &frame, body);
    }

    fn trim(&mut self) {
        if self.buffer.capacity() > KEPT_BUFFER {
            self.buffer = Vec::new();
        }
    }

    /// Appends the batch `lsn`. On an error nothing of it remains, or the log is poisoned.
    pub fn append(&mut self, lsn: Lsn, entries: &[u8]) -> Result<Appended> {
        if self.poisoned {
            return Err(poisoned());
        }
        self.frame(Kind::Batch, lsn, entries);
        if let Err(error) = self.file.append(&self.buffer) {
            // Whatever part of it was written must go before anything else is: recovery would stop there.
            if self.file.truncate(self.len).is_err() {
                self.poisoned = true;
                return Err(poisoned());
            }
            return Err(unavailable("writing the local log", &error));
        }
        self.len += self.buffer.len() as u64;
        self.trim();
        if let Some(mirror) = &mut self.mirror {
            mirror.push((lsn, entries.to_vec()));
        }
        Ok(if self.file.linked() { Appended::Stored } else { Appended::Vanished })
    }

    /// Bytes of the file.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The number in the file's name.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// What to sync, on whatever thread may block.
    pub fn syncer(&self) -> Arc<dyn LogFile> {
        Arc::clone(&self.file)
    }

    /// Records that everything up to `lsn` survives a power cut.
    pub fn note_synced(&mut self, lsn: Lsn) {
        self.synced = self.synced.max(lsn);
    }

    /// Nobody knows what is on the disk any more: accept nothing.
    pub fn poison(&mut self) {
        self.poisoned = true;
    }

    /// Whether garbage dominates, given the bytes of the live state.
    pub fn needs_roll(&self, live: usize) -> bool {
        !self.poisoned && self.mirror.is_none() && self.len > SLACK + 3 * live as u64
    }

    /// From now on, batches are kept for the new log as well.
    pub fn begin_roll(&mut self) {
        self.mirror = Some(Vec::new());
    }

    /// Writes the new log up to its base. Slow: not under the lock.
    pub fn prepare_roll(
        folder: &Arc<Folder>,
        host: &dyn Host,
        ring: &Ring,
        tag: TenantTag,
        claim: Claim,
        lsn: Lsn,
        base: &[u8],
    ) -> Result<NewLog> {
        Wal::create(folder, host, ring, tag, claim, lsn, base).map(NewLog)
    }

    /// Switches to the new log. Until its successor is synced the old file stays: between them they have everything.
    pub fn finish_roll(&mut self, new: NewLog) -> Result<OldLog> {
        let NewLog(mut new) = new;
        for (lsn, entries) in self.mirror.take().unwrap_or_default() {
            if let Err(error) = new.append(lsn, &entries) {
                let _ = self.folder.discard(new.sequence);
                return Err(error);
            }
        }
        let old = std::mem::replace(self, new);
        Ok(OldLog {
            folder: Arc::clone(&old.folder),
            sequence: old.sequence,
            successor: Arc::clone(&self.file),
        })
    }

    /// Goes on with the log as it is.
    pub fn abort_roll(&mut self) {
        self.mirror = None;
    }
}

fn poisoned() -> Error {
    Error::new(Code::IoPoisoned, "the local log failed and could not be mended; open the session again")
}
