//! The collector: removes what newer bases made superfluous, beside the replicator and not in its way.
//!
//! Only what two kept bases dominate is removed, and only by who looks like the owner in the same survey (I9). A store that fails
//! or keeps silent delays nothing but this: uploads, checks of ownership and news of an outage soon go on beside it.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use crate::format::name::DataName;
use crate::id::Claim;
use crate::ownership::decide::{Garbage, OwnBases, Survey, dominated};
use crate::ownership::lease::{Owner, Standing};

use super::chain::{Chain, Losses};

/// The request that is not begun.
#[derive(Default)]
struct PendingRequest {
    due: bool,
    waiting: Vec<oneshot::Sender<()>>,
}

/// The owner's knowledge of its own objects.
struct OwnObjects {
    /// Objects that are stored and needed.
    chain: Chain,
    bases: OwnBases,
}

/// Removes what one tenant no longer needs.
pub struct Collector {
    owner: Arc<Owner>,
    parent: Option<Claim>,
    known: Mutex<OwnObjects>,
    /// Objects of it that a listing lacked, and another one after that.
    lost: Mutex<Losses>,
    /// Somebody else writes under this claim.
    forked: AtomicBool,
    /// The base that it opened with: it alone tells whose history this one goes on from.
    opening: DataName,
    asked: Mutex<PendingRequest>,
    wake: Notify,
}

impl Collector {
    /// A collector for the objects of `owner`, which has stored `chain`, and of those before it; `parent` is the claim that it
    /// continues.
    pub fn new(owner: Arc<Owner>, parent: Option<Claim>, chain: Chain) -> Collector {
        let bases = OwnBases::of(chain.base().name);
        Collector {
            owner,
            parent,
            opening: chain.base().name,
            known: Mutex::new(OwnObjects { chain, bases }),
            lost: Mutex::default(),
            forked: AtomicBool::new(false),
            asked: Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// This is stored by now.
    pub fn expect(&self, chain: &Chain) {
        let mut known = self.known();
        known.chain = chain.clone();
        known.bases.continue_with(chain.base().name);
    }

    /// True if objects were missing.
    pub fn has_losses(&self) -> bool {
        self.lost().count() > 0
    }

    /// These, for somebody who makes it good.
    pub fn take_losses(&self) -> Losses {
        std::mem::take(&mut *self.lost())
    }

    /// True if another process writes under this claim: a copy of a running machine does, which no claim can keep out.
    pub fn is_forked(&self) -> bool {
        self.forked.load(Ordering::Relaxed)
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
            let PendingRequest { due, waiting } = std::mem::take(&mut *self.asked());
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

    /// Removals that fail are done at the next base. Nothing is removed while something is missing that should be there: what is older may be
    /// all that is left.
    async fn collect(&self) {
        let tenancy = &self.owner.tenancy;
        let chain = self.known().chain.clone();
        let Some(mut survey) = self.survey().await else { return };
        if chain.lost(&survey).count() > 0 {
            let Some(again) = self.survey().await else { return };
            survey = again;
        }
        let lost = chain.lost(&survey);
        if lost.count() > 0 {
            *self.lost() = lost;
            return;
        }
        if self.holds_foreign(&chain, &survey).await {
            self.forked.store(true, Ordering::Relaxed);
            return;
        }
        let Garbage { data, parts, marks } = {
            // As of now: another base may have become the current one since the listing was asked for.
            let mut known = self.known();
            known.bases.retain(&survey);
            dominated(&survey, &self.owner.claim, self.parent, &known.bases)
        };
        // A tombstone below this claim counts as long as that base is there, or until it was seen here (I10).
        if data.contains(&self.opening) {
            let Ok(claims) = tenancy.claims().await else { return };
            if self.owner.standing(&claims) != Standing::Owner {
                return;
            }
        }
        let data = data.iter().map(|name| name.object(&tenancy.name));
        let data = data.chain(parts.iter().map(|part| part.object(&tenancy.name))).collect();
        if tenancy.remote.delete(data).await.is_ok() {
            let marks = marks.iter().map(|mark| mark.object(&tenancy.name)).collect();
            let _ = tenancy.remote.delete(marks).await;
        }
    }

    /// True if the store holds a segment of this claim that its owner never stored. A name alone proves nothing: it has to open.
    async fn holds_foreign(&self, chain: &Chain, survey: &Survey) -> bool {
        let later = self.known().chain.clone();
        for name in chain.foreign(&later, survey) {
            if let Ok(Some(object)) = self.owner.tenancy.data(name).await
                && self.owner.tenancy.open(&object).is_ok()
            {
                return true;
            }
        }
        false
    }

    fn lost(&self) -> MutexGuard<'_, Losses> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, OwnObjects> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked(&self) -> MutexGuard<'_, PendingRequest> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
