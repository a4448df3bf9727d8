//! A disk in memory that keeps apart what was written and what was synced, and fails where it is told to.
//!
//! One [`MemoryDisk`] value is one process on a machine. A killed process loses its locks and nothing else; a power cut
//! takes any subset of what was not synced, names included, as POSIX allows. A failed sync loses for good what it should
//! have synced, although readers go on seeing it. Deterministic, and fast: nothing is copied but by `power_cut`.

mod machine;
mod operations;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use machine::{Fault, GONE, Inner, Inode, Process, times};

pub use machine::Op;

/// A process that uses a disk in memory. Clones are the same process.
#[derive(Clone)]
pub struct MemoryDisk {
    machine: Arc<Mutex<Inner>>,
    process: usize,
}

impl Default for MemoryDisk {
    fn default() -> Self {
        let inner = Inner { processes: vec![Process::default()], boot: 1, ..Inner::default() };
        MemoryDisk { machine: Arc::new(Mutex::new(inner)), process: 0 }
    }
}

impl MemoryDisk {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another process on the same machine.
    pub fn process(&self) -> MemoryDisk {
        let mut inner = self.inner();
        inner.processes.push(Process::default());
        MemoryDisk { machine: Arc::clone(&self.machine), process: inner.processes.len() - 1 }
    }

    /// Operations of this process so far.
    pub fn operations(&self) -> u64 {
        self.inner().processes[self.process].operations
    }

    /// Operations of kind `op` of this process so far.
    pub fn operations_of(&self, op: Op) -> u64 {
        self.inner().processes[self.process].by_kind.get(&op).copied().unwrap_or_default()
    }

    fn fault(&self, fault: Fault) {
        self.inner().processes[self.process].faults.push(fault);
    }

    /// The operation number `at` of this process fails with `kind`. With `partial`, an append writes that many bytes first,
    /// and anything else takes effect before it fails.
    pub fn fail_at(&self, at: u64, kind: ErrorKind, partial: Option<usize>) {
        self.fault(Fault { op: None, at, lasting: false, kind, partial });
    }

    /// The `nth` operation of kind `op` from now on (0 is the next one) fails with `kind`.
    pub fn fail_next(&self, op: Op, nth: u64, kind: ErrorKind, partial: Option<usize>) {
        let so_far = self.inner().processes[self.process].by_kind.get(&op).copied().unwrap_or_default();
        self.fault(Fault { op: Some(op), at: so_far + nth, lasting: false, kind, partial });
    }

    /// Every operation of kind `op` fails from now on.
    pub fn fail_all(&self, op: Op, kind: ErrorKind) {
        self.fault(Fault { op: Some(op), at: 0, lasting: true, kind, partial: None });
    }

    /// No more than this many further bytes fit; `None`: any number.
    pub fn set_space(&self, bytes: Option<usize>) {
        self.inner().space = bytes;
    }

    /// True if every change is refused.
    pub fn set_read_only(&self, read_only: bool) {
        self.inner().read_only = read_only;
    }

    /// From now on, remembers what every append of this process tried to write.
    pub fn record(&self) {
        self.inner().processes[self.process].written = Some(Vec::new());
    }

    /// Bytes that appends tried to write since [`MemoryDisk::record`].
    pub fn recorded(&self) -> Vec<Vec<u8>> {
        self.inner().processes[self.process].written.clone().unwrap_or_default()
    }

    /// The process is killed: its locks are free, and nothing it still tries has any effect.
    pub fn kill(&self) {
        let mut inner = self.inner();
        inner.processes[self.process].dead = true;
        inner.locks.retain(|_, holder| *holder != self.process);
    }

    /// The process is killed at its operation `at`, of which `partial` still happens as with [`MemoryDisk::fail_at`]. Its
    /// locks are free from [`MemoryDisk::restart`] on.
    pub fn kill_at(&self, at: u64, partial: Option<usize>) {
        self.fault(Fault { op: None, at, lasting: true, kind: GONE, partial });
    }

    /// Kills the process, if it still lives, and starts another one on the same disk.
    pub fn restart(&self) -> MemoryDisk {
        self.kill();
        self.process()
    }

