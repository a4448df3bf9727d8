//! The operations of a process on the disk: what each changes, or leaves as it was when it is to fail.
//!
//! An operation is one step, at which its process may be dead: then it takes no effect but the part that it was told to.

use std::io::{ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::MemoryDisk;
use super::machine::{Edit, GONE, NameChange, NameEdit, Op};
use crate::platform::disk::{DirLock, Disk, LogFile};

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

    fn room(&self, _: &Path) -> Option<u64> {
        self.inner().space.map(|space| space as u64)
    }

    fn boot(&self) -> u16 {
        self.inner().boot
    }
}
