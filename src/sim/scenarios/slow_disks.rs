//! Stories of disks that take their time over a sync or a rewrite: nobody waits for that who needs nothing of it.

use std::path::{Path, PathBuf};

use tokio::time::Instant;

use super::super::clock::Clock;
use super::super::drag::{Drag, Pressure};
use super::super::host::SimHost;
use super::*;
use crate::platform::disk::memory::MemoryDisk;
use crate::platform::host::Host;
use crate::session::Mode;
use crate::session::open::{Site, open};
use crate::wal::set_slack;

/// Longer than any handover, flush or close may take.
const SLOW: Duration = Duration::from_secs(60);

/// Writes until its log is being rewritten.
async fn until_rewritten(session: &Session) {
    for round in 0..1_000_u32 {
        if session.journal().is_rolling() {
            return;
        }
        set(session, "a", &[&[3][..], &round.to_le_bytes()].concat()).expect("sets");
        sleep(Duration::from_millis(1)).await;
    }
    panic!("its log is not rewritten");
}

/// A process on a disk of its own that may take its time, and a store.
struct Process {
    host: Arc<dyn Host>,
    drag: Arc<Drag>,
    disk: MemoryDisk,
    store: Memory,
}

impl Process {
    fn new() -> Process {
        set_slack(Some(400));
        let drag = Arc::new(Drag::new(1));
        let host: Arc<dyn Host> = SimHost::by(1, Arc::new(Clock::new(Instant::now())), Arc::clone(&drag));
        Process { host, drag, disk: MemoryDisk::default(), store: Memory::default() }
    }

    async fn open(&self, mode: Mode) -> Session {
        let site = (mode != Mode::Local).then(|| Site::of(Arc::new(self.store.clone()), &self.host));
        let settings = Cluster::settings_for_tests().in_mode(mode);
        let disk = Arc::new(self.disk.clone());
        open(Arc::clone(&self.host), disk, settings, site, None, Arc::new(|_| {})).await.expect("opens")
    }

    fn files(&self) -> Vec<PathBuf> {
        self.disk.files(Path::new("/sessions")).into_iter().map(|(name, _)| name).collect()
    }
}

#[test]
fn a_handover_goes_out_while_the_log_is_being_rewritten() {
    run(async {
        set_slack(Some(400));
        let cluster = calm();
        let first = opened(&cluster, Opening::default()).await;
        let session = first.session();
        first.drag().begin(Pressure::of(SLOW));
        until_rewritten(&session).await;
        let mut second = Machine::new(&cluster);
        second.start(Opening::default());
        let mut rng = Rng::new(1);
        while first.process().write(&mut rng) {
            sleep(Duration::from_millis(7)).await;
        }
        sleep(CHECK * 4).await;
        assert!(session.journal().is_rolling(), "the disk is not that fast");
        let origin = second.session().origin();
        assert_eq!((origin.clean, second.session().journal().lsn()), (true, session.journal().lsn()));
    });
}

#[test]
fn what_is_written_while_the_log_is_being_rewritten_is_shipped_and_flushed() {
    run(async {
        let process = Process::new();
        let session = process.open(Mode::Hybrid).await;
        process.drag.begin(Pressure::of(SLOW));
        until_rewritten(&session).await;
        set(&session, "b", b"\x031").expect("sets");
        let lsn = session.flush(CHECK * 2).await.expect("the store answers");
        assert_eq!(session.journal().progress().stored, lsn);
        assert!(session.journal().is_rolling());
        process.drag.end();
        sleep(SLOW).await;
        assert!(!session.journal().is_rolling(), "it comes to an end");
        assert!(session.journal().figures().expect("counts").log_bytes < 2_000);
    });
}

