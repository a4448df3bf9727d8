//! Listings of a directory store: one reading of a folder answers all who asked before it began.
//!
//! A folder can be read in no other way than whole. Of the claims, which all tenants have in one folder, only one reading is
//! under way at a time; whoever asks meanwhile shares the next, which is begun after the question.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::files::Files;
use crate::host::Pool;
use crate::remote::Failure;

type Answer = Result<Vec<String>, Failure>;

struct Question {
    prefix: String,
    answer: oneshot::Sender<Answer>,
}

/// Listings under way: each folder that is read, with who waits for its next reading.
pub struct Listings {
    files: Arc<Files>,
    waiting: Mutex<HashMap<PathBuf, Vec<Question>>>,
}

impl Listings {
    pub fn over(files: Arc<Files>) -> Listings {
        Listings { files, waiting: Mutex::default() }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<PathBuf, Vec<Question>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The names in `folder` that begin with `prefix`, from a reading that begins after this call; `None` if it panicked.
    pub async fn ask(self: &Arc<Self>, threads: &Pool, folder: PathBuf, prefix: String) -> Option<Answer> {
        let (answer, wait) = oneshot::channel();
        let idle = {
            let mut waiting = self.waiting();
            let idle = !waiting.contains_key(&folder);
            waiting.entry(folder.clone()).or_default().push(Question { prefix, answer });
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
            self.read(folder, questions);
        }
    }

    fn read(&self, folder: &Path, mut questions: Vec<Question>) {
        questions.sort_by(|one, other| one.prefix.cmp(&other.prefix));
        let mut found: Vec<Vec<String>> = questions.iter().map(|_| Vec::new()).collect();
        let told = self.files.each(folder, |name, entry| {
            // Prefixes of a name are in order before it, and most names have none: those of other tenants.
            let upto = questions.partition_point(|question| question.prefix.as_str() <= name);
            let mut is_file = None;
            for (question, names) in questions.iter().zip(&mut found).take(upto) {
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
