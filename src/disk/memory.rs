//! A disk in memory that keeps apart what was written and what was synced, and fails where it is told to.
//!
//! It outlives the processes that use it: a killed one loses its locks and nothing else, a power cut takes what was not
//! synced, in any subset.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{DirLock, Disk, LogFile};

#[derive(Default)]
struct Inode {
    /// What a power cut leaves for sure.
    durable: Vec<u8>,
    /// What readers see.
    data: Vec<u8>,
    /// Appends since the last sync: where each one started.
    unsynced: Vec<usize>,
    names: usize,
}

/// A failure to come.
#[derive(Clone, Copy)]
struct Fault {
    at: u64,
    kind: ErrorKind,
    /// For writes: how many bytes are written all the same. For the rest: whether it takes effect all the same.
    partial: Option<usize>,
}

#[derive(Default)]
struct Inner {
    inodes: Vec<Inode>,
    dirs: BTreeSet<PathBuf>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    locks: BTreeMap<PathBuf, u64>,
    tickets: u64,
    operations: u64,
    faults: Vec<Fault>,
    dead: bool,
    space: Option<usize>,
    read_only: bool,
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Default)]
pub struct MemoryDisk(Arc<Mutex<Inner>>);

struct MemoryFile {
    disk: MemoryDisk,
    inode: usize,
}

struct MemoryLock {
    disk: MemoryDisk,
    path: PathBuf,
    ticket: u64,
}

impl DirLock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        let mut inner = self.disk.inner();
        if inner.locks.get(&self.path) == Some(&self.ticket) {
            inner.locks.remove(&self.path);
        }
    }
}

impl Inner {
    /// Counts an operation, and says how it fares: `Err` fails it, with what takes effect all the same.
    fn step(&mut self) -> std::result::Result<(), (Error, Option<usize>)> {
        let at = self.operations;
        self.operations += 1;
        if self.dead {
            return Err((ErrorKind::BrokenPipe.into(), None));
        }
        match self.faults.iter().find(|fault| fault.at == at) {
            Some(fault) => Err((fault.kind.into(), fault.partial)),
            None => Ok(()),
        }
    }

    /// An operation that takes effect as a whole or not at all.
    fn whole(&mut self) -> Result<bool> {
        match self.step() {
            Ok(()) => Ok(true),
            Err((_, Some(_))) => Ok(false),
            Err((error, None)) => Err(error),
        }
    }

    fn writable(&self) -> Result<()> {
        if self.read_only { Err(ErrorKind::ReadOnlyFilesystem.into()) } else { Ok(()) }
    }

    fn unlink(&mut self, path: &Path) -> bool {
        let Some(inode) = self.names.remove(path) else { return false };
        self.inodes[inode].names -= 1;
        true
    }

    fn dir_exists(&self, path: &Path) -> Result<()> {
        if self.dirs.contains(path) { Ok(()) } else { Err(ErrorKind::NotFound.into()) }
    }
}

/// What an operation answers when it took effect, but was told to fail.
fn failed_after(took_effect: bool) -> Result<()> {
    if took_effect { Ok(()) } else { Err(ErrorKind::Other.into()) }
}

impl MemoryDisk {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Operations so far.
    pub fn operations(&self) -> u64 {
        self.inner().operations
    }

    /// The operation number `at` fails with `kind`. With `partial`, a write writes that many bytes first, and anything else
    /// takes effect before it fails.
    pub fn fail_at(&self, at: u64, kind: ErrorKind, partial: Option<usize>) {
        self.inner().faults.push(Fault { at, kind, partial });
    }

    /// No more than this many further bytes fit; `None`: any number.
    pub fn set_space(&self, bytes: Option<usize>) {
        self.inner().space = bytes;
    }

    /// Whether every change is refused.
    pub fn set_read_only(&self, read_only: bool) {
        self.inner().read_only = read_only;
    }

    /// The process that uses the disk is killed: nothing it still tries has any effect. See [`MemoryDisk::restart`].
    pub fn kill(&self) {
        let mut inner = self.inner();
        inner.dead = true;
        inner.locks.clear();
    }

