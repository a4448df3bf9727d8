//! Shared listings of claims: one request serves all tenants of a process and store that ask at the same time.
//!
//! An answer always comes from a LIST that *started after* the question (I4): whoever asks while one is under way waits for
//! the next. Who only looks once per tick is content with any LIST that started since that tick. All who wait share one, so a
//! busy fleet pays one listing per round trip and an idle one a listing per tick, whichever of "the whole folder" and "just
//! these tenants" is the smaller download: what an open costs does not grow with the fleet. A listing that is not answered holds up nobody for long: after a while another one is
//! begun, for all who still wait.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use tokio::sync::{Notify, oneshot};

use crate::format::name::{CLAIMS, ClaimName, TenantName};
use crate::ownership::attention::{Attention, NoticeReceiver};
use crate::ownership::decide::Claims;
use crate::platform::host::sleep;
use crate::platform::sync::{Mutex, MutexGuard};
use crate::store::{Failure, Meaning, Rates, RetryingStore};

/// Least time that a question waits for others.
const GATHER: Duration = Duration::from_millis(1);
/// Wait for a page of a listing, three at most, before another listing is begun beside it, and the number of listings.
const LATE: Duration = Duration::from_secs(1);
const MOST: usize = 3;

/// Names per page of a listing, in the stores that page.
const PAGE: u64 = 1000;
/// Names of a tenant of which nothing is known.
const NAMES: u64 = 3;
/// Time for which the size of the folder is taken for what it was.
const KNOWN: Duration = Duration::from_secs(3600);

type Answer = Result<Claims, Failure>;

struct ClaimsQuestion {
    /// Its place among all questions ever asked.
    number: u64,
    tenant: TenantName,
    /// Latest time at which it is to be listed for.
    due: Duration,
    /// A listing that was begun at this time or later answers it, even one begun before it was asked.
    since: Option<Duration>,
    answer: oneshot::Sender<Answer>,
}

#[derive(Default)]
struct Questions {
    /// Questions without an answer, in the order of asking.
    waiting: Vec<ClaimsQuestion>,
    /// Questions asked so far.
    asked: u64,
    busy: bool,
    /// The whole claims folder, as last seen.
    folder: Option<ClaimsListing>,
}

/// The server of a listing. One that ends before its time (a panic) tells those who wait, and the next who asks serves.
struct ServeGuard<'a> {
    listing: &'a SharedListing,
    left: bool,
}

impl Drop for ServeGuard<'_> {
    fn drop(&mut self) {
        if !self.left {
            let mut desk = self.listing.desk();
            desk.busy = false;
            desk.waiting.clear();
        }
    }
}

/// A listing for everybody who asked before it.
struct Round {
    began: Duration,
    /// Questions with a lower number were asked before.
    upto: u64,
    found: ListingAnswer,
}

/// Answer of a listing.
enum ListingAnswer {
    All(Result<ClaimsListing, Failure>),
    These(BTreeMap<TenantName, Answer>),
}

/// The whole claims folder: its names in order, from a LIST that was begun at that time.
#[derive(Clone)]
struct ClaimsListing {
    began: Duration,
    names: Arc<[String]>,
}

impl ClaimsListing {
    fn names_of(&self, prefix: &str) -> impl Iterator<Item = &String> {
        let start = self.names.partition_point(|name| name.as_str() < prefix);
        self.names.iter().skip(start).take_while(move |name| name.starts_with(prefix))
    }

    fn claims(&self, tenant: &TenantName) -> Claims {
        let own = tenant.claims_prefix();
        self.names_of(&own).filter_map(|name| ClaimName::parse(tenant, name)).collect()
    }

    /// True if a listing of the whole folder costs less than questions for `tenants`, each of which may be in a hurry.
    fn is_cheaper(&self, rates: Rates, tenants: &BTreeMap<TenantName, bool>) -> bool {
        let worth = |hurried: bool| if hurried { rates.request } else { rates.regular };
        let names = self.names.len() as u64;
        let dearest = tenants.values().map(|hurried| worth(*hurried)).max().unwrap_or_default();
        let whole = names.div_ceil(PAGE).max(1) * dearest + names * rates.row;
        let each = tenants.iter().map(|(tenant, hurried)| {
            let known = self.names_of(&tenant.claims_prefix()).count() as u64;
            worth(*hurried) + if known == 0 { NAMES.min(names) } else { known } * rates.row
        });
        whole < each.sum()
    }
}

impl Round {
    /// The answer to a question, if this listing has one.
    fn answer(&self, question: &ClaimsQuestion) -> Option<Answer> {
        let is_after = question.number < self.upto;
        match &self.found {
            ListingAnswer::These(answers) if is_after => answers.get(&question.tenant).cloned(),
            ListingAnswer::All(Err(failure)) if is_after => Some(Err(failure.clone())),
            ListingAnswer::All(Ok(folder))
                if is_after || question.since.is_some_and(|since| since <= self.began) =>
            {
                Some(Ok(folder.claims(&question.tenant)))
            }
            _ => None,
        }
    }
}

/// Lists claims for all tenants of a process.
pub struct SharedListing {
    remote: RetryingStore,
    desk: Mutex<Questions>,
    asked: Notify,
    attention: Attention,
}

impl SharedListing {
    /// Listings of the claims in `remote`.
    pub fn new(remote: RetryingStore) -> SharedListing {
        SharedListing {
            remote,
            desk: Mutex::default(),
            asked: Notify::new(),
            attention: Attention::default(),
        }
    }

