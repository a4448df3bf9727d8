//! The N-API surface: free functions over numbered handles, each a few lines that call the core.
//!
//! Nothing unwinds into Node: every export catches panics, and background work that panics answers with `INTERNAL`. The two
//! hot functions, `get` and `append`, are synchronous, take and fill buffers that JavaScript owns, and touch neither the
//! network nor a sync. What takes time answers through a promise that never rejects: it resolves to its value or to a
//! [`promise::Failure`].
//!
//! Answers are typed objects, declared here beside the core, with one name for a field from Rust to `binding.d.ts` and on to
//! `types/`; absent is `null`. JSON are only documents that JavaScript makes, and that are read strictly with errors of their own
//! (`options`, stores, the order of a backup).

mod admin;
mod constants;
mod examination;
mod figures;
mod handles;
mod import_source;
mod news;
mod options;
mod profile;
mod promise;
mod reports;
mod scratch;
mod standings;
mod status;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use napi::Env;
use napi::bindgen_prelude::{Buffer, BufferSlice, Function, Object};
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;

use crate::error::{Code, Error};
use crate::event::EventSink;
use crate::format::seal::Ring;
use crate::platform::disk::RealDisk;
use crate::platform::host::RealHost;
use crate::registry::{self, Registry};
use news::News;
use promise::{Thrown, promise};
use status::Origin;

const ABSENT: u32 = u32::MAX;

struct Engine {
    runtime: tokio::runtime::Runtime,
    registry: Arc<Registry>,
}

/// The one engine of the process, whatever the number of environments that loaded the addon.
fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        // Our threads outlive the environment that started them.
        napi::bindgen_prelude::retain_current_module_for_unload_safety();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            // Nothing of ours: whatever blocks has threads for its purpose.
            .max_blocking_threads(4)
            .thread_name("baileys-hybrid-auth")
            .enable_all()
            .build()
            .expect("the operating system gives threads");
        let host = Arc::new(RealHost::new(runtime.handle().clone()));
        Engine { runtime, registry: Arc::new(Registry::new(host, Arc::new(RealDisk))) }
    })
}

/// Number of an open.
#[napi]
pub type Handle = u32;

/// A session that is open.
#[napi(object, object_from_js = false)]
pub struct Opened {
    /// The number by which all other calls name it.
    pub handle: Handle,
    /// Origin of the session.
    pub restored: Origin,
    /// True if this process had it open already.
    pub shared: bool,
}

/// Opens a tenant. `options` is JSON, `keys` are 32-byte encryption keys laid end to end with the primary first, `seed` is what to
/// start with if the session exists nowhere, and `on_event` is called with news, or with `null` to see whether they were all told.
#[napi(catch_unwind, ts_return_type = "Promise<Opened | Failure>")]
pub fn open<'env>(
    env: &'env Env,
    options: String,
    keys: Buffer,
    seed: Option<Buffer>,
    #[napi(ts_arg_type = "(news: News | null) => void")] on_event: Function<'env, Option<News>, ()>,
) -> napi::Result<Object<'env>> {
    let sink =
        Arc::new(on_event.build_threadsafe_function().weak::<true>().callee_handled::<false>().build()?);
    let told = Arc::clone(&sink);
    let listener: EventSink = Arc::new(move |event| {
        // A full queue or an environment that is going away: nobody is left to tell.
        let _ = told.call(Some(event.into()), ThreadsafeFunctionCallMode::NonBlocking);
    });
    let ring = Ring::new(&keys);
    let seed = seed.map(|seed| seed.to_vec());
    let held = handles::by(env)?;
    promise(env, async move {
        let request = options::parse(&options, ring?, seed, listener)?;
        let registry::OpenOutcome { handle, session, shared } = engine().registry.open(request).await?;
        held.add(handle, sink).await;
        Ok(Opened { handle, restored: session.origin().into(), shared })
    })
}

/// Reads values. `keys` holds `count` keys, each behind its length; the answers go to `out` in the same order. Gives the bytes
/// written, or the negative of the bytes needed when `out` is too small.
#[napi(catch_unwind)]
pub fn get(
    handle: Handle,
    keys: &[u8],
    keys_length: u32,
    count: u32,
    mut out: BufferSlice<'_>,
) -> Result<i64, Thrown> {
    let session = engine().registry.session(handle)?;
    let malformed = || Error::new(Code::InvalidOption, "the keys to read are malformed");
    let keys = keys.get(..keys_length as usize).ok_or_else(malformed)?;
    let answer = session.journal().read(|state| {
        let mut rest = keys;
        let mut at = 0;
        for _ in 0..count {
            let (len, tail) = rest.split_first_chunk::<2>().ok_or_else(malformed)?;
            let (key, tail) =
                tail.split_at_checked(u16::from_le_bytes(*len) as usize).ok_or_else(malformed)?;
            rest = tail;
            let value = state.get(key);
            let len = value.map_or(ABSENT, |value| u32::try_from(value.len()).unwrap_or(ABSENT));
            let value = value.unwrap_or_default();
            // Past the end nothing is written any more, but the need is still added up.
            if let Some(space) = out.get_mut(at..at + 4 + value.len()) {
                let (head, body) = space.split_at_mut(4);
                head.copy_from_slice(&len.to_le_bytes());
                body.copy_from_slice(value);
            }
            at += 4 + value.len();
        }
        Ok::<_, Error>(at)
    })??;
    let written = i64::try_from(answer).unwrap_or(i64::MAX);
    Ok(if answer <= out.len() { written } else { -written })
}

