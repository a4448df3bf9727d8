//! The local disk: the only place that touches the file system.
//!
//! A seam, so that tests can fail any operation and lose any write that was not synced. Files are 0600 and folders 0700:
//! whoever reads them is the account (contract trap 24).

#[cfg(test)]
pub mod memory;

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

/// A file that only grows, opened for appending.
pub trait LogFile: Send + Sync {
    /// Appends all of `bytes`, in one write where the system allows it. On an error a part may have been written.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;
    /// Cuts the file back to `len` bytes.
    fn truncate(&self, len: u64) -> io::Result<()>;
    /// Makes what was appended survive a power cut.
    fn sync(&self) -> io::Result<()>;
    /// Whether the file still has a name; not known to be otherwise where the system cannot tell.
    fn linked(&self) -> bool;
}

/// An advisory lock, held until it is dropped or the process ends, however it ends.
pub trait DirLock: Send + Sync {}

/// The file operations that a log needs.
pub trait Disk: Send + Sync {
    /// Makes a private directory and what is missing above it.
    fn make_dir(&self, path: &Path) -> io::Result<()>;
    /// Locks the file at `path`, which is made if need be; `None` if somebody else holds it.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DirLock>>>;
    /// Makes a new private file for appending. Fails if there is one.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn LogFile>>;
    /// The whole content of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// The names in a directory.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Renames a file, over another one if need be.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory, if it is empty.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory survive a power cut.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

/// The disk of this machine.
pub struct RealDisk;

struct RealFile(File);

impl LogFile for RealFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.0).write_all(bytes)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn linked(&self) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            self.0.metadata().is_ok_and(|metadata| metadata.nlink() > 0)
        }
        // An open file cannot be removed there.
        #[cfg(not(unix))]
        true
    }
}

struct RealLock(#[allow(dead_code, reason = "the lock lives as long as the open file")] File);

impl DirLock for RealLock {}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Whether `path` still names `file`: it may have been removed between opening and locking.
fn names(path: &Path, file: &File) -> io::Result<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let (named, open) = (std::fs::metadata(path)?, file.metadata()?);
        Ok((named.dev(), named.ino()) == (open.dev(), open.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = (path, file);
        Ok(true)
    }
}

impl Disk for RealDisk {
    fn make_dir(&self, path: &Path) -> io::Result<()> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)?;
        // A folder of `useMultiFileAuthState` is open to every local user: ours is not.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))?;
        }
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DirLock>>> {
        let file = private(OpenOptions::new().create(true).truncate(false).write(true)).open(path)?;
        match file.try_lock() {
            Ok(()) if names(path, &file)? => Ok(Some(Box::new(RealLock(file)))),
            Ok(()) | Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        Ok(Arc::new(RealFile(private(OpenOptions::new().append(true).create_new(true)).open(path)?)))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let names = std::fs::read_dir(path)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.filter_map(io::Result::transpose).collect()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        // Windows has no such thing, and keeps names by itself.
        #[cfg(unix)]
        File::open(path)?.sync_all()?;
        #[cfg(not(unix))]
        let _ = path;
        Ok(())
    }
}
