//! Listings of a directory store: one reading of a folder answers all who asked before it began.
//!
//! A folder can be read in no other way than whole. Of the claims, which all tenants have in one folder, only one reading is
//! under way at a time; whoever asks meanwhile shares the next, which is begun after the question.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::files::FileTree;
use crate::platform::host::ThreadPool;
use crate::store::Failure;

type NameList = Result<Vec<String>, Failure>;

struct FolderQuestion {
    prefix: String,
    answer: oneshot::Sender<NameList>,
}

/// Listings under way: each folder that is read, with who waits for its next reading.
pub struct Listings {
    files: Arc<FileTree>,
    waiting: Mutex<HashMap<PathBuf, Vec<FolderQuestion>>>,
    /// Readings of folders so far.
    #[cfg(test)]
    pub readings: std::sync::atomic::AtomicUsize,
    /// Makes the next reading panic, for a test.
    #[cfg(test)]
    pub panics: std::sync::atomic::AtomicBool,
}

impl Listings {
    pub fn over(files: Arc<FileTree>) -> Listings {
        Listings {
            files,
            waiting: Mutex::default(),
            #[cfg(test)]
            readings: std::sync::atomic::AtomicUsize::new(0),
            #[cfg(test)]
            panics: std::sync::atomic::AtomicBool::new(false),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<PathBuf, Vec<FolderQuestion>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The names in `folder` that begin with `prefix`, from a reading that begins after this call; `None` if it panicked.
    pub async fn ask(
        self: &Arc<Self>,
        threads: &ThreadPool,
        folder: PathBuf,
        prefix: String,
    ) -> Option<NameList> {
        let (answer, wait) = oneshot::channel();
        let idle = {
            let mut waiting = self.waiting();
            let idle = !waiting.contains_key(&folder);
            waiting.entry(folder.clone()).or_default().push(FolderQuestion { prefix, answer });
            idle
        };
        if idle {
            let listings = Arc::clone(self);
            threads.run(Box::new(move || listings.serve(&folder)));
        }
        wait.await.ok()
    }

    /// Reads `folder` until nobody waits for it any more.
    fn serve(&self, folder: &Path) {
        loop {
            let questions = {
                let mut waiting = self.waiting();
                let questions = waiting.get_mut(folder).map(std::mem::take).unwrap_or_default();
                if questions.is_empty() {
                    waiting.remove(folder);
                    return;
                }
                questions
            };
            // Those who asked for a reading that panics are told by its end. Others wait for the next, which nobody else would begin.
            let _ = catch_unwind(AssertUnwindSafe(|| self.read(folder, questions)));
        }
    }

    fn read(&self, folder: &Path, mut questions: Vec<FolderQuestion>) {
        #[cfg(test)]
        {
            use std::sync::atomic::Ordering::Relaxed;
            self.readings.fetch_add(1, Relaxed);
            assert!(!self.panics.swap(false, Relaxed), "this reading fails as nobody planned");
        }
        questions.sort_by(|one, other| one.prefix.cmp(&other.prefix));
        let within = within(&questions);
        let mut found: Vec<Vec<String>> = questions.iter().map(|_| Vec::new()).collect();
        let told = self.files.each(folder, |name, entry| {
            // The last prefix in order before a name is one of it, or begins with all that are. Most names have none: those of other
            // tenants.
            let mut at =
                questions.partition_point(|question| question.prefix.as_str() <= name).checked_sub(1);
            let mut is_file = None;
            while let Some(this) = at {
                at = within.get(this).copied().flatten();
                let (Some(question), Some(names)) = (questions.get(this), found.get_mut(this)) else { break };
                if !name.starts_with(&question.prefix) {
                    continue;
                }
                let is_file = match is_file {
                    Some(known) => known,
                    None => *is_file.insert(!entry.file_type()?.is_dir()),
                };
                if is_file {
                    names.push(name.to_owned());
                }
            }
            Ok(())
        });
        for (question, names) in questions.into_iter().zip(found) {
            // The asker may have gone away.
            let _ = question.answer.send(told.clone().map(|()| names));
        }
    }
}

/// For each question, in the order of their prefixes, the last one before it whose prefix its own begins with.
fn within(questions: &[FolderQuestion]) -> Vec<Option<usize>> {
    let mut within: Vec<Option<usize>> = Vec::with_capacity(questions.len());
    for (this, question) in questions.iter().enumerate() {
        let mut at = this.checked_sub(1);
        while let Some(before) = at {
            if questions.get(before).is_some_and(|other| question.prefix.starts_with(&other.prefix)) {
                break;
            }
            at = within.get(before).copied().flatten();
        }
        within.push(at);
    }
    within
}
