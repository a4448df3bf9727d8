//! Settings of an open: the address of a session, the tenure of its owner, and the permissions of the caller.
//!
//! They come from the options and stay as they are. An address alone is enough to look at a session, so that a tool that only looks
//! is given neither a tenure nor a permission. The store is no part of them: it is connected to later, and shared.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Code, Error, Result};
use crate::format::name::TenantName;
use crate::format::seal::{Ring, visible_tag};
use crate::id::{Claim, TenantTag};
use crate::ownership::decide::Overrides;
use crate::ownership::listing::SharedListing;
use crate::ownership::tenancy::Tenancy;
use crate::replication::Pace;
use crate::session::Mode;
use crate::store::RetryingStore;

/// A store and what this process shares about it.
#[derive(Clone)]
pub struct Site {
    /// The store.
    pub remote: RetryingStore,
    /// Listings of claims.
    pub listing: Arc<SharedListing>,
}

/// Everything that one tenant's session is opened with, besides its store.
#[derive(Clone)]
pub struct Settings {
    /// The address of the session.
    pub address: Address,
    /// The tenure of its owner.
    pub tenure: Tenure,
    /// The permissions of the caller.
    pub permissions: Permissions,
}

/// Address of a tenant's session: its place, its keys, and its names.
#[derive(Clone)]
pub struct Address {
    /// The tenant.
    pub tenant: String,
    /// The tenant's own directory.
    pub folder: PathBuf,
    /// Place in which the session lives.
    pub mode: Mode,
    /// The keys.
    pub ring: Arc<Ring>,
    /// Names in the store show the tag instead of the tenant id.
    pub hide_tenant: bool,
}

/// Tenure of an owner: the way in which it comes to own the session, and keeps it.
#[derive(Clone)]
pub struct Tenure {
    /// Pace of an instance.
    pub pace: Pace,
    /// Wait for a predecessor; `None`: until it must have noticed.
    pub handover: Option<Duration>,
    /// Take over at once, without waiting for the predecessor's tail.
    pub takeover: bool,
    /// Refuse changes when ownership was not confirmed in time.
    pub strict_lease: bool,
}

/// Permissions of whoever opens: the sessions that may be opened or made.
#[derive(Clone)]
pub struct Permissions {
    /// True if a session that exists nowhere is made.
    pub create: bool,
    /// A browser profile is expected, and no session of Baileys.
    pub profile: bool,
    /// Take keys without credentials for a session: for whoever deletes it or seals it anew.
    pub without_creds: bool,
    /// Risks that the user accepts.
    pub allowed: Overrides,
    /// Go on only right after this claim, as a tool that judged it: what somebody else began since is not to be ended.
    pub expected: Option<Claim>,
}

impl Address {
    /// This tenant in headers of objects.
    fn tag(&self) -> TenantTag {
        let hidden = if self.hide_tenant { self.ring.hidden_tag(&self.tenant) } else { None };
        hidden.unwrap_or_else(|| visible_tag(&self.tenant))
    }

    /// This tenant in local logs.
    pub fn log_tag(&self) -> TenantTag {
        visible_tag(&self.tenant)
    }

    /// This tenant in a store.
    pub fn tenancy(&self, site: Site, name: TenantName) -> Tenancy {
        Tenancy {
            remote: site.remote,
            listing: site.listing,
            ring: Arc::clone(&self.ring),
            name,
            tag: self.tag(),
            known: Arc::default(),
        }
    }

    /// Name of this tenant in a store.
    pub fn name(&self) -> Result<TenantName> {
        self.name_of(&self.tenant)
    }

    /// Name that `tenant` has in a store where names are made as those of this one.
    pub fn name_of(&self, tenant: &str) -> Result<TenantName> {
        if self.hide_tenant {
            let tag = self.ring.hidden_tag(tenant);
            let tag = tag.ok_or_else(|| {
                Error::new(
                    Code::InvalidOption,
                    "`hideTenantIds` needs `encryptionKeys`, because names depend on them",
                )
            })?;
            return Ok(TenantName::hidden(tag));
        }
        TenantName::visible(tenant)
    }
}
