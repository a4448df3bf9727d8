//! Doubt: tombstones that name a key which is not configured, or are not encrypted. A peer may have made them, or somebody without a key.
//!
//! Such a one ends no owner that runs, because nobody takes back what it ends: an owner that buried itself for it would make the
//! forger's word its own. Nor does an open go past it: a peer that rotated first may have deleted the session. So it stops, until a person
//! removes it or configures its key (I21). Whoever deletes and knows of an owner above puts another claim on top, which stops that one.

use crate::error::{Cause, Error, Result, stale};
use crate::format::name::{ClaimName, DataName, Mark, Span};
use crate::format::object::Object;
use crate::id::{Claim, hex};
use crate::ownership::decide::{Claims, Local, Survey};

use super::Tenancy;
use super::proof::{Manner, Proof};

impl Tenancy {
    /// `listed`, where the marks went while they were read: no tombstone counts that is not known to be true.
    pub(super) fn unproven(&self, mut listed: Claims) -> Claims {
        let is_doubtful = |claim: &Claim| {
            listed.marks(claim).deleted
                && !self.known.is_proven(&ClaimName { claim: *claim, mark: Mark::Deleted })
        };
        let doubtful: Vec<Claim> = listed.descending().filter(is_doubtful).collect();
        for claim in doubtful.into_iter().filter(|_| !self.ring.is_empty()) {
            listed.judge_tombstone(claim, false);
        }
        listed
    }

    /// True if anything else that is said about the claim of a tombstone was made with one of these keys: all of it is sealed with one.
    pub(super) async fn is_made_with_ours(
        &self,
        claims: &Claims,
        claim: Claim,
        manner: Manner,
    ) -> Result<bool> {
        for name in claims.names(claim).filter(|name| name.mark != Mark::Deleted) {
            if self.proof(name, manner).await? == Proof::Ours {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Error for a tombstone in doubt that covers the newest data. Where what is not encrypted is taken, it counts beside data that is not.
    pub(super) async fn settle_doubt(&self, survey: &mut Survey) -> Result<()> {
        let Some(doubt) = survey.claims.doubt() else { return Ok(()) };
        let is_base = |name: &&DataName| matches!(name.span, Span::Base(_));
        let Some(newest) = survey.data.iter().filter(is_base).map(|name| name.claim).max() else {
            return Ok(());
        };
        if newest > doubt {
            return Ok(());
        }
        let tombstone = ClaimName { claim: doubt, mark: Mark::Deleted };
        let mut is_sealed = self.proof(tombstone, Manner::Patient).await? != Proof::Taken;
        for name in survey.data.iter().filter(|name| is_base(name) && name.claim == newest) {
            is_sealed = is_sealed || self.seal_of(name).await? != Some(Proof::Plain);
        }
        self.require_proof(doubt, is_sealed).await?;
        survey.claims.judge_tombstone(doubt, true);
        Ok(())
    }

    /// Error for a tombstone in doubt that covers the log of this disk, where the store has no data above it.
    pub async fn require_proof_over_log(&self, survey: &Survey, local: Local) -> Result<()> {
        let (floor, doubt) = (survey.claims.floor(), survey.claims.doubt());
        let is_superseded =
            survey.data.iter().any(|name| matches!(name.span, Span::Base(_)) && Some(name.claim) > doubt);
        let is_covered = |claim: Claim| Some(claim) > floor && Some(claim) <= doubt;
        match doubt {
            Some(doubt) if !is_superseded && local.claim().is_some_and(is_covered) => {
                self.require_proof(doubt, false).await
            }
            _ => Ok(()),
        }
    }

    /// True if a base was restored from a history that a tombstone covers: its owner had read the store just before the tombstone
    /// came, and never found out (I10). Only a base that opens says so; an error for a tombstone in doubt.
    pub async fn descends_from_buried(&self, base: &Object, claims: &Claims) -> Result<bool> {
        let origin = base.meta.previous.claim;
        let is_restored = origin != base.meta.claim && origin.epoch > 0;
        if !is_restored || Some(origin) > claims.cover() {
            return Ok(false);
        }
        // What does not open is for the restore to judge.
        if self.with_body(base.clone(), |body| body.is_err()).await {
            return Ok(false);
        }
        match claims.doubt().filter(|_| Some(origin) > claims.floor()) {
            None => Ok(true),
            Some(doubt) => self.require_proof(doubt, !base.is_plain()).await.map(|()| true),
        }
    }

    /// Error for the tombstone of `claim`, which is in doubt, unless what is not encrypted is taken. `is_sealed` says that what it covers is
    /// encrypted: nobody deletes that without a key.
    async fn require_proof(&self, claim: Claim, is_sealed: bool) -> Result<()> {
        let name = ClaimName { claim, mark: Mark::Deleted };
        let needs = match self.proof(name, Manner::Patient).await? {
            Proof::Ours => return Ok(()),
            Proof::Taken if !is_sealed => return Ok(()),
            Proof::Foreign(key) => format!("needs encryption key {}, which is not configured", hex(&key)),
            Proof::Plain => "needs `acceptUnencrypted: true`, because it is not encrypted".to_owned(),
            Proof::Taken => "is not encrypted, and what it deletes is".to_owned(),
            Proof::Forged | Proof::Gone | Proof::Unknown => return Err(stale()),
        };
        let message = format!(
            "a tombstone of this session {needs}; if nobody deleted the session, remove object {claim}{}",
            Mark::Deleted.suffix()
        );
        Err(Error::new(Cause::Keyless, message))
    }
}

/// The error for a tombstone in doubt that an owner goes on in spite of.
pub(super) fn ignored(claim: &Claim) -> Error {
    let message = format!(
        "object {claim}{}: it is not encrypted, or needs a key that is not configured, so that anybody may have made it; it ends no session that runs, and opens may fail until it is removed",
        Mark::Deleted.suffix()
    );
    Error::new(Cause::Keyless, message)
}
