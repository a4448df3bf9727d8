//! The limit that a store sets for one object, held against the whole state of a session.
//!
//! Nothing is refused for it: what is too large travels in parts. It is a warning, told before it costs anything, and only where
//! the store itself told its limit.

use std::time::Duration;

use super::parts::SMALLEST;
use super::retrying::RetryingStore;
use super::{BucketAnswer, Setting};
use crate::platform::host::sleep;

/// Longest wait for the store to tell its limit, once: no open needs to know it.
const TELLING: Duration = Duration::from_secs(3);

impl RetryingStore {
    /// Asks for the limit, once per process. Where no answer comes, `doctor` is there to ask again.
    pub(super) async fn ask_for_limit(&self) {
        let ask = || async {
            tokio::select! {
                biased;
                told = self.once("", self.store.setting(Setting::Largest)) => match told {
                    Ok(BucketAnswer::Bytes(bytes)) => Some(bytes),
                    _ => None,
                },
                () = sleep(TELLING) => None,
            }
        };
        self.largest.get_or_init(ask).await;
    }

    /// The warning that a whole state of `bytes` deserves, and one of `before` bytes did not yet.
    pub fn tight(&self, before: u64, bytes: u64) -> Option<String> {
        let limit = self.largest.get().copied().flatten()?;
        let level = SizeClass::of(bytes, limit);
        if level <= SizeClass::of(before, limit) {
            return None;
        }
        let consequence = match level {
            SizeClass::Room => return None,
            SizeClass::Near => "beyond that it travels in parts, which costs more requests",
            SizeClass::Above => "it travels in parts, which costs more requests",
            SizeClass::Nothing => "that leaves no room for parts either",
        };
        Some(format!(
            "the full state has {bytes} bytes and the store accepts objects of up to {limit}: {consequence}; raise the store's limit for the size of an object"
        ))
    }
}

/// Size of a state in relation to a limit, the worst last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum SizeClass {
    Room,
    /// More than four fifths of it are used.
    Near,
    /// It is stored in parts.
    Above,
    /// It cannot be stored.
    Nothing,
}

impl SizeClass {
    fn of(bytes: u64, limit: u64) -> SizeClass {
        if bytes > limit {
            if limit < SMALLEST { SizeClass::Nothing } else { SizeClass::Above }
        } else if bytes > limit / 5 * 4 {
            SizeClass::Near
        } else {
            SizeClass::Room
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use crate::sim::SimHost;
    use crate::store::adapters::memory::Memory;
    use crate::store::{Knowledge, RetryingStore, examine};

    async fn remote(limit: Option<usize>) -> RetryingStore {
        let memory = Memory::default();
        let memory = limit.map_or(memory.clone(), |limit| memory.limited(Arc::new(AtomicUsize::new(limit))));
        let host = SimHost::new(1, tokio::time::Instant::now());
        let remote = RetryingStore::unknown(Arc::new(memory), host, 64, false);
        remote.require_fit().await.expect("is fit whatever its limit");
        remote
    }

    #[tokio::test(start_paused = true)]
    async fn a_state_that_comes_near_the_limit_of_the_store_is_told_once_at_each_step() {
        let remote = remote(Some(100_000)).await;
        let said = |before, bytes| remote.tight(before, bytes);
        assert_eq!(said(0, 80_000), None);
        assert!(said(0, 80_001).is_some_and(|note| note.contains("beyond that it travels in parts")));
        assert_eq!(said(80_001, 100_000), None);
        assert!(said(80_001, 100_001).is_some_and(|note| note.contains("100001") && note.contains("100000")));
        assert!(said(0, 200_000).is_some_and(|note| note.contains("it travels in parts")));
        assert_eq!(said(100_001, 200_000), None);
        assert_eq!(said(200_000, 10), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_that_leaves_no_room_for_parts_is_a_warning_and_one_that_is_not_told_is_none() {
        let narrow = remote(Some(4_000)).await;
        assert!(narrow.tight(0, 5_000).is_some_and(|note| note.contains("no room for parts")));
        assert_eq!(narrow.tight(0, 3_000), None);
        assert_eq!(remote(None).await.tight(0, u64::MAX), None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_examination_tells_the_limit_where_the_store_does() {
        let limited = examine(&remote(Some(7_000)).await).await;
        assert_eq!(limited.largest, Knowledge::Told { value: Some(7_000) });
        assert!(matches!(examine(&remote(None).await).await.largest, Knowledge::Unknown { .. }));
    }
}
