//! Single stories, told once: what a user would notice if it were otherwise.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::disk::Disk;
use crate::disk::memory::MemoryDisk;
use crate::error::Code;
use crate::host::{Host, sleep};
use crate::journal::Life;
use crate::name::{DataName, Span};
use crate::open::{Settings, Site, open};
use crate::record::{key, push};
use crate::remote::Remote;
use crate::remote::memory::Memory;
use crate::session::Session;
use crate::watch::Watch;

use super::cluster::{CHECK, Cluster, Machine, Opening, Weather};
use super::host::Rng;
use super::run;

fn calm() -> Arc<Cluster> {
    Cluster::new(3, 1000, Weather::default())
}

/// A machine with an open session.
async fn opened(cluster: &Arc<Cluster>, how: Opening) -> Machine {
    let mut machine = Machine::new(cluster);
    machine.start(how);
    sleep(Duration::from_millis(100)).await;
    machine
}

fn write(machine: &Machine, times: usize) {
    let mut rng = Rng::new(5);
    for _ in 0..times {
        assert!(machine.process().write(&mut rng));
    }
}

fn set(session: &Session, id: &str, value: &[u8]) -> Result<u64, Code> {
    let mut batch = Vec::new();
    push(&mut batch, &key("session", id), Some(value));
    session.journal().append(&batch, false).map_err(|error| error.code)
}

fn get(session: &Session, id: &str) -> Option<Vec<u8>> {
    session.journal().read(|state| state.get(&key("session", id)).map(<[u8]>::to_vec)).expect("reads")
}

/// The data objects in the store.
fn data(cluster: &Cluster) -> Vec<DataName> {
    cluster.store.objects().keys().filter_map(|name| DataName::parse(name.rsplit('/').next()?)).collect()
}

fn segments(cluster: &Cluster) -> usize {
    data(cluster).iter().filter(|name| matches!(name.span, Span::Segment(..))).count()
}

#[test]
fn a_healthy_handover_loses_nothing_and_says_so() {
    run(async {
        let cluster = calm();
        let first = opened(&cluster, Opening::default()).await;
        write(&first, 5);
        let mut second = Machine::new(&cluster);
        second.start(Opening::default());
        // The first one goes on until it is told; every write that was accepted must be there.
        let mut rng = Rng::new(1);
        for _ in 0..1_000 {
            if !first.process().write(&mut rng) {
                break;
            }
            sleep(Duration::from_millis(7)).await;
        }
        sleep(CHECK * 2).await;
        let (old, new) = (first.session(), second.session());
        assert_eq!(old.journal().progress().life, Life::Fenced);
        assert_eq!(new.origin().source, "remote");
        assert!(new.origin().clean, "the predecessor handed everything over");
        assert_eq!(new.journal().lsn(), old.journal().lsn(), "I20");
    });
}

#[test]
fn a_machine_that_vanished_is_given_up_after_its_time_and_reported_as_unclean() {
    run(async {
        let cluster = calm();
        let mut first = opened(&cluster, Opening::default()).await;
        write(&first, 5);
        sleep(Duration::from_secs(1)).await;
        first.kill();
        let mut second = Machine::new(&cluster);
        second.start(Opening::default());
        sleep(CHECK).await;
        assert!(second.process().session().is_none(), "it might still be alive");
        sleep(CHECK * 4).await;
        assert!(!second.session().origin().clean);
    });
}

#[test]
fn a_restart_on_the_same_disk_waits_for_nobody_and_keeps_the_unsent_tail() {
    run(async {
        let cluster = calm();
        let mut machine = opened(&cluster, Opening::default()).await;
        cluster.outage.store(true, Ordering::Relaxed);
        write(&machine, 20);
        machine.kill();
        cluster.outage.store(false, Ordering::Relaxed);
        machine.start(Opening::default());
        sleep(Duration::from_millis(100)).await;
        assert_eq!(machine.session().origin().source, "local");
        assert_eq!(machine.session().journal().lsn(), 20);
    });
}

