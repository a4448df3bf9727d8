//! Ownership, the fencing protocol: at most one owner of a tenant is live, and the newest wins.
//!
//! - `decide`: pure decisions from listings: the owner, the origin of a session, the objects that may go (`decide::gc`);
//! - `attention`: waking those whom a notice of the store concerns;
//! - `listing`: listings of claims, shared by all tenants of a process and store;
//! - `tenancy`: one tenant in one store, and the proof that an object is genuine;
//! - `naming`: both names that a tenant may have;
//! - `lease`: claim, wait, confirm, check, release, tombstone.
//!
//! Errors have one meaning here. A higher claim is `FENCED`, and final. A tombstone is `DELETED`, and final. An answer that never came
//! leaves everything open: nothing is acknowledged, nothing is removed, and the request is repeated. Damage is never authority: an
//! object that does not open under a configured key neither ends an owner nor makes one.

pub mod attention;
pub mod decide;
pub mod lease;
pub mod listing;
pub mod naming;
pub mod tenancy;
