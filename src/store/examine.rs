//! The examination: what a store can do, step by step, with how long each step took.
//!
//! Where the probe stops at the first thing that is missing, this goes on and tells all of it. A step that could not be done
//! because an earlier one failed is left open: nothing is called right that was not seen. Only scratch objects are written,
//! and they are removed again.

mod report;

use std::time::Duration;

use bytes::Bytes;

use super::adapters::http::skewed;
use super::preflight::INSPECTING;
use super::rules::{Rule, keeps_versions, rules};
use super::{BucketAnswer, Failure, Meaning, PROBE, RetryingStore, Setting};
use crate::id::hex;
use crate::platform::host::{random, sleep};
use report::millis;

pub use report::{Examination, Knowledge, Latency, Step};

/// Times that the middle of three requests is measured.
const SAMPLES: usize = 5;
/// Pauses after a failure that may pass before it is tried once more, and then again: some stores take a name once in a second only.
const AGAIN: [Duration; 2] = [Duration::from_millis(300), Duration::from_millis(1200)];

/// No store is waited for longer than this, whatever it asks for.
const LONGEST: Duration = Duration::from_secs(5);

/// Tries a store out, from `remote`.
pub async fn examine(remote: &RetryingStore) -> Examination {
    Examiner { remote }.all().await
}

struct Examiner<'a> {
    remote: &'a RetryingStore,
}

