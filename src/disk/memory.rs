//! A disk in memory that keeps apart what was written and what was synced, and fails where it is told to.
//!
//! One [`MemoryDisk`] value is one process on a machine. A killed process loses its locks and nothing else; a power cut
//! takes any subset of what was not synced, names included, as POSIX allows. A failed sync loses for good what it should
//! have synced, although readers go on seeing it. Deterministic, and fast: nothing is copied but by `power_cut`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{DirLock, Disk, LogFile};

/// What operations answer whose process is dead: nobody sees it, and it has no effect of its own.
const GONE: ErrorKind = ErrorKind::BrokenPipe;

/// The kinds of operation, each counted by itself too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    MakeDir,
    Lock,
    Create,
    Read,
    List,
    Rename,
    Remove,
    RemoveDir,
    SyncDir,
    Append,
    Truncate,
    Sync,
}

/// A change of a file's content that was not synced yet.
#[derive(Clone)]
struct Change {
    time: u64,
    /// A sync failed that should have covered it: it will never reach the disk.
    doomed: bool,
    edit: Edit,
}

#[derive(Clone)]
enum Edit {
    Write(usize, Vec<u8>),
    Cut(usize),
}

impl Edit {
    fn apply(&self, data: &mut Vec<u8>) {
        match self {
            Edit::Write(at, bytes) => {
                let end = at + bytes.len();
                if data.len() < end {
                    // What was lost before it reads as zeros.
                    data.resize(end, 0);
                }
                data[*at..end].copy_from_slice(bytes);
            }
            Edit::Cut(len) => data.truncate(*len),
        }
    }
}

#[derive(Clone, Default)]
struct Inode {
    /// What a power cut leaves for sure.
    durable: Vec<u8>,
    /// What readers see.
    data: Vec<u8>,
    pending: Vec<Change>,
    names: usize,
}

/// A change of a name that was not synced yet, and the directory whose sync would.
#[derive(Clone)]
struct NameChange {
    time: u64,
    dir: PathBuf,
    edit: NameEdit,
}

#[derive(Clone)]
enum NameEdit {
    Link(PathBuf, usize),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf, usize),
}

impl NameEdit {
    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            NameEdit::Link(path, inode) => {
                names.insert(path.clone(), *inode);
            }
            NameEdit::Unlink(path) => {
                names.remove(path);
            }
            NameEdit::Rename(from, to, inode) => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
        }
    }
}

/// A failure to come.
#[derive(Clone, Copy)]
struct Fault {
    /// Counts operations of this kind only.
    op: Option<Op>,
    at: u64,
    /// It and all that follow fail.
    lasting: bool,
    kind: ErrorKind,
    partial: Option<usize>,
}

#[derive(Default)]
struct Process {
    dead: bool,
    operations: u64,
    by_kind: BTreeMap<Op, u64>,
    faults: Vec<Fault>,
    written: Option<Vec<Vec<u8>>>,
}

#[derive(Default)]
struct Inner {
    inodes: Vec<Inode>,
    dirs: BTreeSet<PathBuf>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    pending_names: Vec<NameChange>,
    /// Inode of a locked file, and the process that holds it.
    locks: BTreeMap<usize, usize>,
    processes: Vec<Process>,
    time: u64,
    space: Option<usize>,
    read_only: bool,
}

/// A process that uses a disk in memory. Clones are the same process.
#[derive(Clone)]
pub struct MemoryDisk {
    machine: Arc<Mutex<Inner>>,
    process: usize,
}

struct MemoryFile {
    disk: MemoryDisk,
    inode: usize,
}

struct MemoryLock {
    disk: MemoryDisk,
    path: PathBuf,
    inode: usize,
}

impl DirLock for MemoryLock {
    fn stands(&self) -> bool {
        let inner = self.disk.inner();
        inner.names.get(&self.path) == Some(&self.inode)
    }
}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        let mut inner = self.disk.inner();
        if inner.locks.get(&self.inode) == Some(&self.disk.process) {
            inner.locks.remove(&self.inode);
        }
    }
}

impl Inner {
    /// Counts an operation, and says how it fares: an error, with what takes effect all the same.
    fn step(&mut self, process: usize, op: Op) -> std::result::Result<(), (Error, Option<usize>)> {
        let process = &mut self.processes[process];
        let own = process.by_kind.entry(op).or_default();
        let counts = (process.operations, *own);
        process.operations += 1;
        *own += 1;
        if process.dead {
            return Err((GONE.into(), None));
        }
        for fault in &process.faults {
            let number = match fault.op {
                None => counts.0,
                Some(only) if only == op => counts.1,
                Some(_) => continue,
            };
            if number == fault.at {
                return Err((fault.kind.into(), fault.partial));
            }
            if fault.lasting && number > fault.at {
                return Err((fault.kind.into(), None));
            }
        }
        Ok(())
    }

