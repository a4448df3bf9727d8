//! Browser profiles, as exports: backups and restores of the session behind a handle.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dashmap::DashMap;
use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;
use serde::Deserialize;
use serde_json::json;

use super::engine;
use super::promise::{Thrown, promise};
use crate::admin::json;
use crate::error::{Code, Error, Result};
use crate::platform::host::blocking;
use crate::profile::snapshot::{SnapshotRequest, Writer};
use crate::profile::{Keeper, Order, Summary, forget, hold, is_held, reseal, restore, truncate_logs};
use crate::registry::Handle;

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

/// Backs a profile up. `order` is JSON. Resolves to a report, as JSON, when the generation is acknowledged.
#[napi(catch_unwind, ts_return_type = "Promise<Reply>")]
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
        let order = Order {
            snapshot: Arc::new(SnapshotRequest { directory, scratch, writer, extra }),
            keep: order.generations,
            marker: order.marker,
            audit: order.audit,
            refresh: Duration::from_millis(order.refresh_ms),
            timeout: Duration::from_millis(order.timeout_ms),
        };
        let keeper = Arc::clone(&*keepers().entry(handle).or_default());
        json(&keeper.backup(&session, order).await?)
    })
}

/// Restores a generation, or the newest one, to the folder `to`, which must not be there. Resolves to a report, as JSON.
#[napi(catch_unwind, ts_return_type = "Promise<Reply>")]
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
    promise(env, async move { json(&restore(&*session?, PathBuf::from(to), generation).await?) })
}

/// Seals the packs of a profile anew, under its claim and the primary key. Resolves when that is acknowledged.
#[napi(catch_unwind, ts_return_type = "Promise<Reply>")]
pub fn profile_reseal(env: &Env, handle: Handle, timeout_ms: u32) -> napi::Result<Object<'_>> {
    let session = engine().registry.session(handle);
    promise(env, async move {
        reseal(&*session?, Duration::from_millis(timeout_ms.into())).await?;
        Ok(String::new())
    })
}

/// Reads what the state says of a profile beside its files.
fn summary(handle: Handle) -> Result<Summary> {
    engine().registry.session(handle)?.journal().read(Summary::read)?
}

/// The generations of a profile that are kept, as JSON, oldest first.
#[napi(catch_unwind)]
pub fn profile_generations(handle: Handle) -> std::result::Result<String, Thrown> {
    let Summary { generations, packs, .. } = summary(handle)?;
    let generations: Vec<_> = generations
        .iter()
        .map(|(number, made)| {
            json!({
                "number": number,
                "at": made.wall_ms,
                "files": made.files,
                "bytes": made.bytes,
                "quiet": made.quiet(),
            })
        })
        .collect();
    let stored: u64 = packs.values().map(|pack| u64::from(pack.stored)).sum();
    Ok(json!({ "generations": generations, "packs": packs.len(), "stored": stored }).to_string())
}

/// True if the folder beside `marker` holds the newest generation.
#[napi(catch_unwind)]
pub fn profile_is_held(handle: Handle, marker: String) -> std::result::Result<bool, Thrown> {
    Ok(is_held(marker.as_ref(), &summary(handle)?.generations))
}

/// Truncates the logs of the profile in `directory`, where no browser runs, behind their last whole records. Resolves to the number of
/// logs.
#[napi(catch_unwind, ts_return_type = "Promise<Reply>")]
pub fn profile_truncate_logs(env: &Env, directory: String) -> napi::Result<Object<'_>> {
    promise(env, async move {
        let truncated = blocking(engine().registry.host(), move || truncate_logs(directory.as_ref())).await?;
        Ok(truncated.to_string())
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
