//! Listings that are behind, and objects that are damaged: what a newer listing may show otherwise is asked again, and damage, which
//! stays, is answered at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::super::cluster::Cluster;
use super::super::outages::{session_with, set};
use super::super::run;
use crate::error::{Cause, Result};
use crate::platform::host::Host;
use crate::replication::restore::Audit;
use crate::session::open::{Settings, Site, whole};
use crate::sim::host::SimHost;
use crate::store::RetryingStore;
use crate::store::adapters::memory::{Fate, Memory, Request};

const LONG: Duration = Duration::from_secs(600);
/// Writes, each of which is a segment behind the one base.
const WRITES: u64 = 4;

fn settings() -> Settings {
    Cluster::settings_for_tests().taking_over()
}

/// A session in `memory`, with one way to restore it.
async fn stored(memory: &Memory) {
    let (session, _) = session_with(Arc::new(memory.clone()), settings()).await.expect("opens");
    for id in 0..4 {
        set(&session, id);
        session.flush(LONG).await.expect("is stored");
    }
    session.close(LONG).await.expect("closes");
}

fn data(memory: &Memory) -> Vec<String> {
    memory.objects().keys().filter(|name| name.starts_with("v1/data")).cloned().collect()
}

/// Result of a read without a claim, and the number of listings that it asks for.
async fn read(memory: &Memory) -> (Result<Audit>, u64) {
    let host: Arc<dyn Host> = SimHost::new(1, tokio::time::Instant::now());
    let site = Site::of(Arc::new(memory.clone()), &host);
    let traffic = Arc::clone(&site.remote.traffic);
    let found = whole(&settings().address, site).await.map(|(_, audit)| audit);
    (found, traffic.lists.load(Ordering::Relaxed))
}

fn cause(found: &Result<Audit>) -> Option<Cause> {
    found.as_ref().err().map(|error| error.cause)
}

/// The same store, in which `lost` is there again from the listing numbered `at` on.
fn filled(memory: &Memory, lost: (String, Bytes), at: usize) -> Memory {
    let (objects, listings) = (memory.clone(), AtomicUsize::new(0));
    let script = move |request, name: &str| {
        if request == Request::List
            && name.starts_with("v1/data")
            && listings.fetch_add(1, Ordering::Relaxed) + 1 == at
        {
            objects.objects().insert(lost.0.clone(), lost.1.clone());
        }
        (Duration::ZERO, Fate::Done)
    };
    memory.through(Arc::new(script), 1000)
}

#[test]
fn a_damaged_object_is_answered_at_once() {
    run(async {
        let memory = Memory::default();
        stored(&memory).await;
        let (found, listings) = read(&memory).await;
        assert_eq!(found.expect("is whole").restored.end.lsn, WRITES);
        for name in data(&memory) {
            let bytes = memory.objects().get(&name).cloned().expect("is there");
            for at in [0, bytes.len() / 2, bytes.len() - 1] {
                let mut bad = bytes.to_vec();
                bad[at] ^= 1;
                memory.objects().insert(name.clone(), bad.into());
                let (found, asked) = read(&memory).await;
                assert_eq!((cause(&found), asked), (Some(Cause::Damaged), listings), "{name}, byte {at}");
                let copy = Memory::default();
                copy.objects().extend(memory.objects().clone());
                let opened = session_with(Arc::new(copy), settings()).await.map(|_| ());
                assert_eq!(opened.map_err(|error| error.cause), Err(Cause::Damaged), "{name}, byte {at}");
            }
            memory.objects().insert(name, bytes);
        }
    });
}

#[test]
fn an_object_that_was_damaged_on_its_way_is_read_once_more() {
    run(async {
        let memory = Memory::default();
        stored(&memory).await;
        let listings = read(&memory).await.1;
        for name in data(&memory) {
            let bytes = memory.objects().get(&name).cloned().expect("is there");
            let mut bad = bytes.to_vec();
            bad[bytes.len() / 2] ^= 1;
            memory.objects().insert(name.clone(), bad.into());
            // The second answer is as it was stored.
            let (objects, whole, gets) = (memory.clone(), (name.clone(), bytes), AtomicUsize::new(0));
            let script = move |request, asked: &str| {
                if request == Request::Get && asked == whole.0 && gets.fetch_add(1, Ordering::Relaxed) == 1 {
                    objects.objects().insert(whole.0.clone(), whole.1.clone());
                }
                (Duration::ZERO, Fate::Done)
            };
            let (found, asked) = read(&memory.through(Arc::new(script), 1000)).await;
            assert_eq!((found.expect("is whole").restored.end.lsn, asked), (WRITES, listings), "{name}");
        }
    });
}

#[test]
fn a_hole_is_asked_again_and_filled_by_a_newer_listing() {
    run(async {
        let memory = Memory::default();
        stored(&memory).await;
        let listings = read(&memory).await.1;
        let names = data(&memory);
        assert!(names.len() as u64 > WRITES, "{names:?}");
        for name in names {
            let bytes = memory.objects().remove(&name).expect("is there");
            let (found, asked) = read(&memory).await;
            let missing = cause(&found);
            assert!(matches!(missing, Some(Cause::Hole | Cause::Vanished)), "{missing:?} without {name}");
            assert_eq!(asked, listings * 4, "without {name}");
            let behind = filled(&memory, (name.clone(), bytes), 3);
            assert_eq!(read(&behind).await.0.expect("is whole").restored.end.lsn, WRITES, "without {name}");
        }
    });
}

#[test]
fn an_object_of_which_a_part_is_missing_is_asked_again() {
    run(async {
        let memory = Memory::default();
        let limited = memory.limited(Arc::new(AtomicUsize::new(20_000)));
        let (session, _) = session_with(Arc::new(limited.clone()), settings()).await.expect("opens");
        // Noise, which does not become smaller.
        let mut seed = 1_u32;
        let noise = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed.to_be_bytes()[0]
        });
        super::set(&session, "a", &noise.take(100_000).collect::<Vec<u8>>()).expect("sets");
        session.flush(LONG).await.expect("is stored");
        session.close(LONG).await.expect("closes");
        let listings = read(&limited).await.1;
        let part = data(&memory).into_iter().find(|name| name.ends_with(".part")).expect("is in parts");
        let bytes = memory.objects().remove(&part).expect("is there");
        let (found, asked) = read(&limited).await;
        assert_eq!((cause(&found), asked), (Some(Cause::Partial), listings * 4));
        let behind = filled(&limited, (part, bytes), 2);
        assert!(read(&behind).await.0.is_ok());
    });
}
