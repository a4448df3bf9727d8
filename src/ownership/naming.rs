//! Naming: a session that exists under its other name must never look like none at all (I17).
//!
//! The name of a tenant in the store depends on `hideTenantIds` and, where it is hidden, on the oldest key. Before it is said that there
//! is no session, or that its history vanished, the other names it could have are looked under, and once more after a claim
//! of a new one: of two that begin at once under two names, at least one sees the other. A mark per naming key says which keys hidden
//! names were ever made with, so that a key that was dropped is noticed.

use std::sync::Arc;

use bytes::Bytes;

use crate::error::{Cause, Code, Error, Result};
use crate::format::name::{CLAIMS, ClaimName, NAMING, TenantName};
use crate::format::seal::visible_tag;
use crate::id::TenantTag;
use crate::ownership::decide::Claims;
use crate::ownership::tenancy::Tenancy;

fn misnamed() -> Error {
    Error::new(
        Code::InvalidOption,
        "this tenant is stored under another kind of name; restore the earlier `hideTenantIds`, and keep the oldest key last",
    )
}

/// Checks that nothing is stored under another name that `tenant` could have had. `hidden` says which kind it has here.
pub async fn require_only(tenancy: &Tenancy, tenant: &str, hidden: bool) -> Result<()> {
    let others = tenancy.ring.hidden_tags(tenant).into_iter().map(|tag| (TenantName::hidden(tag), tag));
    for (name, tag) in others.filter(|(other, _)| *other != tenancy.name) {
        if other(tenancy, name, tag).claims().await?.highest().is_some() {
            return Err(misnamed());
        }
    }
    if !hidden {
        return Ok(());
    }
    // To ask for the visible name would tell it to the store and to its access log: look through all names instead.
    let visible = TenantName::visible(tenant)?;
    let names = tenancy.remote.list(CLAIMS, "").await?;
    let claims: Claims = names.iter().filter_map(|name| ClaimName::parse(&visible, name)).collect();
    if claims.highest().is_some() {
        let there = other(tenancy, visible, visible_tag(tenant)).vetted(claims).await?;
        if there.highest().is_some() {
            return Err(misnamed());
        }
    }
    let own = tenancy.ring.naming_mark().unwrap_or_default();
    let marks = tenancy.remote.list(NAMING, "").await?;
    if !marks.is_empty() && !marks.contains(&own) {
        return Err(Error::new(
            Cause::Keyless,
            "the hidden names in this store belong to another key; put that key last in `encryptionKeys`",
        ));
    }
    Ok(())
}

/// Leaves the mark of the key that a hidden name is made with. The mark is its name; its content is the same whoever writes it.
pub async fn leave_mark(tenancy: &Tenancy) -> Result<()> {
    let own = tenancy.ring.naming_mark().unwrap_or_default();
    if tenancy.remote.list(NAMING, "").await?.contains(&own) {
        return Ok(());
    }
    tenancy.remote.put(&format!("{NAMING}/{own}"), Bytes::from_static(b"BHAn")).await
}

/// The same tenant under another name.
fn other(tenancy: &Tenancy, name: TenantName, tag: TenantTag) -> Tenancy {
    Tenancy { name, tag, known: Arc::default(), ..tenancy.clone() }
}