#[test]
fn an_outage_ends_nothing_and_one_segment_catches_up() {
    run(async {
        let cluster = calm();
        let machine = opened(&cluster, Opening::default()).await;
        write(&machine, 1);
        sleep(Duration::from_secs(1)).await;
        cluster.outage.store(true, Ordering::Relaxed);
        let before = segments(&cluster);
        for _ in 0..600 {
            write(&machine, 2);
            sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(machine.process().told(), ["degraded"], "told once");
        let status = serde_json::to_value(machine.session().status().expect("tells")).expect("serialises");
        assert_eq!(status["remote"]["state"], "degraded");
        assert!(status["lagMs"].as_u64().is_some_and(|lag| lag >= 590_000), "{status}");
        cluster.outage.store(false, Ordering::Relaxed);
        sleep(Duration::from_secs(60)).await;
        assert_eq!(machine.process().told(), ["degraded", "recovered"]);
        assert_eq!(machine.session().journal().progress().stored, 1201);
        // One was on its way when the outage began, one brings all the rest.
        assert_eq!(segments(&cluster) - before, 2);
    });
}

#[test]
fn under_the_strict_policy_silence_ends_the_session() {
    run(async {
        let cluster = calm();
        let machine = opened(&cluster, Opening { strict: true, ..Opening::default() }).await;
        write(&machine, 1);
        cluster.outage.store(true, Ordering::Relaxed);
        sleep(CHECK * 4).await;
        assert_eq!(set(&machine.session(), "a", b"\x031"), Err(Code::LeaseLost));
        cluster.outage.store(false, Ordering::Relaxed);
        sleep(CHECK * 4).await;
        assert_eq!(
            set(&machine.session(), "a", b"\x031"),
            Err(Code::LeaseLost),
            "it does not come back by itself"
        );
    });
}

#[test]
fn a_failed_write_leaves_memory_as_it_was() {
    run(async {
        let cluster = calm();
        let machine = opened(&cluster, Opening::default()).await;
        let session = machine.session();
        set(&session, "a", b"\x031").expect("sets");
        machine.disk().set_space(Some(10));
        assert_eq!(set(&session, "a", b"\x032"), Err(Code::LocalUnavailable));
        assert_eq!((get(&session, "a"), session.journal().lsn()), (Some(b"\x031".to_vec()), 1));
        machine.disk().set_space(None);
        assert_eq!(set(&session, "a", b"\x032"), Ok(2));
    });
}

#[test]
fn a_failed_sync_poisons_the_session_and_a_reopen_heals_it() {
    run(async {
        let cluster = calm();
        let mut machine = opened(&cluster, Opening::default()).await;
        let session = machine.session();
        set(&session, "a", b"\x031").expect("sets");
        machine.disk().fail_at(machine.disk().operations(), ErrorKind::Other, None);
        assert_eq!(session.journal().sync(1).await.map_err(|error| error.code), Err(Code::IoPoisoned));
        assert_eq!(set(&session, "a", b"\x032"), Err(Code::IoPoisoned));
        machine.kill();
        machine.start(Opening::default());
        sleep(Duration::from_millis(100)).await;
        assert_eq!(get(&machine.session(), "a"), Some(b"\x031".to_vec()));
    });
}

#[test]
fn one_sync_serves_all_who_wait_for_it() {
    run(async {
        let cluster = calm();
        let machine = opened(&cluster, Opening::default()).await;
        let session = machine.session();
        for id in 0..20 {
            set(&session, &id.to_string(), b"\x031").expect("sets");
        }
        let before = machine.disk().operations();
        let waits = (1..=20).map(|lsn| session.journal().sync(lsn));
        for done in futures::future::join_all(waits).await {
            done.expect("syncs");
        }
        assert_eq!(machine.disk().operations() - before, 1);
    });
}

#[test]
fn a_folder_removed_under_a_running_session_is_made_again_with_everything() {
    run(async {
        let cluster = calm();
        let mut machine = opened(&cluster, Opening::default()).await;
        cluster.outage.store(true, Ordering::Relaxed);
        write(&machine, 5);
        machine.disk().remove_tree(std::path::Path::new("/sessions/tenant"));
        write(&machine, 1);
        machine.kill();
        cluster.outage.store(false, Ordering::Relaxed);
        machine.start(Opening { takeover: true, ..Opening::default() });
        sleep(Duration::from_millis(100)).await;
        assert_eq!((machine.session().origin().source, machine.session().journal().lsn()), ("local", 6));
    });
}

#[test]
fn a_store_emptied_under_a_running_session_is_filled_again() {
    run(async {
        let cluster = calm();
        let mut machine = opened(&cluster, Opening::default()).await;
        write(&machine, 5);
        sleep(Duration::from_secs(1)).await;
        cluster.tampered.store(true, Ordering::Relaxed);
        assert!(!std::mem::take(&mut *cluster.store.objects()).is_empty());
        cluster.oracle().emptied();
        let session = machine.session();
        set(&session, "x", b"\x03z").expect("sets");
        sleep(CHECK * 10).await;
        let names = data(&cluster);
        assert!(names.iter().any(|name| matches!(name.span, Span::Base(6))), "{names:?}");
        assert_eq!(session.journal().progress().stored, 6, "what the new base holds is acknowledged");
        assert!(names.iter().all(|name| name.claim == session.claim().expect("has one")));
        assert_eq!(session.journal().progress().life, Life::Live);
        drop(session);
        machine.kill();
        let blank = opened(&cluster, Opening { takeover: true, ..Opening::default() }).await;
        assert_eq!(get(&blank.session(), "x"), Some(b"\x03z".to_vec()));
    });
}

#[test]
fn what_waited_when_the_store_was_emptied_is_acknowledged_with_the_refill() {
    run(async {
        let cluster = calm();
        let machine = opened(&cluster, Opening::default()).await;
        write(&machine, 1);
        // Just before a tick: the next change waits for its interval, and the tick comes first.
        sleep(Duration::from_millis(840)).await;
        write(&machine, 1);
        sleep(Duration::from_millis(30)).await;
        assert_eq!(machine.session().journal().progress().stored, 2);
        cluster.tampered.store(true, Ordering::Relaxed);
        cluster.store.objects().clear();
        cluster.oracle().emptied();
        set(&machine.session(), "x", b"\x03z").expect("sets");
        sleep(Duration::from_millis(60)).await;
        assert!(data(&cluster).iter().any(|name| matches!(name.span, Span::Base(3))), "{:?}", data(&cluster));
        assert_eq!(machine.session().journal().progress().stored, 3);
    });
}

#[test]
fn a_log_full_of_garbage_is_rewritten_while_writes_go_on() {
    run(async {
        let cluster = calm();
        let mut machine = opened(&cluster, Opening::default()).await;
        let session = machine.session();
        let mut largest = 0;
        for round in 0..400_u32 {
            let value = [&[3][..], &round.to_le_bytes(), &[7; 50_000]].concat();
            set(&session, "big", &value).expect("sets");
            if round % 8 == 0 {
                sleep(Duration::from_millis(20)).await;
            }
            largest = largest.max(session.journal().figures().expect("counts").log_bytes);
        }
        assert!(largest < 6 << 20, "the log grew to {largest} bytes for 50 KB of state");
        let last = get(&session, "big");
        drop(session);
        machine.kill();
        machine.start(Opening::default());
        sleep(Duration::from_millis(100)).await;
        assert_eq!((machine.session().journal().lsn(), get(&machine.session(), "big")), (400, last));
    });
}

#[test]
fn what_is_back_at_its_old_value_is_not_sent_again() {
    run(async {
        let cluster = calm();
        let machine = opened(&cluster, Opening::default()).await;
        let session = machine.session();
        let big = vec![3; 100_000];
        set(&session, "a", &big).expect("sets");
        sleep(Duration::from_secs(1)).await;
        set(&session, "a", b"\x03x").expect("sets");
        set(&session, "a", &big).expect("sets");
        set(&session, "b", b"\x03y").expect("sets");
        sleep(Duration::from_secs(1)).await;
        assert_eq!(session.journal().progress().stored, 4);
        let last = data(&cluster).into_iter().max_by_key(|name| name.span.last()).expect("a segment");
        let object = cluster
            .store
            .objects()
            .iter()
            .find(|(name, _)| name.ends_with(&last.to_string()))
            .map(|(_, bytes)| bytes.len());
        assert!(object.is_some_and(|len| len < 400), "the last segment has {object:?} bytes");
    });
}

#[test]
fn many_segments_are_folded_into_a_base_and_what_it_dominates_goes() {
    run(async {
        let cluster = calm();
        let machine = opened(&cluster, Opening::default()).await;
        for _ in 0..700 {
            write(&machine, 1);
            sleep(Duration::from_millis(250)).await;
        }
        sleep(Duration::from_secs(2)).await;
        let names = data(&cluster);
        let bases = names.iter().filter(|name| matches!(name.span, Span::Base(_))).count();
        assert_eq!(bases, 2, "two are kept");
        assert!(names.len() < 600, "{} objects for 700 segments", names.len());
        let mut blank = opened(&cluster, Opening { takeover: true, ..Opening::default() }).await;
        assert_eq!(blank.session().journal().lsn(), 700);
        blank.kill();
    });
}

#[test]
fn a_quiet_session_costs_a_listing_per_tick_and_nothing_else() {
    run(async {
        let cluster = calm();
        let machine = opened(&cluster, Opening::default()).await;
        sleep(Duration::from_secs(2)).await;
        let clock = cluster.oracle().clock();
        sleep(CHECK * 100).await;
        let requests = cluster.oracle().clock() - clock;
        assert!((98..=102).contains(&requests), "{requests} requests in 100 ticks");
        drop(machine);
    });
}

#[test]
fn an_idle_fleet_costs_a_listing_per_tick_and_not_per_tenant() {
    run(async {
        const TENANTS: u64 = 40;
        let host: Arc<dyn Host> = super::host::SimHost::new(1, tokio::time::Instant::now());
        let remote = Remote::new(Arc::new(Memory::default()), Arc::clone(&host));
        let site = Site { watch: Arc::new(Watch::new(remote.clone())), remote: remote.clone() };
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::default());
        let mut fleet = Vec::new();
        for tenant in 0..TENANTS {
            let name = format!("tenant-{tenant}");
            let settings = Settings {
                folder: PathBuf::from(format!("/sessions/{name}")),
                tenant: name,
                site: Some(site.clone()),
                ..Cluster::settings_for_tests()
            };
            fleet.push(
                open(Arc::clone(&host), Arc::clone(&disk), settings, None, Arc::new(|_| {}))
                    .await
                    .expect("opens"),
            );
            // They do not start in step.
            sleep(Duration::from_millis(37)).await;
        }
        sleep(CHECK * 2).await;
        let lists = || remote.traffic.lists.load(Ordering::Relaxed);
        let before = lists();
        sleep(CHECK * 50).await;
        let spent = lists() - before;
        assert!((49..=51).contains(&spent), "{spent} listings in 50 ticks of {TENANTS} tenants");
        drop(fleet);
    });
}