#[test]
fn an_end_waits_for_no_rewrite_and_what_is_left_of_it_harms_nobody() {
    run(async {
        for mode in [Mode::Hybrid, Mode::Local] {
            let process = Process::new();
            let session = process.open(mode).await;
            process.drag.begin(Pressure::of(SLOW));
            until_rewritten(&session).await;
            process.drag.end();
            set(&session, "b", b"\x032").expect("sets");
            let began = Instant::now();
            session.close(CHECK * 4).await.expect("all of it is safe");
            assert!(began.elapsed() <= CHECK, "{mode:?}: {:?}", began.elapsed());
            let lsn = session.journal().lsn();
            drop(session);
            // The next life is there while the rewrite of the former one ends.
            let session = process.open(mode).await;
            assert_eq!((session.journal().lsn(), session.origin().clean), (lsn, true), "{mode:?}");
            set(&session, "c", b"\x033").expect("sets");
            sleep(SLOW).await;
            set(&session, "d", b"\x034").expect("sets");
            session.close(CHECK * 4).await.expect("closes");
            drop(session);
            let session = process.open(mode).await;
            assert_eq!((session.journal().lsn(), session.origin().clean), (lsn + 2, true), "{mode:?}");
            assert_eq!(get(&session, "d"), Some(b"\x034".to_vec()));
            assert_eq!(
                process.files().len(),
                if mode == Mode::Local { 2 } else { 3 },
                "{:?}",
                process.files()
            );
            session.close(CHECK * 4).await.expect("closes");
        }
    });
}

#[test]
fn a_deletion_waits_for_no_rewrite_and_nothing_of_it_comes_back() {
    run(async {
        for mode in [Mode::Hybrid, Mode::Local] {
            let process = Process::new();
            let session = process.open(mode).await;
            process.drag.begin(Pressure::of(SLOW));
            until_rewritten(&session).await;
            process.drag.end();
            let began = Instant::now();
            session.delete().await.expect("deletes");
            assert!(began.elapsed() <= CHECK, "{mode:?}: {:?}", began.elapsed());
            assert_eq!(process.files(), Vec::<PathBuf>::new());
            sleep(SLOW).await;
            assert_eq!(process.files(), Vec::<PathBuf>::new(), "{mode:?}: a rewrite left something behind");
        }
    });
}

#[test]
fn a_close_does_not_wait_for_ever_for_a_disk_that_hangs_and_says_what_is_not_safe() {
    run(async {
        for (mode, is_stored) in [(Mode::Hybrid, true), (Mode::Local, false)] {
            let process = Process::new();
            let session = process.open(mode).await;
            set(&session, "a", b"\x031").expect("sets");
            sleep(CHECK).await;
            process.drag.begin(Pressure::of(Duration::from_secs(100_000)));
            let began = Instant::now();
            let closed = session.close(Duration::from_secs(8)).await;
            assert!(began.elapsed() <= Duration::from_secs(17), "{mode:?}: {:?}", began.elapsed());
            match closed {
                Ok(()) => assert!(is_stored, "nobody knows that it is safe"),
                Err(error) => {
                    assert!(!is_stored, "the store has it: {error}");
                    assert_eq!(error.code(), Code::IoPoisoned);
                    assert!(error.message.contains("LSN 1 to 1"), "{error}");
                }
            }
            process.drag.end();
            drop(session);
            let session = process.open(mode).await;
            assert_eq!((session.journal().lsn(), session.origin().clean), (1, true), "{mode:?}");
        }
    });
}

#[test]
fn an_open_that_waited_for_its_disk_looks_once_more_before_it_serves() {
    run(async {
        for strict in [false, true] {
            let cluster = calm();
            let mut slow = Machine::new(&cluster);
            slow.start(Opening { strict, ..Opening::default() });
            // Its first log takes longer than somebody else waits for it.
            slow.drag().begin(Pressure::of(Duration::from_secs(3)));
            sleep(Duration::from_millis(100)).await;
            let mut quick = Machine::new(&cluster);
            // It looked after nine seconds, and its log is there after twelve.
            sleep(Duration::from_millis(9_400)).await;
            quick.start(Opening::default());
            sleep(Duration::from_secs(15)).await;
            assert!(quick.process().is_live());
            assert_eq!(slow.process().refused(), Some(Code::OwnedElsewhere), "strict: {strict}");
        }
    });
}

#[test]
fn a_strict_open_on_a_slow_disk_accepts_writes() {
    run(async {
        let cluster = calm();
        let mut slow = Machine::new(&cluster);
        slow.drag().begin(Pressure::of(Duration::from_secs(3)));
        slow.start(Opening { strict: true, ..Opening::default() });
        sleep(Duration::from_secs(30)).await;
        assert!(slow.process().write(&mut Rng::new(1)));
    });
}
