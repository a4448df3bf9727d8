//! Recovery: what a crash left, read without guessing. Pure: from the bytes of files to a verdict.
//!
//! Nothing synced is ever lost silently (I12, I17). At the first frame that does not read, the later ones that do decide:
//! none, and it is the torn tail of the last write; only such as were written before anybody was told that the missing one
//! was safe, and it is an unsynced region that a power cut reordered; otherwise it is damage. One limit is in the nature
//! of it: damage inside the very last frame looks like a torn write.
//!
//! Several logs lie side by side when a crash came between the making of a new one and the removal of the old. All readable
//! ones of one claim are prefixes of the same history: the longest counts, and a higher claim was only made after the lower
//! one's log was read. A log that does not read is passed over only if another one provably has all that it had: a higher
//! claim, or the same claim and no LSN missing that is visible in it. Age in itself proves nothing: while a log is rewritten,
//! the older file is the one with the newer batches.

use crate::error::{Error, Result};
use crate::id::{Claim, Lsn, TenantTag};
use crate::seal::Ring;

use super::frame::{Codec, HEADER_LEN, Header, Heading, Kind};

/// What the disk had.
#[derive(Debug)]
pub enum Recovery {
    /// No log.
    None,
    /// A log that reads.
    Log(Recovered),
    /// A log that is damaged, and no other one that has what it had.
    Damaged(Damaged),
}

/// A log that reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// Under which claim it was written.
    pub claim: Claim,
    /// The last batch that it holds.
    pub lsn: Lsn,
    /// The base and the batches, one after another.
    pub entries: Vec<u8>,
    /// Whether the last write was cut short.
    pub torn: bool,
    /// Batches known to have been handed to the system, never synced, and lost in a power cut.
    pub unsynced_lost: u64,
    /// The number in the file's name.
    pub sequence: u64,
}

/// A log that is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    /// Under which claim it was written; `None` if not even that reads, nor is there another log to tell.
    pub claim: Option<Claim>,
    /// The last batch before the damage; 0 if not even the base reads.
    pub good: Lsn,
    /// The base and the batches up to `good`. For a person who asks for it, never to go on with by itself.
    pub entries: Vec<u8>,
    /// The highest LSN that is visible in it, behind the damage too; `None` if that cannot be told.
    pub newest: Option<Lsn>,
    /// What is wrong.
    pub reason: &'static str,
    /// The number in the damaged file's name.
    pub sequence: u64,
}

/// What one file came to.
enum Verdict {
    /// It reads, and shows LSNs up to this one, lost ones among them.
    Whole(Recovered, Lsn),
    /// It is damaged.
    Damaged(Damaged),
    /// It is the log of a claim, but cannot be opened.
    Locked(Claim, Error),
}

/// Reads one log. An unknown version and another tenant's log are errors: whatever else there is, a person has to look.
fn read_log(sequence: u64, bytes: &[u8], ring: &Ring, tag: TenantTag) -> Result<Verdict> {
    Ok(match Header::read(bytes, ring, tag)? {
        Heading::Whole(header, codec) => read_frames(sequence, bytes, &header, &codec),
        Heading::Locked(header, error) => Verdict::Locked(header.claim, error),
        Heading::Damaged => Verdict::Damaged(Damaged {
            claim: None,
            good: 0,
            entries: Vec::new(),
            newest: None,
            reason: "its header does not read",
            sequence,
        }),
    })
}

