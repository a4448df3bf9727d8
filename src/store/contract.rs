//! The contract of a store: one list of tests, for every kind of store there is.
//!
//! Memory and a directory are always tried. Others are named by the variable `STORES_UNDER_TEST`, a JSON list of [`Entry`]:
//! servers and doubles that the test command starts, or anybody's real account (see `docs/stores.md`).

pub(super) mod entries;
mod postgres;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use futures::{StreamExt, stream};
use tokio::sync::Mutex;

use self::entries::{Entry, WrongClock, connect, entries, folder, host, noise};
use super::{Failure, Meaning, RetryingStore, Store};
use crate::error::Code;

/// Held by whoever probes a store: one probe is no trace of another one.
static PROBING: Mutex<()> = Mutex::const_new(());

/// Asks again as the engine does: a server may be busy.
async fn with_retries<T, F>(ask: impl Fn() -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    for _ in 0..5 {
        match ask().await {
            Err(failure) if failure.may_pass() => tokio::time::sleep(Duration::from_millis(200)).await,
            answer => return answer,
        }
    }
    ask().await
}

async fn put(store: &dyn Store, name: &str, bytes: &Bytes) {
    with_retries(|| store.put(name, bytes.clone()))
        .await
        .unwrap_or_else(|failure| panic!("put {name}: {failure:?}"));
}

async fn read(store: &dyn Store, name: &str) -> Result<Option<Bytes>, Failure> {
    with_retries(|| store.get(name)).await
}

async fn put_all(store: &dyn Store, folder: &str, names: &[String]) {
    let bytes = Bytes::from_static(b"x");
    let name = |name: &String| format!("{folder}/{name}");
    let puts = stream::iter(names.iter().map(name)).map(|name| {
        let bytes = bytes.clone();
        async move { put(store, &name, &bytes).await }
    });
    puts.buffer_unordered(32).collect::<Vec<()>>().await;
}

async fn list(store: &dyn Store, folder: &str, prefix: &str) -> BTreeSet<String> {
    let names = with_retries(|| store.list(folder, prefix))
        .await
        .unwrap_or_else(|failure| panic!("list: {failure:?}"));
    let count = names.len();
    let names: BTreeSet<String> = names.into_iter().collect();
    assert_eq!(names.len(), count, "a name is listed twice");
    names
}

