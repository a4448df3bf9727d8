//! The files of a profile that are kept: the web storage of its pages, and what the caller adds.
//!
//! Invariant: nothing outside the profile is ever opened. Links are not followed, and only regular files are read: a FIFO or a
//! device is passed over. A name that another system could not write down, or could take for a path, is an error, because a
//! file that is left out unseen is a session that does not open.
#![expect(clippy::disallowed_methods, reason = "a browser keeps its profile on the real disk")]

use std::collections::BTreeMap;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::error::{Code, Error, Result};

/// Folders with the storage of pages: Signal keys and messages, and the small values beside them.
const KEPT: [&str; 2] = ["Default/IndexedDB", "Default/Local Storage"];

/// Files that say who uses a database and what happened to it, and hold none of it.
const PASSED_OVER: [&str; 3] = ["LOCK", "LOG", "LOG.old"];

/// Beginning of the names by which a running browser holds its profile.
const SINGLETON: &str = "Singleton";

/// State of a file, as far as the file system tells it. Of fixed files an equal mark means equal bytes; of others it may not,
/// as clocks of file systems are coarse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileMark {
    /// Number of the file in its file system; 0 where there is none.
    pub inode: u64,
    /// Length in bytes.
    pub size: u64,
    /// Time of the last change, in nanoseconds since 1970.
    pub modified_ns: i128,
    /// True for tables and blobs, which are written once.
    pub is_fixed: bool,
}

/// A kept file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannedFile {
    /// Place of its bytes.
    pub at: PathBuf,
    /// Permissions, where the system has them.
    pub mode: u32,
    /// State when it was looked at.
    pub mark: FileMark,
}

/// Kept files by relative path, with '/' between names.
pub type FileIndex = BTreeMap<String, ScannedFile>;

/// Looks at the kept files of the profile in `directory`, and at those under the relative paths of `extra`.
pub fn look(directory: &Path, extra: &[String]) -> Result<FileIndex> {
    if !std::fs::metadata(directory).map_err(|error| unreadable("the profile", error))?.is_dir() {
        return Err(Error::new(
            Code::LocalUnavailable,
            "the profile is not a directory: name the user data directory of the browser",
        ));
    }
    let mut look = FileIndex::new();
    for path in KEPT.into_iter().chain(extra.iter().map(String::as_str)) {
        let mut names = Vec::new();
        for name in path.split('/') {
            names.push(name);
            let step = names.join("/");
            match std::fs::symlink_metadata(directory.join(&step)) {
                Ok(there) if there.is_symlink() => return Err(link(&step)),
                Ok(there) if names.len() == path.split('/').count() => {
                    visit(directory, step, &there, &mut look)?;
                }
                Ok(_) => {}
                Err(error) if is_absence(&error) => break,
                Err(error) => return Err(unreadable(&step, error)),
            }
        }
    }
    Ok(look)
}

/// Checks the paths that a caller adds: relative, with '/' between names, and within the profile.
pub fn check_extra(extra: &[String]) -> Result<()> {
    for path in extra {
        let is_plain = |name: &str| {
            let mut parts = Path::new(name).components();
            matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) && is_portable(name)
        };
        if !path.split('/').all(is_plain) {
            return Err(Error::new(
                Code::InvalidOption,
                format!(
                    "the path {path:?} to keep is not within the profile: use a relative path with '/', without '..'"
                ),
            ));
        }
    }
    Ok(())
}

/// Opens a file for reading if it is a regular one, and never waits for a writer at its other end.
pub fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
    }
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok(file)
}

/// True if something went away: a running browser removes files at any moment.
pub fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Adds what is at `path`, and all below it.
fn visit(directory: &Path, path: String, there: &Metadata, look: &mut FileIndex) -> Result<()> {
    let mut left = vec![(path, there.clone())];
    while let Some((path, there)) = left.pop() {
        let at = directory.join(&path);
        if there.is_file() {
            let (mode, mark) = (mode(&there), mark(&path, &there));
            look.insert(path, ScannedFile { at, mode, mark });
        } else if there.is_dir() {
            let entries = match std::fs::read_dir(&at) {
                Err(error) if is_absence(&error) => continue,
                entries => entries.map_err(|error| unreadable(&path, error))?,
            };
            for entry in entries {
                let entry = entry.map_err(|error| unreadable(&path, error))?;
                let name = entry.file_name();
                let Some(name) = name.to_str().filter(|name| is_portable(name)) else {
                    return Err(Error::new(
                        Code::LocalUnavailable,
                        format!(
                            "a file in {path} has a name that is not portable Unicode text: {name:?}; rename or remove it"
                        ),
                    ));
                };
                if PASSED_OVER.contains(&name) || name.starts_with(SINGLETON) {
                    continue;
                }
                let path = format!("{path}/{name}");
                match std::fs::symlink_metadata(entry.path()) {
                    Ok(there) if there.is_symlink() => return Err(link(&path)),
                    Ok(there) => left.push((path, there)),
                    Err(error) if is_absence(&error) => {}
                    Err(error) => return Err(unreadable(&path, error)),
                }
            }
        }
    }
    Ok(())
}

/// True if every system takes `name` for the name of one file.
fn is_portable(name: &str) -> bool {
    !name.contains(['\\', '/', '\0'])
}

fn mark(path: &str, there: &Metadata) -> FileMark {
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(there);
    #[cfg(not(unix))]
    let inode = 0;
    let modified_ns = there.modified().map_or(0, |time| match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i128::try_from(after.as_nanos()).unwrap_or(i128::MAX),
        Err(before) => i128::try_from(before.duration().as_nanos()).map_or(i128::MIN, |before| -before),
    });
    FileMark { inode, size: there.len(), modified_ns, is_fixed: is_fixed(path) }
}

fn mode(there: &Metadata) -> u32 {
    #[cfg(unix)]
    return std::os::unix::fs::PermissionsExt::mode(&there.permissions()) & 0o777;
    #[cfg(not(unix))]
    if there.permissions().readonly() { 0o400 } else { 0o600 }
}

/// True for files that are written once and never changed: tables of LevelDB, and values too large for it.
fn is_fixed(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let is_table = name.strip_suffix(".ldb").or(name.strip_suffix(".sst"));
    is_table.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
        || path.split('/').rev().skip(1).any(|folder| folder.ends_with(".indexeddb.blob"))
}

fn link(path: &str) -> Error {
    Error::new(
        Code::LocalUnavailable,
        format!(
            "{path} in the profile is a symbolic link, which is never followed: replace it by the files it leads to"
        ),
    )
}

/// Failure to read something of the profile.
pub fn unreadable(path: &str, error: io::Error) -> Error {
    Error::new(
        Code::LocalUnavailable,
        format!("{path} cannot be read: {error}; check that it exists, and its permissions"),
    )
    .with_source(error)
}

#[cfg(test)]
mod tests;
