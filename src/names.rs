//! Looking under the right name: a session that exists under another one must never look like none at all (I17).
//!
//! The name of a tenant in the store depends on `hideTenantIds` and, where it is hidden, on the oldest key. Before a session
//! is made because nothing was found, the other names it could have are looked under. A mark per naming key says which keys
//! hidden names were ever made with, so that a key that was dropped is noticed.

use bytes::Bytes;

use crate::error::{Code, Error, Result};
use crate::name::{CLAIMS, NAMING, TenantName};
use crate::tenancy::Tenancy;

/// Checks that nothing is stored under another name that `tenant` could have had, and leaves the mark of this naming key.
pub async fn check(tenancy: &Tenancy, tenant: &str, hidden: bool) -> Result<()> {
    let misnamed = || {
        Error::new(
            Code::InvalidOption,
            "this tenant is stored under another kind of name; set `hideTenantIds` as it was, and keep the oldest key last",
        )
    };
    let others = tenancy.ring.hidden_tags(tenant).into_iter().map(TenantName::hidden);
    for other in others.filter(|other| *other != tenancy.name) {
        if !tenancy.remote.list(CLAIMS, &other.claims_prefix()).await?.is_empty() {
            return Err(misnamed());
        }
    }
    if !hidden {
        return Ok(());
    }
    // To ask for the visible name would tell it to the store and to its access log: look through all names instead.
    let visible = TenantName::visible(tenant)?.claims_prefix();
    if tenancy.remote.list(CLAIMS, "").await?.iter().any(|name| name.starts_with(&visible)) {
        return Err(misnamed());
    }
    let own = tenancy.ring.naming_mark().unwrap_or_default();
    let marks = tenancy.remote.list(NAMING, "").await?;
    if marks.contains(&own) {
        return Ok(());
    }
    if !marks.is_empty() {
        return Err(Error::new(
            Code::KeyUnavailable,
            "the hidden names in this store were made with another key; put that key last in `encryptionKeys`",
        ));
    }
    // The mark is its name; its content is the same whoever writes it.
    tenancy.remote.put(&format!("{NAMING}/{own}"), Bytes::from_static(b"BHAn")).await
}
