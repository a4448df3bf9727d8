//! Recovery: what a crash left, read without guessing. Pure: from the bytes of files to a verdict.
//!
//! Nothing synced is ever lost silently (I12, I17). At the first frame that does not read, what is behind it decides, and
//! whether the machine was started anew since: a killed process leaves a write cut short, a power cut leaves sectors that were
//! never written, and everything else is damage. A log that was closed says so with its last frame: then nothing can be
//! missing at its end.
//!
//! Several logs lie side by side when a crash came between the making of a new one and the removal of the old. All readable
//! ones of one claim are prefixes of the same history: the longest counts, and a higher claim was only made after the lower
//! one's log was read. A log that does not read is passed over only if another one provably has all that it had: a higher
//! claim, or the same claim and no LSN missing that is visible in it. Age in itself proves nothing: while a log is rewritten,
//! the older file is the one with the newer batches.

use std::fmt;

use crate::error::{Error, Result};
use crate::format::seal::Ring;
use crate::id::{Claim, Lsn, TenantTag};

use super::behind::{Suffix, TailScan};
use super::frame::{Codec, FRAME_LEN, FrameKind, HEADER_LEN, Header, Heading};
use super::locked::LockedLog;

/// Contents of the disk.
#[derive(Debug)]
pub enum Recovery {
    /// No log.
    None,
    /// A log that reads.
    Log(RecoveredLog),
    /// A log that is damaged, and no other one that has what it had.
    Damaged(DamagedLog),
    /// A log that needs a key which is not configured.
    Locked(LockedLog),
}

/// A log that reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveredLog {
    /// Under which claim it was written.
    pub claim: Claim,
    /// The last batch that it holds.
    pub lsn: Lsn,
    /// The base and the batches, one after another.
    pub entries: Vec<u8>,
    /// True if the last write was cut short, or the mark of the end does not read.
    pub torn: bool,
    /// Highest LSN that the store had, if the session was closed after the last batch.
    pub closed: Option<Lsn>,
    /// True if a power cut may have taken whole batches from the end without a trace.
    pub may_lack: bool,
    /// Batches that read behind those that were lost.
    pub suffix: Option<Suffix>,
    /// True if this file, or another one beside it, has bytes that were not made use of.
    pub unread: bool,
    /// Batches known to have been handed to the system, never synced, and lost in a power cut.
    pub unsynced_lost: u64,
    /// The number in the file's name.
    pub sequence: u64,
}

impl RecoveredLog {
    /// True if nothing that was ever resolved can be missing.
    pub fn is_clean(&self) -> bool {
        self.unsynced_lost == 0 && !self.torn && !self.may_lack
    }
}

/// The damage of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    Header,
    Base,
    Tampered,
    Middle,
    Ambiguous,
    Batch,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Header => "its header is unreadable",
            Reason::Base => "its base is unreadable",
            Reason::Tampered => "a frame was changed after it was encrypted",
            Reason::Middle => "synced batches are missing from its middle",
            Reason::Ambiguous => "the data after the last readable batch is ambiguous",
            Reason::Batch => {
                "a batch is unreadable, and neither a killed process nor a power cut explains it"
            }
        })
    }
}

/// A log that is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedLog {
    /// Under which claim it was written; `None` if not even that reads, nor is there another log to tell.
    pub claim: Option<Claim>,
    /// The last batch before the damage; 0 if not even the base reads.
    pub good: Lsn,
    /// The base and the batches up to `good`. For a person who asks for it, never to go on with by itself.
    pub entries: Vec<u8>,
    /// The highest LSN that it can have held, behind the damage too; `None` if that cannot be told.
    pub newest: Option<Lsn>,
    /// Batches that read behind the damage.
    pub suffix: Option<Suffix>,
    /// True if nothing of it reads, and so nothing in it says that it held a batch.
    pub is_bare: bool,
    /// The damage.
    pub reason: Reason,
    /// The number in the damaged file's name.
    pub sequence: u64,
}

/// Outcome of reading one file.
enum Verdict {
    /// It reads, and shows LSNs up to this one, lost ones among them.
    Whole(RecoveredLog, Lsn),
    /// It is damaged.
    Damaged(DamagedLog),
    /// It is the log of a claim, but cannot be opened.
    Locked(Claim, Error),
}

