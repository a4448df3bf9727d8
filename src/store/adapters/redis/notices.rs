//! Notices of changed claims, over a connection that subscribes to their channel.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::{ProtocolVersion, PushKind, Value};
use tokio::sync::{broadcast, mpsc};

use super::connection::Dialler;
use crate::format::name::read_notice;
use crate::platform::host::sleep;
use crate::store::Notice;
use crate::store::adapters::listening::{Listen, listen};
use crate::store::adapters::pool::ConnectionPool;

/// Silence after which the server is asked whether it is still there.
const SILENT: Duration = Duration::from_secs(30);

/// Notices of one store.
pub struct Notices {
    heard: broadcast::Sender<Notice>,
}

impl Notices {
    /// Listens to `channel` at the server of `pool`, as long as a session is in it.
    pub fn of(pool: &Arc<ConnectionPool<Dialler>>, channel: String) -> Notices {
        Notices { heard: listen(pool, Subscriber { channel }) }
    }

    /// All from now on.
    pub fn follow(&self) -> broadcast::Receiver<Notice> {
        self.heard.subscribe()
    }
}

struct Subscriber {
    channel: String,
}

#[async_trait]
impl Listen<Dialler> for Subscriber {
    async fn listen(&mut self, pool: Arc<ConnectionPool<Dialler>>, to: &broadcast::Sender<Notice>) -> bool {
        let (pushes, mut pushed) = mpsc::unbounded_channel();
        let Ok((mut client, _)) = pool.dialler().dial(ProtocolVersion::RESP3, Some(Arc::new(pushes))).await
        else {
            return false;
        };
        let pool = Arc::downgrade(&pool);
        if client.subscribe(&self.channel).await.is_err() {
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
                    let is_idle = pool.upgrade().is_none_or(|pool| pool.is_idle());
                    if is_idle || redis::cmd("PING").query_async::<Value>(&mut client).await.is_err() {
                        return true;
                    }
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
