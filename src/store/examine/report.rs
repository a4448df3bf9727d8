//! The report of an examination: a step for each ability that a store must have, and facts beside them.
//!
//! A step is right only if it was seen to be so; what could not be tried, or may pass, is neither right nor wrong.

use std::time::Duration;

use crate::store::rules::Rule;
use crate::store::{Durability, Failure};

/// Outcome of a step.
#[derive(Debug, Clone)]
pub struct Step {
    /// True if it was as it must be; `None` if it could not be tried.
    pub done: Option<bool>,
    /// The problem, or why it could not be tried.
    pub problem: Option<String>,
    /// Its duration.
    pub ms: Option<u64>,
}

impl Step {
    pub(super) fn untried(why: &str) -> Step {
        Step { done: None, problem: Some(why.to_owned()), ms: None }
    }

    pub(super) fn from(right: bool, problem: &str, took: Duration) -> Step {
        Step { done: Some(right), problem: (!right).then(|| problem.to_owned()), ms: Some(millis(took)) }
    }

    pub(super) fn failed(failure: &Failure, doing: &str, took: Duration) -> Step {
        // Whatever may pass says nothing about the store.
        let done = if failure.may_pass() { None } else { Some(false) };
        Step { done, problem: Some(failure.error(doing).message), ms: Some(millis(took)) }
    }
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Knowledge of the rules of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Knowledge<T> {
    /// It was told.
    Told {
        /// The rules.
        value: T,
    },
    /// This kind of store has no such thing.
    Impossible,
    /// It was not told.
    Unknown {
        /// Reason that it was not told.
        problem: String,
    },
}

/// The middle of some measurements, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Latency {
    /// Storing a small object.
    pub put: f64,
    /// Listing it.
    pub list: f64,
    /// Reading it.
    pub get: f64,
}

/// All that was found out.
#[derive(Debug, Clone)]
pub struct Examination {
    /// True if the store answers.
    pub reachable: Step,
    /// The right to store.
    pub write: Step,
    /// The right to list.
    pub list: Step,
    /// True if a listing shows what was stored before.
    pub list_after_put: Step,
    /// The right to read.
    pub read: Step,
    /// The right to remove.
    pub delete: Step,
    /// True if it is closed to strangers.
    pub private: Step,
    /// True if its clock and ours agree.
    pub clock: Step,
    /// Lead of its clock over ours, in milliseconds.
    pub skew_ms: Option<i64>,
    /// Duration of requests.
    pub latency: Option<Latency>,
    /// Objects that it removes by itself.
    pub rules: Knowledge<Vec<Rule>>,
    /// True if it keeps what is replaced or removed.
    pub versions: Knowledge<bool>,
    /// The bytes of the largest object that it takes; `None` if it sets no limit.
    pub largest: Knowledge<Option<u64>>,
    /// Survival of what it has acknowledged, where it tells.
    pub durability: Option<Durability>,
    /// Risks of its configuration.
    pub risks: Vec<String>,
}

impl Examination {
    /// The store was not reached.
    pub(super) fn nothing(reachable: Step) -> Examination {
        let untried = || Step::untried("the store is unavailable");
        let problem = || "the store is unavailable".to_owned();
        Examination {
            reachable,
            write: untried(),
            list: untried(),
            list_after_put: untried(),
            read: untried(),
            delete: untried(),
            private: untried(),
            clock: untried(),
            skew_ms: None,
            latency: None,
            rules: Knowledge::Unknown { problem: problem() },
            versions: Knowledge::Unknown { problem: problem() },
            largest: Knowledge::Unknown { problem: problem() },
            durability: None,
            risks: Vec::new(),
        }
    }
}
