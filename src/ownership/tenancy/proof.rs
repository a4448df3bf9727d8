//! Proof of names: a name in the claims folder is believed once an object behind it was made by somebody with a key.
//!
//! Whoever can write to a bucket can make any name. Where keys are configured, the names that decide something (the highest claim,
//! the highest tombstone, a claim whose base is missing, whose history goes on) are read and opened, each once. What nobody
//! with a key made is told, never removed, and decides nothing (I21). What names a key that is not configured, or is not
//! encrypted, is a peer's that rotated first, or did not yet, as far as anybody here can know: its claim stops an owner, and its
//! tombstone is in `doubt`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::timeout;

use crate::error::{Cause, Error, Result};
use crate::format::name::{ClaimName, DataName, Mark, Span};
use crate::format::object::Object;
use crate::format::seal::KeyId;
use crate::id::Claim;
use crate::ownership::decide::{Claims, Survey};

use super::Tenancy;
use super::doubt::ignored;

/// An epoch that is so much higher than the one below it was not reached by opening sessions.
const LEAP: u64 = 1 << 32;

/// The worth of the object behind a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// Made with one of these keys.
    Ours,
    /// Not encrypted, which is taken here.
    Taken,
    /// Names a key that is not configured.
    Foreign(KeyId),
    /// Not encrypted.
    Plain,
    /// Made without a key.
    Forged,
    /// No longer in the store.
    Gone,
    /// No answer of the store in time.
    Unknown,
}

/// Knowledge of the names of a tenant.
#[derive(Default)]
pub struct NameProofs(Mutex<Book>);

#[derive(Default)]
struct Book {
    proofs: BTreeMap<ClaimName, Proof>,
    /// Marks that were read: each has one content only (I1).
    read: BTreeMap<ClaimName, Object>,
    /// Claims whose history is not encrypted, and lies above one that is.
    bare: BTreeSet<Claim>,
    /// Tombstones of which somebody was told that nobody can tell who made them.
    doubted: BTreeSet<Claim>,
    /// Forgeries and doubts that nobody was told of yet.
    news: VecDeque<Error>,
}

impl NameProofs {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `name` is said by this very process.
    pub fn trust(&self, name: ClaimName) {
        self.book().proofs.insert(name, Proof::Ours);
    }

    /// A mark that was read before.
    pub(super) fn read_before(&self, name: &ClaimName) -> Option<Object> {
        self.book().read.get(name).cloned()
    }

    pub(super) fn keep(&self, name: ClaimName, object: &Object) {
        self.book().read.insert(name, object.clone());
    }

    /// Something that a person has to look at.
    pub(super) fn tell(&self, error: Error) {
        self.book().news.push_back(error);
    }

    /// The tombstone of `claim` ends nobody who runs, as nobody can tell who made it. Told once.
    pub fn ignore_tombstone(&self, claim: Claim) {
        let mut book = self.book();
        if book.doubted.insert(claim) {
            book.news.push_back(ignored(&claim));
        }
    }

    /// True if anything that is said about `claim` is known to be sealed with one of these keys.
    fn is_of_ours(&self, claim: &Claim) -> bool {
        let of = |mark| ClaimName { claim: *claim, mark };
        let marks = [Mark::Claimed, Mark::Live, Mark::Leaving, Mark::Released, Mark::Deleted];
        marks.into_iter().any(|mark| self.is_proven(&of(mark)))
    }

    /// True if somebody with a key is known to have said it.
    pub(super) fn is_proven(&self, name: &ClaimName) -> bool {
        self.book().proofs.get(name) == Some(&Proof::Ours)
    }

    /// Takes what was found to be forged since the last call.
    pub fn take_news(&self) -> Vec<Error> {
        self.book().news.drain(..).collect()
    }

    /// The history of `claim` is not encrypted, and lies above one that is. Told once.
    fn lay_bare(&self, claim: Claim) {
        let mut book = self.book();
        if book.bare.insert(claim) {
            book.news.push_back(forged(&ClaimName { claim, mark: Mark::Claimed }));
        }
    }

    fn note(&self, name: ClaimName, proof: Proof) {
        let mut book = self.book();
        let before = book.proofs.insert(name, proof);
        if proof == Proof::Forged && before != Some(Proof::Forged) {
            book.news.push_back(forged(&name));
        }
    }
}

