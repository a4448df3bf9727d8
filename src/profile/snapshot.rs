//! A whole copy of a profile at one moment.
//!
//! Invariant: a [`ProfileSnapshot`] is whole, or there is none. Everything that can be done beside a running browser is: links to fixed
//! files before it is stopped, the proof after it continues. With the browser closed nothing is copied.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Cause, Code, Error, Result};
use crate::platform::host::Host;
use crate::profile::copy::{ScratchFolder, StoredCopy};
use crate::profile::leveldb::Damage;
use crate::profile::quiet::{self, Pause, StopOutcome};
use crate::profile::scan::{FileIndex, ScannedFile};
use crate::profile::{process, proof, scan};

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
    /// Number of bytes that count, from the start: what a browser was writing behind them belongs to no moment.
    pub size: u64,
    /// Permissions in the profile.
    pub mode: u32,
    /// State of the original.
    pub mark: FileMark,
}

/// Way in which writers were kept quiet. The number stands in states and never changes its meaning; 2 is reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quiet {
    /// No browser ran.
    Closed = 0,
    /// Its process was stopped.
    Stopped = 1,
    /// Not at all: no database changed its list of files meanwhile.
    Optimistic = 3,
}

impl Quiet {
    /// The stable name that JavaScript sees.
    pub fn as_str(self) -> &'static str {
        match self {
            Quiet::Closed => "closed",
            Quiet::Stopped => "stopped",
            Quiet::Optimistic => "optimistic",
        }
    }
}

/// A whole copy of a profile. Its folder is removed when it is dropped.
#[derive(Debug)]
pub struct ProfileSnapshot {
    /// The files, sorted by path.
    pub files: Vec<SnapshotFile>,
    /// Way in which it was made.
    pub quiet: Quiet,
    /// Attempts that it took, this one included.
    pub tries: u32,
    /// Time for which the browser was stopped, in all attempts.
    pub stopped: Duration,
    /// Folder of the copies; `None` where the files are those of the profile.
    #[expect(dead_code, reason = "the copies live as long as this")]
    scratch: Option<ScratchFolder>,
}

/// Attempts with the browser stopped.
const STOPPED_TRIES: u32 = 3;
/// Attempts beside a running browser.
const RUNNING_TRIES: u32 = 20;
/// Pause before another attempt.
const MOMENT: Duration = Duration::from_millis(10);

/// Takes a snapshot. Blocks.
pub fn take(host: &dyn Host, request: &SnapshotRequest) -> Result<ProfileSnapshot> {
    scan::check_extra(&request.extra)?;
    if request.writer == Writer::None {
        return closed(request);
    }
    let mut attempt = Attempt {
        host,
        request,
        scratch: ScratchFolder::new(host, &request.scratch)?,
        writer: request.writer,
        stopped: Duration::ZERO,
        overdue: 0,
    };
    let (mut tries, mut left) = (0, tries_of(request.writer));
    loop {
        tries += 1;
        left -= 1;
        let writer = attempt.writer;
        let unrest = match attempt.copy()? {
            Copies::Made(quiet, files) => match prove(files) {
                Ok(files) => {
                    let Attempt { scratch, stopped, .. } = attempt;
                    return Ok(ProfileSnapshot { files, quiet, tries, stopped, scratch: Some(scratch) });
                }
                Err(Damage { file, fault }) => format!("{file} {fault}"),
            },
            Copies::Unneeded => return Ok(ProfileSnapshot { tries, ..closed(request)? }),
            Copies::Moved(unrest) => unrest,
        };
        if writer != attempt.writer {
            left = tries_of(attempt.writer);
        } else if left == 0 {
            return Err(Error::new(
                Code::ProfileBusy,
                format!(
                    "no complete copy of the running browser's profile in {tries} attempts, the last one because {unrest}; \
                     the last generation stays, and the next backup tries again"
                ),
            ));
        }
        process::wait(MOMENT);
    }
}

fn tries_of(writer: Writer) -> u32 {
    match writer {
        Writer::None | Writer::Process(_) => STOPPED_TRIES,
        Writer::Running => RUNNING_TRIES,
    }
}

/// Snapshot of a profile that nobody writes to.
fn closed(request: &SnapshotRequest) -> Result<ProfileSnapshot> {
    let files = scan::look(&request.directory, &request.extra)?.into_iter().map(|(path, found)| {
        let kept = StoredCopy { at: found.at.clone(), size: found.mark.size };
        file(path, &found, kept)
    });
    let files = prove(files.collect()).map_err(|Damage { file, fault }| {
        let advice = "the profile is not whole; open the browser on it once, or restore a generation";
        Error::new(Cause::LocalDamage, format!("{file} {fault}: {advice}"))
    })?;
    Ok(ProfileSnapshot { files, quiet: Quiet::Closed, tries: 1, stopped: Duration::ZERO, scratch: None })
}

fn file(path: String, found: &ScannedFile, kept: StoredCopy) -> SnapshotFile {
    SnapshotFile { path, at: kept.at, size: kept.size, mode: found.mode, mark: found.mark.clone() }
}

/// Proves the databases among `files` whole, and cuts off what was being written to them.
fn prove(mut files: Vec<SnapshotFile>) -> Result<Vec<SnapshotFile>, Damage> {
    let ends = proof::check(files.iter().map(|file| (file.path.as_str(), file.at.as_path(), file.size)))?;
    for file in &mut files {
        if let Some(end) = ends.get(&file.path) {
            file.size = *end;
        }
    }
    Ok(files)
}

