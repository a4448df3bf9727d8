//! Ownership while a session runs: acknowledge, hand over, leave.
//!
//! Nothing is acknowledged without a LIST that started after it was stored and shows this claim as the highest (I4). Whoever
//! is fenced first stores what was on its way, then what it accepted since, and only then says that this is all (I5, I20).

use std::time::Duration;

use crate::error::Result;
use crate::event::Event;
use crate::host::sleep;
use crate::id::Lsn;
use crate::journal::Life;
use crate::name::Mark;
use crate::owner::{Standing, patience};
use crate::restore::opening_base;

use super::{Flow, MAX_PAUSE, Replicator};

/// How long the first check of a tick waits for those of other tenants: a thousand that tick together do not wake in the same
/// millisecond.
const COMPANY: Duration = Duration::from_millis(50);

impl Replicator {
    /// Checks ownership, and acknowledges `shipped` if it still holds. A check that nobody waits for is not `needed`: it is
    /// given up when the store does not answer.
    pub(super) async fn acknowledge(
        &mut self,
        mut shipped: Option<(Lsn, u64)>,
        mut needed: bool,
    ) -> Result<Flow> {
        let mut delays = self.owner.tenancy.remote.backoff(MAX_PAUSE);
        loop {
            let (since, answer) = if needed {
                (self.now(), self.answer(self.owner.check()).await)
            } else {
                let (tick, company) = (self.tick(), COMPANY.min(self.pace.check_interval / 20));
                (tick, self.answer(self.owner.check_since(tick, company)).await)
            };
            let Some(answer) = answer else { return Ok(Flow::Stop) };
            match answer {
                Ok(Standing::Owner) => {
                    self.checked_at = since;
                    self.journal.confirm(since);
                    // Whoever waits for the acknowledgement finds it in the status: that comes first.
                    let recovered = self.recover(shipped.is_some());
                    if let Some((lsn, bytes)) = shipped {
                        self.journal.acknowledge(lsn);
                        (self.events)(Event::Backup { lsn, bytes });
                    }
                    if recovered {
                        self.tell_recovered();
                    }
                    return Ok(Flow::Go);
                }
                Ok(Standing::Fenced(_)) => return self.hand_over().await,
                Ok(Standing::Forgotten) => {
                    if self.refill().await? == Flow::Stop {
                        return Ok(Flow::Stop);
                    }
                    // The new base holds everything up to here, whether it was shipped before or not.
                    (shipped, needed) = (Some((self.head.lsn, self.base_bytes)), true);
                }
                Err(failure) => {
                    let planned = delays.next().unwrap_or(MAX_PAUSE);
                    if self.suffer(&failure, planned).await == Flow::Stop {
                        return Ok(Flow::Stop);
                    }
                    if !needed {
                        self.checked_at = self.now();
                        return Ok(Flow::Go);
                    }
                }
            }
        }
    }

    /// A newer owner waits: accept nothing more, store what was accepted, and say that this is all.
    pub(super) async fn hand_over(&mut self) -> Result<Flow> {
        self.journal.end(Life::Fenced);
        tracing::warn!("a newer instance owns this session");
        (self.events)(Event::Fenced);
        // The successor waits no longer than this; nor do we.
        let budget = patience(self.pace.check_interval);
        let work = async {
            loop {
                let shipment = match self.on_the_way.clone() {
                    Some(shipment) => shipment,
                    None => match self.journal.cut(false)? {
                        Some(cut) => self.load(&cut).await?,
                        None => break,
                    },
                };
                self.insist(&shipment.name, shipment.bytes).await?;
                self.landed();
            }
            let (name, bytes) = self.owner.mark(Mark::Released, self.head)?;
            self.insist(&name, bytes).await
        };
        let done = tokio::time::timeout(budget, work).await;
        let handed_over = matches!(done, Ok(Ok(())));
        if handed_over {
            self.journal.hand_over();
        }
        self.note(|health| health.handed_over = handed_over);
        // Where there is a log nobody waits: what was resolved is in it.
        let waiting = !self.journal.keeps_log() && self.journal.progress().stored < self.head.lsn;
        if handed_over && waiting && tokio::time::timeout(budget, self.is_continued()).await == Ok(true) {
            self.journal.acknowledge(self.head.lsn);
        }
        Ok(Flow::Stop)
    }

    /// Whether the newer owner went on from the very end of this history. Its first base says so; and it counts only if a later
    /// listing shows that owner as the highest, as nobody else can then have gone on from less (I4).
    async fn is_continued(&self) -> bool {
        let tenancy = &self.owner.tenancy;
        loop {
            if let Ok(survey) = tenancy.survey().await
                && let Some(highest) = survey.claims.highest()
                && let Some(first) = opening_base(&survey.data, highest)
                && let Ok(Some(base)) = tenancy.data(first).await
            {
                if base.meta.previous != self.head {
                    return false;
                }
                if tenancy.claims().await.is_ok_and(|claims| claims.highest() == Some(highest)) {
                    return true;
                }
            }
            sleep(self.pace.check_interval / 10).await;
        }
    }

    /// The session is being closed: store the rest, and let go.
    pub(super) async fn leave(&mut self) -> Result<Flow> {
        while self.journal.pending()?.is_some() {
            if self.ship().await? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        if self.acknowledge(None, true).await? == Flow::Stop {
            return Ok(Flow::Stop);
        }
        // Sessions that are closed soon after they were opened must not leave more and more behind; nor may any answer hold up
        // a close for longer than it may take.
        self.settle(self.pace.check_interval).await;
        if let Err(error) = self.owner.release(self.head).await {
            // Everything is stored; only a successor on another machine has to wait a little.
            self.note(|health| health.last_error = Some(error));
        }
        self.journal.end(Life::Closed);
        Ok(Flow::Stop)
    }
}
