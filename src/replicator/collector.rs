//! The collector: removes what newer bases made superfluous, beside the replicator and not in its way.
//!
//! Only what two kept bases dominate is removed, and only by who looks like the owner in the same survey (I9). A store that fails
//! or keeps silent delays nothing but this: uploads, checks of ownership and news of an outage soon go on beside it.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use crate::id::Claim;
use crate::name::DataName;
use crate::owner::{Owner, Standing};
use crate::plan::{Dominated, dominated};

/// What was asked for and is not begun.
#[derive(Default)]
struct Asked {
    due: bool,
    waiting: Vec<oneshot::Sender<()>>,
}

/// Removes what one tenant no longer needs.
pub struct Collector {
    owner: Arc<Owner>,
    parent: Option<Claim>,
    current: Mutex<DataName>,
    asked: Mutex<Asked>,
    wake: Notify,
}

impl Collector {
    /// A collector for the objects of `owner`, whose base is `current`, and of those before it; `parent` is the claim that it
    /// continues.
    pub fn new(owner: Arc<Owner>, parent: Option<Claim>, current: DataName) -> Collector {
        Collector {
            owner,
            parent,
            current: Mutex::new(current),
            asked: Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// Another base is the current one.
    pub fn follow(&self, base: DataName) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = base;
    }

    /// Has what is superfluous by now removed, and then tells those who wait.
    pub fn ask(&self, waiting: Vec<oneshot::Sender<()>>) {
        {
            let mut asked = self.asked();
            asked.due = true;
            asked.waiting.extend(waiting);
        }
        self.wake.notify_one();
    }

    /// Resolves when all that was asked for before is done, or has failed.
    pub async fn settled(&self) {
        let (done, wait) = oneshot::channel();
        self.asked().waiting.push(done);
        self.wake.notify_one();
        // It is never told if the session ends first.
        let _ = wait.await;
    }

    /// Works until it is dropped.
    pub async fn run(&self) -> Infallible {
        loop {
            self.wake.notified().await;
            let Asked { due, waiting } = std::mem::take(&mut *self.asked());
            if due {
                self.collect().await;
            }
            for done in waiting {
                // Whoever asked may have gone away.
                let _ = done.send(());
            }
        }
    }

    /// What fails is done at the next base.
    async fn collect(&self) {
        let tenancy = &self.owner.tenancy;
        let Ok(survey) = tenancy.survey().await else { return };
        if self.owner.standing(&survey.claims) != Standing::Owner {
            return;
        }
        let current = Some(*self.current.lock().unwrap_or_else(PoisonError::into_inner));
        let Dominated { data, parts, marks } = dominated(&survey, &self.owner.claim, self.parent, current);
        let data = data.iter().map(|name| name.object(&tenancy.name));
        let data = data.chain(parts.iter().map(|part| part.object(&tenancy.name))).collect();
        if tenancy.remote.delete(data).await.is_ok() {
            let marks = marks.iter().map(|mark| mark.object(&tenancy.name)).collect();
            let _ = tenancy.remote.delete(marks).await;
        }
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
