//! The ownership watch: listings of claims, shared by all tenants of a process and store.
//!
//! An answer always comes from a LIST that *started after* the question (I4): whoever asks while one is under way waits for
//! the next. All who wait share it, so a busy fleet pays one listing per round trip and an idle one a listing per tick,
//! whichever of "the whole folder" and "just these tenants" is fewer requests. A listing that is not answered holds up nobody
//! for long: after a while another one is begun, for all who still wait.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use tokio::sync::{Notify, oneshot};

use crate::host::sleep;
use crate::name::{CLAIMS, ClaimName, TenantName};
use crate::plan::Claims;
use crate::remote::{Failure, Meaning, Remote};

/// How long a question waits for others at the least.
const GATHER: Duration = Duration::from_millis(1);
/// How long a listing is waited for before another one is begun beside it, and how many there may be.
const LATE: Duration = Duration::from_secs(3);
const MOST: usize = 3;

/// Names per page of a listing, in the stores that page.
const PAGE: usize = 1000;

type Answer = Result<Claims, Failure>;

struct Question {
    /// Its place among all questions ever asked.
    number: u64,
    tenant: TenantName,
    /// When it wants to be listed for at the latest.
    due: Duration,
    answer: oneshot::Sender<Answer>,
}

#[derive(Default)]
struct Desk {
    /// Questions without an answer, in the order of asking.
    waiting: Vec<Question>,
    /// Questions asked so far.
    asked: u64,
    busy: bool,
    /// Pages of the whole claims folder, as last seen.
    pages: usize,
}

/// A listing for everybody who asked before it.
struct Round {
    /// Questions with a lower number were asked before.
    upto: u64,
    tenants: Vec<TenantName>,
    pages: usize,
}

/// Lists claims for all tenants of a process.
pub struct Watch {
    remote: Remote,
    desk: Mutex<Desk>,
    asked: Notify,
}

impl Watch {
    /// A watch over the claims in `remote`.
    pub fn new(remote: Remote) -> Watch {
        Watch { remote, desk: Mutex::default(), asked: Notify::new() }
    }

    /// The claims of `tenant`, from a LIST that starts after this call.
    pub async fn claims(self: &Arc<Self>, tenant: &TenantName) -> Answer {
        self.claims_within(tenant, GATHER).await
    }

    /// The same for somebody in no hurry: the LIST may be begun as late as `patience` from now, together with others'.
    pub async fn claims_within(self: &Arc<Self>, tenant: &TenantName, patience: Duration) -> Answer {
        let (answer, wait) = oneshot::channel();
        let due = self.remote.host().now() + patience.max(GATHER);
        let idle = {
            let mut desk = self.desk();
            let number = desk.asked;
            desk.asked += 1;
            desk.waiting.push(Question { number, tenant: tenant.clone(), due, answer });
            !std::mem::replace(&mut desk.busy, true)
        };
        if idle {
            let watch = Arc::clone(self);
            self.remote.host().spawn(Box::pin(async move { watch.serve().await }));
        } else {
            self.asked.notify_one();
        }
        let gone = |_| Failure::new(Meaning::Transient, "the watch was stopped");
        wait.await.map_err(gone)?
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(&self) {
        let mut under_way = FuturesUnordered::new();
        let mut began = Duration::ZERO;
        loop {
            let late = began + LATE;
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
                under_way.push(self.look(self.round()));
                continue;
            }
            tokio::select! {
                biased;
                Some((upto, answers)) = under_way.next() => self.deliver(upto, &answers),
                () = self.asked.notified() => {}
                () = sleep(next.unwrap_or(late).saturating_sub(now)), if next.is_some() => {}
            }
        }
    }

    /// When the first of those who wait is due; `None` when nobody waits, and then whoever asks next has to serve.
    fn due(&self) -> Option<Duration> {
        let mut desk = self.desk();
        let due = desk.waiting.iter().map(|question| question.due).min();
        desk.busy = due.is_some();
        due
    }

    fn round(&self) -> Round {
        let desk = self.desk();
        let mut tenants: Vec<TenantName> =
            desk.waiting.iter().map(|question| question.tenant.clone()).collect();
        tenants.sort_unstable();
        tenants.dedup();
        Round { upto: desk.asked, tenants, pages: desk.pages }
    }

    /// Lists, and gives the answers for all who asked before.
    async fn look(&self, Round { upto, tenants, pages }: Round) -> (u64, BTreeMap<TenantName, Answer>) {
        let answers = if tenants.len() <= pages.max(1) {
            self.one_by_one(&tenants).await
        } else {
            self.all(&tenants).await
        };
        (upto, answers)
    }

    fn deliver(&self, upto: u64, answers: &BTreeMap<TenantName, Answer>) {
        let mut desk = self.desk();
        let (answered, waiting) =
            std::mem::take(&mut desk.waiting).into_iter().partition(|question| question.number < upto);
        desk.waiting = waiting;
        drop(desk);
        for Question { tenant, answer, .. } in answered {
            if let Some(claims) = answers.get(&tenant) {
                // The asker may have gone away.
                let _ = answer.send(claims.clone());
            }
        }
    }

    async fn one_by_one(&self, tenants: &[TenantName]) -> BTreeMap<TenantName, Answer> {
        let ask = |tenant: TenantName| async move {
            let names = self.remote.list_once(CLAIMS, &tenant.claims_prefix()).await;
            let claims =
                names.map(|names| names.iter().filter_map(|name| ClaimName::parse(&tenant, name)).collect());
            (tenant, claims)
        };
        join_all(tenants.iter().cloned().map(ask)).await.into_iter().collect()
    }

