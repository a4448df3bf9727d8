//! The promises of a table in PostgreSQL that no other store has to make, against the servers under test.

use std::time::Duration;

use futures::poll;
use tokio::time::{sleep, timeout};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::super::adapters::postgres::dialled;
use super::super::{Store, StoreSpec};
use super::entries::{connect, entries, folder, host, noise};
use crate::format::name::{CLAIMS, TenantName};
use crate::platform::host::random;
use crate::store::spec::PostgresSpec;

/// The databases under test.
fn databases() -> Vec<(String, StoreSpec, PostgresSpec)> {
    let (entries, _) = entries();
    let of = |entry: super::Entry| match entry.store.clone() {
        StoreSpec::Postgres(spec) => Some((entry.name, entry.store, spec)),
        _ => None,
    };
    entries.into_iter().filter_map(of).collect()
}

/// A client of its own.
async fn client(spec: &PostgresSpec) -> Client {
    dialled(spec, host()).await.expect("connects")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_is_committed_while_a_put_is_held_up_is_in_the_listing_behind_it() {
    for (name, store, spec) in databases() {
        eprintln!("{name}");
        let (folder, store, other) = (folder(), connect(&store), connect(&store));
        let (segment, table) = (format!("{folder}/segment"), format!("\"{}\".objects", spec.schema));
        store.put(&segment, noise(10)).await.expect("stores");
        let blocker = client(&spec).await;
        let hold = format!(
            "begin; select 1 from {table} where name = 'segment' and folder like '%{folder}' for update"
        );
        blocker.batch_execute(&hold).await.expect("holds the row");
        let mut held_up = Box::pin(store.put_then_list(&segment, noise(10), &folder, "claim"));
        assert!(timeout(Duration::from_millis(300), &mut held_up).await.is_err(), "it waits for the row");
        other.put(&format!("{folder}/claim-2"), noise(1)).await.expect("stores");
        assert!(poll!(&mut held_up).is_pending());
        blocker.batch_execute("commit").await.expect("lets go");
        let names = held_up.await.expect("stores").expect("lists in the same exchange");
        assert_eq!(names, ["claim-2"], "{name}");
        // In one statement the listing would be of the time before.
        let wrong = format!(
            "with put as (update {table} set bytes = bytes where name = 'segment' and folder like '%{folder}' returning 1) \
             select name from {table}, put where folder like '%{folder}' and name like 'claim-3'"
        );
        blocker.batch_execute(&hold).await.expect("holds the row");
        let one = client(&spec).await;
        let mut one_statement = Box::pin(one.query_typed(&wrong, &[]));
        assert!(
            timeout(Duration::from_millis(300), &mut one_statement).await.is_err(),
            "it waits for the row"
        );
        other.put(&format!("{folder}/claim-3"), noise(1)).await.expect("stores");
        blocker.batch_execute("commit").await.expect("lets go");
        assert!(one_statement.await.expect("answers").is_empty(), "this is why there are two statements");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_listens_is_told_of_claims_and_of_nothing_else() {
    for (name, store, spec) in databases() {
        if !spec.notify {
            continue;
        }
        eprintln!("{name}");
        let (store, other) = (connect(&store), connect(&store));
        let tenant = TenantName::visible(folder().rsplit('/').next().unwrap_or_default()).expect("a good id");
        let mut notices = store.notices().expect("tells");
        let object = format!("{CLAIMS}/{}0000-x", tenant.claims_prefix());
        // It begins to listen while this goes on.
        let storing = async {
            loop {
                other.put(&object, noise(1)).await.expect("stores");
                sleep(Duration::from_millis(50)).await;
            }
        };
        let hearing = async {
            loop {
                // Other tests store claims as well.
                if notices.recv().await.expect("listens") == tenant.notice() {
                    return;
                }
            }
        };
        tokio::select! {
            () = hearing => {}
            () = storing => {}
            () = sleep(Duration::from_secs(20)) => panic!("{name}: nothing is heard"),
        }
        other.delete(vec![object]).await.expect("removes");
    }
}

/// Waits until `lock` is free, or is not.
async fn until(store: &dyn Store, lock: u64, free: bool) {
    for _ in 0..200 {
        if store.is_lock_free(lock).await == Ok(free) {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("the lock is not {}", if free { "free" } else { "held" });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_falls_with_its_connection_and_is_held_again_over_the_next_one() {
    for (name, store, spec) in databases() {
        eprintln!("{name}");
        let lock = u64::from_le_bytes(random(host().as_ref()));
        if !spec.notify {
            // Behind a pooler in transaction mode a lock would stay with the connection of the pooler.
            let pooled = connect(&StoreSpec::Postgres(PostgresSpec { notify: true, ..spec }));
            assert!(!pooled.hold_lock(lock).await, "{name}");
            assert_eq!(pooled.is_lock_free(lock).await, Ok(true), "{name}");
            continue;
        }
        let (one, other) = (connect(&store), connect(&store));
        assert!(one.hold_lock(lock).await, "{name}");
        assert_eq!(other.is_lock_free(lock).await, Ok(false), "{name}");
        one.release_lock(lock);
        until(other.as_ref(), lock, true).await;
        assert!(one.hold_lock(lock).await, "{name}");
        let holder = "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' \
                      and (classid::bigint << 32) | objid::bigint = $1";
        let watcher = client(&spec).await;
        watcher.query_typed(holder, &[(&lock.cast_signed(), Type::INT8)]).await.expect("ends the connection");
        until(other.as_ref(), lock, true).await;
        until(other.as_ref(), lock, false).await;
        one.release_lock(lock);
        until(other.as_ref(), lock, true).await;
    }
}