macro_rules! contract {
    ($($(#[$doc:meta])* async fn $name:ident($entry:ident: &Entry, $store:ident: &dyn Store) $body:block)*) => {
        $(
            $(#[$doc])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let (entries, _temporary) = entries();
                for $entry in &entries {
                    eprintln!("{}: {}", stringify!($name), $entry.name);
                    let store = connect(&$entry.store);
                    let $store = store.as_ref();
                    $body
                }
            }
        )*
    };
}

contract! {
    async fn what_was_stored_is_read_back_to_the_byte(_entry: &Entry, store: &dyn Store) {
        let folder = folder();
        for len in [0, 1, 1000, 100_000, 16 << 20] {
            let (name, bytes) = (format!("{folder}/{len}"), noise(len));
            put(store, &name, &bytes).await;
            let found = read(store, &name).await.expect("reads");
            assert!(found.as_ref() == Some(&bytes), "{len} bytes, read {:?}", found.map(|read| read.len()));
        }
    }

    async fn what_is_not_there_is_absent_and_no_failure(_entry: &Entry, store: &dyn Store) {
        let folder = folder();
        assert_eq!(read(store, &format!("{folder}/nothing")).await, Ok(None));
        assert_eq!(list(store, &folder, "").await, BTreeSet::new());
        put(store, &format!("{folder}/something"), &noise(10)).await;
        assert_eq!(read(store, &format!("{folder}/nothing")).await, Ok(None));
        assert_eq!(read(store, &format!("{folder}/something-else")).await, Ok(None));
        assert_eq!(list(store, &folder, "nothing").await, BTreeSet::new());
    }

    async fn a_listing_of_many_pages_misses_nothing(entry: &Entry, store: &dyn Store) {
        let folder = folder();
        let names: Vec<String> = (0..3_205).map(|n| format!("{}-{n:05}", if n % 2 == 0 { "even" } else { "odd" })).collect();
        put_all(store, &folder, &names).await;
        assert_eq!(list(store, &folder, "").await, names.iter().cloned().collect());
        let even = names.iter().filter(|name| name.starts_with("even-")).cloned().collect();
        assert_eq!(list(store, &folder, "even-").await, even);
        let all = names.iter().map(|name| format!("{folder}/{name}")).collect();
        let remote = RetryingStore::connect(&entry.store, host()).expect("connects");
        if entry.name == "memory" {
            store.delete(all).await.expect("removes");
        } else {
            remote.delete(all).await.expect("more names than one request takes are removed");
        }
        assert_eq!(list(store, &folder, "").await, BTreeSet::new());
    }

    async fn a_listing_that_changes_meanwhile_misses_nothing_that_was_there_all_the_time(_entry: &Entry, store: &dyn Store) {
        let folder = folder();
        let stays: Vec<String> = (0..1_100).map(|n| format!("{n:05}-stays")).collect();
        let goes: Vec<String> = (0..900).map(|n| format!("{n:05}-goes")).collect();
        put_all(store, &folder, &stays).await;
        put_all(store, &folder, &goes).await;
        // One at a time, as they do that collect, and then more at once than two pages have in common.
        let (slowly, at_once) = goes.split_at(300);
        let removing = async {
            for names in slowly.chunks(1).chain(at_once.chunks(300)) {
                let names: Vec<String> = names.iter().map(|name| format!("{folder}/{name}")).collect();
                with_retries(|| store.delete(names.clone())).await.expect("removes");
            }
        };
        let listing = async {
            for _ in 0..8 {
                let names = list(store, &folder, "").await;
                assert!(stays.iter().all(|name| names.contains(name)));
            }
        };
        futures::join!(removing, listing);
    }

    async fn a_folder_whose_name_begins_like_another_is_another(_entry: &Entry, store: &dyn Store) {
        let folder = folder();
        for name in ["a", "a.1", "a.10", "a-b", "ab", "b"] {
            put(store, &format!("{folder}/{name}"), &noise(1)).await;
            put(store, &format!("{folder}x/{name}"), &noise(1)).await;
            put(store, &format!("{folder}/deeper-{name}/{name}"), &noise(1)).await;
        }
        let listed = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(list(store, &folder, "").await, listed(&["a", "a.1", "a.10", "a-b", "ab", "b"]));
        assert_eq!(list(store, &folder, "a.").await, listed(&["a.1", "a.10"]));
        assert_eq!(list(store, &folder, "a.1").await, listed(&["a.1", "a.10"]));
        assert_eq!(list(store, &folder, "c").await, listed(&[]));
        assert_eq!(list(store, &format!("{folder}x"), "b").await, listed(&["b"]));
    }

    async fn unusual_names_come_back_as_they_are_or_are_refused(entry: &Entry, store: &dyn Store) {
        let folder = folder();
        let mut kept = BTreeSet::new();
        for name in ["plain", "a b", "a+b", "a%b", "a%20b", "\u{e4}\u{f6}", "a@b", "a:b", "a,b;c=d", "a~b", "a&b", "a!'()*"] {
            let full = format!("{folder}/{name}");
            match with_retries(|| store.put(&full, noise(name.len()))).await {
                Ok(()) => {
                    assert_eq!(read(store, &full).await, Ok(Some(noise(name.len()))), "{name}");
                    kept.insert(name.to_owned());
                }
                Err(failure) => {
                    assert!(!entry.any_name, "{name}: {failure:?}");
                    assert_eq!(failure.meaning, Meaning::Impossible, "{name}: {failure:?}");
                }
            }
        }
        assert!(kept.contains("plain"));
        assert_eq!(list(store, &folder, "").await, kept);
    }

    async fn a_second_connection_lists_what_the_first_has_stored(entry: &Entry, store: &dyn Store) {
        if entry.name == "memory" {
            continue;
        }
        let (folder, other) = (folder(), connect(&entry.store));
        for n in 0..20 {
            put(store, &format!("{folder}/{n}"), &noise(10)).await;
            assert!(list(other.as_ref(), &folder, "").await.contains(&n.to_string()));
            assert_eq!(read(other.as_ref(), &format!("{folder}/{n}")).await, Ok(Some(noise(10))));
        }
    }

    async fn one_name_stored_by_many_at_once_is_whole(entry: &Entry, store: &dyn Store) {
        let (folder, bytes) = (folder(), noise(200_000));
        let others: Vec<Arc<dyn Store>> = (0..8).map(|_| connect(&entry.store)).collect();
        let name = format!("{folder}/one");
        if entry.name != "memory" {
            join_all(others.iter().map(|other| put(other.as_ref(), &name, &bytes))).await;
        }
        put(store, &name, &bytes).await;
        assert_eq!(read(store, &name).await, Ok(Some(bytes)));
        assert_eq!(list(store, &folder, "").await.len(), 1);
    }

    async fn what_was_removed_is_gone_and_removing_it_again_is_no_failure(_entry: &Entry, store: &dyn Store) {
        let folder = folder();
        let names: Vec<String> = (0..5).map(|n| n.to_string()).collect();
        put_all(store, &folder, &names).await;
        let gone = |names: &[&str]| names.iter().map(|name| format!("{folder}/{name}")).collect::<Vec<_>>();
        for _ in 0..2 {
            with_retries(|| store.delete(gone(&["1", "3", "never-there"]))).await.expect("removes");
            let left: Vec<String> = list(store, &folder, "").await.into_iter().collect();
            assert_eq!(left, ["0", "2", "4"]);
            assert_eq!(read(store, &format!("{folder}/1")).await, Ok(None));
        }
    }

    async fn wrong_credentials_are_denied_and_never_look_like_an_empty_bucket(entry: &Entry, store: &dyn Store) {
        let Some(spec) = &entry.wrong_credentials else { continue };
        let folder = folder();
        put(store, &format!("{folder}/there"), &noise(10)).await;
        let wrong = connect(spec);
        let denied = |failure: Failure| assert_eq!(failure.meaning, Meaning::Denied, "{failure:?}");
        denied(wrong.put(&format!("{folder}/new"), noise(10)).await.expect_err("put"));
        denied(wrong.get(&format!("{folder}/there")).await.expect_err("get"));
        denied(wrong.list(&folder, "").await.expect_err("list"));
        denied(wrong.delete(vec![format!("{folder}/there")]).await.expect_err("delete"));
        assert_eq!(list(store, &folder, "").await.len(), 1);
        let refused = RetryingStore::connect(spec, host()).expect("connects").require_fit().await.expect_err("is refused");
        assert_eq!(refused.code(), Code::RemoteRefused, "{refused}");
    }

    async fn a_missing_bucket_never_looks_like_an_empty_one(entry: &Entry, _store: &dyn Store) {
        let Some(spec) = &entry.missing_bucket else { continue };
        let (folder, missing) = (folder(), connect(spec));
        let put = missing.put(&format!("{folder}/new"), noise(10)).await.expect_err("put");
        assert_eq!(put.meaning, Meaning::NotConfigured, "{put:?}");
        let refused = RetryingStore::connect(spec, host()).expect("connects").require_fit().await.expect_err("is refused");
        assert_eq!(refused.code(), Code::RemoteRefused, "{refused}");
    }

    async fn a_body_that_was_cut_is_a_failure_that_may_pass(entry: &Entry, _store: &dyn Store) {
        let Some(spec) = &entry.truncating else { continue };
        let (name, cut) = (format!("{}/long", folder()), connect(spec));
        put(cut.as_ref(), &name, &noise(300_000)).await;
        let failure = cut.get(&name).await.expect_err("half of it is nothing");
        assert_eq!(failure.meaning, Meaning::Transient, "{failure:?}");
    }

    async fn a_slow_body_is_waited_for(entry: &Entry, _store: &dyn Store) {
        let Some(spec) = &entry.slow else { continue };
        let (name, slow) = (format!("{}/long", folder()), connect(spec));
        put(slow.as_ref(), &name, &noise(30_000)).await;
        assert_eq!(slow.get(&name).await, Ok(Some(noise(30_000))));
    }

    async fn a_bucket_that_everybody_can_read_is_refused(entry: &Entry, _store: &dyn Store) {
        let Some(spec) = &entry.public else { continue };
        let refused = RetryingStore::connect(spec, host()).expect("connects").require_fit().await.expect_err("is refused");
        assert_eq!(refused.code(), Code::RemoteRefused, "{refused}");
        assert!(refused.message.contains("public"), "{refused}");
    }

    async fn a_good_store_is_found_fit_and_nothing_is_left_of_the_probe(entry: &Entry, store: &dyn Store) {
        let _alone = PROBING.lock().await;
        let remote = RetryingStore::connect(&entry.store, host()).expect("connects");
        remote.require_fit().await.unwrap_or_else(|error| panic!("{}: {error}", entry.name));
        assert_eq!(list(store, "v1/probe", "").await, BTreeSet::new());
        let asked = remote.traffic.puts.load(std::sync::atomic::Ordering::Relaxed);
        remote.require_fit().await.expect("still");
        assert_eq!(remote.traffic.puts.load(std::sync::atomic::Ordering::Relaxed), asked, "it is found out once");
    }

    async fn a_clock_that_is_far_off_is_named(entry: &Entry, _store: &dyn Store) {
        if !entry.tells_time {
            continue;
        }
        let _alone = PROBING.lock().await;
        for minutes in [-60, 60] {
            let host = Arc::new(WrongClock { real: host(), minutes });
            let refused = RetryingStore::connect(&entry.store, host).expect("connects").require_fit().await.expect_err("is refused");
            assert_eq!(refused.code(), Code::RemoteRefused);
            assert!(refused.message.contains("clock"), "{refused}");
        }
    }
}