/// Reads one log. An unknown version and another tenant's log are errors: whatever else there is, a person has to look.
fn read_log(sequence: u64, bytes: &[u8], ring: &Ring, tag: TenantTag, boot: u16) -> Result<Verdict> {
    Ok(match Header::read(bytes, ring, tag)? {
        Heading::Whole(header, codec) => read_frames(sequence, bytes, &header, &codec, boot),
        Heading::Locked(header, error) => Verdict::Locked(header.claim, error),
        Heading::Damaged => Verdict::Damaged(DamagedLog {
            claim: None,
            good: 0,
            entries: Vec::new(),
            newest: Codec::tiled(bytes.get(HEADER_LEN..).unwrap_or_default()),
            suffix: None,
            is_bare: bytes.len() < HEADER_LEN + FRAME_LEN,
            reason: Reason::Header,
            sequence,
        }),
    })
}

fn read_frames(sequence: u64, bytes: &[u8], header: &Header, codec: &Codec, boot: u16) -> Verdict {
    let (mut at, mut good, mut entries, mut buffer) = (HEADER_LEN, None, Vec::new(), Vec::new());
    let mut closed = None;
    let tampered = loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let is_next = |kind, lsn| match good {
            None => (kind, lsn) == (FrameKind::Base, header.start),
            Some(last) if kind == FrameKind::End => lsn == last,
            Some(last) => kind == FrameKind::Batch && Lsn::checked_add(last, 1) == Some(lsn),
        };
        let found =
            codec.next_frame(rest).filter(|(frame, _)| closed.is_none() && is_next(frame.kind, frame.lsn));
        let Some((frame, whole)) = found else { break false };
        let frame_bytes = rest.get(..whole).unwrap_or_default();
        if codec.open(&frame, frame_bytes, &mut buffer, &mut entries).is_err() {
            break true;
        }
        at += whole;
        match frame.kind {
            FrameKind::End => closed = Some(frame.synced),
            FrameKind::Base | FrameKind::Batch => good = Some(frame.lsn),
        }
    };
    let rest = bytes.get(at..).unwrap_or_default();
    let lsn = good.unwrap_or(header.start);
    let seen = TailScan::look(rest, at, codec, lsn);
    let same_boot = boot != 0 && boot == header.boot;
    // A file that does not say under which boot it was written is older than that mark, or of a system without one.
    let power_cut = !same_boot && seen.has_lost_sectors();
    let ended = rest.is_empty() || (closed.is_some() && seen.newest == lsn);
    let reason = if tampered {
        Reason::Tampered
    } else if good.is_none() {
        // The base was synced before the file got its name: no crash explains this.
        Reason::Base
    } else if seen.synced > lsn {
        Reason::Middle
    } else if !seen.complete {
        Reason::Ambiguous
    } else if !(ended || seen.is_cut_short() || seen.is_lost_end() || power_cut) {
        Reason::Batch
    } else {
        let unsynced_lost = seen.newest.saturating_sub(lsn);
        let torn = !rest.is_empty() && unsynced_lost == 0;
        let may_lack = closed.is_none() && !same_boot && header.tells_ends;
        let suffix = seen.suffix(same_boot).filter(|_| unsynced_lost > 0);
        let unread = !rest.is_empty();
        let claim = header.claim;
        let log = RecoveredLog {
            claim,
            lsn,
            entries,
            torn,
            closed,
            may_lack,
            suffix,
            unread,
            unsynced_lost,
            sequence,
        };
        return Verdict::Whole(log, seen.newest);
    };
    // With a base that does not read and nothing that does behind it, there may have been anything behind it, unless the
    // base ends where the file does.
    let told = good.is_some() || seen.newest > header.start || Codec::extent(rest) == Some(rest.len());
    let newest = match good {
        Some(_) => seen.limit(),
        None => Some(seen.newest).filter(|_| seen.complete),
    };
    Verdict::Damaged(DamagedLog {
        claim: Some(header.claim),
        good: good.unwrap_or(0),
        entries,
        newest: newest.filter(|_| told),
        suffix: seen.suffix(same_boot),
        is_bare: good.is_none() && !told && seen.complete && !tampered,
        reason,
        sequence,
    })
}

/// Knowledge of one log, or of all of a directory, about a state of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Past {
    /// It is the log of another history, or of none.
    Elsewhere,
    /// It is the log of this one, and has other LSNs.
    Missing,
    /// The entries that build it.
    Found(Vec<u8>),
}