    /// The process is killed at operation `at`, of which `partial` bytes of a write still happen.
    pub fn kill_at(&self, at: u64, partial: Option<usize>) {
        let mut inner = self.inner();
        inner.faults.extend((at..at + 10_000).map(|at| Fault {
            at,
            kind: ErrorKind::BrokenPipe,
            partial: None,
        }));
        if let Some(first) = inner.faults.iter_mut().rev().find(|fault| fault.at == at) {
            first.partial = partial;
        }
    }

    /// The disk as a new process finds it.
    pub fn restart(&self) -> MemoryDisk {
        let mut old = self.inner();
        old.dead = true;
        let inodes = old.inodes.iter().map(|inode| Inode {
            durable: inode.durable.clone(),
            data: inode.data.clone(),
            unsynced: inode.unsynced.clone(),
            names: inode.names,
        });
        let inner = Inner {
            inodes: inodes.collect(),
            dirs: old.dirs.clone(),
            names: old.names.clone(),
            durable_names: old.durable_names.clone(),
            ..Inner::default()
        };
        MemoryDisk(Arc::new(Mutex::new(inner)))
    }

    /// The power goes. Names go back to what was synced; of the appends that were not, those survive for which `keeps` says
    /// so by number: a later one that survives leaves a hole of zeros where an earlier one is lost.
    pub fn power_cut(&self, keeps: impl Fn(usize) -> bool) -> MemoryDisk {
        let new = self.restart();
        {
            let mut inner = new.inner();
            inner.names = inner.durable_names.clone();
            for inode in &mut inner.inodes {
                let mut data = inode.durable.clone();
                for (number, start) in inode.unsynced.iter().enumerate() {
                    let end = inode.unsynced.get(number + 1).copied().unwrap_or(inode.data.len());
                    if keeps(number) && *start < end && end <= inode.data.len() {
                        data.resize(data.len().max(end), 0);
                        data[*start..end].copy_from_slice(&inode.data[*start..end]);
                    }
                }
                inode.durable = data.clone();
                inode.data = data;
                inode.unsynced.clear();
                inode.names = 0;
            }
            for inode in inner.names.clone().into_values() {
                inner.inodes[inode].names += 1;
            }
        }
        new
    }

    /// Somebody removes the directory and all that is in it.
    pub fn remove_tree(&self, path: &Path) {
        let mut inner = self.inner();
        let gone: Vec<PathBuf> = inner.names.keys().filter(|name| name.starts_with(path)).cloned().collect();
        for name in gone {
            inner.unlink(&name);
            inner.locks.remove(&name);
        }
        inner.dirs.retain(|dir| !dir.starts_with(path));
        inner.durable_names = inner.names.clone();
    }

    /// The files below `path` with their content.
    pub fn files(&self, path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let inner = self.inner();
        let found = inner.names.iter().filter(|(name, _)| name.starts_with(path));
        found.map(|(name, inode)| (name.clone(), inner.inodes[*inode].data.clone())).collect()
    }

    /// Replaces the content of a file, as bit rot would.
    pub fn rewrite(&self, path: &Path, data: Vec<u8>) {
        let mut inner = self.inner();
        let inode = inner.names[path];
        inner.inodes[inode].durable = data.clone();
        inner.inodes[inode].data = data;
        inner.inodes[inode].unsynced.clear();
    }
}

impl LogFile for MemoryFile {
    fn append(&self, bytes: &[u8]) -> Result<()> {
        let mut inner = self.disk.inner();
        let (mut written, mut outcome) = match inner.step() {
            Ok(()) => (bytes.len(), Ok(())),
            Err((error, partial)) => (partial.unwrap_or(0).min(bytes.len()), Err(error)),
        };
        if let Some(space) = inner.space.as_mut() {
            if written > *space {
                written = *space;
                outcome = Err(ErrorKind::StorageFull.into());
            }
            *space -= written;
        }
        if inner.read_only {
            return inner.writable();
        }
        let inode = &mut inner.inodes[self.inode];
        inode.unsynced.push(inode.data.len());
        inode.data.extend_from_slice(&bytes[..written]);
        outcome
    }

