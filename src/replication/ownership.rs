//! Ownership while a session runs: acknowledge, hand over, leave.
//!
//! Nothing is acknowledged without a LIST that started after it was stored and shows this claim as the highest (I4). Whoever
//! is fenced first stores what was on its way, then what it accepted since, and only then says that this is all (I5, I20).

use std::convert::Infallible;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::timeout;

use crate::error::{Code, Error, Result};
use crate::event::{Event, Level};
use crate::format::name::Mark;
use crate::format::object::Link;
use crate::id::{Claim, Lsn};
use crate::journal::Life;
use crate::ownership::decide::Survey;
use crate::ownership::lease::{Standing, handover_wait, linger};
use crate::platform::host::sleep;
use crate::replication::restore::opening_bases;
use crate::store::{Failure, Meaning};

use super::stop::{NoAnswer, Stop, Work};
use super::{MAX_PAUSE, PendingPut, Replicator, Shipment};

/// Time that the first check of a tick waits for those of other tenants: a thousand that tick together do not wake in the same
/// millisecond.
const COMPANY: Duration = Duration::from_millis(50);

impl Replicator {
    /// Checks ownership, and acknowledges `shipped` if it still holds. A check that nobody waits for is not `needed`: it is
    /// given up when the store does not answer: the lookout goes on trying.
    pub(super) async fn acknowledge(&mut self, mut shipped: Option<(Lsn, u64)>, mut needed: bool) -> Work {
        let mut delays = self.owner.tenancy.remote.backoff(MAX_PAUSE);
        let mut filled = false;
        loop {
            // A listing in which the last object was stored already says as much as another one.
            let looked = self.looked.take().filter(|_| shipped.is_some());
            let look = async {
                if let Some((since, standing)) = looked {
                    return Ok((since, standing));
                }
                self.lookout.quiet().await;
                if needed {
                    let since = self.now();
                    return self.owner.check().await.map(|standing| (since, standing));
                }
                let (tick, company) = (self.lookout.tick(), COMPANY.min(self.pace.check_interval / 20));
                self.owner.check_since(tick, company).await.map(|standing| (tick, standing))
            };
            match self.answer(look).await {
                Ok((_, Standing::Owner)) if self.is_elsewhere() => {
                    self.follow().await?;
                    (shipped, needed) = (Some((self.head.lsn, self.chain.base().bytes)), true);
                }
                Ok((since, Standing::Owner)) => {
                    self.lookout.checked(since);
                    self.journal.confirm(since);
                    let recovered = self.recover(shipped.is_some());
                    if recovered {
                        // It may have come back as it was before.
                        self.audits.hurry(self.now());
                    }
                    let tell = || {
                        if let Some((lsn, bytes)) = shipped {
                            (self.events)(Event::Backup { lsn, bytes });
                        }
                        if recovered {
                            self.tell_recovered();
                        }
                    };
                    match shipped {
                        Some((lsn, _)) => self.journal.acknowledge(lsn, tell),
                        None => tell(),
                    }
                    return Ok(());
                }
                Ok((_, Standing::Fenced(_))) => {
                    self.lookout.fence();
                    return Err(Stop::Ended);
                }
                Ok((_, Standing::Deleted)) => {
                    self.lookout.bury();
                    return Err(Stop::Ended);
                }
                // It took all of it just now: a listing that is behind does not get better by taking it once more.
                Ok((_, Standing::Forgotten)) if filled => {
                    filled = false;
                    let failure =
                        Failure::new(Meaning::Transient, "the store does not list what it has just taken");
                    self.back_off(&failure, delays.next().unwrap_or(MAX_PAUSE)).await?;
                }
                Ok((_, Standing::Forgotten)) => {
                    self.refill().await?;
                    filled = true;
                    // The new base holds everything up to here, whether it was shipped before or not.
                    (shipped, needed) = (Some((self.head.lsn, self.chain.base().bytes)), true);
                }
                Err(NoAnswer::Ended) => return Err(Stop::Ended),
                Err(NoAnswer::Failed(failure)) => {
                    self.lookout.heed(&failure);
                    self.back_off(&failure, delays.next().unwrap_or(MAX_PAUSE)).await?;
                    if !needed {
                        self.lookout.missed(self.now());
                        return Ok(());
                    }
                }
            }
        }
    }