#[test]
fn pre_keys_and_pairing_do_not_wait_for_the_interval() {
    run(async {
        let cluster = calm();
        let machine = opened(&cluster, Opening::default()).await;
        let session = machine.session();
        set(&session, "a", b"\x031").expect("sets");
        sleep(Duration::from_millis(20)).await;
        assert_eq!(
            session.journal().progress().stored,
            1,
            "the first change after a quiet time goes at once"
        );
        set(&session, "a", b"\x032").expect("sets");
        sleep(Duration::from_millis(20)).await;
        assert_eq!(session.journal().progress().stored, 1, "the next one waits for its interval");
        let mut batch = Vec::new();
        push(&mut batch, &key("pre-key", "1"), Some(b"\x033"));
        session.journal().append(&batch, true).expect("sets");
        sleep(Duration::from_millis(5)).await;
        assert_eq!(session.journal().progress().stored, 3, "an urgent one takes everything along");
    });
}

#[test]
fn closing_stores_the_rest_and_the_next_open_is_clean_and_waits_for_nobody() {
    run(async {
        let cluster = calm();
        let mut machine = opened(&cluster, Opening::default()).await;
        write(&machine, 9);
        machine.session().close(Duration::from_secs(5)).await.expect("closes");
        assert_eq!(set(&machine.session(), "a", b"\x031"), Err(Code::Closed));
        machine.wipe();
        machine.start(Opening::default());
        sleep(Duration::from_millis(50)).await;
        assert_eq!((machine.session().origin().clean, machine.session().journal().lsn()), (true, 9));
    });
}

#[test]
fn closing_during_an_outage_gives_up_in_time_and_loses_nothing() {
    run(async {
        let cluster = calm();
        let mut machine = opened(&cluster, Opening::default()).await;
        write(&machine, 3);
        sleep(Duration::from_secs(1)).await;
        cluster.outage.store(true, Ordering::Relaxed);
        write(&machine, 4);
        let session = machine.session();
        let began = tokio::time::Instant::now();
        let error = session.close(Duration::from_secs(2)).await.expect_err("the store is away");
        assert_eq!(error.code, Code::RemoteUnavailable);
        assert!(error.message.contains("4 to 7"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(3));
        drop(session);
        machine.kill();
        cluster.outage.store(false, Ordering::Relaxed);
        machine.start(Opening::default());
        sleep(Duration::from_millis(100)).await;
        assert_eq!((machine.session().origin().source, machine.session().journal().lsn()), ("local", 7));
    });
}