    fn truncate(&self, len: u64) -> Result<()> {
        let mut inner = self.disk.inner();
        let took = inner.whole()?;
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let inode = &mut inner.inodes[self.inode];
        let freed = inode.data.len().saturating_sub(len);
        inode.data.truncate(len);
        inode.durable.truncate(len);
        inode.unsynced.retain(|start| *start < len);
        if let Some(space) = inner.space.as_mut() {
            *space += freed;
        }
        failed_after(took)
    }

    fn sync(&self) -> Result<()> {
        let mut inner = self.disk.inner();
        let took = inner.whole()?;
        let inode = &mut inner.inodes[self.inode];
        inode.durable = inode.data.clone();
        inode.unsynced.clear();
        failed_after(took)
    }

    fn linked(&self) -> bool {
        self.disk.inner().inodes[self.inode].names > 0
    }
}

impl Disk for MemoryDisk {
    fn make_dir(&self, path: &Path) -> Result<()> {
        let mut inner = self.inner();
        let took = inner.whole()?;
        if inner.dirs.contains(path) {
            return failed_after(took);
        }
        inner.writable()?;
        inner.dirs.extend(path.ancestors().map(Path::to_owned));
        failed_after(took)
    }

    fn lock(&self, path: &Path) -> Result<Option<Box<dyn DirLock>>> {
        let mut inner = self.inner();
        failed_after(inner.whole()?)?;
        if inner.locks.contains_key(path) {
            return Ok(None);
        }
        if !inner.names.contains_key(path) {
            inner.writable()?;
            let inode = inner.inodes.len();
            inner.inodes.push(Inode { names: 1, ..Inode::default() });
            inner.names.insert(path.to_owned(), inode);
        }
        inner.tickets += 1;
        let ticket = inner.tickets;
        inner.locks.insert(path.to_owned(), ticket);
        Ok(Some(Box::new(MemoryLock { disk: self.clone(), path: path.to_owned(), ticket })))
    }

    fn create(&self, path: &Path) -> Result<Arc<dyn LogFile>> {
        let mut inner = self.inner();
        let took = inner.whole()?;
        inner.writable()?;
        inner.dir_exists(path.parent().unwrap_or(path))?;
        if inner.names.contains_key(path) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let inode = inner.inodes.len();
        inner.inodes.push(Inode { names: 1, ..Inode::default() });
        inner.names.insert(path.to_owned(), inode);
        failed_after(took)?;
        Ok(Arc::new(MemoryFile { disk: self.clone(), inode }))
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        let mut inner = self.inner();
        failed_after(inner.whole()?)?;
        let inode = *inner.names.get(path).ok_or(ErrorKind::NotFound)?;
        Ok(inner.inodes[inode].data.clone())
    }

    fn list(&self, path: &Path) -> Result<Vec<String>> {
        let mut inner = self.inner();
        failed_after(inner.whole()?)?;
        inner.dir_exists(path)?;
        let found = inner.names.keys().filter(|name| name.parent() == Some(path));
        Ok(found.filter_map(|name| name.file_name()?.to_str().map(str::to_owned)).collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let mut inner = self.inner();
        let took = inner.whole()?;
        inner.writable()?;
        let inode = inner.names.remove(from).ok_or(ErrorKind::NotFound)?;
        inner.unlink(to);
        inner.names.insert(to.to_owned(), inode);
        failed_after(took)
    }

    fn remove(&self, path: &Path) -> Result<()> {
        let mut inner = self.inner();
        let took = inner.whole()?;
        inner.writable()?;
        if !inner.unlink(path) {
            return Err(ErrorKind::NotFound.into());
        }
        failed_after(took)
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        let mut inner = self.inner();
        let took = inner.whole()?;
        inner.writable()?;
        if inner.names.keys().any(|name| name.starts_with(path)) {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        inner.dirs.remove(path);
        failed_after(took)
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        let mut inner = self.inner();
        let took = inner.whole()?;
        let within: Vec<(PathBuf, usize)> = inner
            .names
            .iter()
            .filter(|(name, _)| name.parent() == Some(path))
            .map(|(n, i)| (n.clone(), *i))
            .collect();
        inner.durable_names.retain(|name, _| name.parent() != Some(path));
        inner.durable_names.extend(within);
        failed_after(took)
    }
}