    /// An operation that takes effect as a whole or not at all: whether it answers well, or the error that it gives without
    /// having taken effect.
    fn whole(&mut self, process: usize, op: Op) -> Result<Answer> {
        match self.step(process, op) {
            Ok(()) => Ok(Answer(None)),
            Err((error, Some(_))) => Ok(Answer(Some(error))),
            Err((error, None)) => Err(error),
        }
    }

    fn writable(&self) -> Result<()> {
        if self.read_only { Err(ErrorKind::ReadOnlyFilesystem.into()) } else { Ok(()) }
    }

    fn now(&mut self) -> u64 {
        self.time += 1;
        self.time
    }

    fn change_name(&mut self, dir: &Path, edit: NameEdit) {
        let time = self.now();
        self.pending_names.push(NameChange { time, dir: dir.to_owned(), edit });
    }

    fn unlink(&mut self, path: &Path) -> bool {
        let Some(inode) = self.names.remove(path) else { return false };
        self.inodes[inode].names -= 1;
        true
    }

    fn make_file(&mut self, path: &Path) -> Result<usize> {
        let dir = path.parent().unwrap_or(path);
        if !self.dirs.contains(dir) {
            return Err(ErrorKind::NotFound.into());
        }
        let inode = self.inodes.len();
        self.inodes.push(Inode { names: 1, ..Inode::default() });
        self.names.insert(path.to_owned(), inode);
        self.change_name(dir, NameEdit::Link(path.to_owned(), inode));
        Ok(inode)
    }

    fn edit(&mut self, inode: usize, edit: Edit) {
        let time = self.now();
        let inode = &mut self.inodes[inode];
        edit.apply(&mut inode.data);
        inode.pending.push(Change { time, doomed: false, edit });
    }

    fn below<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = (&'a PathBuf, &'a usize)> {
        self.names.range(path.to_owned()..).take_while(move |(name, _)| name.starts_with(path))
    }
}

/// What an operation answers that took effect.
struct Answer(Option<Error>);

impl Answer {
    fn give<T>(self, value: T) -> Result<T> {
        self.0.map_or(Ok(value), Err)
    }
}

impl Default for MemoryDisk {
    fn default() -> Self {
        let inner = Inner { processes: vec![Process::default()], ..Inner::default() };
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

    /// Whether every change is refused.
    pub fn set_read_only(&self, read_only: bool) {
        self.inner().read_only = read_only;
    }

    /// From now on, remembers what every append of this process tried to write.
    pub fn record(&self) {
        self.inner().processes[self.process].written = Some(Vec::new());
    }

    /// What appends tried to write since [`MemoryDisk::record`].
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

    /// How many changes, of content and of names, a power cut could take or leave.
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
            ..Inner::default()
        };
        MemoryDisk { machine: Arc::new(Mutex::new(inner)), process: 0 }
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

/// The times of all unsynced changes that a power cut could keep, in order.
fn times(inner: &Inner) -> Vec<u64> {
    let content = inner.inodes.iter().filter(|inode| inode.names > 0).flat_map(|inode| &inode.pending);
    let content = content.filter(|change| !change.doomed).map(|change| change.time);
    let mut times: Vec<u64> = content.chain(inner.pending_names.iter().map(|change| change.time)).collect();
    times.sort_unstable();
    times
}

impl LogFile for MemoryFile {
    fn append(&self, bytes: &[u8]) -> Result<()> {
        let mut inner = self.disk.inner();
        if let Some(written) = &mut inner.processes[self.disk.process].written {
            written.push(bytes.to_vec());
        }
        let (mut written, mut outcome) = match inner.step(self.disk.process, Op::Append) {
            Ok(()) => (bytes.len(), Ok(())),
            // Nobody sees the answer of one that died.
            Err((error, partial)) if error.kind() == GONE => {
                (partial.unwrap_or(0).min(bytes.len()), Err(error))
            }
            // An append that fails has not written everything.
            Err((error, partial)) => (partial.unwrap_or(0).min(bytes.len().saturating_sub(1)), Err(error)),
        };
        inner.writable()?;
        if let Some(space) = inner.space.as_mut() {
            if written > *space {
                written = *space;
                outcome = Err(ErrorKind::StorageFull.into());
            }
            *space -= written;
        }
        if written > 0 {
            let at = inner.inodes[self.inode].data.len();
            inner.edit(self.inode, Edit::Write(at, bytes[..written].to_vec()));
        }
        outcome
    }

    fn truncate(&self, len: u64) -> Result<()> {
        let mut inner = self.disk.inner();
        let answer = inner.whole(self.disk.process, Op::Truncate)?;
        inner.writable()?;
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let freed = inner.inodes[self.inode].data.len().saturating_sub(len);
        if freed > 0 {
            inner.edit(self.inode, Edit::Cut(len));
        }
        if let Some(space) = inner.space.as_mut() {
            *space += freed;
        }
        answer.give(())
    }

