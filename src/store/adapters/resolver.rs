//! Names of hosts: looked up on threads of their own, each name once at a time for all stores of the process.
//!
//! A lookup can take ten seconds and more, and cannot be given up. A name that nobody answers holds one thread, however many
//! requests wait for it, and no other kind of work.

use std::collections::HashMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::panic::catch_unwind;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::oneshot;

use crate::platform::host::{Host, Lane};

type AddressList = Result<Vec<SocketAddr>, String>;
type Lookup = fn(&str) -> AddressList;

const UNANSWERED: &str = "the lookup ended without an answer";

/// Waiting lookups by name.
#[derive(Default)]
struct PendingLookups(Mutex<HashMap<String, Vec<oneshot::Sender<AddressList>>>>);

impl PendingLookups {
    fn waiting(&self) -> MutexGuard<'_, HashMap<String, Vec<oneshot::Sender<AddressList>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks names up.
pub struct Resolver {
    host: Arc<dyn Host>,
    desk: Arc<PendingLookups>,
    lookup: Lookup,
}

impl Resolver {
    /// The resolver of the system, asked through `host`.
    pub fn new(host: Arc<dyn Host>) -> Resolver {
        static DESK: LazyLock<Arc<PendingLookups>> = LazyLock::new(Arc::default);
        Resolver { host, desk: Arc::clone(&DESK), lookup: ask_the_system }
    }

    /// The addresses of `name`, which may be one itself.
    pub async fn addresses(&self, name: &str) -> AddressList {
        if let Ok(address) = name.parse() {
            return Ok(vec![SocketAddr::new(address, 0)]);
        }
        self.ask(name).await.unwrap_or_else(|_| Err(UNANSWERED.to_owned()))
    }

    /// The addresses of `name`, from a lookup that may have begun before.
    fn ask(&self, name: &str) -> oneshot::Receiver<AddressList> {
        let (answer, wait) = oneshot::channel();
        let mut waiting = self.desk.waiting();
        if let Some(others) = waiting.get_mut(name) {
            others.push(answer);
            return wait;
        }
        waiting.insert(name.to_owned(), vec![answer]);
        drop(waiting);
        let (desk, lookup, name) = (Arc::clone(&self.desk), self.lookup, name.to_owned());
        self.host.offload(
            Lane::Names,
            Box::new(move || {
                // Whoever asks for this name waits for this answer, also where the lookup panics.
                let found = catch_unwind(|| lookup(&name)).unwrap_or_else(|_| Err(UNANSWERED.to_owned()));
                let waiting = desk.waiting().remove(&name);
                for one in waiting.into_iter().flatten() {
                    let _ = one.send(found.clone());
                }
            }),
        );
        wait
    }
}

fn ask_the_system(name: &str) -> AddressList {
    (name, 0).to_socket_addrs().map(Iterator::collect).map_err(|error| error.kind().to_string())
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let wait = self.ask(name.as_str());
        Box::pin(async move {
            let found = wait.await.unwrap_or_else(|_| Err(UNANSWERED.to_owned()))?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::platform::host::{RealHost, blocking_in};

    static DEAD: Mutex<()> = Mutex::new(());
    static ASKED: AtomicUsize = AtomicUsize::new(0);

    /// Dead names wait until the test lets them go.
    fn half_dead(name: &str) -> AddressList {
        ASKED.fetch_add(1, Ordering::SeqCst);
        if name.starts_with("dead") {
            drop(DEAD.lock().unwrap_or_else(PoisonError::into_inner));
            return Err("no answer".to_owned());
        }
        Ok(vec![([127, 0, 0, 1], 0).into()])
    }

    #[tokio::test]
    #[expect(clippy::await_holding_lock, reason = "the dead resolver waits for it on a thread of its own")]
    async fn a_dead_name_holds_up_neither_others_nor_logs_nor_sealing() {
        let host: Arc<dyn Host> = Arc::new(RealHost::new(tokio::runtime::Handle::current()));
        let resolver = Resolver { host: Arc::clone(&host), desk: Arc::default(), lookup: half_dead };
        let held = DEAD.lock().unwrap();
        let dead: Vec<_> = (0..1000).map(|_| resolver.ask("dead.example")).collect();
        assert!(resolver.ask("alive.example").await.expect("answered").is_ok());
        for lane in [Lane::Sync, Lane::Log, Lane::Compute] {
            assert_eq!(blocking_in(&host, lane, || 7).await, 7);
        }
        assert_eq!(ASKED.load(Ordering::SeqCst), 2, "each name once, however many wait");
        drop(held);
        for wait in dead {
            assert_eq!(wait.await.expect("answered"), Err("no answer".to_owned()));
        }
        assert!(resolver.desk.waiting().is_empty());
    }

    /// Panics at the first name it is asked for.
    fn panics_once(_: &str) -> AddressList {
        static TRIED: AtomicUsize = AtomicUsize::new(0);
        assert!(TRIED.fetch_add(1, Ordering::SeqCst) > 0, "the first lookup fails as nobody planned");
        Ok(vec![([127, 0, 0, 1], 0).into()])
    }

    #[tokio::test]
    async fn a_name_whose_lookup_panicked_is_looked_up_again_for_whoever_asks_next() {
        let host: Arc<dyn Host> = Arc::new(RealHost::new(tokio::runtime::Handle::current()));
        let resolver = Resolver { host, desk: Arc::default(), lookup: panics_once };
        let ask = || tokio::time::timeout(Duration::from_secs(60), resolver.addresses("name.example"));
        ask().await.expect("is told").expect_err("that there is no answer");
        ask().await.expect("is served").expect("and answered");
    }

    #[tokio::test]
    async fn the_system_finds_this_machine() {
        let host: Arc<dyn Host> = Arc::new(RealHost::new(tokio::runtime::Handle::current()));
        let found = Resolver::new(host).resolve("localhost".parse().expect("a name")).await;
        assert!(found.expect("found").all(|address| address.ip().is_loopback()));
    }
}
