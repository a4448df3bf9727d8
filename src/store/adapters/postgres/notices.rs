//! Notices of changed claims: one connection that listens, made anew when it breaks.
//!
//! A notice that is lost costs the time until the next check; so nothing waits for this connection, and nothing fails with it.
//! A pooler in transaction mode lets it listen and passes nothing on.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::broadcast;
use tokio_postgres::AsyncMessage;

use super::connection::Dialler;
use crate::format::name::read_notice;
use crate::platform::host::sleep;
use crate::store::Notice;
use crate::store::adapters::pool::{Dial, Pool, Purpose};

/// The channel.
pub const CHANNEL: &str = "baileys_hybrid_auth";
/// Notices that may wait for those who are slow to hear of them.
const BACKLOG: usize = 256;
/// The first pause before another connection, and the longest.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];

/// Notices of one store.
pub struct Notices {
    heard: broadcast::Sender<Notice>,
}

impl Notices {
    /// Listens to the database of `pool`, as long as that is there.
    pub fn of(pool: &Arc<Pool<Dialler>>) -> Notices {
        let (heard, _) = broadcast::channel(BACKLOG);
        let (to, from) = (heard.clone(), Arc::downgrade(pool));
        pool.dialler().host().spawn(Box::pin(async move {
            let [mut pause, longest] = PAUSES;
            while let Some(pool) = Weak::upgrade(&from) {
                if listen(pool, &to).await {
                    [pause, _] = PAUSES;
                }
                sleep(pause).await;
                pause = (pause * 2).min(longest);
            }
        }));
        Notices { heard }
    }

    /// All from now on.
    pub fn follow(&self) -> broadcast::Receiver<Notice> {
        self.heard.subscribe()
    }
}

/// Listens until the connection breaks, or nobody is there any more; true if it did listen.
async fn listen(pool: Arc<Pool<Dialler>>, to: &broadcast::Sender<Notice>) -> bool {
    let Ok((client, mut driver)) = pool.dialler().dial(Purpose::Long).await else { return false };
    let pool = Arc::downgrade(&pool);
    let mut messages = poll_fn(move |cx| driver.poll_message(cx));
    let command = format!("listen {CHANNEL}");
    let mut listening = pin!(client.batch_execute(&command));
    let mut listens = false;
    loop {
        tokio::select! {
            message = &mut messages => match message {
                Some(Ok(AsyncMessage::Notification(told))) => {
                    if let Some(notice) = read_notice(told.payload()) {
                        // Nobody may be waiting.
                        let _ = to.send(notice);
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return listens,
            },
            answer = &mut listening, if !listens => {
                if answer.is_err() {
                    return false;
                }
                listens = true;
            }
            () = sleep(Duration::from_secs(60)) => {
                if pool.strong_count() == 0 {
                    return listens;
                }
            }
        }
    }
}
