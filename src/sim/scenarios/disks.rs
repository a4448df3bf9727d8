//! Stories of disks that fail, fill up, or are swept: what was resolved stays, and what was refused left nothing.

use std::io::ErrorKind;
use std::path::Path;

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
        machine.disk().remove_tree(Path::new("/sessions/tenant"));
        write(&machine, 1);
        machine.kill();
        cluster.outage.store(false, Ordering::Relaxed);
        machine.start(Opening { takeover: true, ..Opening::default() });
        sleep(Duration::from_millis(100)).await;
        assert_eq!((machine.session().origin().source, machine.session().journal().lsn()), ("local", 6));
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