impl Examiner<'_> {
    fn now(&self) -> Duration {
        self.remote.host().now()
    }

    /// Asks, and again if that may help. How long the last try took comes with the answer.
    async fn ask<T, F>(&self, request: impl Fn() -> F) -> (Result<T, Failure>, Duration)
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut pauses = AGAIN.into_iter();
        loop {
            let began = self.now();
            let answer = request().await;
            let took = self.now().saturating_sub(began);
            match (answer, pauses.next()) {
                (Err(failure), Some(pause)) if failure.may_pass() => {
                    sleep(failure.pause(pause).min(LONGEST)).await;
                }
                (answer, _) => return (answer, took),
            }
        }
    }

    async fn listed(&self, file: &str) -> (Result<bool, Failure>, Duration) {
        let (answer, took) = self.ask(|| self.remote.list_once(PROBE, file)).await;
        (answer.map(|names| names.iter().any(|name| name == file)), took)
    }

    async fn all(&self) -> Examination {
        let nonce: [u8; 16] = random(self.remote.host().as_ref());
        let file = hex(&nonce);
        let name = format!("{PROBE}/{file}");
        let bytes = Bytes::copy_from_slice(&nonce);

        let (before, took) = self.listed(&file).await;
        let reachable = reached(&before, took);
        if reachable.done != Some(true) {
            return Examination::nothing(reachable);
        }
        let list = match &before {
            Ok(_) => Step::from(true, "", took),
            Err(failure) => Step::failed(failure, "listing objects", took),
        };
        let (put, took) = self.ask(|| self.remote.put_strictly(&name, bytes.clone())).await;
        let wrote = put.is_ok();
        let mut write = match &put {
            Ok(()) => Step::from(true, "", took),
            Err(failure) => Step::failed(failure, "storing an object", took),
        };
        let unwritten = "not tested, because no object could be stored";
        let (mut list_after_put, mut read, mut delete) =
            (Step::untried(unwritten), Step::untried(unwritten), Step::untried(unwritten));
        let (mut latency, mut stored_ms, mut names) = (None, None, vec![name.clone()]);
        if wrote {
            list_after_put = match self.ask(|| self.remote.details_once(PROBE, &file)).await {
                (Ok(listing), took) => Step::from(
                    listing.iter().any(|listed| {
                        stored_ms = listed.modified_ms;
                        listed.name == file
                    }),
                    "a LIST does not show an object that was stored before: the key may not see it, or the store is only eventually consistent",
                    took,
                ),
                (Err(_), _) => Step::untried("objects could not be listed"),
            };
            read = match self.ask(|| self.remote.get_once(&name)).await {
                (Ok(read), took) => Step::from(
                    read.is_some_and(|read| read == bytes),
                    "the store does not return the stored data; check the key, and any proxy in between",
                    took,
                ),
                (Err(failure), took) => Step::failed(&failure, "reading an object", took),
            };
        }
        if wrote
            && let (Err(failure), took) = self.ask(|| self.remote.put_strictly(&name, bytes.clone())).await
        {
            write = Step::failed(&failure, "storing an object again under its name", took);
        }
        let (private, skew_ms, clock, risks) = self.inspect(&name, wrote, stored_ms).await;
        if [&list_after_put, &read].iter().all(|step| step.done == Some(true)) {
            latency = self.latency(&mut names, &file, &bytes).await;
        }
        if wrote {
            delete = self.remove(&names, &file).await;
        }
        let (rules, versions, largest) = (self.rules().await, self.versions().await, self.largest().await);
        Examination {
            reachable,
            write,
            list,
            list_after_put,
            read,
            delete,
            private,
            clock,
            skew_ms,
            latency,
            rules,
            versions,
            largest,
            durability: self.remote.durability(),
            risks,
        }
    }

    /// Access of strangers, and the clocks.
    async fn inspect(
        &self,
        name: &str,
        wrote: bool,
        stored_ms: Option<u64>,
    ) -> (Step, Option<i64>, Step, Vec<String>) {
        let (findings, took) = self.ask(|| self.remote.store.inspect(name)).await;
        let findings = match findings {
            Ok(findings) => findings,
            Err(failure) => {
                let step = Step::failed(&failure, INSPECTING, took);
                let clock = Step::untried("the bucket could not be inspected");
                return (step, None, clock, Vec::new());
            }
        };
        let is_public = "anybody can read it; make it private";
        let private = match (findings.is_public, wrote) {
            (None, _) => Step::untried("this kind of store does not report it"),
            // A missing object is hidden from everybody.
            (Some(false), false) => Step::untried("not tested, because no object could be stored"),
            (Some(is), _) => Step::from(!is, is_public, took),
        };
        // Where no answer tells the time, a file does; the clock of a network share is another one than ours.
        let skew_ms = findings.skew_ms.or_else(|| {
            let (theirs, ours) = (i64::try_from(stored_ms?), i64::try_from(self.remote.host().wall_ms()));
            Some(theirs.ok()?.saturating_sub(ours.ok()?))
        });
        let clock = match skew_ms {
            None => Step::untried("the store does not report the time"),
            Some(ms) => Step { done: Some(skewed(ms).is_none()), problem: skewed(ms), ms: None },
        };
        (private, skew_ms, clock, findings.risks)
    }

    /// The middle of some requests each, for objects of which each has a name of its own.
    async fn latency(&self, names: &mut Vec<String>, file: &str, bytes: &Bytes) -> Option<Latency> {
        let (mut puts, mut lists, mut gets) = (Vec::new(), Vec::new(), Vec::new());
        for sample in 0..SAMPLES {
            let name = format!("{PROBE}/{file}-{sample}");
            names.push(name.clone());
            let start = self.now();
            self.remote.put_once(&name, bytes.clone()).await.ok()?;
            let put = self.now();
            self.remote.list_once(PROBE, file).await.ok()?;
            let list = self.now();
            self.remote.get_once(&name).await.ok()?;
            puts.push(put.saturating_sub(start));
            lists.push(list.saturating_sub(put));
            gets.push(self.now().saturating_sub(list));
        }
        Some(Latency { put: middle(puts), list: middle(lists), get: middle(gets) })
    }

    /// Removes the scratch objects, and makes sure of it: some stores answer a removal that they refuse as if it had been done.
    async fn remove(&self, names: &[String], file: &str) -> Step {
        let mut took = Duration::ZERO;
        for name in names {
            match self.ask(|| self.remote.delete_once(vec![name.clone()])).await {
                (Ok(()), last) => took = last,
                (Err(failure), took) => return Step::failed(&failure, "removing an object", took),
            }
        }
        match self.ask(|| self.remote.list_once(PROBE, file)).await.0 {
            Ok(left) => Step::from(
                left.is_empty(),
                "the store did not remove a scratch object: the key lacks the permission to delete objects, or deletions are delayed",
                took,
            ),
            Err(_) => Step::untried("not tested, because objects could not be listed"),
        }
    }

    async fn setting<T>(
        &self,
        which: Setting,
        right: &str,
        nothing: T,
        read: impl Fn(BucketAnswer) -> Option<T>,
    ) -> Knowledge<T> {
        match self.ask(|| self.remote.store.setting(which)).await.0 {
            Ok(told @ (BucketAnswer::Document(_) | BucketAnswer::Bytes(_))) => match read(told) {
                Some(value) => Knowledge::Told { value },
                None => {
                    Knowledge::Unknown { problem: "the answer of the store was not understood".to_owned() }
                }
            },
            Ok(BucketAnswer::Nothing) => Knowledge::Told { value: nothing },
            Ok(BucketAnswer::Impossible) => Knowledge::Impossible,
            Ok(BucketAnswer::Silence) => {
                Knowledge::Unknown { problem: "this store does not report it".to_owned() }
            }
            Err(failure) if failure.meaning == Meaning::Denied => {
                Knowledge::Unknown { problem: format!("the key lacks the permission to read it ({right})") }
            }
            Err(failure) => Knowledge::Unknown { problem: failure.error("inspecting the bucket").message },
        }
    }

    async fn rules(&self) -> Knowledge<Vec<Rule>> {
        let right = "s3:GetLifecycleConfiguration, or storage.buckets.get at Google";
        self.setting(Setting::Lifecycle, right, Vec::new(), |told| rules(&text(told)?)).await
    }

    async fn versions(&self) -> Knowledge<bool> {
        let right = "s3:GetBucketVersioning, or storage.buckets.get at Google";
        self.setting(Setting::Versioning, right, false, |told| keeps_versions(&text(told)?)).await
    }

    async fn largest(&self) -> Knowledge<Option<u64>> {
        let read = |told| match told {
            BucketAnswer::Bytes(bytes) => Some(Some(bytes)),
            _ => None,
        };
        self.setting(Setting::Largest, "SELECT on storage.buckets", None, read).await
    }
}

fn text(told: BucketAnswer) -> Option<String> {
    match told {
        BucketAnswer::Document(document) => String::from_utf8(document.into()).ok(),
        _ => None,
    }
}

/// True if there was an answer at all, of a bucket that is there.
fn reached<T>(answer: &Result<T, Failure>, took: Duration) -> Step {
    match answer {
        Ok(_) => Step::from(true, "", took),
        // Somebody is there to refuse.
        Err(failure)
            if matches!(failure.meaning, Meaning::Denied | Meaning::Impossible | Meaning::TooLarge) =>
        {
            Step::from(true, "", took)
        }
        Err(failure) => Step {
            done: Some(false),
            problem: Some(failure.error("reaching the store").message),
            ms: Some(millis(took)),
        },
    }
}

#[expect(clippy::indexing_slicing, reason = "there is an odd number of samples")]
fn middle(mut samples: Vec<Duration>) -> f64 {
    samples.sort_unstable();
    let half = samples.len() / 2;
    (samples[half].as_secs_f64() * 10_000.0).round() / 10.0
}
