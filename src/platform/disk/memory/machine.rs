//! The memory of a machine: contents and names, written and synced, the holders of locks, and failures to come.
//!
//! What readers see and what a power cut leaves are kept apart: only a sync that succeeds brings them together.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

/// The answer to operations of a dead process: nobody sees it, and it has no effect of its own.
pub(super) const GONE: ErrorKind = ErrorKind::BrokenPipe;

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
pub(super) struct Change {
    pub(super) time: u64,
    /// A sync failed that should have covered it: it will never reach the disk.
    pub(super) doomed: bool,
    pub(super) edit: Edit,
}

#[derive(Clone)]
pub(super) enum Edit {
    Write(usize, Vec<u8>),
    Cut(usize),
}

impl Edit {
    pub(super) fn apply(&self, data: &mut Vec<u8>) {
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
pub(super) struct Inode {
    /// Contents that a power cut leaves for sure.
    pub(super) durable: Vec<u8>,
    /// Contents that readers see.
    pub(super) data: Vec<u8>,
    pub(super) pending: Vec<Change>,
    pub(super) names: usize,
}

/// A change of a name that was not synced yet, and the directory whose sync would.
#[derive(Clone)]
pub(super) struct NameChange {
    pub(super) time: u64,
    pub(super) dir: PathBuf,
    pub(super) edit: NameEdit,
}

#[derive(Clone)]
pub(super) enum NameEdit {
    Link(PathBuf, usize),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf, usize),
}

impl NameEdit {
    pub(super) fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
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
pub(super) struct Fault {
    /// Counts operations of this kind only.
    pub(super) op: Option<Op>,
    pub(super) at: u64,
    /// It and all that follow fail.
    pub(super) lasting: bool,
    pub(super) kind: ErrorKind,
    pub(super) partial: Option<usize>,
}

#[derive(Default)]
pub(super) struct Process {
    pub(super) dead: bool,
    pub(super) operations: u64,
    pub(super) by_kind: BTreeMap<Op, u64>,
    pub(super) faults: Vec<Fault>,
    pub(super) written: Option<Vec<Vec<u8>>>,
}

#[derive(Default)]
pub(super) struct Inner {
    pub(super) inodes: Vec<Inode>,
    pub(super) dirs: BTreeSet<PathBuf>,
    pub(super) names: BTreeMap<PathBuf, usize>,
    pub(super) durable_names: BTreeMap<PathBuf, usize>,
    pub(super) pending_names: Vec<NameChange>,
    /// Inode of a locked file, and the process that holds it.
    pub(super) locks: BTreeMap<usize, usize>,
    pub(super) processes: Vec<Process>,
    pub(super) time: u64,
    pub(super) space: Option<usize>,
    pub(super) read_only: bool,
    /// Number of starts of the machine; 0: it does not tell.
    pub(super) boot: u16,
}

impl Inner {
    /// Counts an operation, and says how it fares: an error, with what takes effect all the same.
    pub(super) fn step(&mut self, process: usize, op: Op) -> std::result::Result<(), (Error, Option<usize>)> {
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
    pub(super) fn whole(&mut self, process: usize, op: Op) -> Result<OperationResult> {
        match self.step(process, op) {
            Ok(()) => Ok(OperationResult(None)),
            Err((error, Some(_))) => Ok(OperationResult(Some(error))),
            Err((error, None)) => Err(error),
        }
    }

    pub(super) fn writable(&self) -> Result<()> {
        if self.read_only { Err(ErrorKind::ReadOnlyFilesystem.into()) } else { Ok(()) }
    }

    pub(super) fn now(&mut self) -> u64 {
        self.time += 1;
        self.time
    }

    pub(super) fn change_name(&mut self, dir: &Path, edit: NameEdit) {
        let time = self.now();
        self.pending_names.push(NameChange { time, dir: dir.to_owned(), edit });
    }

    pub(super) fn unlink(&mut self, path: &Path) -> bool {
        let Some(inode) = self.names.remove(path) else { return false };
        self.inodes[inode].names -= 1;
        if self.inodes[inode].names == 0
            && let Some(space) = self.space.as_mut()
        {
            *space += self.inodes[inode].data.len();
        }
        true
    }

    pub(super) fn make_file(&mut self, path: &Path) -> Result<usize> {
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

    pub(super) fn edit(&mut self, inode: usize, edit: Edit) {
        let time = self.now();
        let inode = &mut self.inodes[inode];
        edit.apply(&mut inode.data);
        inode.pending.push(Change { time, doomed: false, edit });
    }

    pub(super) fn below<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = (&'a PathBuf, &'a usize)> {
        self.names.range(path.to_owned()..).take_while(move |(name, _)| name.starts_with(path))
    }
}

/// The answer to an operation that took effect.
pub(super) struct OperationResult(Option<Error>);

impl OperationResult {
    pub(super) fn give<T>(self, value: T) -> Result<T> {
        self.0.map_or(Ok(value), Err)
    }
}

/// The times of all unsynced changes that a power cut could keep, in order.
pub(super) fn times(inner: &Inner) -> Vec<u64> {
    let content = inner.inodes.iter().filter(|inode| inode.names > 0).flat_map(|inode| &inode.pending);
    let content = content.filter(|change| !change.doomed).map(|change| change.time);
    let mut times: Vec<u64> = content.chain(inner.pending_names.iter().map(|change| change.time)).collect();
    times.sort_unstable();
    times
}
