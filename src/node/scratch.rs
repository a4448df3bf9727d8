//! Scratch folders, for the trial of a store's contract.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use napi::Env;
use napi::bindgen_prelude::{Buffer, Object};
use napi_derive::napi;
use serde_json::json;

use super::promise::{Given, promise};
use super::{engine, options};
use crate::admin;
use crate::error::{Code, Error, Result};
use crate::store::{RetryingStore, Scratch, StoreSpec};

/// Trials under way, by number.
type Trials = BTreeMap<u32, Arc<Scratch>>;

fn trials() -> MutexGuard<'static, Trials> {
    static TRIALS: OnceLock<Mutex<Trials>> = OnceLock::new();
    TRIALS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

fn trial(number: u32) -> Result<Arc<Scratch>> {
    trials().get(&number).cloned().ok_or_else(|| Error::new(Code::InvalidOption, "the trial has ended"))
}

/// Begins a trial of the store that `store` (JSON) names, in a folder of its own. Resolves to JSON `{ trial, folder }`.
#[napi(catch_unwind, ts_return_type = "Promise<Reply>")]
pub fn scratch_begin(env: &Env, store: String) -> napi::Result<Object<'_>> {
    promise(env, async move {
        let spec = options::store(&store)?;
        let first = engine().registry.site(&spec)?.remote;
        let second = match &spec {
            // There is one of each name in a process.
            StoreSpec::Memory { .. } => first.clone(),
            _ => RetryingStore::connect(&spec, Arc::clone(engine().registry.host()))?,
        };
        let scratch = Arc::new(Scratch::new(first, second));
        let folder = scratch.folder().to_owned();
        let mut trials = trials();
        let number = trials.last_key_value().map_or(0, |(last, _)| last.wrapping_add(1));
        trials.insert(number, scratch);
        Ok(json!({ "trial": number, "folder": folder }).to_string())
    })
}

/// Stores an object in the folder of a trial, over its second connection if `second`.
#[napi(catch_unwind, ts_return_type = "Promise<Reply>")]
pub fn scratch_put(
    env: &Env,
    number: u32,
    second: bool,
    name: String,
    bytes: Buffer,
) -> napi::Result<Object<'_>> {
    let bytes = Bytes::copy_from_slice(&bytes);
    promise(env, async move {
        trial(number)?.put(second, &name, bytes).await?;
        Ok(String::new())
    })
}

/// Stores an object, and lists its folder in the same exchange. Resolves to a JSON array; `null` where the store has no such exchange.
#[napi(catch_unwind, ts_return_type = "Promise<Reply>")]
pub fn scratch_put_then_list(
    env: &Env,
    number: u32,
    name: String,
    bytes: Buffer,
    folder: String,
) -> napi::Result<Object<'_>> {
    let bytes = Bytes::copy_from_slice(&bytes);
    promise(env, async move { admin::json(&trial(number)?.put_then_list(&name, bytes, &folder).await?) })
}

/// An object in the folder of a trial. Resolves to its bytes, or without any if there is none.
#[napi(catch_unwind, ts_return_type = "Promise<Reply>")]
pub fn scratch_get(env: &Env, number: u32, second: bool, name: String) -> napi::Result<Object<'_>> {
    promise(env, async move {
        let bytes = trial(number)?.get(second, &name).await?;
        Ok(Given { text: String::new(), bytes: bytes.map(Vec::from) })
    })
}

/// Names in a folder below that of a trial. Resolves to a JSON array.
#[napi(catch_unwind, ts_return_type = "Promise<Reply>")]
pub fn scratch_list(
    env: &Env,
    number: u32,
    second: bool,
    folder: String,
    prefix: String,
) -> napi::Result<Object<'_>> {
    promise(env, async move { admin::json(&trial(number)?.list(second, &folder, &prefix).await?) })
}

/// Objects in a folder below that of a trial. Resolves to JSON `[{ name, bytes, modifiedMs }]`.
#[napi(catch_unwind, ts_return_type = "Promise<Reply>")]
pub fn scratch_details(env: &Env, number: u32, folder: String) -> napi::Result<Object<'_>> {
    promise(env, async move {
        let listed = trial(number)?.details(&folder, "").await?;
        let told = listed.iter().map(
            |object| json!({ "name": object.name, "bytes": object.bytes, "modifiedMs": object.modified_ms }),
        );
        admin::json(&told.collect::<Vec<_>>())
    })
}

/// Removes objects from the folder of a trial.
#[napi(catch_unwind, ts_return_type = "Promise<Reply>")]
pub fn scratch_remove(env: &Env, number: u32, names: Vec<String>) -> napi::Result<Object<'_>> {
    promise(env, async move {
        trial(number)?.remove(&names).await?;
        Ok(String::new())
    })
}

/// Ends a trial, and its second connection with it.
#[napi(catch_unwind)]
pub fn scratch_end(number: u32) {
    trials().remove(&number);
}
