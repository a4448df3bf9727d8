//! Looks at slots: a place costs nothing once nothing is open at it and nobody looks at it.
//!
//! Invariant: who holds a slot of the registry holds the one that everybody else finds there.

use std::sync::Arc;

use super::places::Place;
use super::{Registry, SessionSlot};

/// A look at a slot. One that is empty goes when nobody looks at it any more: a place costs nothing when it is not in use.
pub struct Visit<'a> {
    pub registry: &'a Registry,
    pub place: Place,
    pub slot: SessionSlot,
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        // One is the registry's and one is ours. Whoever comes now waits for the same lock, and finds it gone.
        self.registry.slots.remove_if(&self.place, |_, slot| {
            Arc::ptr_eq(slot, &self.slot)
                && Arc::strong_count(slot) == 2
                && slot.try_lock().is_ok_and(|shared| shared.is_none())
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::platform::disk::memory::MemoryDisk;
    use crate::platform::host::Host;
    use crate::registry::{OpenRequest, Registry};
    use crate::session::open::Settings;
    use crate::sim::{Cluster, SimHost};
    use crate::store::StoreSpec;
    use std::sync::Arc;

    #[tokio::test(start_paused = true)]
    async fn what_is_closed_or_never_opened_leaves_nothing_behind() {
        let host: Arc<dyn Host> = SimHost::new(1, tokio::time::Instant::now());
        let registry = Registry::new(host, Arc::new(MemoryDisk::default()));
        let of = |tenant: usize| Cluster::settings_for_tests().of_tenant(&format!("tenant-{tenant}"));
        let request = |settings| OpenRequest {
            settings,
            store: Some(StoreSpec::Memory { name: "one".to_owned() }),
            seed: None,
            listener: Arc::new(|_| {}),
        };
        for n in 0..300 {
            let one = registry.open(request(of(n % 100))).await.expect("opens");
            let other = registry.open(request(of(n % 100))).await.expect("is shared");
            assert!(registry.open(request(of(n + 1000).existing())).await.is_err());
            assert_eq!((registry.slots.len(), registry.running.len(), registry.handles.len()), (1, 1, 2));
            for handle in [one.handle, other.handle] {
                registry.close(registry.take(handle), Duration::from_secs(10)).await.expect("closes");
            }
        }
        assert_eq!((registry.slots.len(), registry.running.len(), registry.handles.len()), (0, 0, 0));
    }
}
