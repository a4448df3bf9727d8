//! The watch over owners: each looks for newer ones in time, whatever fails, and begins to hand over as soon as it saw one, whatever
//! else it is at.
//!
//! It is about what an owner does, and not about what comes of that: it holds in any weather. An owner that was stopped, or whose clock
//! went wrong, is not bound by it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use crate::journal::Life;
use crate::ownership::lease::handover_wait;
use crate::platform::host::{Task, sleep};

use super::cluster::{Cluster, hold};
use super::oracle::Oracle;
use super::process::Door;
use super::sometimes::{Moment, saw};

/// Terms of an owner.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub interval: Duration,
    /// Set if it accepts nothing once it could not look for long.
    pub strict: bool,
}

/// Time that asking may take in the process itself.
const MARGIN: Duration = Duration::from_millis(100);
/// The same for asking again, which all tenants of a process do in turn: so many a second, and no more.
const RATION: Duration = Duration::from_millis(700);

/// Questions of a process about the claims of a tenant.
#[derive(Default)]
struct Looks {
    under_way: usize,
    /// Start of the last one that was answered.
    answered: Option<Instant>,
    /// End of the last one.
    ended: Option<Instant>,
}

/// Deeds of owners, by their processes.
#[derive(Default)]
pub struct Watch {
    looks: BTreeMap<u64, Looks>,
    /// Numbers of objects that they began to store, and those that began to store a release.
    tries: BTreeMap<u64, u64>,
    releases: BTreeSet<u64>,
}

impl Oracle {
    /// A process begins to list names that begin with `name`.
    pub fn asks(&mut self, process: u64, name: &str) {
        // Those of other tenants too: a process lists for one after another, unless a listing is late.
        if name.starts_with("v1/claims/") {
            self.watch.looks.entry(process).or_default().under_way += 1;
        }
    }

    /// Ends a listing that began at `began`, answered or not.
    pub fn asked(&mut self, process: u64, name: &str, began: Instant, is_answered: bool) {
        if !name.starts_with("v1/claims/") {
            return;
        }
        let concerns = self.concerns(name);
        let looks = self.watch.looks.entry(process).or_default();
        looks.under_way -= 1;
        looks.ended = Some(Instant::now());
        if is_answered && concerns {
            looks.answered = looks.answered.max(Some(began));
        }
    }

    /// A process begins to store an object.
    pub fn tries(&mut self, process: u64, name: &str) {
        if self.is_own(name) {
            *self.watch.tries.entry(process).or_default() += 1;
            if name.ends_with(".released") {
                self.watch.releases.insert(process);
            }
        }
    }

    /// An owner accepts a write: it has looked lately, or tries to.
    pub fn looks_out(&self, process: u64, terms: Terms) {
        let Some(looks) = self.watch.looks.get(&process) else { return };
        let Some(answered) = looks.answered else { return };
        let Terms { interval, strict } = terms;
        let since = answered.elapsed();
        assert!(
            !strict || since <= handover_wait(interval) + MARGIN,
            "a strict owner accepts a write {since:?} after the last look that was answered began"
        );
        // Once an interval, and a tenth of it later if it is busy; again after a quarter of it, or a half if it is asked to wait.
        let ended = looks.ended.map_or(since, |ended| ended.elapsed());
        assert!(
            since <= interval * 5 / 4 + MARGIN || looks.under_way > 0 || ended <= interval / 2 + RATION,
            "an owner accepts a write {since:?} after the last look that was answered began, and does not look since {ended:?}"
        );
    }

    fn concerns(&self, listed: &str) -> bool {
        listed == "v1/claims/" || self.is_own(listed)
    }
}

/// Watches an owner that saw a newer one: within a quarter of an interval it says that it is leaving, or is further than that.
pub fn watch_handover(
    cluster: &Arc<Cluster>,
    door: &Arc<Mutex<Door>>,
    (process, tenant): (u64, usize),
    interval: Duration,
) -> Task {
    let (cluster, door) = (Arc::clone(cluster), Arc::clone(door));
    let tries = move |cluster: &Cluster| {
        let oracle = cluster.oracle_of(tenant);
        let watch = &oracle.watch;
        (watch.tries.get(&process).copied().unwrap_or(0), watch.releases.contains(&process))
    };
    let (before, _) = tries(&cluster);
    Box::pin(async move {
        // Steps, as each counts only while the process runs.
        for _ in 0..20 {
            sleep(interval / 40).await;
            let session = match &*hold(&door) {
                Door::Open(session) => Some(Arc::clone(session)),
                Door::Opening | Door::Refused(_) => None,
            };
            let Some(session) = session.filter(|session| session.journal().progress().life == Life::Fenced)
            else {
                return;
            };
            let (now, is_released) = tries(&cluster);
            if now > before || is_released {
                if session.journal().is_rolling() {
                    saw(Moment::HandoverDuringRewrite);
                }
                return;
            }
        }
        panic!("an owner that saw a newer one does not hand over");
    })
}
