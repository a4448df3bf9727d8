//! The preflight of an open: whether it could succeed, found out before anything is claimed.
//!
//! A claim ends whoever runs now. An instance with a wrong key, without a session to restore, or with a damaged store in
//! front of it must not make one.

use crate::error::{Cause, Result, Staleness};
use crate::event::Event;
use crate::format::name::{ClaimName, Mark};
use crate::id::{Claim, OwnerId};
use crate::ownership::decide::{Local, Source, Survey};
use crate::ownership::naming;
use crate::ownership::tenancy::Tenancy;
use crate::replication::restore::load;

use super::{Address, Opening, missing};

impl Opening {
    /// Finds out whether this open could succeed, before it claims anything: a claim ends whoever runs now, and an instance
    /// with a wrong key or a damaged store in front of it must not. Gives the survey that the claim is made above.
    pub(super) async fn preflight(&self, tenancy: &Tenancy, local: Local, seeded: bool) -> Result<Survey> {
        let mut left = Staleness::default();
        loop {
            let survey = tenancy.survey().await?;
            for error in tenancy.known.take_news() {
                (self.events)(Event::Failed(error));
            }
            // Whatever claim comes of it, it is above all of these.
            let me = Claim { epoch: survey.claims.next_epoch(), owner: OwnerId([u8::MAX; 16]) };
            match self.could(tenancy, &survey, &me, local, seeded).await {
                Ok(()) => return Ok(survey),
                // An owner that runs removes and adds objects meanwhile. What is damaged stays so until it stores another base,
                // which is not worth waiting for here: nothing is claimed, and the next open sees it.
                Err(error) => left.again(error)?,
            }
        }
    }

    pub(super) async fn could(
        &self,
        tenancy: &Tenancy,
        survey: &Survey,
        me: &Claim,
        local: Local,
        seeded: bool,
    ) -> Result<()> {
        tenancy.require_proof_over_log(survey, local).await?;
        let found = match self.home.decide(survey, me, local, self.settings.permissions.allowed, true) {
            // What vanished is perhaps there, under another name.
            Err(error) if error.cause == Cause::Vanished && survey.data.is_empty() => {
                self.require_only_name(tenancy).await?;
                return Err(error);
            }
            found => found?,
        };
        if found.parent.is_none() {
            self.require_only_name(tenancy).await?;
        }
        match (found.source, found.parent) {
            // Somebody may be running now: only a restore that was verified from end to end justifies ending it.
            (Source::Remote(_), Some(parent)) if survey.claims.predecessor(me).is_some() => {
                match load(tenancy, survey, parent).await {
                    Ok(restored) => self.require_identity(&restored.state),
                    Err(error) if error.cause == Cause::Buried && self.settings.permissions.allowed.fresh => {
                        Ok(())
                    }
                    Err(error) => Err(error),
                }
            }
            (Source::Remote(_) | Source::Local, Some(parent)) => {
                // The claim itself is small and sealed with the same keys.
                let mark = ClaimName { claim: parent, mark: Mark::Claimed };
                let opened = match tenancy.mark(&mark).await {
                    Ok(Some(object)) => tenancy.open(&object).map(|_| ()),
                    Ok(None) => Ok(()),
                    Err(error) => Err(error),
                };
                // That it is damaged says nothing about the data.
                if matches!(&opened, Err(error) if error.cause.is_loss()) { Ok(()) } else { opened }
            }
            (Source::Fresh, _) => {
                if seeded {
                    self.home.takes_in()?;
                } else if !self.settings.permissions.create {
                    return Err(missing());
                }
                if self.settings.address.hide_tenant {
                    naming::leave_mark(tenancy).await?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Checks that this session is not in the store under another name.
    pub(super) async fn require_only_name(&self, tenancy: &Tenancy) -> Result<()> {
        let Address { tenant, hide_tenant, .. } = &self.settings.address;
        naming::require_only(tenancy, tenant, *hide_tenant).await
    }
}
