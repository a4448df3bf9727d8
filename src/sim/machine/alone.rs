//! Sessions without a store, and folders that are imported: what a disk had alone must be there at its next open, wherever that goes on.
//!
//! What was resolved on a disk without a store is nowhere else. It goes on from there, comes along to a store that has no history of its
//! own, or is set aside by one that has.

use std::sync::Mutex;
use std::sync::atomic::Ordering;

use crate::error::{Code, Error};
use crate::format::record::{CREDS_KEY, key, push};
use crate::session::{Mode, OriginSource, Session};

use super::super::cluster::{Cluster, hold};
use super::super::oracle::Writes;
use super::super::process::Book;
use super::super::sometimes::{Moment, saw};
use super::Machine;
use super::judge::{Left, known};

impl Machine {
    /// A folder of another kind with one write, and its number.
    pub(super) fn folder_to_import(&self, tenant: usize) -> (u64, Vec<u8>) {
        let number = self.cluster.next_write.fetch_add(1, Ordering::Relaxed);
        let value = [&[3][..], &number.to_le_bytes()].concat();
        let mut batch = Vec::new();
        push(&mut batch, &key("write", &number.to_string()), Some(&value));
        push(&mut batch, CREDS_KEY, Some(&value));
        self.cluster.oracle_of(tenant).wrote_alone(number, batch.clone());
        (number, batch)
    }
}

/// An import is used where there is nothing, and nowhere else.
pub fn judge_import(source: OriginSource, seed: Option<u64>, writes: &Writes) {
    let Some(number) = seed else {
        return assert!(source != OriginSource::Imported, "nothing was there to import");
    };
    if source == OriginSource::Imported {
        assert!(writes.len() == 1 && writes.contains(&number), "an import is all there is: {writes:?}");
        saw(Moment::Imported);
    } else {
        assert!(!writes.contains(&number), "an import came into a session that was there");
        saw(Moment::ImportLeft);
    }
}

/// Judges what a session with a store found on a disk that was without one.
/// A log that an open wrote which was cut short after it gave way (`is_replaced`) is the store's.
pub fn judge_return(
    left: &Left,
    source: OriginSource,
    mode: Mode,
    is_buried: bool,
    is_replaced: bool,
    writes: &Writes,
) {
    let mut alone = hold(&left.alone);
    let Some(had) = alone.clone() else { return };
    if left.rotten() <= 1 {
        match source {
            OriginSource::Local if left.cut.load(Ordering::Relaxed) => {}
            OriginSource::Local if is_replaced => saw(Moment::GaveWay),
            OriginSource::Local => {
                let missing: Vec<&u64> = had.difference(writes).collect();
                assert!(missing.is_empty(), "a session that came to a store lost {missing:?}");
                saw(Moment::CameToStore);
            }
            OriginSource::Remote => saw(Moment::GaveWay),
            // A session that was not paired yet takes an import.
            OriginSource::Imported if had.is_empty() => {}
            _ => assert!(is_buried, "an open that is {source:?} passes over what only the disk had: {had:?}"),
        }
    }
    // Without a log of its own, what is there stays as it is.
    if mode.keeps_log() {
        *alone = None;
    }
}

/// Judges an open without a store; `leave` says that it was told to go on without the one that the session was in.
pub fn judge_alone(
    cluster: &Cluster,
    tenant: usize,
    session: &Session,
    book: &Mutex<Book>,
    left: &Left,
    seed: Option<u64>,
    leave: bool,
) {
    let state = session.journal().read(|state| state.snapshot().encode()).expect("a live session reads");
    let (state, writes) = known(&state);
    let origin = session.origin();
    let oracle = cluster.oracle_of(tenant);
    assert!(
        oracle.gives(&writes, &state),
        "the state of a session without a store is not what its writes give"
    );
    judge_import(origin.source, seed, &writes);
    let is_whole = (origin.clean || !left.cut.load(Ordering::Relaxed)) && left.rotten() <= 1;
    let (mut alone, mut before) = (hold(&left.alone), hold(&left.before));
    let is_replaced = left.is_replaced(&oracle, before.unwrap_or_default(), 0);
    let is_whole = is_whole && !is_replaced;
    if origin.source == OriginSource::Local {
        assert!(leave || before.is_none(), "a session that was in a store goes on without it, unasked");
        // What it began with is among what it had, but for what a power cut took before that.
        let theirs = || before.map(|claim| oracle.resolved_under(claim));
        let had = alone.clone().or_else(theirs).unwrap_or_default();
        let missing: Vec<&u64> = had.difference(&writes).filter(|_| is_whole).collect();
        assert!(missing.is_empty(), "a restart without a store lost {missing:?}");
        let mut synced = hold(&left.synced);
        assert!(
            left.rotten() > 1 || is_replaced || synced.is_subset(&writes),
            "a restart without a store lost what was synced"
        );
        synced.clear();
        if before.is_some() {
            saw(Moment::LeftStore);
        }
    } else {
        // Its log got its name durably before anything was resolved.
        let is_passed =
            alone.as_ref().is_some_and(|had| !had.is_empty() || origin.source != OriginSource::Imported);
        assert!(!is_passed || left.rotten() > 1, "an open that is {:?} passes over {alone:?}", origin.source);
        *before = None;
        hold(&left.synced).clear();
    }
    left.rotten.store(0, Ordering::Relaxed);
    left.cut.store(false, Ordering::Relaxed);
    hold(&left.begun).clear();
    *alone = Some(writes.clone());
    hold(book).inherited = writes;
    saw(Moment::OpenedAlone);
}

/// An open without a store was refused.
pub fn refused_alone(error: &Error, leave: bool, lacks_keys: bool) {
    let fine = match error.code() {
        Code::InvalidOption => !leave,
        Code::KeyUnavailable => lacks_keys,
        _ => false,
    };
    assert!(fine, "an open without a store failed with {error:?}");
    saw(Moment::RefusedLeaving);
}
