//! Operator tools, as exports.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use napi::Env;
use napi::bindgen_prelude::{Buffer, Object};
use napi_derive::napi;

use super::examination::Examination;
use super::promise::promise;
use super::reports::{Drill, Dump, Extraction, VerifyReport};
use super::standings::{Inspection, TenantStanding, Tenants};
use super::{engine, options};
use crate::admin;
use crate::error::Result;
use crate::format::seal::Ring;
use crate::registry::OpenRequest;

fn request(options: &str, ring: Result<Ring>) -> Result<OpenRequest> {
    options::parse(options, ring?, None, Arc::new(|_| {}))
}

/// Standing of a tenant, in the store and here: `options` and `keys` as for `open`.
#[napi(catch_unwind, ts_return_type = "Promise<Inspection | Failure>")]
pub fn inspect(env: &Env, options: String, keys: Buffer) -> napi::Result<Object<'_>> {
    let ring = Ring::new(&keys);
    promise(env, async move {
        Ok(Inspection::from(admin::inspect(&engine().registry, request(&options, ring)?).await?))
    })
}

/// Standing of all tenants of a store by its listings, or of `tenants`; the ids in `known` give hidden names back their owners. The
/// tenant in `options` counts for nothing.
#[napi(catch_unwind, ts_return_type = "Promise<Array<TenantStanding> | Failure>")]
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
        Ok(standings.into_iter().map(TenantStanding::from).collect::<Vec<_>>())
    })
}

/// The time by the clock of the store, in milliseconds since 1970.
#[napi(catch_unwind, ts_return_type = "Promise<number | Failure>")]
pub fn clock(env: &Env, options: String, keys: Buffer) -> napi::Result<Object<'_>> {
    let ring = Ring::new(&keys);
    promise(env, async move { Ok(admin::clock(&engine().registry, request(&options, ring)?).await? as f64) })
}

/// All that a blank machine would restore, verified.
#[napi(catch_unwind, ts_return_type = "Promise<Dump | Failure>")]
pub fn dump(env: &Env, options: String, keys: Buffer) -> napi::Result<Object<'_>> {
    let ring = Ring::new(&keys);
    promise(
        env,
        async move { Ok(Dump::from(admin::dump(&engine().registry, request(&options, ring)?).await?)) },
    )
}

/// Restores the newest generation of a profile to the folder `to`, which must not be there, without a claim.
#[napi(catch_unwind, ts_return_type = "Promise<Extraction | Failure>")]
pub fn profile_extract(env: &Env, options: String, keys: Buffer, to: String) -> napi::Result<Object<'_>> {
    let ring = Ring::new(&keys);
    promise(env, async move {
        let request = request(&options, ring)?;
        let extracted = admin::extract_profile(&engine().registry, request, PathBuf::from(to), None).await?;
        Ok(Extraction::from(extracted))
    })
}

/// Restores into `folder`, reads it back and compares.
#[napi(catch_unwind, ts_return_type = "Promise<Drill | Failure>")]
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
        Ok(Drill::from(admin::drill(&engine().registry, request, PathBuf::from(folder), timeout).await?))
    })
}

/// Stores the whole state of a tenant that is open here anew. Resolves when that is done.
#[napi(catch_unwind, ts_return_type = "Promise<void | Failure>")]
pub fn renew(env: &Env, options: String, keys: Buffer, timeout_ms: u32) -> napi::Result<Object<'_>> {
    let ring = Ring::new(&keys);
    promise(env, async move {
        let timeout = Duration::from_millis(timeout_ms.into());
        admin::renew(&engine().registry, request(&options, ring)?, timeout).await
    })
}

/// Tries the store out that `store` (JSON) names.
#[napi(catch_unwind, ts_return_type = "Promise<Examination | Failure>")]
pub fn examine(env: &Env, store: String) -> napi::Result<Object<'_>> {
    promise(env, async move {
        Ok(Examination::from(admin::examine(&engine().registry, &options::store(&store)?).await?))
    })
}

/// The ids of `keys`, in their order.
#[napi(catch_unwind)]
pub fn keyring(keys: Buffer) -> std::result::Result<Vec<String>, super::promise::Thrown> {
    Ok(Ring::new(&keys)?.ids().iter().map(|id| crate::id::hex(id)).collect())
}

/// The tenants that have a session in the store that `store` (JSON) names.
#[napi(catch_unwind, ts_return_type = "Promise<Tenants | Failure>")]
pub fn tenants(env: &Env, store: String) -> napi::Result<Object<'_>> {
    promise(env, async move {
        let (tenants, unnamed) = admin::tenants(&engine().registry, &options::store(&store)?).await?;
        Ok(Tenants { tenants, unnamed: unnamed as f64 })
    })
}

/// Checks all that the store holds of a tenant, without touching it: `options` and `keys` as for `open`.
#[napi(catch_unwind, ts_return_type = "Promise<VerifyReport | Failure>")]
pub fn verify(env: &Env, options: String, keys: Buffer) -> napi::Result<Object<'_>> {
    let ring = Ring::new(&keys);
    promise(env, async move {
        Ok(VerifyReport::from(admin::verify(&engine().registry, request(&options, ring)?).await?))
    })
}
