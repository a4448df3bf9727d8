//! The stores of a process: each is described once and connected to once, however many sessions are in it.
//!
//! Invariant: equal specs that are in use are one store. A spec can be large, as it holds the authorities to trust, so sessions
//! share the copy that is kept here. Of stores that nobody uses, the last few are kept: credentials change by the hour.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use crate::error::{Code, Error, Result};
use crate::ownership::listing::SharedListing;
use crate::platform::host::Host;
use crate::platform::sync::{Mutex, MutexGuard};
use crate::session::open::Site;
use crate::store::{RetryingStore, StoreSpec, StoreStats};

use super::OpenRequest;

/// Stores that are kept although nobody uses them.
const UNUSED: usize = 16;

/// Stores that were named; with a site where one was connected to.
#[derive(Default)]
pub struct Stores(Mutex<StoreCache>);

#[derive(Default)]
struct StoreCache {
    all: HashMap<Arc<StoreSpec>, CachedStore>,
    /// Uses so far.
    uses: u64,
    /// Requests and bytes of stores that are not kept any more.
    gone: StoreStats,
}

#[derive(Default)]
struct CachedStore {
    site: Option<Site>,
    /// The number of its last use.
    used: u64,
}

impl StoreCache {
    /// The one copy of a spec, used now.
    fn named(&mut self, spec: &StoreSpec) -> (Arc<StoreSpec>, &mut CachedStore) {
        let known = match self.all.get_key_value(spec) {
            Some((known, _)) => Arc::clone(known),
            None => {
                self.forget();
                Arc::new(spec.clone())
            }
        };
        self.uses += 1;
        let kept = self.all.entry(Arc::clone(&known)).or_default();
        kept.used = self.uses;
        (known, kept)
    }

    /// Lets go of what nobody has used for longest.
    fn forget(&mut self) {
        let unused = |spec: &Arc<StoreSpec>, kept: &CachedStore| {
            Arc::strong_count(spec) == 1
                && kept.site.as_ref().is_none_or(|site| Arc::strong_count(&site.listing) == 1)
        };
        let idle = self.all.iter().filter(|(spec, kept)| unused(spec, kept));
        let mut idle: Vec<(u64, Arc<StoreSpec>)> =
            idle.map(|(spec, kept)| (kept.used, Arc::clone(spec))).collect();
        if idle.len() < UNUSED {
            return;
        }
        idle.sort_unstable_by_key(|(used, _)| *used);
        for (_, spec) in idle.iter().take(idle.len() + 1 - UNUSED) {
            if let Some(CachedStore { site: Some(site), .. }) = self.all.remove(spec) {
                self.gone.include(&site.remote.traffic);
            }
        }
    }
}

impl Stores {
    fn all(&self) -> MutexGuard<'_, StoreCache> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one copy of a spec.
    pub fn known(&self, spec: &StoreSpec) -> Arc<StoreSpec> {
        self.all().named(spec).0
    }

    /// A store, and what this process shares about it.
    pub fn site(&self, spec: &StoreSpec, host: &Arc<dyn Host>) -> Result<Site> {
        let mut all = self.all();
        let (_, kept) = all.named(spec);
        if let Some(site) = &kept.site {
            return Ok(site.clone());
        }
        let remote = RetryingStore::connect(spec, Arc::clone(host))?;
        Ok(kept.site.insert(Site { listing: Arc::new(SharedListing::new(remote.clone())), remote }).clone())
    }

    /// Requests and bytes between this process and a store; `None` where it was never connected to.
    pub fn traffic(&self, spec: &StoreSpec) -> Option<Arc<StoreStats>> {
        self.all().all.get(spec)?.site.as_ref().map(|site| Arc::clone(&site.remote.traffic))
    }

    /// Requests and bytes between this process and all stores.
    pub fn all_traffic(&self) -> StoreStats {
        let sum = StoreStats::default();
        let known = self.all();
        sum.include(&known.gone);
        known.all.values().flat_map(|kept| &kept.site).for_each(|site| sum.include(&site.remote.traffic));
        sum
    }
}

#[cfg(test)]
impl super::Registry {
    /// A registry for which `spec` is reached through `site`.
    pub fn over(
        host: Arc<dyn Host>,
        disk: Arc<dyn crate::platform::disk::Disk>,
        spec: &StoreSpec,
        site: Site,
    ) -> Self {
        let registry = super::Registry::new(host, disk);
        registry.stores.all().named(spec).1.site = Some(site);
        registry
    }
}

/// The store that a request names, for what needs one.
pub fn store_of(request: &OpenRequest) -> Result<&StoreSpec> {
    request
        .store
        .as_ref()
        .ok_or_else(|| Error::new(Code::InvalidOption, "there is no `store`: the session is local only"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::SimHost;

    #[tokio::test]
    async fn a_thousand_changed_credentials_leave_few_stores_those_in_use_and_every_count() {
        let host: Arc<dyn Host> = SimHost::new(1, tokio::time::Instant::now());
        let stores = Stores::default();
        let named = |name: &str| StoreSpec::Memory { name: name.to_owned() };
        let used = stores.site(&named("in use"), &host).expect("connects");
        for token in 0..1000 {
            let site = stores.site(&named(&token.to_string()), &host).expect("connects");
            site.remote.list("v1/claims", "").await.expect("lists");
        }
        assert!(stores.all().all.len() <= UNUSED + 1, "{}", stores.all().all.len());
        let again = stores.site(&named("in use"), &host).expect("connects");
        assert!(Arc::ptr_eq(&used.listing, &again.listing));
        assert_eq!(stores.all_traffic().lists.load(std::sync::atomic::Ordering::Relaxed), 1000);
    }

    #[tokio::test]
    async fn equal_specs_are_one_copy_and_one_connection() {
        let host: Arc<dyn Host> = SimHost::new(1, tokio::time::Instant::now());
        let stores = Stores::default();
        let named = |name: &str| StoreSpec::Memory { name: name.to_owned() };
        let first = stores.known(&named("one"));
        assert!(stores.traffic(&first).is_none(), "nothing was connected to");
        let site = stores.site(&named("one"), &host).expect("connects");
        assert!(Arc::ptr_eq(&first, &stores.known(&named("one"))));
        let again = stores.site(&first, &host).expect("connects");
        assert!(Arc::ptr_eq(&site.listing, &again.listing));
        let other = stores.site(&named("two"), &host).expect("connects");
        assert!(!Arc::ptr_eq(&site.listing, &other.listing));
        let traffic = stores.traffic(&first).expect("connected");
        assert!(Arc::ptr_eq(&traffic, &site.remote.traffic));
    }
}
