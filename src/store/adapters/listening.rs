//! Listening: one connection over which a database tells of changed claims, made anew when it breaks.
//!
//! Invariants: it is there while a session is open, and not much longer. A notice that is lost costs the time until the next check;
//! so nothing waits for this connection, and nothing fails with it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::broadcast;

use super::pool::{ConnectionPool, Dial};
use crate::platform::host::sleep;
use crate::store::Notice;

/// Notices that may wait for those who are slow to hear of them.
const BACKLOG: usize = 256;
/// The first pause before another connection, and the longest.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];

/// One end of a database that hears of changed claims.
#[async_trait]
pub trait Listen<D: Dial>: Send + 'static {
    /// True if the connection is needed even where no session is open.
    fn is_needed(&self) -> bool {
        false
    }

    /// Listens until the connection breaks, or nobody is there any more; true if it did listen.
    async fn listen(&mut self, pool: Arc<ConnectionPool<D>>, to: &broadcast::Sender<Notice>) -> bool;
}

/// Listens at the server of `pool`, as long as it is there; what is heard is sent to the answer.
pub fn listen<D: Dial>(pool: &Arc<ConnectionPool<D>>, mut end: impl Listen<D>) -> broadcast::Sender<Notice> {
    let (heard, _) = broadcast::channel(BACKLOG);
    let (to, from) = (heard.clone(), Arc::downgrade(pool));
    pool.dialler().host().spawn(Box::pin(async move {
        let [mut pause, longest] = PAUSES;
        while let Some(pool) = Weak::upgrade(&from) {
            if pool.is_idle() && !end.is_needed() {
                drop(pool);
                sleep(PAUSES[0]).await;
                continue;
            }
            if end.listen(pool, &to).await {
                [pause, _] = PAUSES;
            }
            sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }));
    heard
}