fn forged(name: &ClaimName) -> Error {
    let message = format!(
        "object {}{}: it was made without a key of this session; it is ignored and should be removed",
        name.claim,
        name.mark.suffix()
    );
    Error::new(Cause::Damaged, message)
}

/// The time that the store may take to tell what stands behind a name.
#[derive(Debug, Clone, Copy)]
pub(super) enum Manner {
    /// As long as the store is tried at all: without it, nothing is decided.
    Patient,
    /// An owner that is perhaps refused does not wait for long: it takes a claim for what it says it is.
    Within(Duration),
}

impl Tenancy {
    /// `claims` without what nobody with a key made, as far as it decides something. `None`: something went meanwhile, list again.
    pub(super) async fn proven(&self, mut claims: Claims, manner: Manner) -> Result<Option<Claims>> {
        if self.ring.is_empty() {
            return Ok(Some(claims));
        }
        for claim in claims.descending().collect::<Vec<_>>() {
            match self.proof_of(&claims, claim, manner).await? {
                // A peer for which encryption is not switched on yet may be quicker than one for which it is.
                Proof::Ours | Proof::Taken | Proof::Foreign(_) | Proof::Plain | Proof::Unknown => break,
                Proof::Forged => claims.forget(claim),
                Proof::Gone => return Ok(None),
            }
        }
        while let Some(claim) = claims.floor() {
            let name = ClaimName { claim, mark: Mark::Deleted };
            match self.proof(name, manner).await? {
                Proof::Ours => break,
                // The one that counts may be below it.
                Proof::Taken | Proof::Plain | Proof::Foreign(_)
                    if !self.is_made_with_ours(&claims, claim, manner).await? =>
                {
                    claims.judge_tombstone(claim, false);
                }
                Proof::Taken | Proof::Plain | Proof::Foreign(_) => {
                    self.known.note(name, Proof::Forged);
                    claims.unsay(name);
                }
                // Nobody ends a session for a tombstone that could not be read: the next look will see it again.
                Proof::Forged | Proof::Unknown => claims.unsay(name),
                Proof::Gone => return Ok(None),
            }
        }
        Ok(Some(claims))
    }

    /// `survey` without data and marks that would say where the history is, and that nobody with a key made.
    pub(super) async fn proven_history(&self, survey: &mut Survey) -> Result<()> {
        let newest = |survey: &Survey| {
            let bases = survey.data.iter().filter(|name| matches!(name.span, Span::Base(_)));
            bases.map(|name| name.claim).max()
        };
        if self.ring.is_empty() {
            // Where its marks were lost, whoever claims next must be above it all the same.
            if let Some(claim) = newest(survey) {
                survey.claims.admit(claim);
            }
            return Ok(());
        }
        self.settle_doubt(survey).await?;
        let mut laid = false;
        while let Some(claim) = newest(survey) {
            let proof = self.proof_of(&survey.claims, claim, Manner::Patient).await?;
            let is_unproven = matches!(proof, Proof::Forged | Proof::Gone);
            if is_unproven && self.is_forged_data(survey, claim).await? {
                self.known.note(ClaimName { claim, mark: Mark::Claimed }, Proof::Forged);
                survey.claims.forget(claim);
            } else if self.is_plain_above_sealed(survey, claim).await? {
                // Its claim stays: whoever claims next is above it.
                self.known.lay_bare(claim);
                survey.claims.unsay(ClaimName { claim, mark: Mark::Live });
                laid = true;
            } else {
                // Whoever claims next must be above all that has data.
                survey.claims.admit(claim);
                break;
            }
            survey.data.retain(|name| name.claim != claim);
        }
        // A claim that is live says that its base is missing, if it is.
        while let Some(claim) = survey.claims.newest_live().filter(|live| newest(survey) < Some(*live)) {
            let name = ClaimName { claim, mark: Mark::Live };
            let is_false = self.proof(name, Manner::Patient).await? == Proof::Forged
                || (laid && self.mark(&name).await?.is_some_and(|mark| mark.is_plain()));
            if !is_false {
                break;
            }
            survey.claims.unsay(name);
        }
        Ok(())
    }

    /// True if a mark of a claim is true, as far as it can be known.
    pub async fn is_said(&self, name: ClaimName) -> Result<bool> {
        if self.ring.is_empty() {
            return Ok(true);
        }
        Ok(self.proof(name, Manner::Patient).await? != Proof::Forged)
    }