    /// The session was deleted by a tombstone below this claim, which gets one of its own: what was stored here goes the same way,
    /// however old the base becomes by which a successor could tell (I10).
    pub(super) async fn bury(&self) {
        let buried = timeout(handover_wait(self.pace.check_interval), self.owner.bury()).await;
        if !matches!(buried, Ok(Ok(()))) {
            let note = "this session was deleted, and the tombstone could not be stored here as well";
            (self.events)(Event::Note(Level::Warn, note.to_owned()));
        }
    }

    /// A newer owner waits, and nothing more is accepted: store what was, and say that this is all; unless the session is deleted meanwhile.
    pub(super) async fn hand_over(&mut self) -> Result<()> {
        let mut progress = self.journal.follow();
        tokio::select! {
            biased;
            _ = progress.wait_for(|progress| progress.life == Life::Deleted) => Ok(()),
            done = self.hand_over_rest() => done,
        }
    }

    /// Stores the rest, and says so.
    ///
    /// The newer owner waits for `within` from its claim on, and, once it sees that this one is leaving, for `linger`.
    async fn hand_over_rest(&mut self) -> Result<()> {
        self.lookout.fence();
        let interval = self.pace.check_interval;
        let owner = Arc::clone(&self.owner);
        let said = AtomicBool::new(false);
        let began = self.now();
        let done = {
            let mut work = pin!(self.store_the_rest());
            let mut leaving = pin!(async {
                // Most are done at once.
                sleep(interval / 4).await;
                let (name, bytes) = owner.mark(Mark::Leaving, Link::default())?;
                owner.tenancy.remote.put(&name, bytes).await?;
                said.store(true, Ordering::Relaxed);
                Ok::<(), Error>(())
            });
            let mut mark = None;
            loop {
                let budget =
                    if said.load(Ordering::Relaxed) { linger(interval) } else { handover_wait(interval) };
                let left = (began + budget).saturating_sub(owner.tenancy.host().now());
                tokio::select! {
                    biased;
                    done = &mut work => break done.is_ok(),
                    said = &mut leaving, if mark.is_none() => mark = Some(said),
                    () = sleep(left) => break false,
                }
            }
        };
        let lsn = self.journal.lsn();
        if done && self.journal.progress().stored < lsn {
            // The newer owner may have gone on from less: what it went on from is in its first base.
            if timeout(handover_wait(interval), self.is_continued()).await == Ok(true) {
                self.journal.acknowledge(lsn, || {});
            }
        }
        let handed_over = self.journal.progress().stored >= lsn;
        if handed_over {
            self.journal.hand_over();
        }
        self.note(|health| health.handed_over = handed_over);
        Ok(())
    }

    /// Stores what was on its way, what was accepted since, and where that ends.
    async fn store_the_rest(&mut self) -> Result<()> {
        if self.is_elsewhere() {
            self.leave_whole().await?;
        }
        loop {
            if self.on_the_way.is_none() {
                self.on_the_way = self.skipped.pop_front();
            }
            let shipment = match self.on_the_way.clone() {
                Some(shipment) => shipment,
                None => match self.journal.cut(false)? {
                    Some(cut) => self.load(&cut).await?,
                    None => break,
                },
            };
            let interrupted = self.interrupted.get_mut().unwrap_or_else(PoisonError::into_inner).take();
            self.finish(interrupted, shipment).await?;
            self.landed();
        }
        let (name, bytes) = self.owner.mark(Mark::Released, self.head)?;
        self.put_until_stored(&name, bytes).await
    }