/// Commits the first `length` bytes of `batch`, all or nothing. Gives the LSN; it is in the local log, if there is one, when this
/// returns.
#[napi(catch_unwind)]
pub fn append(handle: Handle, batch: &[u8], length: u32, urgent: bool) -> Result<f64, Thrown> {
    let batch = batch
        .get(..length as usize)
        .ok_or_else(|| Error::new(Code::InvalidOption, "the batch is shorter than its length"))?;
    Ok(engine().registry.session(handle)?.journal().append(batch, urgent)? as f64)
}

/// Deletes every key but the credentials, as one batch. Gives the LSN.
#[napi(catch_unwind)]
pub fn clear(handle: Handle) -> Result<f64, Thrown> {
    Ok(engine().registry.session(handle)?.journal().clear()? as f64)
}

/// The entries of one type in key order; of all types, with the credentials, when there is none.
#[napi(catch_unwind)]
pub fn entries(handle: Handle, kind: Option<String>) -> Result<Buffer, Thrown> {
    let session = engine().registry.session(handle)?;
    let bytes = session.journal().read(|state| match &kind {
        Some(kind) => state.entries_of(kind.as_bytes()),
        None => state.snapshot().encode(),
    })?;
    Ok(bytes.into())
}

/// The keys of one type in order, each with the length of its entry and without its value.
#[napi(catch_unwind)]
pub fn index(handle: Handle, kind: String) -> Result<Buffer, Thrown> {
    let session = engine().registry.session(handle)?;
    let bytes = session.journal().read(|state| state.index_of(kind.as_bytes()))?;
    Ok(bytes.into())
}

/// Resolves when the batch `lsn` survives a power cut of this machine: synced, or acknowledged by the store where there is no log.
#[napi(catch_unwind, ts_return_type = "Promise<void | Failure>")]
pub fn synced(env: &Env, handle: Handle, lsn: f64, timeout_ms: u32) -> napi::Result<Object<'_>> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "what `append` gave is a whole number"
    )]
    let lsn = lsn as u64;
    // Looked up now: whoever closes it meanwhile does not take the answer away.
    let session = engine().registry.session(handle);
    promise(env, async move { session?.settle(lsn, Duration::from_millis(timeout_ms.into())).await })
}

/// Resolves to the last write when everything resolved before is restorable from the store.
#[napi(catch_unwind, ts_return_type = "Promise<number | Failure>")]
pub fn flush(env: &Env, handle: Handle, timeout_ms: u32) -> napi::Result<Object<'_>> {
    promise(env, async move {
        let lsn = engine().registry.session(handle)?.flush(Duration::from_millis(timeout_ms.into())).await?;
        Ok(lsn as f64)
    })
}

/// Gives the open back: its handle is of no use any more when this returns. The last one stores the rest, releases ownership
/// and unlocks before the promise resolves.
#[napi(catch_unwind, ts_return_type = "Promise<void | Failure>")]
pub fn close(env: &Env, handle: Handle, timeout_ms: u32) -> napi::Result<Object<'_>> {
    let sink = handles::by(env)?.remove(handle);
    profile::release(handle);
    let taken = engine().registry.take(handle);
    promise(env, async move {
        let closed = engine().registry.close(taken, Duration::from_millis(timeout_ms.into())).await;
        handles::hear_out(sink).await;
        closed
    })
}

/// Deletes the session: tombstone, then data, then the local files.
#[napi(catch_unwind, ts_return_type = "Promise<void | Failure>")]
pub fn destroy(env: &Env, handle: Handle) -> napi::Result<Object<'_>> {
    let held = handles::by(env)?;
    promise(env, async move {
        engine().registry.delete(handle).await?;
        profile::release(handle);
        handles::hear_out(held.remove(handle)).await;
        Ok(())
    })
}

/// The directory of a tenant's local log under `directory`.
#[napi(catch_unwind)]
pub fn folder(directory: String, tenant_id: String) -> Result<String, Thrown> {
    let folder = options::folder(&directory, &tenant_id)?;
    Ok(folder.to_string_lossy().into_owned())
}
