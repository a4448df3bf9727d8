//! The local disk: the only place that touches the file system.
//!
//! A seam, so that tests can fail any operation and lose any write that was not synced. Files are 0600 and folders 0700:
//! whoever reads them is the account (contract trap 24). What must survive a power cut is synced by whoever writes it,
//! never here in passing, with one exception: a directory that `make_dir` returns is itself durable.
#![expect(clippy::disallowed_methods, reason = "this is the door to the file system")]

#[cfg(any(test, feature = "fuzzing"))]
pub mod memory;

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use sha2::{Digest, Sha256};

/// A file that only grows, opened for appending.
pub trait LogFile: Send + Sync {
    /// Appends all of `bytes`, in one write where the system takes it whole. An error means that not all of them were
    /// written; some may have been.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;
    /// Cuts the file back to `len` bytes.
    fn truncate(&self, len: u64) -> io::Result<()>;
    /// Makes what was appended before the call survive a power cut. After an error nothing is known about it.
    fn sync(&self) -> io::Result<()>;
    /// True if the file still has a name. Taken for granted where the system cannot tell.
    fn linked(&self) -> bool;
}

/// An advisory lock, held until it is dropped or the process ends, however it ends.
pub trait DirLock: Send + Sync {
    /// True if the locked file is still the one at the path that was locked: if not, the lock keeps nobody out.
    fn stands(&self) -> bool;
}

/// The file operations that a log needs.
pub trait Disk: Send + Sync {
    /// Makes a private directory and what is missing above it, durably.
    fn make_dir(&self, path: &Path) -> io::Result<()>;
    /// Locks the file at `path`, which is made if need be; `None` if somebody else holds it.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DirLock>>>;
    /// True if somebody else holds the lock of the file at `path`, found out without keeping it. A file that is not there is
    /// held by nobody.
    fn is_locked(&self, path: &Path) -> io::Result<bool>;
    /// Makes a new private file for appending. Fails if there is one.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn LogFile>>;
    /// The whole content of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// The names in a directory, in no order. Those that are not Unicode are none of ours and left out.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Renames a file, over another one if need be.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory, if it is empty.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory survive a power cut.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Bytes that still fit where `path` lies; `None` if the system does not tell.
    fn room(&self, path: &Path) -> Option<u64>;
    /// A mark of this start of the machine: as long as it stays, no power cut took anything from a file. 0 if the system does
    /// not tell.
    fn boot(&self) -> u16;
}

/// The disk of this machine.
pub struct RealDisk;

struct RealFile(File);

impl LogFile for RealFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.0).write_all(bytes)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)?;
        // Where files are not opened for appending, the position stays behind the new end.
        #[cfg(not(unix))]
        io::Seek::seek(&mut &self.0, io::SeekFrom::End(0))?;
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn linked(&self) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            // An error, such as a stale handle of a network file system, is as good as no name.
            self.0.metadata().is_ok_and(|metadata| metadata.nlink() > 0)
        }
        // The name of an open file can be removed there, but the system does not say so.
        #[cfg(not(unix))]
        true
    }
}

struct RealLock {
    #[cfg_attr(not(unix), expect(dead_code, reason = "the lock lives as long as the open file"))]
    file: File,
    #[cfg_attr(not(unix), expect(dead_code, reason = "only Unix lets go of the name of a locked file"))]
    path: std::path::PathBuf,
}

impl DirLock for RealLock {
    fn stands(&self) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
            match (std::fs::metadata(&self.path), self.file.metadata()) {
                (Ok(named), Ok(open)) => identity(named) == identity(open),
                _ => false,
            }
        }
        #[cfg(not(unix))]
        true
    }
}

/// Attempts at a lock whose file is removed by its former holder just then.
const LOCK_ATTEMPTS: usize = 5;

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

impl Disk for RealDisk {
    fn make_dir(&self, path: &Path) -> io::Result<()> {
        let missing = path.ancestors().take_while(|above| !above.exists()).count();
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // A folder of `useMultiFileAuthState` is open to every local user: ours is not. Where that cannot be changed,
            // the files are still private.
            if std::fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
                let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700));
            }
        }
        // The parent always: the process that made the directory may have died before it came to this.
        for parent in path.ancestors().skip(1).take(missing.max(1)) {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            match self.sync_dir(parent) {
                // Not everybody may read the directory above, and who cannot read it cannot sync it.
                Err(error) if error.kind() != io::ErrorKind::PermissionDenied => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DirLock>>> {
        require_file(path)?;
        for _ in 0..LOCK_ATTEMPTS {
            let file = private(OpenOptions::new().create(true).truncate(false).write(true)).open(path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            let lock = RealLock { file, path: path.to_owned() };
            // Whoever held it may have removed the file between our opening and locking it.
            if lock.stands() {
                return Ok(Some(Box::new(lock)));
            }
        }
        Ok(None)
    }

    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        require_file(path)?;
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            file => file?,
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        let mut options = OpenOptions::new();
        // Windows gives a file opened for appending no right to be cut back.
        let options = if cfg!(unix) { options.append(true) } else { options.write(true) };
        Ok(Arc::new(RealFile(private(options.create_new(true)).open(path)?)))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        require_file(path)?;
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
        match File::open(path)?.sync_all() {
            // Some network and user-space file systems know no sync of directories.
            Err(error)
                if !matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) =>
            {
                return Err(error);
            }
            _ => {}
        }
        #[cfg(not(unix))]
        let _ = path;
        Ok(())
    }

    fn room(&self, path: &Path) -> Option<u64> {
        #[cfg(target_os = "linux")]
        {
            let found = rustix::fs::statvfs(path).ok()?;
            Some(found.f_bavail.saturating_mul(found.f_frsize))
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = path;
            None
        }
    }

    fn boot(&self) -> u16 {
        static BOOT: OnceLock<u16> = OnceLock::new();
        // Only Linux tells it in a file.
        *BOOT.get_or_init(|| std::fs::read("/proc/sys/kernel/random/boot_id").map_or(0, |id| boot_mark(&id)))
    }
}

/// Refuses a pipe, a socket or a device by its name: to open a pipe waits for somebody at its other end.
fn require_file(path: &Path) -> io::Result<()> {
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() && !found.is_dir() => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let what =
                format!("`{name}` in the folder of this tenant is a pipe, a socket or a device, not a file");
            Err(io::Error::new(io::ErrorKind::InvalidInput, what))
        }
        _ => Ok(()),
    }
}

/// A mark that stands for a start of a machine in files. That two of them share one is harmless: what a power cut took is then called
/// damage.
fn boot_mark(id: &[u8]) -> u16 {
    let mut hash = Sha256::new_with_prefix(b"bha/v2/boot");
    hash.update(id);
    let [low, high, ..] = hash.finalize()[..] else { return 1 };
    u16::from_le_bytes([low, high]).max(1)
}
