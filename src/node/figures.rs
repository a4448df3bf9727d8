//! Figures of this process, of its requests and of each session, for metrics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use napi_derive::napi;

use super::promise::Thrown;
use super::status::Status;
use super::{engine, options};
use crate::platform::meter::{self, METERS};
use crate::store::StoreStats;

/// Requests and bytes between this process and a store, or all of them, since the start of the process.
#[napi(object, object_from_js = false)]
pub struct Traffic {
    /// Objects that were stored, or tried to be.
    pub puts: f64,
    /// Objects that were read.
    pub gets: f64,
    /// Pages of listings.
    pub lists: f64,
    /// Objects that were removed.
    pub deletes: f64,
    /// Bytes of objects to the store.
    pub sent: f64,
    /// Bytes of objects from the store.
    pub received: f64,
    /// Requests that failed, with those that were repeated.
    pub failures: f64,
}

impl From<&StoreStats> for Traffic {
    fn from(stats: &StoreStats) -> Traffic {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed) as f64;
        Traffic {
            puts: read(&stats.puts),
            gets: read(&stats.gets),
            lists: read(&stats.lists),
            deletes: read(&stats.deletes),
            sent: read(&stats.sent),
            received: read(&stats.received),
            failures: read(&stats.failures),
        }
    }
}

/// Durations, counted by upper bounds.
#[napi(object, object_from_js = false)]
pub struct Histogram {
    /// The upper bounds, in microseconds.
    pub bounds: Vec<f64>,
    /// Number of those within each bound and beyond the one before; the last is of those beyond all.
    pub counts: Vec<f64>,
    /// All together, in microseconds.
    pub sum: f64,
}

impl<const N: usize> From<&meter::Histogram<N>> for Histogram {
    fn from(histogram: &meter::Histogram<N>) -> Histogram {
        Histogram {
            bounds: histogram.bounds().iter().map(|bound| *bound as f64).collect(),
            counts: histogram.counts().map(|count| count as f64).collect(),
            sum: histogram.sum() as f64,
        }
    }
}

/// A count for each kind of object.
#[napi(object, object_from_js = false)]
pub struct ByObject {
    /// Changes since the object before.
    pub segment: f64,
    /// Full states.
    pub base: f64,
    /// Marks of ownership.
    pub mark: f64,
    /// Packs of browser profiles.
    pub pack: f64,
}

impl From<&meter::ByObject> for ByObject {
    fn from(counts: &meter::ByObject) -> ByObject {
        let meter::ByObject { segment, base, mark, pack } = counts;
        let read = |count: &meter::Count| count.get() as f64;
        ByObject { segment: read(segment), base: read(base), mark: read(mark), pack: read(pack) }
    }
}

/// A count for each meaning of a failed request. The names are values of a label of a metric.
#[napi(object, object_from_js = false)]
pub struct ByMeaning {
    /// The object is not there.
    pub absent: f64,
    /// A key or right is wrong.
    pub denied: f64,
    /// The store is not set up.
    #[napi(js_name = "not_configured")]
    pub not_configured: f64,
    /// Too many requests.
    pub throttled: f64,
    /// It may pass.
    pub transient: f64,
    /// It may have taken effect.
    pub ambiguous: f64,
    /// This kind of store cannot do it.
    pub impossible: f64,
    /// The object is too large.
    #[napi(js_name = "too_large")]
    pub too_large: f64,
}

impl From<&meter::ByMeaning> for ByMeaning {
    fn from(counts: &meter::ByMeaning) -> ByMeaning {
        let read = |count: &meter::Count| count.get() as f64;
        ByMeaning {
            absent: read(&counts.absent),
            denied: read(&counts.denied),
            not_configured: read(&counts.not_configured),
            throttled: read(&counts.throttled),
            transient: read(&counts.transient),
            ambiguous: read(&counts.ambiguous),
            impossible: read(&counts.impossible),
            too_large: read(&counts.too_large),
        }
    }
}

/// Durations of successful opens, by the origin of the session.
#[napi(object, object_from_js = false)]
pub struct BySource {
    /// Made new.
    pub fresh: Histogram,
    /// Taken over from files of another kind.
    pub imported: Histogram,
    /// From the local log.
    pub local: Histogram,
    /// From the store.
    pub remote: Histogram,
}

impl From<&meter::BySource> for BySource {
    fn from(opens: &meter::BySource) -> BySource {
        let meter::BySource { fresh, imported, local, remote } = opens;
        BySource {
            fresh: fresh.into(),
            imported: imported.into(),
            local: local.into(),
            remote: remote.into(),
        }
    }
}

