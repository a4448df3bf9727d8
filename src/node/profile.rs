//! Browser profiles, as exports: backups and restores of the session behind a handle.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dashmap::DashMap;
use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;
use serde::Deserialize;

use super::promise::{Thrown, promise};
use super::reports::Restored;
use super::{Handle, engine};
use crate::error::{Code, Error, Result};
use crate::platform::host::blocking;
use crate::profile::snapshot::{Quiet, SnapshotRequest, Writer};
use crate::profile::{
    self, BackupOrder, Keeper, Summary, forget, hold, is_held, reseal, restore, truncate_logs,
};

/// Knowledge of each open profile, until it is closed.
fn keepers() -> &'static DashMap<Handle, Arc<Keeper>> {
    static KEEPERS: OnceLock<DashMap<Handle, Arc<Keeper>>> = OnceLock::new();
    KEEPERS.get_or_init(DashMap::new)
}

/// Nothing is known of a handle that was given back.
pub fn release(handle: Handle) {
    keepers().remove(&handle);
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoreOrder {
    directory: PathBuf,
    scratch: PathBuf,
    /// The process of a running browser.
    pid: Option<u32>,
    /// It runs.
    is_running: bool,
    extra: Vec<String>,
    generations: usize,
    marker: Option<PathBuf>,
    audit: bool,
    refresh_ms: u64,
    timeout_ms: u64,
}

fn parse<'a, T: Deserialize<'a>>(order: &'a str) -> Result<T> {
    serde_json::from_str(order).map_err(|error| Error::new(Code::InvalidOption, error))
}

/// Outcome of a backup.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct BackupReport {
    /// The newest generation.
    pub generation: f64,
    /// False if the profile is as it was, and nothing was sent.
    pub changed: bool,
    /// Its files.
    pub files: f64,
    /// Their bytes.
    pub bytes: f64,
    /// Bytes of the packs that were stored for it.
    pub sent: f64,
    /// Number of those packs.
    pub packs: f64,
    /// The way in which the browser was kept from writing.
    #[napi(ts_type = "'closed' | 'stopped' | 'optimistic'")]
    pub quiet: &'static str,
    /// Time for which it was stopped, in milliseconds.
    pub stopped_ms: f64,
    /// Number of times that it was tried.
    pub tries: u32,
    /// Packs that the store had lost: what the profile has of them was stored again.
    pub repaired: f64,
    /// Reason that superfluous packs could not be removed; `null` if they were.
    pub uncollected: Option<String>,
}

impl From<profile::BackupReport> for BackupReport {
    fn from(report: profile::BackupReport) -> BackupReport {
        let profile::BackupReport { changed, quiet, stopped_ms, tries, uncollected, .. } = report;
        BackupReport {
            generation: report.generation as f64,
            changed,
            files: report.files as f64,
            bytes: report.bytes as f64,
            sent: report.sent as f64,
            packs: report.packs as f64,
            quiet: quiet.as_str(),
            stopped_ms,
            tries,
            repaired: report.repaired as f64,
            uncollected,
        }
    }
}

/// Backs a profile up. `order` is JSON. Resolves when the generation is acknowledged.
#[napi(catch_unwind, ts_return_type = "Promise<BackupReport | Failure>")]
pub fn profile_store(env: &Env, handle: Handle, order: String) -> napi::Result<Object<'_>> {
    let session = engine().registry.session(handle);
    promise(env, async move {
        let session = session?;
        let order: StoreOrder = parse(&order)?;
        let writer = match order.pid {
            Some(pid) => Writer::Process(pid),
            None if order.is_running => Writer::Running,
            None => Writer::None,
        };
        let (directory, scratch, extra) = (order.directory, order.scratch, order.extra);
        let order = BackupOrder {
            snapshot: Arc::new(SnapshotRequest { directory, scratch, writer, extra }),
            keep: order.generations,
            marker: order.marker,
            audit: order.audit,
            refresh: Duration::from_millis(order.refresh_ms),
            timeout: Duration::from_millis(order.timeout_ms),
        };
        let keeper = Arc::clone(&*keepers().entry(handle).or_default());
        Ok(BackupReport::from(keeper.backup(&session, order).await?))
    })
}

