//! The tail, with its writer and those who sync in every order that shuttle tries.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shuttle::rand::{Rng, thread_rng};
use shuttle::thread;

use crate::platform::disk::LogFile;
use crate::platform::sync::stepped::step;
use crate::sim::interleaved::explore;

use super::Tail;

/// Appends of the writer.
const APPENDS: u64 = 3;

#[derive(Default)]
struct Content {
    written: u64,
    durable: u64,
    syncs: u64,
    /// True after a failed sync: what was not durable then never is, as the system believes that it was written.
    lost: bool,
}

/// A file as Linux has it: of several who sync at once, one is told of a failure, and a later sync succeeds.
#[derive(Default)]
struct System {
    content: Mutex<Content>,
    /// The number of the sync that fails.
    fails: u64,
}

impl System {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogFile for System {
    fn append(&self, _: &[u8]) -> io::Result<()> {
        step();
        self.content().written += 1;
        step();
        Ok(())
    }

    fn truncate(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        step();
        let upto = self.content().written;
        step();
        let mut content = self.content();
        content.syncs += 1;
        if content.syncs == self.fails {
            content.lost = true;
            return Err(io::Error::other("the disk failed"));
        }
        if !content.lost {
            content.durable = content.durable.max(upto);
        }
        Ok(())
    }

    fn linked(&self) -> bool {
        true
    }
}

#[test]
fn nothing_passes_for_synced_that_is_not_and_a_failed_sync_is_the_last_one() {
    explore(1000, || {
        let system = Arc::new(System { fails: thread_rng().gen_range(0..5), ..System::default() });
        let tail = Arc::new(Tail::new(Arc::clone(&system) as Arc<dyn LogFile>));
        let noted = Arc::new(Mutex::new(0));
        let writer = {
            let (tail, noted) = (Arc::clone(&tail), Arc::clone(&noted));
            thread::spawn(move || {
                for lsn in 1..=APPENDS {
                    tail.append(&[]).expect("there is room");
                    tail.note_appended(lsn);
                    *noted.lock().expect("no panic") = lsn;
                }
            })
        };
        let syncers = (0..2).map(|_| {
            let (system, tail, noted) = (Arc::clone(&system), Arc::clone(&tail), Arc::clone(&noted));
            thread::spawn(move || {
                for _ in 0..2 {
                    let due = *noted.lock().expect("no panic");
                    let had_failed = tail.has_failed();
                    let told = tail.sync();
                    let (synced, durable) = (tail.synced(), system.content().durable);
                    assert!(synced <= durable, "LSN {synced} passes for synced, and {durable} is");
                    match told {
                        Ok(()) => assert!(!had_failed && synced >= due, "LSN {due} was not synced"),
                        Err(_) => assert!(tail.has_failed()),
                    }
                }
            })
        });
        let all: Vec<_> = syncers.chain([writer]).collect();
        all.into_iter().for_each(|thread| thread.join().expect("ends"));
        let failed = system.fails > 0 && system.content().syncs >= system.fails;
        assert_eq!((tail.has_failed(), tail.sync().is_err()), (failed, failed));
        assert!(failed || tail.synced() == APPENDS);
    });
}