fn read_frames(sequence: u64, bytes: &[u8], header: &Header, codec: &Codec) -> Verdict {
    let (mut at, mut good, mut entries, mut scratch) = (HEADER_LEN, None, Vec::new(), Vec::new());
    let tampered = loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let expected = match good {
            None => Some((Kind::Base, header.start)),
            Some(lsn) => Lsn::checked_add(lsn, 1).map(|lsn| (Kind::Batch, lsn)),
        };
        let found = codec.peek(rest).filter(|(frame, _)| Some((frame.kind, frame.lsn)) == expected);
        let Some((frame, whole)) = found else { break false };
        let frame_bytes = rest.get(..whole).unwrap_or_default();
        if codec.open(&frame, frame_bytes, &mut scratch, &mut entries).is_err() {
            break true;
        }
        good = Some(frame.lsn);
        at += whole;
    };
    let rest = bytes.get(at..).unwrap_or_default();
    let seen = Later::look(rest, codec, good.unwrap_or(header.start));
    let reason = if tampered {
        "a frame was changed after it was sealed"
    } else if good.is_none() {
        // The base was synced before the file got its name: no crash explains this.
        "its base does not read"
    } else if seen.synced > good.unwrap_or(0) {
        "batches are missing from its middle that were safe on the disk"
    } else if !seen.complete {
        "what follows the last readable batch cannot be told from batches"
    } else {
        let lsn = good.unwrap_or(0);
        let unsynced_lost = seen.newest.saturating_sub(lsn);
        let torn = !rest.is_empty() && unsynced_lost == 0;
        let log = Recovered { claim: header.claim, lsn, entries, torn, unsynced_lost, sequence };
        return Verdict::Whole(log, seen.newest);
    };
    // With a base that does not read and nothing that does behind it, there may have been anything behind it, unless the
    // base ends where the file does.
    let told = seen.complete
        && (good.is_some() || seen.newest > header.start || Codec::extent(rest) == Some(rest.len()));
    let newest = told.then_some(seen.newest);
    Verdict::Damaged(Damaged {
        claim: Some(header.claim),
        good: good.unwrap_or(0),
        entries,
        newest,
        reason,
        sequence,
    })
}

/// What one log, or all of a directory, say about a state of a history.
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
    let (mut at, mut entries, mut scratch) = (HEADER_LEN, Vec::new(), Vec::new());
    let mut expected = (Kind::Base, header.start);
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let found = codec.peek(rest).filter(|(frame, _)| (frame.kind, frame.lsn) == expected);
        let Some((frame, whole)) = found.filter(|(frame, _)| frame.lsn <= lsn) else {
            return Ok(Past::Missing);
        };
        let frame_bytes = rest.get(..whole).unwrap_or_default();
        if codec.open(&frame, frame_bytes, &mut scratch, &mut entries).is_err() {
            return Ok(Past::Missing);
        }
        if frame.lsn == lsn {
            return Ok(Past::Found(entries));
        }
        expected = (Kind::Batch, frame.lsn.saturating_add(1));
        at += whole;
    }
}

/// What frames that read behind one that does not say.
struct Later {
    newest: Lsn,
    synced: Lsn,
    complete: bool,
}

impl Later {
    /// Bytes checksummed for each byte of the tail before the search gives up: bodies may hold any number of false markers,
    /// each of which would cost a checksum of all the rest.
    const EFFORT: usize = 64;

    /// Looks at every frame in `bytes` that reads, wherever it starts, with an LSN above `good`.
    fn look(bytes: &[u8], codec: &Codec, good: Lsn) -> Later {
        let mut seen = Later { newest: good, synced: 0, complete: true };
        let mut effort = bytes.len().saturating_mul(Later::EFFORT);
        let mut at = 0;
        while let Some(rest) = bytes.get(at..)
            && let Some(next) = Codec::find_marker(rest)
        {
            at += next;
            let rest = bytes.get(at..).unwrap_or_default();
            match effort.checked_sub(Codec::extent(rest).unwrap_or(0)) {
                Some(left) => effort = left,
                None => return Later { complete: false, ..seen },
            }
            match codec.peek(rest) {
                Some((frame, whole)) => {
                    if frame.lsn > good {
                        seen.newest = seen.newest.max(frame.lsn);
                        seen.synced = seen.synced.max(frame.synced);
                    }
                    at += whole;
                }
                None => at += 1,
            }
        }
        seen
    }
}

/// What logs come to.
pub fn verdict(files: &[(u64, Vec<u8>)], ring: &Ring, tag: TenantTag) -> Result<Recovery> {
    let verdicts = files.iter().map(|(sequence, bytes)| read_log(*sequence, bytes, ring, tag));
    choose(verdicts.collect::<Result<_>>()?)
}

/// What several logs say together.
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
