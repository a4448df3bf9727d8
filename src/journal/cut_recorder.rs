//! The cut recorder: the state at each cut, to compare it with the store while a session goes on.

use std::sync::{Mutex, PoisonError};

use crate::id::Lsn;
use crate::journal::memtable::{Memtable, Snapshot};

/// Cuts that are kept. They are wanted from the first one on: the next listing after it ends at one of them.
const KEPT: usize = 64;

/// The state at each cut, since it was asked for.
#[derive(Default)]
pub struct CutRecorder(Mutex<Vec<(Lsn, Snapshot)>>);

impl CutRecorder {
    pub(super) fn keep(&self, lsn: Lsn, state: &Memtable) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() < KEPT && seen.last().is_none_or(|(last, _)| *last < lsn) {
            seen.push((lsn, state.snapshot()));
        }
    }

    /// The entries as they were at the cut that ended with `lsn`, if it was seen; forgets them all.
    pub fn at(&self, lsn: Lsn) -> Option<Vec<u8>> {
        let seen = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        seen.into_iter().find(|(at, _)| *at == lsn).map(|(_, snapshot)| snapshot.encode())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::record::session_batch as batch;
    use crate::journal::{Journal, Log};
    use crate::platform::host::RealHost;

    fn journal() -> Journal {
        let host = std::sync::Arc::new(RealHost::new(tokio::runtime::Handle::current()));
        Journal::local(host, Memtable::default(), 0, Log::None)
    }

    fn entries(value: u8) -> Vec<u8> {
        batch(&[("a", Some(&[value]))])
    }

    /// Writes a value, and cuts.
    fn write(journal: &Journal, value: u8) -> Lsn {
        let lsn = journal.append(&entries(value), false).expect("there is room");
        assert_eq!(journal.cut(false).map(|cut| cut.map(|cut| cut.last)), Ok(Some(lsn)));
        lsn
    }

    #[tokio::test]
    async fn each_cut_is_kept_from_the_last_one_on_before_it_was_asked_for() {
        let journal = journal();
        write(&journal, 1);
        let last = write(&journal, 2);
        for asked in [last - 1, last, last + 1, last + 2] {
            let recorder = journal.record_cuts().expect("sound");
            let kept = recorder.at(asked);
            assert_eq!(kept, (asked == last).then(|| entries(2)), "of {last}, cut {asked}");
            assert_eq!(recorder.at(last), None, "all are forgotten after a question");
        }
        let recorder = journal.record_cuts().expect("sound");
        let next = write(&journal, 3);
        write(&journal, 4);
        assert_eq!(recorder.at(next), Some(entries(3)));
    }

    #[tokio::test]
    async fn what_was_written_since_the_last_cut_keeps_that_one_out() {
        let journal = journal();
        let last = write(&journal, 1);
        journal.append(&entries(2), false).expect("there is room");
        assert_eq!(journal.record_cuts().expect("sound").at(last), None);
    }

    #[tokio::test]
    async fn the_first_cuts_are_kept_and_none_of_them_twice() {
        let journal = journal();
        write(&journal, 0);
        let recorders = [journal.record_cuts().expect("sound"), journal.record_cuts().expect("sound")];
        // Whoever asks is given the last cut, and with him everybody who asked before.
        for _ in 0..KEPT {
            journal.record_cuts().expect("sound");
        }
        let lsns: Vec<_> = (1..=KEPT as u8).map(|value| write(&journal, value)).collect();
        let [last_kept, first_left_out] = [lsns[KEPT - 2], lsns[KEPT - 1]];
        assert_eq!(recorders[0].at(last_kept), Some(entries(KEPT as u8 - 1)));
        assert_eq!(recorders[1].at(first_left_out), None);
    }
}
