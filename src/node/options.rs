//! Options as they come from JavaScript: resolved there, checked here once more where a wrong value could do harm.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::error::{Code, Error, Result};
use crate::event::EventSink;
use crate::format::name::TenantName;
use crate::format::seal::Ring;
use crate::id::Claim;
use crate::ownership::decide::Overrides;
use crate::registry::OpenRequest;
use crate::replication::Pace;
use crate::session::Mode;
use crate::session::open::{Address, Permissions, Settings, Tenure};
use crate::store::StoreSpec;

/// Time that the first change after a quiet time waits for company.
const DEBOUNCE: Duration = Duration::from_millis(20);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Options {
    tenant_id: String,
    directory: String,
    cloud: bool,
    store: Option<StoreSpec>,
    flush_interval_ms: u64,
    ownership_check_interval_ms: u64,
    refresh_interval_ms: u64,
    handover_timeout_ms: Option<u64>,
    takeover: bool,
    strict_lease: bool,
    create: bool,
    hide_tenant_ids: bool,
    accept_unencrypted: bool,
    fresh: bool,
    seed_from_disk: bool,
    /// To have no store was asked for, and is not for want of a variable.
    #[serde(default)]
    leave_store: bool,
    /// It is a browser profile.
    #[serde(default)]
    profile: bool,
    /// Keys without credentials are a session, for whoever ends it or seals it anew.
    #[serde(default)]
    without_creds: bool,
    /// The claim to go on after, for whoever must not end anybody else.
    #[serde(default)]
    expected: Option<String>,
}

/// The store, of options that say nothing else.
pub fn store(json: &str) -> Result<StoreSpec> {
    // What cannot be read is not repeated: it holds credentials.
    serde_json::from_str(json).map_err(|_| Error::new(Code::InvalidOption, "the store is malformed"))
}

/// The directory of a tenant's local log under `directory`.
pub fn folder(directory: &str, tenant: &str) -> Result<PathBuf> {
    Ok(PathBuf::from(directory).join(TenantName::visible(tenant)?.as_str()))
}

/// Reads the options of one open.
pub fn parse(json: &str, ring: Ring, seed: Option<Vec<u8>>, listener: EventSink) -> Result<OpenRequest> {
    let options: Options =
        serde_json::from_str(json).map_err(|error| Error::new(Code::InvalidOption, error))?;
    let malformed = || Error::new(Code::InvalidOption, "the expected claim is malformed");
    let expected = options.expected.as_deref().map(|text| Claim::parse(text).ok_or_else(malformed));
    let expected = expected.transpose()?;
    let millis = Duration::from_millis;
    let address = Address {
        folder: folder(&options.directory, &options.tenant_id)?,
        tenant: options.tenant_id,
        // Without a store there is nothing but the disk.
        mode: match (&options.store, options.cloud) {
            (None, _) => Mode::Local,
            (Some(_), false) => Mode::Hybrid,
            (Some(_), true) => Mode::Cloud,
        },
        ring: Arc::new(ring.accepting_plain(options.accept_unencrypted)),
        hide_tenant: options.hide_tenant_ids,
    };
    let tenure = Tenure {
        pace: Pace {
            flush_interval: millis(options.flush_interval_ms),
            debounce: DEBOUNCE.min(millis(options.flush_interval_ms)),
            check_interval: millis(options.ownership_check_interval_ms.max(10)),
            refresh: millis(options.refresh_interval_ms.max(100)),
        },
        handover: options.handover_timeout_ms.map(millis),
        takeover: options.takeover,
        strict_lease: options.strict_lease,
    };
    let permissions = Permissions {
        create: options.create,
        profile: options.profile,
        without_creds: options.without_creds,
        allowed: Overrides {
            fresh: options.fresh,
            seed_from_disk: options.seed_from_disk,
            leave_store: options.leave_store,
        },
        expected,
    };
    // Without a log nothing is kept on the disk.
    let keeps_log = address.mode.keeps_log();
    let remembered = |store: StoreSpec| {
        if keeps_log { store.remembered_in(Path::new(&options.directory)) } else { store }
    };
    let store = options.store.map(remembered);
    let settings = Settings { address, tenure, permissions };
    Ok(OpenRequest { settings, store, seed, listener })
}
