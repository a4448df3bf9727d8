//! The examination of a store, for `doctor()`.

use napi_derive::napi;

use crate::store::{self, Expiry, Knowledge};

/// Outcome of a step.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct Step {
    /// True if it was as it must be; `null` if it could not be tried, or may pass.
    pub done: Option<bool>,
    /// The problem, or why it could not be tried; `null` if all is well.
    pub problem: Option<String>,
    /// Its duration, in milliseconds; `null` if it was not tried.
    pub ms: Option<f64>,
}

impl From<store::Step> for Step {
    fn from(store::Step { done, problem, ms }: store::Step) -> Step {
        Step { done, problem, ms: ms.map(|ms| ms as f64) }
    }
}

/// The middle of some measurements, in milliseconds.
#[napi(object, object_from_js = false)]
pub struct Latency {
    /// Storing a small object.
    pub put: f64,
    /// Listing it.
    pub list: f64,
    /// Reading it.
    pub get: f64,
}

/// A rule of a bucket for objects of a certain age.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct Rule {
    /// The starts of names that it concerns; none: all names.
    pub prefixes: Vec<String>,
    /// The age, in days; `null` where there is a date.
    pub days: Option<f64>,
    /// From which day on, or for what was stored before which day.
    pub date: Option<String>,
    /// Fate of an object: it is removed, or moved to where it cannot be read at once.
    #[napi(ts_type = "'removed' | 'archived'")]
    pub fate: &'static str,
}

impl From<store::Rule> for Rule {
    fn from(store::Rule { prefixes, days, date, fate }: store::Rule) -> Rule {
        let fate = match fate {
            Expiry::Removed => "removed",
            Expiry::Archived => "archived",
        };
        Rule { prefixes, days: days.map(|days| days as f64), date, fate }
    }
}

/// The rules of a bucket: told, none for this kind of store, or unknown.
#[napi(object_from_js = false, discriminant = "kind", discriminant_case = "camelCase")]
pub enum KnownRules {
    Told { value: Vec<Rule> },
    Impossible {},
    Unknown { problem: String },
}

impl From<Knowledge<Vec<store::Rule>>> for KnownRules {
    fn from(known: Knowledge<Vec<store::Rule>>) -> KnownRules {
        match known {
            Knowledge::Told { value } => {
                KnownRules::Told { value: value.into_iter().map(Rule::from).collect() }
            }
            Knowledge::Impossible => KnownRules::Impossible {},
            Knowledge::Unknown { problem } => KnownRules::Unknown { problem },
        }
    }
}

/// True for a bucket that keeps what is replaced or removed: told, never for this kind of store, or unknown.
#[napi(object_from_js = false, discriminant = "kind", discriminant_case = "camelCase")]
pub enum KnownVersions {
    Told { value: bool },
    Impossible {},
    Unknown { problem: String },
}

impl From<Knowledge<bool>> for KnownVersions {
    fn from(known: Knowledge<bool>) -> KnownVersions {
        match known {
            Knowledge::Told { value } => KnownVersions::Told { value },
            Knowledge::Impossible => KnownVersions::Impossible {},
            Knowledge::Unknown { problem } => KnownVersions::Unknown { problem },
        }
    }
}

/// The bytes of the largest object, `null` for no limit: told, never by this kind of store, or unknown.
#[napi(object_from_js = false, use_nullable = true, discriminant = "kind", discriminant_case = "camelCase")]
pub enum KnownLimit {
    Told { value: Option<f64> },
    Impossible {},
    Unknown { problem: String },
}

impl From<Knowledge<Option<u64>>> for KnownLimit {
    fn from(known: Knowledge<Option<u64>>) -> KnownLimit {
        match known {
            Knowledge::Told { value } => KnownLimit::Told { value: value.map(|bytes| bytes as f64) },
            Knowledge::Impossible => KnownLimit::Impossible {},
            Knowledge::Unknown { problem } => KnownLimit::Unknown { problem },
        }
    }
}

/// All that was found out about a store.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct Examination {
    /// The store answers.
    pub reachable: Step,
    /// The right to store, and to store again.
    pub write: Step,
    /// The right to list.
    pub list: Step,
    /// A listing shows what was stored before.
    pub list_after_put: Step,
    /// The right to read.
    pub read: Step,
    /// The right to remove.
    pub delete: Step,
    /// It is closed to strangers.
    pub private: Step,
    /// Its clock and ours agree.
    pub clock: Step,
    /// Lead of its clock over ours, in milliseconds; `null` if it tells no time.
    pub skew_ms: Option<f64>,
    /// Duration of requests; `null` if they were not measured.
    pub latency: Option<Latency>,
    /// Objects that it removes by itself.
    pub rules: KnownRules,
    /// True for one that keeps what is replaced or removed.
    pub versions: KnownVersions,
    /// The largest object that it takes.
    pub largest: KnownLimit,
    /// Survival of what it has acknowledged; `null` where it does not tell.
    #[napi(ts_type = "'replicated' | 'disk' | 'second' | 'memory'")]
    pub durability: Option<&'static str>,
    /// Risks of its configuration, each with its remedy.
    pub risks: Vec<String>,
}

impl From<store::Examination> for Examination {
    fn from(found: store::Examination) -> Examination {
        Examination {
            reachable: found.reachable.into(),
            write: found.write.into(),
            list: found.list.into(),
            list_after_put: found.list_after_put.into(),
            read: found.read.into(),
            delete: found.delete.into(),
            private: found.private.into(),
            clock: found.clock.into(),
            skew_ms: found.skew_ms.map(|ms| ms as f64),
            latency: found.latency.map(|store::Latency { put, list, get }| Latency { put, list, get }),
            rules: found.rules.into(),
            versions: found.versions.into(),
            largest: found.largest.into(),
            durability: found.durability.map(store::Durability::as_str),
            risks: found.risks,
        }
    }
}
