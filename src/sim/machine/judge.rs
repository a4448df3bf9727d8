//! Findings of an open and news of a session, as the oracle is shown them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::error::Code;
use crate::event::Event;
use crate::format::record::{Entries, Entry};
use crate::id::Claim;
use crate::session::{Mode, OriginSource, Session};

use super::super::cluster::{Cluster, hold};
use super::super::oracle::{Found, Oracle, Writes};
use super::super::process::{Book, Door};
use super::super::sometimes::{Moment, saw};
use super::alone::{judge_import, judge_return};

/// Remains of one tenant's sessions that lived and ended on a disk.
#[derive(Clone, Default)]
pub struct Left {
    /// The last claim that was live here.
    pub before: Arc<Mutex<Option<Claim>>>,
    /// True if the power was cut since: what was not synced may be gone.
    pub cut: Arc<AtomicBool>,
    /// The number of bits of its logs that rotted since.
    pub rotten: Arc<AtomicUsize>,
    /// Writes of the last claim which are known to be synced.
    pub synced: Arc<Mutex<Writes>>,
    /// Writes of a session that lived here without a store since, with all that it began with.
    pub alone: Arc<Mutex<Option<Writes>>>,
    /// Processes that began to open it with a log since the last one that did, and the logs that were there then.
    pub begun: Arc<Mutex<Vec<(u64, Vec<PathBuf>)>>>,
}

impl Left {
    /// Remains that are not from here, and may be rotten.
    pub fn of(rotten: usize) -> Left {
        Left { rotten: Arc::new(AtomicUsize::new(rotten)), ..Left::default() }
    }

    /// The number of bits of its logs that rotted since the last open.
    pub fn rotten(&self) -> usize {
        self.rotten.load(Ordering::Relaxed)
    }

    /// The last claim that was live here, if one bit of its log rotted, and nothing else befell it.
    pub fn with_one_rotten_bit(&self) -> Option<Claim> {
        let is_whole = self.rotten() == 1 && !self.cut.load(Ordering::Relaxed) && hold(&self.alone).is_none();
        hold(&self.before).filter(|_| is_whole)
    }

    /// True if the power was cut since a session with a store lived here.
    pub fn may_be_behind_its_store(&self) -> bool {
        self.cut.load(Ordering::Relaxed) && hold(&self.alone).is_none() && hold(&self.before).is_some()
    }

    /// A process begins to open it with a log, and finds these.
    pub fn begins(&self, process: u64, logs: Vec<PathBuf>) {
        let mut begun = hold(&self.begun);
        // One that changed no log left nothing of its own.
        if begun.last().is_some_and(|(_, before)| *before == logs) {
            begun.pop();
        }
        begun.push((process, logs));
    }

    /// True if a process other than `process` had written its log when its open was cut short or refused: the log is of its claim then,
    /// and has what the store had, and not what `before` had.
    pub fn is_replaced(&self, oracle: &Oracle, before: Claim, process: u64) -> bool {
        let begun = hold(&self.begun);
        let mut others = begun.iter().map(|(number, _)| *number).filter(|number| *number != process);
        others.any(|number| oracle.has_base_above(number, before))
    }

    /// The power was cut.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
    }
}

/// The entries of a state that schedules write, and the numbers of its writes. Other keys belong to single stories and are
/// judged there.
pub fn known(state: &[u8]) -> (Vec<u8>, Writes) {
    let known = |entry: &Entry<'_>| [&b"write"[..], b"last", b"hot", b""].contains(&entry.kind());
    let entries = || Entries::new(state).filter_map(Result::ok);
    let writes = entries()
        .filter(|entry| entry.kind() == b"write")
        .filter_map(|entry| Some(u64::from_le_bytes(entry.value?.get(1..9)?.try_into().ok()?)))
        .collect();
    (entries().filter(known).flat_map(|entry| entry.bytes).copied().collect(), writes)
}

/// The beginning of an open.
#[derive(Clone, Copy)]
pub struct Start {
    /// The clock of the oracle.
    pub began: u64,
    /// Set if it was told to trust the disk over the store.
    pub seeded: bool,
    /// The write in a folder that it brought along.
    pub import: Option<u64>,
}

