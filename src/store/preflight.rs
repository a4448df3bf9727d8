//! The preflight of a store: its abilities, tried once per process with a scratch object.
//!
//! Safety rests on unique names and on a LIST that sees every completed PUT (D7). A store that lacks it, or a right, or that
//! lets everybody read, is refused before anything is claimed in it. Nothing is left behind that may be removed.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;

use super::adapters::http::skewed;
use super::{Failure, Findings, Meaning, PROBE, RetryingStore};
use crate::error::{Code, Error, Result};
use crate::id::hex;
use crate::platform::host::{random, sleep};

/// Words for the request that strangers could make.
pub(super) const INSPECTING: &str = "checking for a public bucket, without credentials";
/// Times that the scratch object is removed before it is believed to stay, and the pause between.
const TRIES: u32 = 3;
const AGAIN: Duration = Duration::from_millis(300);

impl RetryingStore {
    /// Makes sure, once per process, that the store can do what is asked of it. Fails with what is missing. Its limit for one object is
    /// asked for beside that.
    pub async fn require_fit(&self) -> Result<()> {
        let mut fit = pin!(self.fit.get_or_try_init(|| probe(self, self.allow_public)));
        let mut limit = pin!(self.ask_for_limit());
        tokio::select! {
            biased;
            fit = &mut fit => {
                fit?;
                limit.await;
                Ok(())
            }
            () = &mut limit => fit.await.map(|_| ()),
        }
    }
}

impl RetryingStore {
    /// The time by the clock that ages in this store are told by: when a scratch object was stored, as a listing says. Fails if
    /// listings tell no times, or one that is far from this machine's: what is old is not known then.
    pub async fn clock(&self) -> Result<u64> {
        self.require_fit().await?;
        let nonce: [u8; 16] = random(self.host().as_ref());
        let file = hex(&nonce);
        let name = format!("{PROBE}/{file}");
        self.put(&name, Bytes::copy_from_slice(&nonce)).await?;
        let listed = self.details(PROBE, &file).await;
        self.delete(vec![name]).await?;
        let told = listed?.into_iter().find(|listed| listed.name == file).and_then(|it| it.modified_ms);
        let told =
            told.ok_or_else(|| unfit("the store does not report upload times, so ages are unknown"))?;
        let ahead = i64::try_from(i128::from(told) - i128::from(self.host().wall_ms())).unwrap_or(i64::MAX);
        skewed(ahead).map_or(Ok(told), |clocks| Err(unfit(&clocks)))
    }
}

/// Writes, lists, reads and removes a scratch object, and stores it again: a right of its own, which only a repeated request and
/// the refresh need, when it is too late to find out.
async fn probe(remote: &RetryingStore, allow_public: bool) -> Result<()> {
    let nonce: [u8; 16] = random(remote.host().as_ref());
    let file = hex(&nonce);
    let name = format!("{PROBE}/{file}");
    let bytes = Bytes::copy_from_slice(&nonce);
    let put = remote.persistently(|| remote.put_strictly(&name, bytes.clone())).await;
    put.map_err(|failure| lacking("write", &failure))?;
    let checked = check(remote, &name, &file, &nonce, allow_public).await;
    let again = match &checked {
        Ok(()) => remote.persistently(|| remote.put_strictly(&name, bytes.clone())).await,
        Err(_) => Ok(()),
    };
    let removed = remove(remote, &name, &file).await;
    checked?;
    again.map_err(|failure| lacking("store again", &failure))?;
    removed?;
    Ok(())
}

/// Removes the scratch object, and makes sure of it: some stores answer a removal that they refuse as if it had been done. A
/// network that delivers the PUT once more may bring it back, which says nothing about the store.
async fn remove(remote: &RetryingStore, name: &str, file: &str) -> Result<()> {
    for again in 0..TRIES {
        sleep(AGAIN * again).await;
        let removed = remote.persistently(|| remote.delete_once(vec![name.to_owned()])).await;
        removed.map_err(|failure| lacking("delete", &failure))?;
        if !list(remote, file).await?.iter().any(|listed| listed == file) {
            return Ok(());
        }
    }
    Err(unfit(
        "the store did not remove a scratch object; the key lacks the permission to delete objects (DELETE), or deletions are delayed",
    ))
}

async fn check(
    remote: &RetryingStore,
    name: &str,
    file: &str,
    nonce: &[u8],
    allow_public: bool,
) -> Result<()> {
    if !list(remote, file).await?.iter().any(|listed| listed == file) {
        return Err(unfit(
            "a LIST of the store does not show an object that was stored before; either the key lacks the permission to list (SELECT), or the store is only eventually consistent and cannot keep two instances apart",
        ));
    }
    let read = remote.persistently(|| remote.get_once(name)).await;
    let read = read.map_err(|failure| lacking("read", &failure))?;
    if read.is_none_or(|bytes| bytes != nonce) {
        return Err(unfit("the store does not return the stored data; check any proxy in between"));
    }
    let Findings { is_public, skew_ms, .. } = if allow_public {
        Findings { skew_ms: remote.store.skew_ms(), ..Findings::default() }
    } else {
        remote.with_retries(INSPECTING, || remote.store.inspect(name)).await?
    };
    if is_public == Some(true) {
        return Err(unfit(
            "the bucket is public: anybody can read it; make it private, or pass `allowPublicBucket: true`",
        ));
    }
    skew_ms.and_then(skewed).map_or(Ok(()), |clocks| Err(unfit(&clocks)))
}

async fn list(remote: &RetryingStore, file: &str) -> Result<Vec<String>> {
    let listed = remote.persistently(|| remote.list_once(PROBE, file)).await;
    listed.map_err(|failure| lacking("list", &failure))
}

fn lacking(right: &str, failure: &Failure) -> Error {
    if failure.meaning == Meaning::Denied {
        return failure.error(&format!("the key may not {right} objects here"));
    }
    failure.error("testing the store")
}

fn unfit(why: &str) -> Error {
    Error::new(Code::RemoteRefused, why)
}