/// Restores a generation, or the newest one, to the folder `to`, which must not be there.
#[napi(catch_unwind, ts_return_type = "Promise<Restored | Failure>")]
pub fn profile_restore(
    env: &Env,
    handle: Handle,
    to: String,
    generation: Option<f64>,
) -> napi::Result<Object<'_>> {
    let session = engine().registry.session(handle);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "JavaScript checked that it is a whole number"
    )]
    let generation = generation.map(|number| number as u64);
    promise(env, async move { Ok(Restored::from(restore(&*session?, PathBuf::from(to), generation).await?)) })
}

/// Seals the packs of a profile anew, under its claim and the primary key. Resolves when that is acknowledged.
#[napi(catch_unwind, ts_return_type = "Promise<void | Failure>")]
pub fn profile_reseal(env: &Env, handle: Handle, timeout_ms: u32) -> napi::Result<Object<'_>> {
    let session = engine().registry.session(handle);
    promise(env, async move { reseal(&*session?, Duration::from_millis(timeout_ms.into())).await })
}

/// Reads what the state says of a profile beside its files.
fn summary(handle: Handle) -> Result<Summary> {
    engine().registry.session(handle)?.journal().read(Summary::read)?
}

/// A generation of a profile.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct Generation {
    /// Its number.
    pub number: f64,
    /// Time at which it was made, by the clock of its machine, in milliseconds since 1970.
    pub at: f64,
    /// Its files.
    pub files: f64,
    /// Their bytes.
    pub bytes: f64,
    /// The way in which the browser was kept from writing; `null` for one that this version does not know.
    #[napi(ts_type = "'closed' | 'stopped' | 'optimistic'")]
    pub quiet: Option<&'static str>,
}

/// The generations of a profile that are kept.
#[napi(object, object_from_js = false)]
pub struct Generations {
    /// Each of them, oldest first.
    pub generations: Vec<Generation>,
    /// Number of the packs that they need.
    pub packs: f64,
    /// Bytes of those packs, as stored.
    pub stored: f64,
}

/// The generations of a profile that are kept.
#[napi(catch_unwind)]
pub fn profile_generations(handle: Handle) -> std::result::Result<Generations, Thrown> {
    let Summary { generations, packs, .. } = summary(handle)?;
    let generations = generations.iter().map(|(number, made)| Generation {
        number: *number as f64,
        at: made.wall_ms as f64,
        files: made.files as f64,
        bytes: made.bytes as f64,
        quiet: made.quiet().map(Quiet::as_str),
    });
    let stored: u64 = packs.values().map(|pack| u64::from(pack.stored)).sum();
    Ok(Generations { generations: generations.collect(), packs: packs.len() as f64, stored: stored as f64 })
}

/// True if the folder beside `marker` holds the newest generation.
#[napi(catch_unwind)]
pub fn profile_is_held(handle: Handle, marker: String) -> std::result::Result<bool, Thrown> {
    Ok(is_held(marker.as_ref(), &summary(handle)?.generations))
}

/// Truncates the logs of the profile in `directory`, where no browser runs, behind their last whole records. Resolves to the number of
/// logs.
#[napi(catch_unwind, ts_return_type = "Promise<number | Failure>")]
pub fn profile_truncate_logs(env: &Env, directory: String) -> napi::Result<Object<'_>> {
    promise(env, async move {
        let truncated = blocking(engine().registry.host(), move || truncate_logs(directory.as_ref())).await?;
        Ok(truncated as f64)
    })
}

/// Says that the folder beside `marker` holds nothing of the session any more: it is about to be replaced.
#[napi(catch_unwind)]
pub fn profile_forget(marker: String) -> std::result::Result<(), Thrown> {
    Ok(forget(marker.as_ref())?)
}

/// Says that the folder beside `marker` holds the newest generation: it was restored there.
#[napi(catch_unwind)]
pub fn profile_hold(handle: Handle, marker: String) -> std::result::Result<(), Thrown> {
    Ok(hold(marker.as_ref(), &summary(handle)?.generations)?)
}
