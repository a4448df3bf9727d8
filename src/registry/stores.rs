//! The stores of a process: each is described once and connected to once, however many sessions are in it.
//!
//! Invariant: equal specs are one store. A spec can be large, as it holds the authorities to trust, so sessions share the
//! copy that is kept here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::Result;
use crate::host::Host;
use crate::open::Site;
use crate::remote::{Remote, StoreSpec, Traffic};
use crate::watch::Watch;

/// All stores that were named so far; with a site where one was connected to.
#[derive(Default)]
pub struct Stores(Mutex<HashMap<Arc<StoreSpec>, Option<Site>>>);

impl Stores {
    fn all(&self) -> MutexGuard<'_, HashMap<Arc<StoreSpec>, Option<Site>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one copy of a spec.
    pub fn known(&self, spec: &StoreSpec) -> Arc<StoreSpec> {
        let mut all = self.all();
        if let Some((known, _)) = all.get_key_value(spec) {
            return Arc::clone(known);
        }
        let known = Arc::new(spec.clone());
        all.insert(Arc::clone(&known), None);
        known
    }

    /// A store, and what this process shares about it.
    pub fn site(&self, spec: &StoreSpec, host: &Arc<dyn Host>) -> Result<Site> {
        let known = self.known(spec);
        let mut all = self.all();
        let site = all.entry(known).or_default();
        if let Some(site) = site {
            return Ok(site.clone());
        }
        let remote = Remote::connect(spec, Arc::clone(host))?;
        Ok(site.insert(Site { watch: Arc::new(Watch::new(remote.clone())), remote }).clone())
    }

    /// What went over the wire between this process and a store; `None` where it was never connected to.
    pub fn traffic(&self, spec: &StoreSpec) -> Option<Arc<Traffic>> {
        self.all().get(spec)?.as_ref().map(|site| Arc::clone(&site.remote.traffic))
    }

    /// What went over the wire between this process and all stores.
    pub fn all_traffic(&self) -> Traffic {
        let sum = Traffic::default();
        self.all().values().flatten().for_each(|site| sum.include(&site.remote.traffic));
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::SimHost;

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
        assert!(Arc::ptr_eq(&site.watch, &again.watch));
        let other = stores.site(&named("two"), &host).expect("connects");
        assert!(!Arc::ptr_eq(&site.watch, &other.watch));
        let traffic = stores.traffic(&first).expect("connected");
        assert!(Arc::ptr_eq(&traffic, &site.remote.traffic));
    }
}