    /// Stores a shipment, whose PUT may be `interrupted`: that one may end well, and one that keeps silent is repeated beside it.
    async fn finish(&self, interrupted: Option<PendingPut>, shipment: Shipment) -> Result<()> {
        let Shipment { name, bytes, .. } = shipment;
        let mut again = pin!(self.put_until_stored(&name, bytes));
        let Some((_, mut first)) = interrupted.filter(|(interrupted, _)| *interrupted == name) else {
            return again.await;
        };
        match timeout(self.pace.check_interval, &mut first).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => again.await,
            Err(_) => tokio::select! {
                biased;
                first = first => if first.is_ok() { Ok(()) } else { again.await },
                again = &mut again => again,
            },
        }
    }

    /// True if the newer owner went on from the very end of this history. Its first base says so; and it counts only if a later
    /// listing shows that owner as the highest, as nobody else can then have gone on from less (I4).
    async fn is_continued(&self) -> bool {
        let tenancy = &self.owner.tenancy;
        loop {
            if let Ok(survey) = tenancy.survey().await
                && let Some(highest) = survey.claims.highest()
                && let Ok(Some(origin)) = self.origin(&survey, highest).await
            {
                if origin != self.head {
                    return false;
                }
                if tenancy.claims().await.is_ok_and(|claims| claims.highest() == Some(highest)) {
                    return true;
                }
            }
            sleep(self.pace.check_interval / 10).await;
        }
    }

    /// Start of the history of `claim`: of its first bases the one that was restored from another history says so. Another one of
    /// the same LSN is the same state, stored anew.
    async fn origin(&self, survey: &Survey, claim: Claim) -> Result<Option<Link>> {
        let mut found = None;
        for name in opening_bases(&survey.data, claim) {
            let Some(base) = self.owner.tenancy.data(name).await? else { return Ok(None) };
            // Anybody can write what a header says.
            self.owner.tenancy.with_body(base.clone(), |body| body.map(drop)).await?;
            if base.meta.previous.claim != claim {
                return Ok(Some(base.meta.previous));
            }
            found = Some(base.meta.previous);
        }
        Ok(found)
    }

    /// A copy of this process writes under the same claim, so that no listing tells the two apart: this one ends, and an open after
    /// that has a claim of its own, by which the other one is refused.
    pub(super) fn give_way(&self) -> Stop {
        let message = "another process writes under the claim of this session, for example a copy of a running machine: close the socket and open again, on one machine only";
        let error = Error::new(Code::LeaseLost, message);
        self.note(|health| health.last_error = Some(error.clone()));
        (self.events)(Event::Failed(error));
        self.journal.end(Life::LeaseLost);
        Stop::Ended
    }

    /// The session is being closed: store the rest, and let go.
    pub(super) async fn leave(&mut self) -> Work<Infallible> {
        if self.collector.has_losses() {
            self.mend().await?;
        }
        while self.journal.pending()?.is_some() {
            self.ship().await?;
        }
        self.acknowledge(None, true).await?;
        // Sessions that are closed soon after they were opened must not leave more and more behind; nor may any answer hold up
        // a close for longer than it may take.
        self.settle(self.pace.check_interval).await;
        if self.is_fenced() {
            return Err(Stop::Ended);
        }
        if self.collector.is_forked() {
            return Err(self.give_way());
        }
        if let Err(error) = self.owner.release(self.head).await {
            // Everything is stored; only a successor on another machine has to wait a little.
            let error = error.reworded(|message| {
                format!(
                    "everything is stored, but the release is not; the next open on another machine has to wait: {message}"
                )
            });
            self.note(|health| health.last_error = Some(error.clone()));
            (self.events)(Event::Failed(error));
        }
        self.note(|health| health.let_go = true);
        self.journal.end(Life::Closed);
        Err(Stop::Ended)
    }
}