    /// Notices of changed claims of `tenant` from now on.
    pub fn attention(&self, tenant: &TenantName) -> NoticeReceiver {
        self.attention.of(tenant, &self.remote)
    }

    /// The claims of `tenant`, from a LIST that starts after this call.
    pub async fn claims(self: &Arc<Self>, tenant: &TenantName) -> Answer {
        self.ask(tenant, GATHER, None).await
    }

    /// The same for somebody in no hurry, who looks once per tick: from a LIST that started at `tick` or later. One that is not
    /// under way yet may be begun as late as `within` from now, together with others'.
    pub async fn claims_since(
        self: &Arc<Self>,
        tenant: &TenantName,
        tick: Duration,
        within: Duration,
    ) -> Answer {
        let seen = self.desk().folder.clone().filter(|folder| folder.began >= tick);
        match seen {
            Some(folder) => Ok(folder.claims(tenant)),
            None => self.ask(tenant, within.max(GATHER), Some(tick)).await,
        }
    }

    async fn ask(self: &Arc<Self>, tenant: &TenantName, within: Duration, since: Option<Duration>) -> Answer {
        let (answer, wait) = oneshot::channel();
        let due = self.remote.host().now() + within;
        let idle = {
            let mut desk = self.desk();
            let number = desk.asked;
            desk.asked += 1;
            desk.waiting.push(ClaimsQuestion { number, tenant: tenant.clone(), due, since, answer });
            !std::mem::replace(&mut desk.busy, true)
        };
        if idle {
            let listing = Arc::clone(self);
            self.remote.host().spawn(Box::pin(async move {
                let mut at_desk = ServeGuard { listing: &listing, left: false };
                listing.serve().await;
                at_desk.left = true;
            }));
        } else {
            self.asked.notify_one();
        }
        let gone = |_| Failure::new(Meaning::Transient, "the listing was stopped");
        wait.await.map_err(gone)?
    }

    fn desk(&self) -> MutexGuard<'_, Questions> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(&self) {
        let mut under_way = FuturesUnordered::new();
        let mut began = Duration::ZERO;
        loop {
            let late = began + LATE * self.pages().clamp(1, 3);
            let now = self.remote.host().now();
            let Some(due) = self.due() else { return };
            // One listing at a time, unless it is late.
            let next = if under_way.is_empty() {
                Some(due)
            } else {
                Some(due.max(late)).filter(|_| under_way.len() < MOST)
            };
            if next.is_some_and(|next| next <= now) {
                began = now;
                under_way.push(self.look(now));
                continue;
            }
            tokio::select! {
                biased;
                Some(round) = under_way.next() => self.deliver(&round),
                () = self.asked.notified() => {}
                () = sleep(next.unwrap_or(late).saturating_sub(now)), if next.is_some() => {}
            }
        }
    }

    /// Pages of the claims folder, as last seen.
    fn pages(&self) -> u32 {
        let names = self.desk().folder.as_ref().map_or(0, |folder| folder.names.len());
        u32::try_from((names as u64).div_ceil(PAGE)).unwrap_or(u32::MAX)
    }

    /// Time at which the first of those who wait is due; `None` when nobody waits, and then whoever asks next has to serve.
    fn due(&self) -> Option<Duration> {
        let mut desk = self.desk();
        let due = desk.waiting.iter().map(|question| question.due).min();
        desk.busy = due.is_some();
        due
    }

    /// Lists for everybody who asked so far.
    async fn look(&self, began: Duration) -> Round {
        let (upto, tenants, folder) = {
            let desk = self.desk();
            let mut tenants = BTreeMap::<TenantName, bool>::new();
            for question in &desk.waiting {
                *tenants.entry(question.tenant.clone()).or_default() |= question.since.is_none();
            }
            let known = desk.folder.clone().filter(|folder| began.saturating_sub(folder.began) < KNOWN);
            (desk.asked, tenants, known)
        };
        let rates = self.remote.rates();
        // Of a folder of which nothing is known the first listing tells how large it is.
        let whole = tenants.len() > 1 && folder.is_none_or(|folder| folder.is_cheaper(rates, &tenants));
        let found = if whole {
            ListingAnswer::All(self.all(began).await)
        } else {
            ListingAnswer::These(self.one_by_one(tenants.into_keys()).await)
        };
        Round { began, upto, found }
    }

    fn deliver(&self, round: &Round) {
        let mut desk = self.desk();
        for question in std::mem::take(&mut desk.waiting) {
            match round.answer(&question) {
                // The asker may have gone away.
                Some(answer) => _ = question.answer.send(answer),
                None => desk.waiting.push(question),
            }
        }
    }

    async fn one_by_one(&self, tenants: impl Iterator<Item = TenantName>) -> BTreeMap<TenantName, Answer> {
        let ask = |tenant: TenantName| async move {
            let names = self.remote.list_once(CLAIMS, &tenant.claims_prefix()).await;
            let claims =
                names.map(|names| names.iter().filter_map(|name| ClaimName::parse(&tenant, name)).collect());
            (tenant, claims)
        };
        join_all(tenants.map(ask)).await.into_iter().collect()
    }

    async fn all(&self, began: Duration) -> Result<ClaimsListing, Failure> {
        let mut names = self.remote.list_once(CLAIMS, "").await?;
        names.sort_unstable();
        let folder = ClaimsListing { began, names: names.into() };
        let mut desk = self.desk();
        // One that was late may end after a newer one.
        if desk.folder.as_ref().is_none_or(|seen| seen.began < began) {
            desk.folder = Some(folder.clone());
        }
        Ok(folder)
    }
}

#[cfg(test)]
mod interleaved;
#[cfg(test)]
mod tests;
