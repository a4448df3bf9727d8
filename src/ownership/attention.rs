//! Attention: a store that tells of changed claims wakes those whom it concerns.
//!
//! A notice decides nothing: whoever is woken lists. One that is lost costs the time until the next check, and one that concerns
//! somebody else costs a listing.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

use crate::format::name::TenantName;
use crate::platform::meter::METERS;
use crate::platform::sync::{Mutex, MutexGuard};
use crate::store::{Notice, RetryingStore};

type Waiters = HashMap<Notice, watch::Sender<u64>>;

/// Sessions that wait for notices of one store.
#[derive(Default)]
pub struct Attention {
    waiting: Arc<Mutex<Waiters>>,
    listens: Mutex<bool>,
}

/// The notices of one tenant.
pub struct NoticeReceiver(Option<watch::Receiver<u64>>);

impl NoticeReceiver {
    /// Resolves at the first notice since the last one; never where the store tells of nothing.
    pub async fn wait(&mut self) {
        if let Some(count) = &mut self.0
            && count.changed().await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Attention {
    /// The notices of `tenant` in `store` from now on.
    pub fn of(&self, tenant: &TenantName, store: &RetryingStore) -> NoticeReceiver {
        if !self.listens(store) {
            return NoticeReceiver(None);
        }
        let mut waiting = hold(&self.waiting);
        waiting.retain(|_, count| count.receiver_count() > 0);
        NoticeReceiver(Some(waiting.entry(tenant.notice()).or_default().subscribe()))
    }

    /// Begins to listen with the first who asks; false where there is nothing to listen to.
    fn listens(&self, store: &RetryingStore) -> bool {
        let mut listens = hold(&self.listens);
        if *listens {
            return true;
        }
        let Some(mut notices) = store.notices() else { return false };
        *listens = true;
        let waiting = Arc::downgrade(&self.waiting);
        store.host().spawn(Box::pin(async move {
            loop {
                let notice = match notices.recv().await {
                    Ok(notice) => Some(notice),
                    // Nobody knows whom those that were passed over concerned.
                    Err(RecvError::Lagged(_)) => None,
                    Err(RecvError::Closed) => return,
                };
                let Some(waiting) = waiting.upgrade() else { return };
                let concerned = |(tag, _): &(&Notice, _)| notice.is_none_or(|notice| notice == **tag);
                let waiting = hold(&waiting);
                for (_, count) in waiting.iter().filter(concerned) {
                    METERS.notifications.add(count.receiver_count() as u64);
                    count.send_modify(|count| *count += 1);
                }
            }
        }));
        true
    }
}

#[cfg(test)]
mod interleaved;