    fn sync(&self) -> Result<()> {
        let mut inner = self.disk.inner();
        let answer = inner.whole(self.disk.process, Op::Sync);
        let inode = &mut inner.inodes[self.inode];
        match &answer {
            Ok(_) => {
                for change in inode.pending.drain(..).filter(|change| !change.doomed) {
                    change.edit.apply(&mut inode.durable);
                }
            }
            Err(error) if error.kind() == GONE => {}
            Err(_) => inode.pending.iter_mut().for_each(|change| change.doomed = true),
        }
        answer?.give(())
    }

    fn linked(&self) -> bool {
        self.disk.inner().inodes[self.inode].names > 0
    }
}

impl Disk for MemoryDisk {
    fn make_dir(&self, path: &Path) -> Result<()> {
        let mut inner = self.inner();
        let answer = inner.whole(self.process, Op::MakeDir)?;
        if path.ancestors().any(|above| inner.names.contains_key(above)) {
            return Err(ErrorKind::NotADirectory.into());
        }
        if !inner.dirs.contains(path) {
            inner.writable()?;
            inner.dirs.extend(path.ancestors().map(Path::to_owned));
        }
        answer.give(())
    }

    fn lock(&self, path: &Path) -> Result<Option<Box<dyn DirLock>>> {
        let mut inner = self.inner();
        inner.whole(self.process, Op::Lock)?.give(())?;
        let inode = match inner.names.get(path) {
            Some(inode) => *inode,
            None => {
                inner.writable()?;
                inner.make_file(path)?
            }
        };
        if inner.locks.contains_key(&inode) {
            return Ok(None);
        }
        inner.locks.insert(inode, self.process);
        Ok(Some(Box::new(MemoryLock { disk: self.clone(), path: path.to_owned(), inode })))
    }

    fn is_locked(&self, path: &Path) -> Result<bool> {
        let inner = self.inner();
        Ok(inner.names.get(path).is_some_and(|inode| inner.locks.contains_key(inode)))
    }

    fn create(&self, path: &Path) -> Result<Arc<dyn LogFile>> {
        let mut inner = self.inner();
        let answer = inner.whole(self.process, Op::Create)?;
        inner.writable()?;
        if inner.names.contains_key(path) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let inode = inner.make_file(path)?;
        answer.give(Arc::new(MemoryFile { disk: self.clone(), inode }))
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        let mut inner = self.inner();
        inner.whole(self.process, Op::Read)?.give(())?;
        let inode = *inner.names.get(path).ok_or(ErrorKind::NotFound)?;
        Ok(inner.inodes[inode].data.clone())
    }

    fn list(&self, path: &Path) -> Result<Vec<String>> {
        let mut inner = self.inner();
        inner.whole(self.process, Op::List)?.give(())?;
        if !inner.dirs.contains(path) {
            return Err(ErrorKind::NotFound.into());
        }
        let found = inner.below(path).filter(|(name, _)| name.parent() == Some(path));
        Ok(found.filter_map(|(name, _)| name.file_name()?.to_str().map(str::to_owned)).collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let mut inner = self.inner();
        let answer = inner.whole(self.process, Op::Rename)?;
        inner.writable()?;
        let inode = inner.names.remove(from).ok_or(ErrorKind::NotFound)?;
        inner.unlink(to);
        inner.names.insert(to.to_owned(), inode);
        let edit = NameEdit::Rename(from.to_owned(), to.to_owned(), inode);
        inner.change_name(to.parent().unwrap_or(to), edit);
        answer.give(())
    }

    fn remove(&self, path: &Path) -> Result<()> {
        let mut inner = self.inner();
        let answer = inner.whole(self.process, Op::Remove)?;
        inner.writable()?;
        if !inner.unlink(path) {
            return Err(ErrorKind::NotFound.into());
        }
        inner.change_name(path.parent().unwrap_or(path), NameEdit::Unlink(path.to_owned()));
        answer.give(())
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        let mut inner = self.inner();
        let answer = inner.whole(self.process, Op::RemoveDir)?;
        inner.writable()?;
        if inner.below(path).next().is_some() {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        if !inner.dirs.remove(path) {
            return Err(ErrorKind::NotFound.into());
        }
        answer.give(())
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        let mut inner = self.inner();
        let answer = inner.whole(self.process, Op::SyncDir)?;
        if !inner.dirs.contains(path) {
            return Err(ErrorKind::NotFound.into());
        }
        let (within, others) =
            std::mem::take(&mut inner.pending_names).into_iter().partition(|change| change.dir == path);
        inner.pending_names = others;
        let within: Vec<NameChange> = within;
        for change in within {
            change.edit.apply(&mut inner.durable_names);
        }
        answer.give(())
    }
}