/// Attempts at a snapshot of a running browser.
struct Attempt<'a> {
    host: &'a dyn Host,
    request: &'a SnapshotRequest,
    scratch: ScratchFolder,
    /// The way that is tried: the one that was asked for, until the system does not let us.
    writer: Writer,
    stopped: Duration,
    /// Attempts in which the browser continued before all was copied.
    overdue: u32,
}

/// Outcome of one attempt.
enum Copies {
    /// Copies, not proven yet.
    Made(Quiet, Vec<SnapshotFile>),
    /// There is no browser any more.
    Unneeded,
    /// The profile changed, in this way.
    Moved(String),
}

impl Attempt<'_> {
    fn copy(&mut self) -> Result<Copies> {
        let before = self.look()?;
        // Of what is fixed the link that is made now is as good as any.
        self.keep(&before, |found| found.mark.is_fixed)?;
        match self.writer {
            Writer::None => Ok(Copies::Unneeded),
            Writer::Process(pid) => self.copy_stopped(pid),
            Writer::Running => {
                let look = self.look()?;
                self.copy_running(before, look)
            }
        }
    }

    fn copy_stopped(&mut self, pid: u32) -> Result<Copies> {
        let pause = match quiet::stop(self.host, pid)? {
            StopOutcome::Stopped(pause) => pause,
            StopOutcome::Gone => return Ok(Copies::Unneeded),
            StopOutcome::Unable => {
                self.writer = Writer::Running;
                return Ok(Copies::Moved("its process cannot be stopped".to_owned()));
            }
        };
        self.copy_paused(pause)
    }

    fn copy_paused(&mut self, pause: Pause) -> Result<Copies> {
        let look = self.look()?;
        let files = self.keep(&look, |_| true)?;
        let (stopped, stood_still) = pause.end(self.host);
        self.stopped += stopped;
        if !stood_still {
            // A large profile on a busy machine takes longer than a browser may stand still.
            self.overdue += 1;
            if self.overdue == STOPPED_TRIES {
                self.writer = Writer::Running;
            }
            return Ok(Copies::Moved("its process continued before all was copied".to_owned()));
        }
        Ok(Copies::Made(Quiet::Stopped, files))
    }

    /// Copies beside a browser that writes: a log up to a length is a moment of its database, as long as the list of tables stays.
    fn copy_running(&mut self, before: FileIndex, look: FileIndex) -> Result<Copies> {
        let mut files = self.keep(&look, |_| true)?;
        let after = self.look()?;
        if let Some(path) = difference(&look, &after, lists_tables) {
            return Ok(Copies::Moved(format!("{path} changed meanwhile")));
        }
        files.extend(self.keep(&other_blobs(before, &look, after), |_| true)?);
        // Of two copies of a blob the later one counts: when the first was made it may not have had all its bytes.
        let by_path: BTreeMap<String, SnapshotFile> =
            files.into_iter().map(|file| (file.path.clone(), file)).collect();
        Ok(Copies::Made(Quiet::Optimistic, by_path.into_values().collect()))
    }

    fn look(&self) -> Result<FileIndex> {
        scan::look(&self.request.directory, &self.request.extra)
    }

    /// Keeps the files of a look that are chosen, as far as they are still there.
    fn keep(&mut self, look: &FileIndex, chosen: impl Fn(&ScannedFile) -> bool) -> Result<Vec<SnapshotFile>> {
        let mut files = Vec::with_capacity(look.len());
        for (path, found) in look.iter().filter(|(_, found)| chosen(found)) {
            match self.scratch.keep(path, found) {
                Ok(kept) => files.push(file(path.clone(), found, kept)),
                // Whether it is needed is for the proof to say.
                Err(error) if scan::is_absence(&error) => {}
                Err(error) => return Err(scan::unreadable(path, error)),
            }
        }
        Ok(files)
    }
}

/// True for the files that say which tables and logs a database has.
fn lists_tables(path: &str, _: &ScannedFile) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name == "CURRENT" || name.starts_with("MANIFEST-")
}

/// Blobs that a log copied between three looks may name besides those of the look in the middle: some are gone since the first, and
/// some are new, or longer, in the last.
fn other_blobs(mut before: FileIndex, look: &FileIndex, mut after: FileIndex) -> FileIndex {
    before.retain(|path, _| !look.contains_key(path));
    after.retain(|path, found| look.get(path) != Some(found));
    before.extend(after);
    before.retain(|path, found| found.mark.is_fixed && !path.ends_with(".ldb") && !path.ends_with(".sst"));
    before
}

/// The first path of which two looks differ, among those that are chosen.
fn difference<'a>(
    one: &'a FileIndex,
    other: &'a FileIndex,
    chosen: impl Fn(&str, &ScannedFile) -> bool,
) -> Option<&'a str> {
    let of = |look: &'a FileIndex, than: &'a FileIndex| {
        let mut paths = look.iter().filter(|(path, found)| chosen(path, found));
        paths.find(|(path, found)| than.get(*path) != Some(*found)).map(|(path, _)| path.as_str())
    };
    of(one, other).or(of(other, one))
}

#[cfg(test)]
mod tests;
