//! Recovery: what a crash left, read without guessing.
//!
//! Nothing synced is ever lost silently (I12, I17). At the first frame that does not read, a later one that does decides:
//! none, and it is the torn tail of the last write; only frames written before anybody was told that the missing one was
//! safe, and it is an unsynced region that a power cut reordered; otherwise it is damage.

use crate::error::Result;
use crate::id::{Claim, Lsn, TenantTag};
use crate::seal::Ring;

use super::frame::{Codec, HEADER_LEN, Header, Kind};

/// What the disk had.
#[derive(Debug)]
pub enum Recovery {
    /// No log.
    None,
    /// A log that reads.
    Log(Recovered),
    /// A log that is damaged.
    Damaged(Damage),
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
    /// Batches that were handed to the system, never synced, and lost in a power cut.
    pub unsynced_lost: u64,
    /// Whether the last write was cut short.
    pub torn: bool,
}

/// A log that is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Under which claim it was written, if that much reads.
    pub claim: Option<Claim>,
    /// The last batch before the damage.
    pub good: Lsn,
    /// What is wrong.
    pub reason: &'static str,
}

/// One file, read.
pub type FileOutcome = std::result::Result<Recovered, Damage>;

/// Reads one log. Errors are those that say nothing about damage: another tenant, an unknown version, a missing key.
pub fn read_log(bytes: &[u8], ring: &Ring, tag: TenantTag) -> Result<FileOutcome> {
    let Some((header, codec)) = Header::read(bytes, ring, tag)? else {
        return Ok(Err(Damage { claim: None, good: 0, reason: "its header does not read" }));
    };
    Ok(read_frames(bytes, &header, &codec))
}

fn read_frames(bytes: &[u8], header: &Header, codec: &Codec) -> FileOutcome {
    let mut log = Recovered {
        claim: header.claim,
        lsn: header.start,
        entries: Vec::new(),
        unsynced_lost: 0,
        torn: false,
    };
    let damage = |good, reason| Err(Damage { claim: Some(header.claim), good, reason });
    let mut at = HEADER_LEN;
    let mut based = false;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let expected = if based { (Kind::Batch, log.lsn + 1) } else { (Kind::Base, header.start) };
        let found = codec.peek(rest).filter(|(frame, _)| (frame.kind, frame.lsn) == expected);
        let Some((frame, whole)) = found else {
            if rest.is_empty() && based {
                return Ok(log);
            }
            if !based {
                // The base was synced before the file got its name.
                return damage(0, "its base does not read");
            }
            break;
        };
        let Ok(body) = codec.body(rest, &frame, whole) else {
            return damage(if based { log.lsn } else { 0 }, "a frame was changed after it was sealed");
        };
        log.entries.extend_from_slice(&body);
        log.lsn = frame.lsn;
        based = true;
        at += whole;
    }
    log.torn = true;
    let rest = bytes.get(at..).unwrap_or_default();
    let later = later_frames(rest, codec).filter(|(lsn, _)| *lsn > log.lsn);
    let (newest, told) =
        later.fold((log.lsn, 0), |(newest, told), (lsn, synced)| (newest.max(lsn), told.max(synced)));
    if told > log.lsn {
        return damage(log.lsn, "batches are missing in its middle that were safe on the disk");
    }
    log.unsynced_lost = newest - log.lsn;
    Ok(log)
}

/// LSN and `synced` of every frame in `bytes` that reads, wherever it starts.
fn later_frames<'a>(bytes: &'a [u8], codec: &'a Codec) -> impl Iterator<Item = (Lsn, Lsn)> + 'a {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = bytes.get(at..)?;
            at += Codec::find_marker(rest)?;
            let found = bytes.get(at..).and_then(|rest| codec.peek(rest));
            at += found.map_or(1, |(_, whole)| whole);
            if let Some((frame, _)) = found {
                return Some((frame.lsn, frame.synced));
            }
        }
    })
}

/// What several logs say together: a crash between making a new one and removing the old leaves two. `files` are outcomes
/// with their sequence numbers.
pub fn choose(mut files: Vec<(u64, FileOutcome)>) -> Recovery {
    files.sort_by_key(|(sequence, _)| *sequence);
    let rank = |(sequence, log): &(u64, Recovered)| (log.claim, log.lsn, *sequence);
    let whole = files.iter().filter_map(|(sequence, file)| Some((*sequence, file.as_ref().ok()?.clone())));
    let best = whole.max_by_key(rank);
    // A damaged log may have held more than the best one: if it is newer, or if it was being rewritten when the best was
    // made, which the same claim tells. What is surely superseded is not asked for.
    let doubt = files.iter().filter_map(|(sequence, file)| Some((*sequence, file.as_ref().err()?.clone())));
    let doubt = doubt.filter(|(sequence, damage)| match &best {
        Some((newest, log)) => sequence > newest || damage.claim.is_none_or(|claim| claim == log.claim),
        None => true,
    });
    let doubt = doubt.max_by_key(|(sequence, damage)| (damage.claim, damage.good, *sequence));
    match (best, doubt) {
        (None, None) => Recovery::None,
        (Some((_, log)), None) => Recovery::Log(log),
        (best, Some((_, damage))) => {
            let good = best.map_or(damage.good, |(_, log)| {
                if damage.claim == Some(log.claim) { log.lsn.max(damage.good) } else { damage.good }
            });
            Recovery::Damaged(Damage { good, ..damage })
        }
    }
}
