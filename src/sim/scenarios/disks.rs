//! Stories of disks that fail, fill up, or are swept: what was resolved stays, and what was refused left nothing.

use std::io::ErrorKind;
use std::path::Path;

use crate::platform::disk::memory::Op;
use crate::session::OriginSource;

use super::*;

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
        assert_eq!(session.journal().sync(1).await.map_err(|error| error.code()), Err(Code::IoPoisoned));
        assert_eq!(set(&session, "a", b"\x032"), Err(Code::IoPoisoned));
        machine.kill();
        machine.start(Opening::default());
        sleep(Duration::from_millis(100)).await;
        assert_eq!(get(&machine.session(), "a"), Some(b"\x031".to_vec()));
    });
}

#[test]
fn a_failed_sync_still_ships_what_memory_has_and_close_says_what_is_not_safe() {
    run(async {
        for store_answers in [true, false] {
            let cluster = calm();
            cluster.tampered.store(true, Ordering::Relaxed);
            let machine = opened(&cluster, Opening::default()).await;
            cluster.outage.store(!store_answers, Ordering::Relaxed);
            let session = machine.session();
            for id in 0..50 {
                set(&session, &id.to_string(), b"\x031").expect("sets");
            }
            machine.disk().fail_next(Op::Sync, 0, ErrorKind::Other, None);
            assert_eq!(session.journal().sync(50).await.map_err(|error| error.code()), Err(Code::IoPoisoned));
            assert_eq!(set(&session, "late", b"\x032"), Err(Code::IoPoisoned));
            sleep(Duration::from_secs(5)).await;
            let stored = session.journal().progress().stored;
            assert_eq!(stored, if store_answers { 50 } else { 0 });
            let closed =
                session.close(Duration::from_secs(1)).await.map_err(|error| (error.code(), error.message));
            match closed {
                Ok(()) => assert!(store_answers, "what is nowhere safe was not told"),
                Err((code, message)) => {
                    assert!(
                        !store_answers && code == Code::IoPoisoned && message.contains("LSN 1 to 50"),
                        "{message}"
                    );
                }
            }
        }
    });
}

#[test]
fn what_is_written_survives_a_power_cut_some_seconds_later_though_nobody_waits_for_a_sync() {
    run(async {
        let cluster = calm();
        let machine = opened(&cluster, Opening::default()).await;
        cluster.outage.store(true, Ordering::Relaxed);
        let session = machine.session();
        let before = machine.disk().operations_of(Op::Sync);
        // A write each 100 ms, for a minute: each is synced in time, and one sync serves many.
        for round in 0..600_u64 {
            set(&session, "a", &round.to_le_bytes()).expect("sets");
            sleep(Duration::from_millis(100)).await;
            let behind = session.journal().lsn() - session.journal().progress().synced;
            assert!(behind <= 52, "{behind} writes, each 100 ms after the other, would be lost");
        }
        sleep(Duration::from_secs(6)).await;
        assert_eq!(session.journal().progress().synced, 600);
        let syncs = machine.disk().operations_of(Op::Sync) - before;
        assert!((10..=13).contains(&syncs), "{syncs} syncs in a minute");
        sleep(Duration::from_secs(60)).await;
        assert_eq!(
            machine.disk().operations_of(Op::Sync) - before,
            syncs,
            "nothing is synced where nothing is written"
        );
    });
}

#[test]
fn a_rewrite_that_does_not_fit_costs_no_write_and_is_told_seldom() {
    run(async {
        let cluster = calm();
        cluster.tampered.store(true, Ordering::Relaxed);
        let machine = opened(&cluster, Opening::default()).await;
        let session = machine.session();
        // Just below the size at which a log is rewritten: a live state of 1 MB, 7 MB of log.
        for round in 0..7_u8 {
            set(&session, "big", &[vec![3], vec![round; 1 << 20]].concat()).expect("sets");
        }
        machine.disk().set_space(Some(900_000));
        let mut failed = 0;
        for round in 0..800_u32 {
            failed += usize::from(
                set(&session, "small", &[&[3][..], &round.to_le_bytes(), &[5; 900]].concat()).is_err(),
            );
            sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(failed, 0, "writes that fit");
        let told = machine.process().told().iter().filter(|what| **what == "failed").count();
        assert!((1..=2).contains(&told), "told {told} times in 16 s");
        // As soon as there is room, the log shrinks.
        machine.disk().set_space(None);
        for round in 0..100_u32 {
            set(&session, "small", &round.to_le_bytes()).expect("sets");
            sleep(Duration::from_millis(500)).await;
        }
        assert!(session.journal().figures().expect("counts").log_bytes < 2 << 20);
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
        machine.disk().remove_tree(Path::new("/sessions/tenant"));
        write(&machine, 1);
        sleep(Duration::from_millis(1)).await;
        assert_eq!(machine.process().told().iter().filter(|what| **what == "repaired").count(), 1);
        machine.kill();
        cluster.outage.store(false, Ordering::Relaxed);
        machine.start(Opening { takeover: true, ..Opening::default() });
        sleep(Duration::from_millis(100)).await;
        assert_eq!(
            (machine.session().origin().source, machine.session().journal().lsn()),
            (OriginSource::Local, 6)
        );
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
