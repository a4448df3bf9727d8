//! Notices of changed claims: one connection that subscribes, made anew when it breaks.
//!
//! A notice that is lost costs the time until the next check; so nothing waits for this connection, and nothing fails with it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use redis::{ProtocolVersion, PushKind, Value};
use tokio::sync::{broadcast, mpsc};

use super::connection::Dialler;
use crate::format::name::read_notice;
use crate::platform::host::sleep;
use crate::store::Notice;
use crate::store::adapters::pool::{Dial, Pool};

/// Notices that may wait for those who are slow to hear of them.
const BACKLOG: usize = 256;
/// The first pause before another connection, and the longest.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];
/// Silence after which the server is asked whether it is still there.
const SILENT: Duration = Duration::from_secs(30);

/// Notices of one store.
pub struct Notices {
    heard: broadcast::Sender<Notice>,
}

impl Notices {
    /// Listens to `channel` at the server of `pool`, as long as a session is in it.
    pub fn of(pool: &Arc<Pool<Dialler>>, channel: String) -> Notices {
        let (heard, _) = broadcast::channel(BACKLOG);
        let (to, from) = (heard.clone(), Arc::downgrade(pool));
        pool.dialler().host().spawn(Box::pin(async move {
            let [mut pause, longest] = PAUSES;
            while let Some(pool) = Weak::upgrade(&from) {
                if pool.is_idle() {
                    drop(pool);
                    sleep(PAUSES[0]).await;
                    continue;
                }
                if listen(pool, &channel, &to).await {
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
async fn listen(pool: Arc<Pool<Dialler>>, channel: &str, to: &broadcast::Sender<Notice>) -> bool {
    let (pushes, mut pushed) = mpsc::unbounded_channel();
    let Ok((mut client, _)) = pool.dialler().dial(ProtocolVersion::RESP3, Some(Arc::new(pushes))).await
    else {
        return false;
    };
    let pool = Arc::downgrade(&pool);
    if client.subscribe(channel).await.is_err() {
        return false;
    }
    loop {
        tokio::select! {
            push = pushed.recv() => match push {
                Some(push) if push.kind == PushKind::Message => {
                    if let Some(notice) = push.data.last().and_then(text).and_then(|text| read_notice(&text)) {
                        // Nobody may be waiting.
                        let _ = to.send(notice);
                    }
                }
                Some(push) if push.kind != PushKind::Disconnection => {}
                _ => return true,
            },
            () = sleep(SILENT) => {
                if pool.upgrade().is_none_or(|pool| pool.is_idle()) || redis::cmd("PING").query_async::<Value>(&mut client).await.is_err() {
                    return true;
                }
            }
        }
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::SimpleString(text) => Some(text.clone()),
        _ => None,
    }
}
