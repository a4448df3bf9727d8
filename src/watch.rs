//! The ownership watch: listings of claims, shared by all tenants of a process and store.
//!
//! An answer always comes from a LIST that *started after* the question (I4): whoever asks while one is under way waits for
//! the next. All who wait share it, so a busy fleet pays one listing per round trip and an idle one a listing per tick,
//! whichever of "the whole folder" and "just these tenants" is fewer requests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::oneshot;

use crate::host::sleep;
use crate::name::{CLAIMS, ClaimName, TenantName};
use crate::plan::Claims;
use crate::remote::{Failure, Meaning, Remote};

/// How long the first question waits for others.
const GATHER: Duration = Duration::from_millis(1);

/// Names per page of a listing, in the stores that page.
const PAGE: usize = 1000;

type Answer = Result<Claims, Failure>;

struct Question {
    tenant: TenantName,
    answer: oneshot::Sender<Answer>,
}

#[derive(Default)]
struct Desk {
    waiting: Vec<Question>,
    busy: bool,
    /// Pages of the whole claims folder, as last seen.
    pages: usize,
}

/// Lists claims for all tenants of a process.
pub struct Watch {
    remote: Remote,
    desk: Mutex<Desk>,
}

impl Watch {
    /// A watch over the claims in `remote`.
    pub fn new(remote: Remote) -> Watch {
        Watch { remote, desk: Mutex::default() }
    }

    /// The claims of `tenant`, from a LIST that starts after this call.
    pub async fn claims(self: &Arc<Self>, tenant: &TenantName) -> Answer {
        let (answer, wait) = oneshot::channel();
        let idle = {
            let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
            desk.waiting.push(Question { tenant: tenant.clone(), answer });
            !std::mem::replace(&mut desk.busy, true)
        };
        if idle {
            let watch = Arc::clone(self);
            self.remote.host().spawn(Box::pin(async move { watch.serve().await }));
        }
        let gone = |_| Failure::new(Meaning::Transient, "the watch was stopped");
        wait.await.map_err(gone)?
    }

    async fn serve(&self) {
        loop {
            // Tenants that tick together ask together: let them all be heard.
            sleep(GATHER).await;
            let (questions, pages) = {
                let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
                if desk.waiting.is_empty() {
                    desk.busy = false;
                    return;
                }
                (std::mem::take(&mut desk.waiting), desk.pages)
            };
            let mut tenants: Vec<TenantName> =
                questions.iter().map(|question| question.tenant.clone()).collect();
            tenants.sort_unstable();
            tenants.dedup();
            let answers = if tenants.len() <= pages.max(1) {
                self.one_by_one(&tenants).await
            } else {
                self.all(&tenants).await
            };
            for Question { tenant, answer } in questions {
                if let Some(claims) = answers.get(&tenant) {
                    // The asker may have gone away.
                    let _ = answer.send(claims.clone());
                }
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
        self.desk.lock().unwrap_or_else(PoisonError::into_inner).pages = names.len().div_ceil(PAGE);
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
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::host::RealHost;
    use crate::id::{Claim, OwnerId};
    use crate::name::Mark;
    use crate::remote::memory::Memory;

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
        let remote = Remote::new(Arc::new(store), Arc::new(RealHost::new(tokio::runtime::Handle::current())));
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
        let slow =
            store.through(Arc::new(|_, _| (Duration::from_millis(40), crate::remote::memory::Fate::Done)), 1);
        let remote = Remote::new(Arc::new(slow), Arc::new(RealHost::new(tokio::runtime::Handle::current())));
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
}
