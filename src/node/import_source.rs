//! Sources of imports, for migrations.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use napi::Env;
use napi::bindgen_prelude::{Buffer, Object};
use napi_derive::napi;

use super::promise::promise;
use super::{engine, options};
use crate::error::Result;
use crate::store::{ImportSource, StoreSpec, foreign};

/// Buckets that were used, the last one last.
type Buckets = Vec<(StoreSpec, Arc<ImportSource>)>;

/// Buckets that are kept: a migration reads one and may write another.
const KEPT: usize = 16;

/// The bucket that `store` (JSON) names; the connections of one that was used before.
fn bucket(store: &str) -> Result<Arc<ImportSource>> {
    static BUCKETS: OnceLock<Mutex<Buckets>> = OnceLock::new();
    let spec = options::store(store)?;
    let mut buckets = BUCKETS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(at) = buckets.iter().position(|(known, _)| *known == spec) {
        // The one that was used last comes last.
        let used = buckets.remove(at);
        let bucket = Arc::clone(&used.1);
        buckets.push(used);
        return Ok(bucket);
    }
    let host = Arc::clone(engine().registry.host());
    let bucket = Arc::new(foreign(&spec, host)?);
    if buckets.len() == KEPT {
        buckets.remove(0);
    }
    buckets.push((spec, Arc::clone(&bucket)));
    Ok(bucket)
}

/// The names of all objects below a folder of a bucket of others, however deep; of the whole bucket for "".
#[napi(catch_unwind, ts_return_type = "Promise<Array<string> | Failure>")]
pub fn foreign_names(env: &Env, store: String, folder: String) -> napi::Result<Object<'_>> {
    promise(env, async move { bucket(&store)?.names(&folder).await })
}

/// An object in a bucket of others. Resolves to its bytes; to `null` if it is gone.
#[napi(catch_unwind, ts_return_type = "Promise<Buffer | null | Failure>")]
pub fn foreign_read(env: &Env, store: String, name: String) -> napi::Result<Object<'_>> {
    promise(env, async move {
        let bytes = bucket(&store)?.read(&name).await?;
        Ok(bytes.map(|bytes| Buffer::from(Vec::from(bytes))))
    })
}

/// Removes objects from a bucket of others.
#[napi(catch_unwind, ts_return_type = "Promise<void | Failure>")]
pub fn foreign_remove(env: &Env, store: String, names: Vec<String>) -> napi::Result<Object<'_>> {
    promise(env, async move { bucket(&store)?.remove(names).await })
}
