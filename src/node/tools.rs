//! What an operator asks, as exports.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use napi::Env;
use napi::bindgen_prelude::{Buffer, Object};
use napi_derive::napi;

use super::answer::{Given, promise};
use super::{engine, options};
use crate::error::Result;
use crate::registry::Request;
use crate::seal::Ring;
use crate::tools;

fn request(options: &str, ring: Result<Ring>) -> Result<Request> {
    options::parse(options, ring?, None, Arc::new(|_| {}))
}

/// Standing of a tenant, in the store and here: `options` and `keys` as for `open`. Resolves to JSON.
#[napi(catch_unwind, ts_return_type = "Promise<Outcome>")]
pub fn inspect(env: &Env, options: String, keys: Buffer) -> napi::Result<Object<'_>> {
    let ring = Ring::new(&keys);
    promise(env, async move {
        let inspection = tools::inspect(&engine().registry, request(&options, ring)?).await?;
        tools::json(&inspection)
    })
}

/// Standing of all tenants of a store by its listings, or of `tenants`; the ids in `known` give hidden names back their owners. The
/// tenant in `options` counts for nothing. Resolves to JSON.
#[napi(catch_unwind, ts_return_type = "Promise<Outcome>")]
pub fn survey(
    env: &Env,
    options: String,
    keys: Buffer,
    tenants: Option<Vec<String>>,
    known: Vec<String>,
) -> napi::Result<Object<'_>> {
    let ring = Ring::new(&keys);
    promise(env, async move {
        let standings = tools::survey(&engine().registry, request(&options, ring)?, tenants, known).await?;
        tools::json(&standings)
    })
}

/// The time by the clock of the store, in milliseconds since 1970. Resolves to JSON.
#[napi(catch_unwind, ts_return_type = "Promise<Outcome>")]
pub fn clock(env: &Env, options: String, keys: Buffer) -> napi::Result<Object<'_>> {
    let ring = Ring::new(&keys);
    promise(
        env,
        async move { tools::json(&tools::clock(&engine().registry, request(&options, ring)?).await?) },
    )
}

/// All that a blank machine would restore, verified. Resolves to JSON as of `verify`, and the entries as bytes.
#[napi(catch_unwind, ts_return_type = "Promise<Outcome>")]
pub fn recall(env: &Env, options: String, keys: Buffer) -> napi::Result<Object<'_>> {
    let ring = Ring::new(&keys);
    promise(env, async move {
        let (report, entries) = tools::recall(&engine().registry, request(&options, ring)?).await?;
        Ok(Given { text: report, bytes: Some(entries) })
    })
}

/// Restores into `folder`, reads it back and compares. Resolves to JSON, and the entries that were read back as bytes.
#[napi(catch_unwind, ts_return_type = "Promise<Outcome>")]
pub fn drill(
    env: &Env,
    options: String,
    keys: Buffer,
    folder: String,
    timeout_ms: u32,
) -> napi::Result<Object<'_>> {
    let ring = Ring::new(&keys);
    promise(env, async move {
        let timeout = Duration::from_millis(timeout_ms.into());
        let request = request(&options, ring)?;
        let (report, entries) =
            tools::drill(&engine().registry, request, PathBuf::from(folder), timeout).await?;
        Ok(Given { text: tools::json(&report)?, bytes: Some(entries) })
    })
}

/// Stores the whole state of a tenant that is open here anew. Resolves when that is done.
#[napi(catch_unwind, ts_return_type = "Promise<Outcome>")]
pub fn renew(env: &Env, options: String, keys: Buffer, timeout_ms: u32) -> napi::Result<Object<'_>> {
    let ring = Ring::new(&keys);
    promise(env, async move {
        let timeout = Duration::from_millis(timeout_ms.into());
        tools::renew(&engine().registry, request(&options, ring)?, timeout).await?;
        Ok(String::new())
    })
}

/// Tries the store out that `store` (JSON) names. Resolves to JSON.
#[napi(catch_unwind, ts_return_type = "Promise<Outcome>")]
pub fn examine(env: &Env, store: String) -> napi::Result<Object<'_>> {
    promise(
        env,
        async move { tools::json(&tools::examine(&engine().registry, &options::store(&store)?).await?) },
    )
}

/// The ids of `keys`, in their order.
#[napi(catch_unwind)]
pub fn keyring(keys: Buffer) -> std::result::Result<Vec<String>, super::answer::Thrown> {
    Ok(Ring::new(&keys)?.ids().iter().map(|id| crate::id::hex(id)).collect())
}
