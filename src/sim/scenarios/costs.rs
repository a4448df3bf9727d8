//! Stories of what is sent and asked: no more than what changed, as soon as it must be, and nothing that grows with idle tenants.

use std::path::PathBuf;

use super::*;
use crate::ownership::listing::SharedListing;
use crate::platform::disk::Disk;
use crate::platform::disk::memory::MemoryDisk;
use crate::platform::host::Host;
use crate::session::StoreState;
use crate::session::open::{Settings, Site, open};
use crate::sim::host::SimHost;
use crate::store::RetryingStore;
use crate::store::adapters::memory::Memory;

fn segments(cluster: &Cluster) -> usize {
    data(cluster).iter().filter(|name| matches!(name.span, Span::Segment(..))).count()
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
        let status = machine.session().status().expect("tells");
        assert_eq!(status.store, StoreState::Degraded);
        assert!(status.lag_ms.is_some_and(|lag| lag >= 590_000), "{status:?}");
        cluster.outage.store(false, Ordering::Relaxed);
        sleep(Duration::from_secs(60)).await;
        assert_eq!(machine.process().told(), ["degraded", "recovered"]);
        assert_eq!(machine.session().journal().progress().stored, 1201);
        // One was on its way when the outage began, one brings all the rest.
        assert_eq!(segments(&cluster) - before, 2);
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
        let host: Arc<dyn Host> = SimHost::new(1, tokio::time::Instant::now());
        let site = Site::of(Arc::new(Memory::default()), &host);
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::default());
        let mut fleet = Vec::new();
        for tenant in 0..TENANTS {
            let settings = Cluster::settings_for_tests().of_tenant(&format!("tenant-{tenant}"));
            let (host, disk, site) = (Arc::clone(&host), Arc::clone(&disk), Some(site.clone()));
            fleet.push(open(host, disk, settings, site, None, Arc::new(|_| {})).await.expect("opens"));
            // They do not start in step.
            sleep(Duration::from_millis(37)).await;
        }
        sleep(CHECK * 2).await;
        let lists = || site.remote.traffic.lists.load(Ordering::Relaxed);
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
