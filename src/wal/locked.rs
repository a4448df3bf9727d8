//! Logs that need a key which is not configured: what can be told of them without it.
//!
//! Headers and the heads of frames are in the clear. They say whose history a log is and how far it may reach, and nothing else: it is
//! enough to know that the store has more, or to name the key that is missing (I17).

use std::path::Path;

use crate::error::{Error, Result};
use crate::format::seal::Ring;
use crate::id::{Claim, Lsn, TenantTag};
use crate::platform::disk::Disk;

use super::frame::{Codec, HEADER_LEN, Header, Heading};
use super::names::Name;
use super::reader::logs_in;

/// A log that cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedLog {
    /// Under which claim it was written.
    pub claim: Claim,
    /// The highest LSN that stands in it; `None` if that cannot be told.
    pub newest: Option<Lsn>,
    /// The file, and the key that it needs.
    pub error: Error,
}

/// The newest of the logs at `path` that cannot be opened.
pub fn locked(disk: &dyn Disk, path: &Path, ring: &Ring, tag: TenantTag) -> Result<Option<LockedLog>> {
    let mut found: Option<LockedLog> = None;
    for (sequence, bytes) in logs_in(disk, path)?.unwrap_or_default() {
        let Heading::Locked(Header { claim, .. }, error) = Header::read(&bytes, ring, tag)? else { continue };
        let newest = Codec::tiled(bytes.get(HEADER_LEN..).unwrap_or_default());
        let remedy = match Header::key_id(&bytes) {
            Some(_) => ": add that key after the others, and open once",
            None => "",
        };
        let message =
            format!("{error} ({}); the store may not have all its contents{remedy}", Name::Log(sequence));
        let log = LockedLog { claim, newest, error: error.reworded(|_| message) };
        found = match found {
            Some(other) if other.claim > claim => Some(other),
            // Two of one history: the one that reaches further, and nobody knows where one ends that does not say it.
            Some(other)
                if other.claim == claim
                    && (other.newest.is_none() || newest.is_some_and(|it| other.newest > Some(it))) =>
            {
                Some(other)
            }
            _ => Some(log),
        };
    }
    Ok(found)
}
