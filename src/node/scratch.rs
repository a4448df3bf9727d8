//! Scratch folders, for the trial of a store's contract.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use napi::Env;
use napi::bindgen_prelude::{Buffer, Object};
use napi_derive::napi;

use super::promise::promise;
use super::{engine, options};
use crate::error::{Code, Error, Result};
use crate::store::{RetryingStore, StoreSpec, TrialFolder};

/// Trials under way, by number.
type Trials = BTreeMap<u32, Arc<TrialFolder>>;

fn trials() -> MutexGuard<'static, Trials> {
    static TRIALS: OnceLock<Mutex<Trials>> = OnceLock::new();
    TRIALS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

fn trial(number: u32) -> Result<Arc<TrialFolder>> {
    trials().get(&number).cloned().ok_or_else(|| Error::new(Code::InvalidOption, "the trial has ended"))
}

/// A trial that has begun.
#[napi(object, object_from_js = false)]
pub struct Trial {
    /// Its number.
    pub trial: u32,
    /// Its folder.
    pub folder: String,
}

/// An object of a listing.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct ListedObject {
    /// Its name in the folder.
    pub name: String,
    /// Its bytes; `null` where the store does not tell.
    pub bytes: Option<f64>,
    /// Time at which it was stored, by the clock of the store, in milliseconds since 1970; `null` where it does not tell.
    pub modified_ms: Option<f64>,
}

/// Begins a trial of the store that `store` (JSON) names, in a folder of its own.
#[napi(catch_unwind, ts_return_type = "Promise<Trial | Failure>")]
pub fn scratch_begin(env: &Env, store: String) -> napi::Result<Object<'_>> {
    promise(env, async move {
        let spec = options::store(&store)?;
        let first = engine().registry.site(&spec)?.remote;
        let second = match &spec {
            // There is one of each name in a process.
            StoreSpec::Memory { .. } => first.clone(),
            _ => RetryingStore::connect(&spec, Arc::clone(engine().registry.host()))?,
        };
        let scratch = Arc::new(TrialFolder::new(first, second));
        let folder = scratch.folder().to_owned();
        let mut trials = trials();
        let number = trials.last_key_value().map_or(0, |(last, _)| last.wrapping_add(1));
        trials.insert(number, scratch);
        Ok(Trial { trial: number, folder })
    })
}

/// Stores an object in the folder of a trial, over its second connection if `second`.
#[napi(catch_unwind, ts_return_type = "Promise<void | Failure>")]
pub fn scratch_put(
    env: &Env,
    number: u32,
    second: bool,
    name: String,
    bytes: Buffer,
) -> napi::Result<Object<'_>> {
    let bytes = Bytes::copy_from_slice(&bytes);
    promise(env, async move { trial(number)?.put(second, &name, bytes).await })
}

/// Stores an object, and lists its folder in the same exchange. Resolves to its names; to `null` where the store has no such exchange.
#[napi(catch_unwind, ts_return_type = "Promise<Array<string> | null | Failure>")]
pub fn scratch_put_then_list(
    env: &Env,
    number: u32,
    name: String,
    bytes: Buffer,
    folder: String,
) -> napi::Result<Object<'_>> {
    let bytes = Bytes::copy_from_slice(&bytes);
    promise(env, async move { trial(number)?.put_then_list(&name, bytes, &folder).await })
}

/// An object in the folder of a trial. Resolves to its bytes; to `null` if there is none.
#[napi(catch_unwind, ts_return_type = "Promise<Buffer | null | Failure>")]
pub fn scratch_get(env: &Env, number: u32, second: bool, name: String) -> napi::Result<Object<'_>> {
    promise(env, async move {
        let bytes = trial(number)?.get(second, &name).await?;
        Ok(bytes.map(|bytes| Buffer::from(Vec::from(bytes))))
    })
}

/// Names in a folder below that of a trial.
#[napi(catch_unwind, ts_return_type = "Promise<Array<string> | Failure>")]
pub fn scratch_list(
    env: &Env,
    number: u32,
    second: bool,
    folder: String,
    prefix: String,
) -> napi::Result<Object<'_>> {
    promise(env, async move { trial(number)?.list(second, &folder, &prefix).await })
}

/// Objects in a folder below that of a trial.
#[napi(catch_unwind, ts_return_type = "Promise<Array<ListedObject> | Failure>")]
pub fn scratch_details(env: &Env, number: u32, folder: String) -> napi::Result<Object<'_>> {
    promise(env, async move {
        let listed = trial(number)?.details(&folder, "").await?;
        let told = listed.into_iter().map(|object| ListedObject {
            name: object.name,
            bytes: object.bytes.map(|bytes| bytes as f64),
            modified_ms: object.modified_ms.map(|ms| ms as f64),
        });
        Ok(told.collect::<Vec<_>>())
    })
}

/// Removes objects from the folder of a trial.
#[napi(catch_unwind, ts_return_type = "Promise<void | Failure>")]
pub fn scratch_remove(env: &Env, number: u32, names: Vec<String>) -> napi::Result<Object<'_>> {
    promise(env, async move { trial(number)?.remove(&names).await })
}

/// Ends a trial, and its second connection with it.
#[napi(catch_unwind)]
pub fn scratch_end(number: u32) {
    trials().remove(&number);
}