fn by_code(counts: &meter::ByCode) -> BTreeMap<&'static str, f64> {
    counts.get().into_iter().map(|(code, count)| (code, count as f64)).collect()
}

/// All that this process has counted since its start.
#[napi(object, object_from_js = false)]
pub struct Meters {
    /// Objects that a store took.
    pub uploads: ByObject,
    /// Bytes of them.
    pub uploaded: ByObject,
    /// Entries of batches that were what the session had already.
    pub unchanged: f64,
    /// Requests that failed.
    pub failures: ByMeaning,
    /// Opens that succeeded.
    pub opens: BySource,
    /// Opens that failed, by error code; without those that never were.
    #[napi(ts_type = "Record<string, number>")]
    pub open_failures: BTreeMap<&'static str, f64>,
    /// Sessions that a newer owner ended.
    pub fences: f64,
    /// Syncs of local logs.
    pub syncs: Histogram,
    /// Number of those that failed.
    pub sync_failures: f64,
    /// Batches that could not be written to a local log.
    pub append_failures: f64,
    /// Damage that sessions went on from, of the local disk or of the store.
    pub repairs: f64,
    /// Objects that a store refused to take once more although they were there.
    pub refused_repeats: f64,
    /// States that were stored again because a store had lost objects.
    pub store_repairs: f64,
    /// Times that another server took the place of the one a session was stored on.
    pub server_changes: f64,
    /// Open connections to databases at the moment.
    pub connections: f64,
    /// Times that a store told a session of a changed claim.
    pub notifications: f64,
    /// Backups of profiles that were acknowledged, whether something had changed or not.
    pub profile_backups: Histogram,
    /// Times for which their browsers were stopped.
    pub profile_stops: Histogram,
    /// Backups of profiles that failed, by error code; without those that never were.
    #[napi(ts_type = "Record<string, number>")]
    pub profile_failures: BTreeMap<&'static str, f64>,
}

impl From<&meter::Meters> for Meters {
    fn from(meters: &meter::Meters) -> Meters {
        let read = |count: &meter::Count| count.get() as f64;
        Meters {
            uploads: (&meters.uploads).into(),
            uploaded: (&meters.uploaded).into(),
            unchanged: read(&meters.unchanged),
            failures: (&meters.failures).into(),
            opens: (&meters.opens).into(),
            open_failures: by_code(&meters.open_failures),
            fences: read(&meters.fences),
            syncs: (&meters.syncs).into(),
            sync_failures: read(&meters.sync_failures),
            append_failures: read(&meters.append_failures),
            repairs: read(&meters.repairs),
            refused_repeats: read(&meters.refused_repeats),
            store_repairs: read(&meters.store_repairs),
            server_changes: read(&meters.server_changes),
            connections: meters.connections.get() as f64,
            notifications: read(&meters.notifications),
            profile_backups: (&meters.profile_backups).into(),
            profile_stops: (&meters.profile_stops).into(),
            profile_failures: by_code(&meters.profile_failures),
        }
    }
}

/// A session of this process.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct SessionFigures {
    /// Its tenant.
    pub tenant_id: String,
    /// Its status; `null` for one that a fault put out of use.
    pub status: Option<Status>,
}

/// Figures of this process.
#[napi(object, object_from_js = false)]
pub struct Figures {
    /// Counts of the process.
    pub meters: Meters,
    /// Requests and bytes of all stores.
    pub traffic: Traffic,
    /// The sessions that are open, each once.
    pub sessions: Vec<SessionFigures>,
}

/// Requests and bytes between this process and the store that `store` (JSON) names; `null` if it was not used.
#[napi(catch_unwind)]
pub fn traffic(store: String) -> Result<Option<Traffic>, Thrown> {
    Ok(engine().registry.stores().traffic(&options::store(&store)?).as_deref().map(Traffic::from))
}

/// Figures of this process, of its requests and of each session.
#[napi(catch_unwind)]
pub fn figures() -> Figures {
    let registry = &engine().registry;
    let sessions = registry.statuses().into_iter();
    Figures {
        meters: (&METERS).into(),
        traffic: (&registry.stores().all_traffic()).into(),
        sessions: sessions
            .map(|(tenant_id, status)| SessionFigures { tenant_id, status: status.map(Status::from) })
            .collect(),
    }
}
