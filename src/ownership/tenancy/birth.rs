//! Birth: the claim under which a session began, as `.live` states it. A tombstone below that is one of another session.
//!
//! The base that a session began with is removed after a while, and so are the marks of former owners. So each owner hands the birth on, and
//! the mark of the highest one stays for ever (I2). An owner that began above no tombstone states epoch 0: it is older than all that come.

use crate::error::{Cause, Result};
use crate::format::fields::Fields;
use crate::format::name::{ClaimName, Mark};
use crate::id::Claim;
use crate::ownership::decide::Survey;

use super::Tenancy;

impl Tenancy {
    /// Birth of a session that `me` goes on with from `parent`, or begins; `None` if nothing tells, as with an owner of an older release.
    pub async fn birth(&self, survey: &Survey, me: Claim, parent: Option<Claim>) -> Result<Option<Claim>> {
        match parent {
            None => Ok(Some(me)),
            // Whoever begins a session above a tombstone sees that one, and so does everybody after.
            Some(_) if survey.claims.cover().is_none() => Ok(Some(Claim::default())),
            Some(parent) if survey.claims.marks(&parent).live => match self.birth_of(parent).await {
                // An open that lacks a key learns of it elsewhere.
                Err(error) if error.cause == Cause::Keyless => Ok(None),
                birth => birth,
            },
            Some(_) => Ok(None),
        }
    }

    /// Birth of the session of `claim`, as its owner states it.
    pub async fn birth_of(&self, claim: Claim) -> Result<Option<Claim>> {
        let body = match self.mark(&ClaimName { claim, mark: Mark::Live }).await {
            Ok(Some(live)) => self.open(&live),
            Ok(None) => return Ok(None),
            Err(error) => Err(error),
        };
        match body {
            Ok(body) => Ok(Fields::of(&body).claim()),
            Err(error) if error.cause.is_loss() => Ok(None),
            Err(error) => Err(error),
        }
    }
}