/// The state that one log had at `lsn`, if it is a log of `claim` and reads that far. What is behind it is not looked at: its
/// writer may be at it.
pub fn state_at(bytes: &[u8], ring: &Ring, tag: TenantTag, claim: Claim, lsn: Lsn) -> Result<Past> {
    let (header, codec) = match Header::read(bytes, ring, tag)? {
        Heading::Whole(header, codec) if header.claim == claim => (header, codec),
        Heading::Locked(header, error) if header.claim == claim => return Err(error),
        _ => return Ok(Past::Elsewhere),
    };
    let (mut at, mut entries, mut buffer) = (HEADER_LEN, Vec::new(), Vec::new());
    let mut expected = (FrameKind::Base, header.start);
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let found = codec.next_frame(rest).filter(|(frame, _)| (frame.kind, frame.lsn) == expected);
        let Some((frame, whole)) = found.filter(|(frame, _)| frame.lsn <= lsn) else {
            return Ok(Past::Missing);
        };
        let frame_bytes = rest.get(..whole).unwrap_or_default();
        if codec.open(&frame, frame_bytes, &mut buffer, &mut entries).is_err() {
            return Ok(Past::Missing);
        }
        if frame.lsn == lsn {
            return Ok(Past::Found(entries));
        }
        expected = (FrameKind::Batch, frame.lsn.saturating_add(1));
        at += whole;
    }
}

/// Outcome of reading logs on a machine under the boot `boot`.
pub fn verdict(files: &[(u64, Vec<u8>)], ring: &Ring, tag: TenantTag, boot: u16) -> Result<Recovery> {
    let verdicts = files.iter().map(|(sequence, bytes)| read_log(*sequence, bytes, ring, tag, boot));
    choose(verdicts.collect::<Result<_>>()?)
}

/// Outcome of several logs together.
fn choose(verdicts: Vec<Verdict>) -> Result<Recovery> {
    let (mut whole, mut damaged, mut locked) = (Vec::new(), Vec::new(), Vec::new());
    for verdict in verdicts {
        match verdict {
            Verdict::Whole(log, newest) => whole.push((log, newest)),
            Verdict::Damaged(log) => damaged.push(log),
            Verdict::Locked(claim, error) => locked.push((claim, error)),
        }
    }
    let best = whole.iter().map(|(log, _)| (log.claim, log.lsn, log.sequence)).max();
    let unread = !damaged.is_empty() || !locked.is_empty() || whole.iter().any(|(log, _)| log.unread);
    // A lower claim's log was read before the higher claim was made; what counts was taken over then.
    let outranked = |claim: Claim| best.is_some_and(|(highest, ..)| claim < highest);
    if let Some((_, error)) = locked.into_iter().find(|(claim, _)| !outranked(*claim)) {
        return Err(error);
    }
    // Visible in some file of the claim that counts, and so written once.
    let newest = whole.iter().filter(|(log, _)| !outranked(log.claim)).map(|(_, newest)| *newest).max();
    damaged.retain(|log| match log.claim {
        None => true,
        Some(claim) if outranked(claim) => false,
        Some(claim) => {
            let covers =
                |(highest, lsn, _)| claim == highest && log.newest.is_some_and(|newest| newest <= lsn);
            !best.is_some_and(covers)
        }
    });
    let best = best.and_then(|rank| {
        whole.into_iter().map(|(log, _)| log).find(|log| (log.claim, log.lsn, log.sequence) == rank)
    });
    let worst = damaged.into_iter().max_by_key(|log| (log.claim, log.newest, log.good, log.sequence));
    Ok(match (best, worst) {
        (None, None) => Recovery::None,
        (None, Some(damaged)) => Recovery::Damaged(damaged),
        (Some(mut log), None) => {
            log.unsynced_lost = newest.unwrap_or(log.lsn).saturating_sub(log.lsn);
            log.unread = unread;
            Recovery::Log(log)
        }
        (Some(log), Some(mut damaged)) => {
            // The same history: the longer readable part of it is what is left. An unreadable header leaves only the other
            // log to say whose history it was.
            let same = damaged.claim.is_none_or(|claim| claim == log.claim);
            if same && log.lsn >= damaged.good {
                damaged.claim = Some(log.claim);
                damaged.newest = damaged.newest.map(|newest| newest.max(log.lsn));
                damaged.good = log.lsn;
                damaged.entries = log.entries;
            }
            Recovery::Damaged(damaged)
        }
    })
}
