//! Settings of the sessions in stories and tests: those of all, and the ways in which a story departs from them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::format::seal::Ring;
use crate::id::Claim;
use crate::ownership::decide::Overrides;
use crate::ownership::listing::SharedListing;
use crate::platform::host::Host;
use crate::replication::Pace;
use crate::session::Mode;
use crate::session::open::{Address, Permissions, Settings, Site, Tenure};
use crate::store::{RetryingStore, Store};

use super::cluster::{CHECK, Cluster, TENANT};

impl Cluster {
    /// Settings of all sessions in all stories.
    pub fn settings_for_tests() -> Settings {
        let address = Address {
            tenant: TENANT.into(),
            folder: PathBuf::from("/sessions/tenant"),
            mode: Mode::default(),
            ring: Arc::new(Ring::default()),
            hide_tenant: false,
        };
        let tenure = Tenure {
            pace: Pace {
                flush_interval: Duration::from_millis(200),
                debounce: Duration::from_millis(10),
                check_interval: CHECK,
                refresh: Duration::from_secs(7 * 86_400),
            },
            handover: None,
            takeover: false,
            strict_lease: false,
        };
        let permissions = Permissions {
            create: true,
            // Stories write keys alone.
            profile: false,
            without_creds: true,
            allowed: Overrides::default(),
            expected: None,
        };
        Settings { address, tenure, permissions }
    }
}

/// Most stories are about sessions in both places.
impl Default for Mode {
    fn default() -> Mode {
        Mode::Hybrid
    }
}

impl Site {
    /// A site that nobody else shares.
    pub fn of(store: Arc<dyn Store>, host: &Arc<dyn Host>) -> Site {
        let remote = RetryingStore::new(store, Arc::clone(host));
        Site { listing: Arc::new(SharedListing::new(remote.clone())), remote }
    }
}

impl Settings {
    /// For `tenant`, in a folder of its own.
    pub fn of_tenant(self, tenant: &str) -> Settings {
        let address = Address { tenant: tenant.to_owned(), ..self.address };
        Settings { address, ..self }.in_folder(format!("/sessions/{tenant}"))
    }

    pub fn in_folder(mut self, folder: impl Into<PathBuf>) -> Settings {
        self.address.folder = folder.into();
        self
    }

    pub fn in_mode(mut self, mode: Mode) -> Settings {
        self.address.mode = mode;
        self
    }

    pub fn with_keys(mut self, ring: Arc<Ring>) -> Settings {
        self.address.ring = ring;
        self
    }

    /// Without waiting for a predecessor.
    pub fn taking_over(mut self) -> Settings {
        self.tenure.takeover = true;
        self
    }

    /// With as much time for a predecessor.
    pub fn waiting(mut self, handover: Duration) -> Settings {
        self.tenure.handover = Some(handover);
        self
    }

    /// With so long between two looks for a higher claim.
    pub fn checking_every(mut self, interval: Duration) -> Settings {
        self.tenure.pace.check_interval = interval;
        self
    }

    /// With objects that are as old as this at the most.
    pub fn refreshing_after(mut self, age: Duration) -> Settings {
        self.tenure.pace.refresh = age;
        self
    }

    /// As a tool that judged `claim`.
    pub fn after(mut self, claim: Option<Claim>) -> Settings {
        self.permissions.expected = claim;
        self
    }

    /// Without making a session that is not there.
    pub fn existing(mut self) -> Settings {
        self.permissions.create = false;
        self
    }

    /// As a session of Baileys, with credentials.
    pub fn of_baileys(mut self) -> Settings {
        (self.permissions.profile, self.permissions.without_creds) = (false, false);
        self
    }

    /// As a browser profile.
    pub fn of_profile(mut self) -> Settings {
        (self.permissions.profile, self.permissions.without_creds) = (true, false);
        self
    }
}
