//! The collector: removes what newer bases made superfluous, beside the replicator and not in its way.
//!
//! Only what two kept bases dominate is removed, and only by who looks like the owner in the same survey (I9). A store that fails
//! or keeps silent delays nothing but this: uploads, checks of ownership and news of an outage soon go on beside it.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use crate::id::Claim;
use crate::name::{DataName, Span};
use crate::owner::{Owner, Standing};
use crate::plan::{Dominated, Survey, dominated};

use super::chain::Chain;

/// What was asked for and is not begun.
#[derive(Default)]
struct Asked {
    due: bool,
    waiting: Vec<oneshot::Sender<()>>,
}

/// What the owner knows of its own objects.
struct Known {
    /// What is stored and needed.
    chain: Chain,
    /// Bases that were current once.
    former: BTreeSet<DataName>,
}

impl Known {
    /// Whether `name` may be superfluous. A base at the LSN of the current one or above it that was never current has just been
    /// stored, and is about to be.
    fn is_old(&self, name: &DataName) -> bool {
        let current = self.chain.base().name;
        name.claim != current.claim
            || !matches!(name.span, Span::Base(_))
            || name.span.last() < current.span.last()
            || self.former.contains(name)
    }
}

/// Removes what one tenant no longer needs.
pub struct Collector {
    owner: Arc<Owner>,
    parent: Option<Claim>,
    known: Mutex<Known>,
    /// Objects of it that a listing lacked, and another one after that.
    lost: AtomicUsize,
    asked: Mutex<Asked>,
    wake: Notify,
}

impl Collector {
    /// A collector for the objects of `owner`, which has stored `chain`, and of those before it; `parent` is the claim that it
    /// continues.
    pub fn new(owner: Arc<Owner>, parent: Option<Claim>, chain: Chain) -> Collector {
        Collector {
            owner,
            parent,
            known: Mutex::new(Known { chain, former: BTreeSet::new() }),
            lost: AtomicUsize::new(0),
            asked: Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// This is stored by now.
    pub fn expect(&self, chain: &Chain) {
        let mut known = self.known();
        let former = std::mem::replace(&mut known.chain, chain.clone()).base().name;
        if former != chain.base().name {
            known.former.insert(former);
        }
    }

    /// Whether objects were missing.
    pub fn has_losses(&self) -> bool {
        self.lost.load(Ordering::Relaxed) > 0
    }

    /// How many were, for somebody who makes it good.
    pub fn take_losses(&self) -> usize {
        self.lost.swap(0, Ordering::Relaxed)
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

    /// A listing in which this owner is the newest.
    async fn survey(&self) -> Option<Survey> {
        let survey = self.owner.tenancy.survey().await.ok()?;
        (self.owner.standing(&survey.claims) == Standing::Owner).then_some(survey)
    }

    /// What fails is done at the next base. Nothing is removed while something is missing that should be there: what is older may be
    /// all that is left.
    async fn collect(&self) {
        let tenancy = &self.owner.tenancy;
        let chain = self.known().chain.clone();
        let Some(mut survey) = self.survey().await else { return };
        if chain.lost(&survey) > 0 {
            let Some(again) = self.survey().await else { return };
            survey = again;
        }
        let lost = chain.lost(&survey);
        if lost > 0 {
            self.lost.store(lost, Ordering::Relaxed);
            return;
        }
        let (data, marks) = {
            // As of now: another base may have become the current one since the listing was asked for.
            let mut known = self.known();
            known.former.retain(|name| survey.data.contains(name));
            let current = Some(known.chain.base().name);
            let Dominated { data, parts, marks } =
                dominated(&survey, &self.owner.claim, self.parent, current);
            let data = data.iter().filter(|name| known.is_old(name)).map(|name| name.object(&tenancy.name));
            let parts = parts.iter().filter(|part| known.is_old(&part.of));
            (data.chain(parts.map(|part| part.object(&tenancy.name))).collect(), marks)
        };
        if tenancy.remote.delete(data).await.is_ok() {
            let marks = marks.iter().map(|mark| mark.object(&tenancy.name)).collect();
            let _ = tenancy.remote.delete(marks).await;
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