    /// True if all bases are forged of a claim of which no mark proves anything.
    async fn is_forged_data(&self, survey: &Survey, claim: Claim) -> Result<bool> {
        let is_base = |name: &&DataName| name.claim == claim && matches!(name.span, Span::Base(_));
        for name in survey.data.iter().filter(is_base) {
            let proof = match self.data(name).await {
                Ok(Some(object)) => self.judge(&object, None),
                Ok(None) => Proof::Gone,
                Err(error) if error.cause.is_loss() => Proof::Forged,
                Err(error) => return Err(error),
            };
            if proof != Proof::Forged {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// True if the history of a claim is not encrypted and one below it is: nobody without a key could have gone on from that.
    async fn is_plain_above_sealed(&self, survey: &Survey, claim: Claim) -> Result<bool> {
        if !self.ring.takes_plain() {
            return Ok(false);
        }
        let floor = survey.claims.floor();
        let bases = || survey.data.iter().filter(|name| matches!(name.span, Span::Base(_)));
        for name in bases().filter(|name| name.claim == claim) {
            if self.seal_of(name).await? != Some(Proof::Plain) {
                return Ok(false);
            }
        }
        for name in bases().filter(|name| name.claim < claim && Some(name.claim) > floor) {
            if self.seal_of(name).await? == Some(Proof::Ours) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The seal of a base, whatever is taken; `None` if it is gone, or proves nothing.
    pub(super) async fn seal_of(&self, name: &DataName) -> Result<Option<Proof>> {
        match self.data(name).await {
            Ok(Some(object)) if object.is_plain() => Ok(Some(Proof::Plain)),
            Ok(Some(object)) => Ok(Some(self.judge(&object, None))),
            Ok(None) => Ok(None),
            Err(error) if error.cause.is_loss() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The proof of the first mark of a claim that proves anything.
    async fn proof_of(&self, claims: &Claims, claim: Claim, manner: Manner) -> Result<Proof> {
        let mut worst = Proof::Gone;
        for name in claims.names(claim) {
            match self.proof(name, manner).await? {
                Proof::Gone => {}
                Proof::Forged => worst = Proof::Forged,
                // An epoch that nobody could have come to, and nothing here that proves it.
                Proof::Foreign(_) | Proof::Plain | Proof::Taken if self.leaps(claims, claim) => {
                    self.known.note(name, Proof::Forged);
                    worst = Proof::Forged;
                }
                proof => return Ok(proof),
            }
        }
        Ok(worst)
    }

    fn leaps(&self, claims: &Claims, claim: Claim) -> bool {
        let below = claims.descending().find(|other| *other < claim).map_or(0, |other| other.epoch);
        claim.epoch - below > LEAP
    }

    pub(super) async fn proof(&self, name: ClaimName, manner: Manner) -> Result<Proof> {
        if let Some(proof) = self.known.book().proofs.get(&name) {
            return Ok(*proof);
        }
        let read = match manner {
            Manner::Patient => self.mark(&name).await,
            Manner::Within(limit) => match timeout(limit, self.mark_once(&name)).await {
                Ok(Ok(read)) => Ok(read),
                Ok(Err(error)) if error.cause.is_loss() => Err(error),
                Ok(Err(_)) | Err(_) => return Ok(Proof::Unknown),
            },
        };
        let proof = match read {
            // It may be stored again, and is not remembered.
            Ok(None) => return Ok(Proof::Gone),
            Ok(Some(object)) => self.judge(&object, Some(name)),
            Err(error) if error.cause.is_loss() => Proof::Forged,
            Err(error) => return Err(error),
        };
        self.known.note(name, proof);
        Ok(proof)
    }

    fn judge(&self, object: &Object, name: Option<ClaimName>) -> Proof {
        // All that is said about a claim is sealed with one key.
        let is_ours = name.is_some_and(|name| self.known.is_of_ours(&name.claim));
        match object.key_id() {
            None if is_ours => return Proof::Forged,
            None if self.ring.takes_plain() => return Proof::Taken,
            None => return Proof::Plain,
            Some(key) if !self.ring.ids().contains(&key) => {
                return if is_ours { Proof::Forged } else { Proof::Foreign(key) };
            }
            Some(_) => {}
        }
        match object.body(&self.ring) {
            Ok(_) => Proof::Ours,
            Err(_) => Proof::Forged,
        }
    }
}
