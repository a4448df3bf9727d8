//! Operator tools, as exports.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use napi::Env;
use napi::bindgen_prelude::{Buffer, Object};
use napi_derive::napi;

use super::promise::{Given, promise};
use super::{engine, options};
use crate::admin;
use crate::error::Result;
use crate::format::seal::Ring;
use crate::registry::OpenRequest;

fn request(options: &str, ring: Result<Ring>) -> Result<OpenRequest> {
    options::parse(options, ring?, None, Arc::new(|_| {}))
}

/// Standing of a tenant, in the store and here: `options` and `keys` as for `open`. Resolves to JSON.
#[napi(catch_unwind, ts_return_type = "Promise<Reply>")]
pub fn inspect(env: &Env, options: String, keys: Buffer) -> napi::Result<Object<'_>> {
    let ring = Ring::new(&keys);
    promise(env, async move {
        let inspection = admin::inspect(&engine().registry, request(&options, ring)?).await?;
        admin::json(&inspection)
    })
}

/// Standing of all tenants of a store by its listings, or of `tenants`; the ids in `known` give hidden names back their owners. The
/// tenant in `options` counts for nothing. Resolves to JSON.
#[napi(catch_unwind, ts_return_type = "Promise<Reply>")]
pub fn survey(
    env: &Env,
    options: String,
    keys: Buffer,
    tenants: Option<Vec<String>>,
    known: Vec<String>,
) -> napi::Result<Object<'_>> {
    let ring = Ring::new(&keys);
    promise(env, async move {
        let standings = admin::survey(&engine().registry, request(&options, ring)?, tenants, known).await?;
        admin::json(&standings)
    })
}

/// The time by the clock of the store, in milliseconds since 1970. Resolves to JSON.
#[napi(catch_unwind, ts_return_type = "Promise<Reply>")]
pub fn clock(env: &Env, options: String, keys: Buffer) -> napi::Result<Object<'_>> {
    let ring = Ring::new(&keys);
    promise(
        env,
        async move { admin::json(&admin::clock(&engine().registry, request(&options, ring)?).await?) },
    )
}

/// All that a blank machine would restore, verified. Resolves to JSON as of `verify`, and the entries as bytes.
#[napi(catch_unwind, ts_return_type = "Promise<Reply>")]
pub fn dump(env: &Env, options: String, keys: Buffer) -> napi::Result<Object<'_>> {
    let ring = Ring::new(&keys);
    promise(env, async move {
        let (report, entries) = admin::dump(&engine().registry, request(&options, ring)?).await?;
        Ok(Given { text: report, bytes: Some(entries) })
    })
}

/// Restores the newest generation of a profile to the folder `to`, which must not be there, without a claim. Resolves to JSON.
#[napi(catch_unwind, ts_return_type = "Promise<Reply>")]
pub fn profile_extract(env: &Env, options: String, keys: Buffer, to: String) -> napi::Result<Object<'_>> {
    let ring = Ring::new(&keys);
    promise(env, async move {
        let request = request(&options, ring)?;
        admin::json(&admin::extract_profile(&engine().registry, request, PathBuf::from(to), None).await?)
    })
}

/// Restores into `folder`, reads it back and compares. Resolves to JSON, and the entries that were read back as bytes.
#[napi(catch_unwind, ts_return_type = "Promise<Reply>")]
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
            admin::drill(&engine().registry, request, PathBuf::from(folder), timeout).await?;
        Ok(Given { text: admin::json(&report)?, bytes: Some(entries) })
    })
}

/// Stores the whole state of a tenant that is open here anew. Resolves when that is done.
#[napi(catch_unwind, ts_return_type = "Promise<Reply>")]
pub fn renew(env: &Env, options: String, keys: Buffer, timeout_ms: u32) -> napi::Result<Object<'_>> {
    let ring = Ring::new(&keys);
    promise(env, async move {
        let timeout = Duration::from_millis(timeout_ms.into());
        admin::renew(&engine().registry, request(&options, ring)?, timeout).await?;
        Ok(String::new())
    })
}

/// Tries the store out that `store` (JSON) names. Resolves to JSON.
#[napi(catch_unwind, ts_return_type = "Promise<Reply>")]
pub fn examine(env: &Env, store: String) -> napi::Result<Object<'_>> {
    promise(
        env,
        async move { admin::json(&admin::examine(&engine().registry, &options::store(&store)?).await?) },
    )
}

/// The ids of `keys`, in their order.
#[napi(catch_unwind)]
pub fn keyring(keys: Buffer) -> std::result::Result<Vec<String>, super::promise::Thrown> {
    Ok(Ring::new(&keys)?.ids().iter().map(|id| crate::id::hex(id)).collect())
}