    async fn all(&self, tenants: &[TenantName]) -> BTreeMap<TenantName, Answer> {
        let mut names = match self.remote.list_once(CLAIMS, "").await {
            Ok(names) => names,
            Err(failure) => {
                return tenants.iter().map(|tenant| (tenant.clone(), Err(failure.clone()))).collect();
            }
        };
        names.sort_unstable();
        self.desk().pages = names.len().div_ceil(PAGE);
        let claims = |tenant: &TenantName| {
            let prefix = tenant.claims_prefix();
            let start = names.partition_point(|name| *name < prefix);
            let own = names.iter().skip(start).take_while(|name| name.starts_with(&prefix));
            own.filter_map(|name| ClaimName::parse(tenant, name)).collect()
        };
        tenants.iter().map(|tenant| (tenant.clone(), Ok(claims(tenant)))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::host::Host;
    use crate::id::{Claim, OwnerId};
    use crate::name::Mark;
    use crate::remote::memory::{Fate, Memory};
    use crate::sim::SimHost;

    /// Time and tasks as tokio has them in a test.
    fn host() -> Arc<dyn Host> {
        SimHost::new(1, tokio::time::Instant::now())
    }

    fn tenants(count: usize) -> Vec<TenantName> {
        (0..count).map(|n| TenantName::visible(&format!("tenant-{n}")).expect("a good id")).collect()
    }

    #[tokio::test]
    async fn everybody_who_waits_shares_one_listing() {
        let store = Memory::default();
        let tenants = tenants(50);
        for (n, tenant) in tenants.iter().enumerate() {
            let claim = Claim { epoch: n as u64 + 1, owner: OwnerId([1; 16]) };
            store.objects().insert(ClaimName { claim, mark: Mark::Claimed }.object(tenant), "x".into());
        }
        let remote = Remote::new(Arc::new(store), host());
        let watch = Arc::new(Watch::new(remote.clone()));
        let answers = join_all(tenants.iter().map(|tenant| watch.claims(tenant))).await;
        for (n, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer.expect("lists").highest().map(|claim| claim.epoch), Some(n as u64 + 1));
        }
        let lists = remote.traffic.lists.load(Ordering::Relaxed);
        assert_eq!(lists, 1, "for 50 questions at once");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_comes_from_a_listing_that_started_after_the_question() {
        let store = Memory::default();
        let slow = store.through(Arc::new(|_, _| (Duration::from_millis(40), Fate::Done)), 1);
        let remote = Remote::new(Arc::new(slow), host());
        let watch = Arc::new(Watch::new(remote));
        let tenant = tenants(1).remove(0);
        let first = tokio::spawn({
            let (watch, tenant) = (Arc::clone(&watch), tenant.clone());
            async move { watch.claims(&tenant).await }
        });
        // The first listing has gathered for a millisecond, read its page at 21, and is on its way back until 41.
        tokio::time::sleep(Duration::from_millis(30)).await;
        let claim = Claim { epoch: 9, owner: OwnerId([1; 16]) };
        store.objects().insert(ClaimName { claim, mark: Mark::Claimed }.object(&tenant), "x".into());
        assert_eq!(watch.claims(&tenant).await.expect("lists").highest(), Some(claim));
        assert_eq!(first.await.expect("runs").expect("lists").highest(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_listing_that_is_never_answered_holds_up_nobody_for_long() {
        let store = Memory::default();
        let asked = Arc::new(AtomicUsize::new(0));
        let first_is_lost = {
            let asked = Arc::clone(&asked);
            let silent = move || asked.fetch_add(1, Ordering::Relaxed) == 0;
            store.through(
                Arc::new(move |_, _| {
                    (if silent() { Duration::from_secs(3600) } else { Duration::ZERO }, Fate::Done)
                }),
                1,
            )
        };
        let watch = Arc::new(Watch::new(Remote::new(Arc::new(first_is_lost), host())));
        let tenants = tenants(2);
        let ask = |tenant: TenantName| {
            let watch = Arc::clone(&watch);
            tokio::spawn(async move { watch.claims(&tenant).await })
        };
        let began = tokio::time::Instant::now();
        let early = ask(tenants[0].clone());
        sleep(LATE / 2).await;
        let later = ask(tenants[1].clone());
        for answer in [early, later] {
            assert!(answer.await.expect("runs").is_ok());
        }
        assert!(began.elapsed() < LATE + Duration::from_secs(1), "{:?}", began.elapsed());
        assert_eq!(asked.load(Ordering::Relaxed), 2, "one listing for both who waited");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_in_no_hurry_shares_the_listing_of_who_comes_later() {
        let store = Memory::default();
        let remote = Remote::new(Arc::new(store), host());
        let watch = Arc::new(Watch::new(remote.clone()));
        let mut answers = Vec::new();
        for tenant in tenants(40) {
            let watch = Arc::clone(&watch);
            answers.push(tokio::spawn(async move {
                watch.claims_within(&tenant, Duration::from_millis(50)).await
            }));
            sleep(Duration::from_millis(1)).await;
        }
        let hurried = watch.claims(&tenants(1).remove(0)).await;
        assert!(hurried.is_ok());
        for answer in answers {
            assert!(answer.await.expect("runs").is_ok());
        }
        assert_eq!(remote.traffic.lists.load(Ordering::Relaxed), 1, "for 41 questions within 50 ms");
    }
}
