//! Room: a state that nobody could open again is refused when it is set.
//!
//! A log begins with the whole state and a base holds it, each in one body of bounded length. What goes beyond the bound could be
//! written bit by bit and never be read back in one piece. What makes a state smaller is always taken.

use hashbrown::HashMap;

use crate::error::{Code, Error, Result};
use crate::format::record::{Entries, Entry, LENGTHS};
use crate::journal::memtable::Memtable;

use super::Journal;

/// Refuses `changes` that would let `state` grow beyond `room`.
pub fn check(state: &Memtable, changes: &[u8], room: usize) -> Result<()> {
    let now = state.bytes();
    // Nearly always there is room for all of it, and nothing more needs to be known.
    if now.saturating_add(changes.len()) <= room {
        return Ok(());
    }
    let then = bytes_after(state, changes);
    if then <= room || then <= now {
        return Ok(());
    }
    Err(Error::new(
        Code::InvalidOption,
        format!(
            "the session would hold {then} bytes, and one of more than {room} can never be opened again; \
             nothing was changed, remove keys that are not needed"
        ),
    ))
}

/// The share of `room` that was passed last, of those that are told: 50 and 80 in a hundred.
pub fn passed(bytes: usize, room: usize) -> u8 {
    match bytes {
        _ if bytes >= room / 10 * 8 => 80,
        _ if bytes >= room / 2 => 50,
        _ => 0,
    }
}

impl Journal {
    /// Event of how full the state is, each time that it passes one of the marks.
    pub fn crowding(&self) -> Option<Error> {
        let mut core = self.core().ok()?;
        let bytes = core.state.bytes();
        let passed = passed(bytes, self.room);
        if std::mem::replace(&mut core.passed, passed) >= passed {
            return None;
        }
        Some(Error::new(
            Code::InvalidOption,
            format!(
                "the session holds {bytes} bytes, more than {passed} % of the {} that it can have; beyond these each write that adds \
                 to it is refused: remove keys that are not needed",
                self.room
            ),
        ))
    }
}

/// Bytes of `state` with `changes`, of which the last of each key counts.
fn bytes_after(state: &Memtable, changes: &[u8]) -> usize {
    let last: HashMap<&[u8], Entry<'_>> =
        Entries::new(changes).map_while(Result::ok).map(|entry| (entry.key, entry)).collect();
    let (mut more, mut less) = (0, 0);
    for (key, entry) in last {
        more += entry.value.map_or(0, |_| entry.bytes.len());
        less += state.get(key).map_or(0, |value| LENGTHS + key.len() + value.len());
    }
    (state.bytes() + more).saturating_sub(less)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::record::session_batch as batch;
    use crate::journal::Log;
    use crate::platform::host::RealHost;

    #[tokio::test]
    async fn a_state_that_could_not_be_opened_again_is_refused_and_changes_nothing() {
        let host = std::sync::Arc::new(RealHost::new(tokio::runtime::Handle::current()));
        let mut journal = Journal::local(host, Memtable::default(), 0, Log::None);
        let first = batch(&[("a", Some(&[3; 50])), ("b", Some(&[3; 50]))]);
        journal.room = first.len();
        assert_eq!(journal.append(&first, false).map_err(|error| error.code()), Ok(1));
        for more in [batch(&[("a", Some(&[3; 51]))]), batch(&[("c", Some(&[3]))])] {
            assert_eq!(journal.append(&more, false).map_err(|error| error.code()), Err(Code::InvalidOption));
            assert_eq!(journal.read(|state| state.snapshot().encode()), Ok(first.clone()));
            assert_eq!(journal.lsn(), 1);
        }
        // What takes no more room is taken, also where the batch as such is large.
        let swap = batch(&[("a", Some(&[4; 50])), ("b", None), ("c", Some(&[3; 50]))]);
        assert_eq!(journal.append(&swap, false).map_err(|error| error.code()), Ok(2));
        assert_eq!(journal.append(&batch(&[("a", None)]), false).map_err(|error| error.code()), Ok(3));
    }

    #[tokio::test]
    async fn that_a_state_comes_near_its_bound_is_told_at_each_mark_and_again_after_it_was_below() {
        let host = std::sync::Arc::new(RealHost::new(tokio::runtime::Handle::current()));
        let mut journal = Journal::local(host, Memtable::default(), 0, Log::None);
        journal.room = 1_000;
        let mut told = Vec::new();
        for len in [300, 400, 520, 600, 850, 900, 300, 900] {
            journal.append(&batch(&[("a", Some(&vec![3; len]))]), false).expect("there is room");
            told.push(journal.crowding().map(|error| error.message.contains("80 %")));
        }
        assert_eq!(told, [None, None, Some(false), None, Some(true), None, None, Some(true)]);
    }

    #[test]
    fn a_state_that_is_too_large_already_may_shrink() {
        let mut state = Memtable::default();
        state.apply(&batch(&[("a", Some(&[3; 50])), ("b", Some(&[3; 50]))]));
        assert!(check(&state, &batch(&[("a", Some(&[3; 49]))]), 10).is_ok());
        assert!(check(&state, &batch(&[("a", Some(&[3; 51]))]), 10).is_err());
    }
}
