//! The probe: whether a store can do what is asked of it, found out once per process with a scratch object.
//!
//! Safety rests on unique names and on a LIST that sees every completed PUT (D7). A store that lacks it, or a right, or that
//! lets everybody read, is refused before anything is claimed in it. Nothing is left behind.

use bytes::Bytes;

use super::{Findings, Remote};
use crate::error::{Code, Error, Result};
use crate::host::random;
use crate::id::hex;

/// Where scratch objects lie, for a moment each.
const FOLDER: &str = "v1/probe";
/// A clock further off than this, in milliseconds, makes signatures and tokens fail, now or at the next change.
const MAX_SKEW_MS: i64 = 15 * 60 * 1000;

/// Writes, lists, reads and removes a scratch object.
pub async fn probe(remote: &Remote, allow_public: bool) -> Result<()> {
    let nonce: [u8; 16] = random(remote.host().as_ref());
    let file = hex(&nonce);
    let name = format!("{FOLDER}/{file}");
    remote.put(&name, Bytes::copy_from_slice(&nonce)).await.map_err(|error| lacking("write", error))?;
    let checked = check(remote, &name, &file, &nonce, allow_public).await;
    let removed = remote.delete(vec![name]).await.map_err(|error| lacking("delete", error));
    checked?;
    removed?;
    // Some stores answer a removal that they refuse as if it had been done.
    if list(remote, &file).await?.contains(&file) {
        return Err(unfit(
            "the store did not remove a scratch object; the key lacks the right to delete objects (DELETE), or removals are delayed",
        ));
    }
    tracing::debug!("the store can do what is asked of it");
    Ok(())
}

async fn check(remote: &Remote, name: &str, file: &str, nonce: &[u8], allow_public: bool) -> Result<()> {
    if !list(remote, file).await?.iter().any(|listed| listed == file) {
        return Err(unfit(
            "a LIST of the store does not show an object that was stored before; either the key lacks the right to list (SELECT), or the store is only eventually consistent and cannot keep two instances apart",
        ));
    }
    let read = remote.get(name).await.map_err(|error| lacking("read", error))?;
    if read.is_none_or(|bytes| bytes != nonce) {
        return Err(unfit(
            "the store does not give back what was stored; check what stands between it and here",
        ));
    }
    let Findings { is_public, skew_ms } =
        remote.patiently("inspecting the bucket", || remote.store.inspect(name)).await?;
    if is_public && !allow_public {
        return Err(unfit(
            "the bucket is public: anybody can read it; make it private, or pass `allowPublicBucket: true`",
        ));
    }
    match skew_ms.filter(|skew| skew.abs() > MAX_SKEW_MS) {
        Some(skew) => {
            let minutes = skew.abs() / 60_000;
            let way = if skew > 0 { "behind" } else { "ahead of" };
            Err(unfit(&format!(
                "the clock of this machine is {minutes} minutes {way} the store's; set it (NTP)"
            )))
        }
        None => Ok(()),
    }
}

async fn list(remote: &Remote, file: &str) -> Result<Vec<String>> {
    remote.list(FOLDER, file).await.map_err(|error| lacking("list", error))
}

fn lacking(right: &str, error: Error) -> Error {
    match error.code {
        Code::RemoteRefused => {
            Error::new(error.code, format!("the store lets this key not {right} objects: {}", error.message))
        }
        _ => error,
    }
}

fn unfit(why: &str) -> Error {
    Error::new(Code::RemoteRefused, why)
}