/// Shows the oracle what an open found.
pub fn judge(
    cluster: &Cluster,
    tenant: usize,
    number: u64,
    session: &Session,
    book: &Mutex<Book>,
    left: &Left,
    start: &Start,
) {
    let Start { began, seeded, import } = *start;
    let Left { before, cut, rotten, synced, .. } = left;
    let state = session.journal().read(|state| state.snapshot().encode()).expect("a live session reads");
    let (state, writes) = known(&state);
    let claim = session.claim().expect("a session with a store has a claim");
    let origin = session.origin();
    let rots = rotten.load(Ordering::Relaxed);
    let mode = session.mode();
    judge_import(origin.source, import, &writes);
    let was_alone = hold(&left.alone).is_some();
    let is_buried = cluster.oracle_of(tenant).had_tombstones();
    // A session that had no store has no claim before the first in one.
    let last = hold(before).unwrap_or_default();
    let is_replaced = left.is_replaced(&cluster.oracle_of(tenant), last, number);
    judge_return(left, origin.source, mode, is_buried, is_replaced, &writes);
    let objects = cluster.store.objects();
    let found = Found {
        process: number,
        claim,
        lsn: session.journal().lsn(),
        source: origin.source,
        clean: origin.clean,
        state: &state,
        writes: &writes,
        rotten: rots == 1,
        // What a power cut took is lawfully gone, if the session says so. So is a last batch in which more than one bit rotted: nobody
        // can tell it from a write that was cut short.
        before: hold(before).filter(|_| {
            mode.keeps_log()
                && !was_alone
                && !is_replaced
                && (origin.clean || (rots <= 1 && !cut.load(Ordering::Relaxed)))
        }),
        began,
        seeded,
    };
    cluster.oracle_of(tenant).opened(&found, &objects);
    drop(objects);
    if mode.keeps_log() {
        let mut synced = hold(synced);
        assert!(
            origin.source != OriginSource::Local || is_replaced || rots > 1 || synced.is_subset(&writes),
            "{claim:?} lost what was synced"
        );
        synced.clear();
        if rotten.swap(0, Ordering::Relaxed) > 0 {
            saw(Moment::RotOutlived);
        }
        cut.store(false, Ordering::Relaxed);
        *hold(before) = Some(claim);
        hold(&left.begun).clear();
    }
    hold(book).inherited = writes;
}

/// Notes the news of a session, and holds its promises against what the store did.
pub fn told(
    cluster: &Cluster,
    tenant: usize,
    number: u64,
    door: &Mutex<Door>,
    book: &Mutex<Book>,
    event: &Event,
) {
    match event {
        Event::Backup { lsn, .. } => {
            let claim = match &*hold(door) {
                Door::Open(session) => session.claim().expect("a session with a store has a claim"),
                // Killed, and not yet aware of it.
                Door::Opening | Door::Refused(_) => return,
            };
            assert!(
                !cluster.tells.load(Ordering::Relaxed)
                    || hold(&cluster.oracles[tenant]).is_whole(&cluster.store.objects(), claim, *lsn),
                "LSN {lsn} of {claim:?} was acknowledged beyond a hole that a server had told of"
            );
            let book = hold(book);
            let own = book.own.iter().filter(|(at, _)| at <= lsn).map(|(_, write)| *write);
            let writes = book.inherited.iter().copied().chain(own).collect();
            cluster.oracle_of(tenant).acknowledged(number, claim, *lsn, writes);
        }
        Event::ServerChanged => saw(Moment::ServerChanged),
        Event::Fenced => {
            hold(book).fenced = true;
            if let Door::Open(session) = &*hold(door)
                && session.journal().progress().stored < session.journal().lsn()
            {
                saw(Moment::FencedWithUnsent);
            }
        }
        Event::Degraded(_) => {
            saw(Moment::Degraded);
            hold(book).told.push("degraded");
        }
        Event::Recovered { .. } => {
            saw(Moment::Recovered);
            hold(book).told.push("recovered");
        }
        Event::Repaired(what) => {
            saw(Moment::Repaired);
            if what.contains("the store had lost") {
                saw(Moment::HealedLoss);
            }
            hold(book).told.push("repaired");
            assert!(
                !what.contains("the store had lost") || cluster.tampered.load(Ordering::Relaxed),
                "nobody tampered with the store, and yet: {what}"
            );
        }
        Event::Note(..) | Event::Waiting { .. } => {}
        Event::Failed(error) => {
            hold(book).told.push("failed");
            // A release that an outage kept back is told, and is no loss: all is stored, and only a successor waits.
            let unreleased =
                error.code() == Code::RemoteUnavailable && error.message.contains("the release is not");
            if unreleased {
                saw(Moment::ReleaseLost);
            }
            let full = error.code() == Code::LocalUnavailable && cluster.full.load(Ordering::Relaxed);
            assert!(
                unreleased || full || cluster.tampered.load(Ordering::Relaxed),
                "a session failed, and nobody tampered with anything: {error:?}"
            );
        }
    }
}
