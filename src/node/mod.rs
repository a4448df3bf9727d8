//! The N-API surface: free functions over numbered handles, each a few lines that call the core.
//!
//! Nothing unwinds into Node: every export catches panics, and background work that panics answers with `INTERNAL`. The two
//! hot functions, `get` and `append`, are synchronous, take and fill buffers that JavaScript owns, and touch neither the
//! network nor a sync. What takes time answers through a promise that resolves to an [`Reply`] and never rejects.

mod admin;
mod handles;
mod import_source;
mod options;
mod profile;
mod promise;
mod scratch;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use napi::Env;
use napi::bindgen_prelude::{Buffer, BufferSlice, Function, Object};
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;
use serde::Serialize;
use serde_json::json;

use crate::error::{Code, Error};
use crate::event::{Event, EventSink};
use crate::format::seal::Ring;
use crate::platform::disk::RealDisk;
use crate::platform::host::RealHost;
use crate::platform::meter::{METERS, Meters};
use crate::registry::{Handle, Opened, Registry};
use crate::session::Status;
use crate::store::StoreStats;
use promise::{Thrown, promise};

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

/// Outcome of a call that takes time: a value, or an error code with its message.
#[napi(object)]
pub struct Reply {
    /// The answer, as JSON where it is more than a word.
    pub value: Option<String>,
    /// The answer's bytes, where it has some.
    pub bytes: Option<Buffer>,
    /// The stable code of an error.
    pub code: Option<String>,
    /// The text that a person reads.
    pub message: Option<String>,
}

/// Opens a tenant. `options` is JSON, `keys` are 32-byte encryption keys laid end to end with the primary first, `seed` is what to
/// start with if the session exists nowhere, and `on_event` is called with JSON, or with nothing to see whether it was told all.
/// Resolves to JSON `{ handle, restored, shared }`.
#[napi(catch_unwind, ts_return_type = "Promise<Reply>")]
pub fn open<'env>(
    env: &'env Env,
    options: String,
    keys: Buffer,
    seed: Option<Buffer>,
    on_event: Function<'env, String, ()>,
) -> napi::Result<Object<'env>> {
    let sink =
        Arc::new(on_event.build_threadsafe_function().weak::<true>().callee_handled::<false>().build()?);
    let told = Arc::clone(&sink);
    let listener: EventSink = Arc::new(move |event| {
        // A full queue or an environment that is going away: nobody is left to tell.
        let _ = told.call(event_json(&event), ThreadsafeFunctionCallMode::NonBlocking);
    });
    let ring = Ring::new(&keys);
    let seed = seed.map(|seed| seed.to_vec());
    let held = handles::by(env)?;
    promise(env, async move {
        let request = options::parse(&options, ring?, seed, listener)?;
        let Opened { handle, session, shared } = engine().registry.open(request).await?;
        held.add(handle, sink).await;
        Ok(json!({ "handle": handle, "restored": session.origin(), "shared": shared }).to_string())
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
#[napi(catch_unwind, ts_return_type = "Promise<Reply>")]
pub fn synced(env: &Env, handle: Handle, lsn: f64, timeout_ms: u32) -> napi::Result<Object<'_>> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "what `append` gave is a whole number"
    )]
    let lsn = lsn as u64;
    // Looked up now: whoever closes it meanwhile does not take the answer away.
    let session = engine().registry.session(handle);
    promise(env, async move {
        session?.settle(lsn, Duration::from_millis(timeout_ms.into())).await?;
        Ok(String::new())
    })
}

/// Resolves when everything resolved before is restorable from the store.
#[napi(catch_unwind, ts_return_type = "Promise<Reply>")]
pub fn flush(env: &Env, handle: Handle, timeout_ms: u32) -> napi::Result<Object<'_>> {
    promise(env, async move {
        let lsn = engine().registry.session(handle)?.flush(Duration::from_millis(timeout_ms.into())).await?;
        Ok(lsn.to_string())
    })
}

/// Gives the open back: its handle is of no use any more when this returns. The last one stores the rest, releases ownership
/// and unlocks before the promise resolves.
#[napi(catch_unwind, ts_return_type = "Promise<Reply>")]
pub fn close(env: &Env, handle: Handle, timeout_ms: u32) -> napi::Result<Object<'_>> {
    let sink = handles::by(env)?.remove(handle);
    profile::release(handle);
    let taken = engine().registry.take(handle);
    promise(env, async move {
        let closed = engine().registry.close(taken, Duration::from_millis(timeout_ms.into())).await;
        handles::hear_out(sink).await;
        closed.map(|()| String::new())
    })
}