    /// Number of changes, of content and of names, that a power cut could take or leave.
    pub fn unsynced(&self) -> usize {
        times(&self.inner()).len()
    }

    /// A copy of the disk as it is found after a power cut in which those unsynced changes survive, numbered from the oldest,
    /// for which `keeps` says so. This disk goes on as if nothing had happened.
    pub fn power_cut(&self, keeps: impl Fn(usize) -> bool) -> MemoryDisk {
        let old = self.inner();
        let order = times(&old);
        let kept = |time: u64| order.binary_search(&time).is_ok_and(&keeps);
        let mut names = old.durable_names.clone();
        for change in old.pending_names.iter().filter(|change| kept(change.time)) {
            change.edit.apply(&mut names);
        }
        let mut inodes = vec![Inode::default(); old.inodes.len()];
        for inode in names.values() {
            let before = &old.inodes[*inode];
            let mut data = before.durable.clone();
            for change in before.pending.iter().filter(|change| !change.doomed && kept(change.time)) {
                change.edit.apply(&mut data);
            }
            let count = inodes[*inode].names + 1;
            inodes[*inode] = Inode { durable: data.clone(), data, pending: Vec::new(), names: count };
        }
        let inner = Inner {
            inodes,
            dirs: old.dirs.clone(),
            names: names.clone(),
            durable_names: names,
            processes: vec![Process::default()],
            boot: if old.boot == 0 { 0 } else { old.boot + 1 },
            ..Inner::default()
        };
        MemoryDisk { machine: Arc::new(Mutex::new(inner)), process: 0 }
    }

    /// The machine was started as `boot` says; 0: it does not tell.
    pub fn set_boot(&self, boot: u16) {
        self.inner().boot = boot;
    }

    /// Somebody removes the directory and all that is in it.
    pub fn remove_tree(&self, path: &Path) {
        let mut inner = self.inner();
        let gone: Vec<PathBuf> = inner.below(path).map(|(name, _)| name.clone()).collect();
        for name in gone {
            inner.unlink(&name);
        }
        inner.durable_names.retain(|name, _| !name.starts_with(path));
        inner.pending_names.retain(|change| !change.dir.starts_with(path));
        inner.dirs.retain(|dir| !dir.starts_with(path));
    }

    /// The files below `path` with their content.
    pub fn files(&self, path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let inner = self.inner();
        inner.below(path).map(|(name, inode)| (name.clone(), inner.inodes[*inode].data.clone())).collect()
    }

    /// One bit of a file changes.
    pub fn rot(&self, path: &Path, at: usize, bit: u32) {
        let inner = self.inner();
        let Some(mut data) = inner.names.get(path).map(|inode| inner.inodes[*inode].data.clone()) else {
            return;
        };
        drop(inner);
        if let Some(byte) = data.get_mut(at) {
            *byte ^= 1 << (bit % 8);
            self.rewrite(path, data);
        }
    }

    /// An image of a folder that was taken earlier by [`MemoryDisk::files`] takes the place of what is there now.
    pub fn put_back(&self, path: &Path, image: &[(PathBuf, Vec<u8>)]) {
        let now: Vec<PathBuf> = self.files(path).into_iter().map(|(name, _)| name).collect();
        {
            let mut inner = self.inner();
            for name in now.iter().filter(|name| !name.ends_with("lock")) {
                inner.unlink(name);
                inner.durable_names.remove(name);
            }
            inner.pending_names.retain(|change| change.dir != path);
        }
        for (name, data) in image.iter().filter(|(name, _)| !name.ends_with("lock")) {
            self.rewrite(name, data.clone());
        }
    }

    /// Replaces the content of a file, or makes it, durably: as bit rot or another program would.
    pub fn rewrite(&self, path: &Path, data: Vec<u8>) {
        let mut inner = self.inner();
        let inode = match inner.names.get(path) {
            Some(inode) => *inode,
            None => inner.make_file(path).expect("the directory is there"),
        };
        inner.durable_names.insert(path.to_owned(), inode);
        let inode = &mut inner.inodes[inode];
        *inode = Inode { durable: data.clone(), data, pending: Vec::new(), names: inode.names };
    }
}
