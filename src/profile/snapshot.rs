//! A whole copy of a profile at one moment.
//!
//! Invariant: a [`Snapshot`] is whole, or there is none. With the browser closed nothing is copied.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Code, Error, Result};
use crate::platform::host::Host;
use crate::profile::{proof, scan};

pub use crate::profile::scan::FileMark;

/// Order for a snapshot.
pub struct SnapshotRequest {
    /// User data directory of the browser.
    pub directory: PathBuf,
    /// Folder for the copies, on the same file system where possible. One snapshot at a time lives in it.
    pub scratch: PathBuf,
    /// State of the browser.
    pub writer: Writer,
    /// Relative paths to keep beside the storage of pages.
    pub extra: Vec<String>,
}

/// State of the browser that writes to a profile, and the way to keep it from that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// Closed.
    None,
    /// Running as this process, which may be stopped for a moment.
    Process(u32),
    /// Frozen by the caller.
    Frozen,
    /// Running, with nothing that stops it.
    Running,
}

/// File of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotFile {
    /// Path in the profile, with '/' between names.
    pub path: String,
    /// Place of its bytes.
    pub at: PathBuf,
    /// Length in bytes.
    pub size: u64,
    /// Permissions in the profile.
    pub mode: u32,
    /// State of the original.
    pub mark: FileMark,
}

/// Way in which writers were kept quiet. The number stands in states and never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quiet {
    /// No browser ran.
    Closed = 0,
    /// Its process was stopped.
    Stopped = 1,
    /// Its pages were frozen, and nothing changed between two looks.
    Frozen = 2,
    /// Not at all: no database changed its list of files meanwhile.
    Optimistic = 3,
}

impl Quiet {
    /// The stable name that JavaScript sees.
    pub fn as_str(self) -> &'static str {
        match self {
            Quiet::Closed => "closed",
            Quiet::Stopped => "stopped",
            Quiet::Frozen => "frozen",
            Quiet::Optimistic => "optimistic",
        }
    }
}

/// A whole copy of a profile. Its folder is removed when it is dropped.
#[derive(Debug)]
pub struct Snapshot {
    /// The files, sorted by path.
    pub files: Vec<SnapshotFile>,
    /// Way in which it was made.
    pub quiet: Quiet,
    /// Attempts that it took, this one included.
    pub tries: u32,
    /// Time for which the browser was stopped, in all attempts.
    pub stopped: Duration,
}

/// Takes a snapshot. Blocks.
pub fn take(_host: &dyn Host, request: &SnapshotRequest) -> Result<Snapshot> {
    scan::check_extra(&request.extra)?;
    match request.writer {
        Writer::None => closed(request),
        _ => {
            Err(Error::new(Code::ProfileBusy, "close the browser first: a running one is not supported yet"))
        }
    }
}

fn closed(request: &SnapshotRequest) -> Result<Snapshot> {
    let files: Vec<SnapshotFile> = scan::look(&request.directory, &request.extra)?
        .into_iter()
        .map(|(path, found)| SnapshotFile {
            path,
            at: found.at,
            size: found.mark.size,
            mode: found.mode,
            mark: found.mark,
        })
        .collect();
    proof::check(files.iter().map(|file| (file.path.as_str(), file.at.as_path(), file.size))).map_err(
        |damage| {
            let what = "the profile is not whole. Open the browser on it once, or restore a generation of it";
            Error::new(Code::LocalCorrupt, format!("{} {}: {what}", damage.file, damage.fault))
        },
    )?;
    Ok(Snapshot { files, quiet: Quiet::Closed, tries: 1, stopped: Duration::ZERO })
}