/// Deletes the session: tombstone, then data, then the local files.
#[napi(catch_unwind, ts_return_type = "Promise<Reply>")]
pub fn destroy(env: &Env, handle: Handle) -> napi::Result<Object<'_>> {
    let held = handles::by(env)?;
    promise(env, async move {
        engine().registry.delete(handle).await?;
        profile::release(handle);
        handles::hear_out(held.remove(handle)).await;
        Ok(String::new())
    })
}

/// Status of the session, as JSON.
#[napi(catch_unwind)]
pub fn status(handle: Handle) -> Result<String, Thrown> {
    let status = engine().registry.session(handle)?.status()?;
    serde_json::to_string(&status).map_err(|error| Error::new(Code::Internal, error).into())
}

/// The tenants that have a session in the store that `store` (JSON) names. Resolves to JSON `{ tenants, hidden }`.
#[napi(catch_unwind, ts_return_type = "Promise<Reply>")]
pub fn tenants(env: &Env, store: String) -> napi::Result<Object<'_>> {
    promise(env, async move {
        let (tenants, hidden) = engine().registry.tenants(&options::store(&store)?).await?;
        Ok(json!({ "tenants": tenants, "hidden": hidden }).to_string())
    })
}

/// Checks all that the store holds of a tenant, without touching it: `options` and `keys` as for `open`. Resolves to JSON.
#[napi(catch_unwind, ts_return_type = "Promise<Reply>")]
pub fn verify(env: &Env, options: String, keys: Buffer) -> napi::Result<Object<'_>> {
    let ring = Ring::new(&keys);
    promise(env, async move {
        let request = options::parse(&options, ring?, None, Arc::new(|_| {}))?;
        let report = engine().registry.verify(request).await?;
        serde_json::to_string(&report).map_err(|error| Error::new(Code::Internal, error))
    })
}

/// Requests and bytes between this process and the store that `store` (JSON) names, as JSON; `null` if it was not used.
#[napi(catch_unwind)]
pub fn traffic(store: String) -> Result<String, Thrown> {
    let traffic = engine().registry.traffic(&options::store(&store)?);
    serde_json::to_string(&traffic.as_deref()).map_err(|error| Error::new(Code::Internal, error).into())
}

/// Figures of this process, of its requests and of each session, as JSON `{ meters, traffic, sessions }`.
#[napi(catch_unwind)]
pub fn figures() -> Result<String, Thrown> {
    #[derive(Serialize)]
    struct ProcessFigures {
        meters: &'static Meters,
        traffic: StoreStats,
        sessions: Vec<(String, Option<Status>)>,
    }
    let registry = &engine().registry;
    let figures =
        ProcessFigures { meters: &METERS, traffic: registry.all_traffic(), sessions: registry.statuses() };
    serde_json::to_string(&figures).map_err(|error| Error::new(Code::Internal, error).into())
}

/// The directory of a tenant's local log under `directory`.
#[napi(catch_unwind)]
pub fn folder(directory: String, tenant_id: String) -> Result<String, Thrown> {
    let folder = options::folder(&directory, &tenant_id)?;
    Ok(folder.to_string_lossy().into_owned())
}

/// Panics on purpose: proves that a fault in the core becomes an error and leaves Node alive.
#[napi(catch_unwind)]
pub fn fault(handle: Handle) -> Result<(), Thrown> {
    let session = engine().registry.session(handle)?;
    session.journal().read(|_| panic!("a fault was asked for"))?;
    Ok(())
}

fn event_json(event: &Event) -> String {
    let error = |name: &str, error: &Error| json!({ "event": name, "code": error.code.as_str(), "message": error.message });
    match event {
        Event::Waiting { epoch, at_most } => {
            json!({ "event": "waiting", "epoch": epoch, "atMostMs": u64::try_from(at_most.as_millis()).unwrap_or(u64::MAX) })
        }
        Event::Backup { lsn, bytes } => json!({ "event": "backup", "lsn": lsn, "bytes": bytes }),
        Event::Degraded(cause) => error("degraded", cause),
        Event::Recovered { lsn } => json!({ "event": "recovered", "lsn": lsn }),
        Event::ServerChanged => json!({ "event": "serverChanged" }),
        Event::Fenced => json!({ "event": "fenced" }),
        Event::Repaired(message) => json!({ "event": "repaired", "message": message }),
        Event::Failed(cause) => error("error", cause),
        Event::Note(level, message) => {
            json!({ "event": "note", "level": level.as_str(), "message": message })
        }
    }
    .to_string()
}
