//! Durable auth state for Baileys: the Rust core.
//!
//! ```text
//! 5  node                          N-API: free functions over numbered handles, promises that never reject
//! 4  admin > registry > session::open > session
//!        operator tools | opens that share a session | the order that makes an open safe | one tenant's life
//!    profile                       snapshots of the profiles of browsers
//! 3  replication   journal   ownership::{lease, naming}
//!        ships changes, restores | memory and log under one lock | claims, and the right name
//! 2  wal   store   ownership::{listing, tenancy}          the log | the store | shared listings | one tenant in one store
//! 1  format   ownership::decide                            names, records, objects, encryption | pure decisions
//! 0  platform   error   id   event                         the one door to time, chance, threads and files | words
//! ```
//!
//! A batch flows down: `node` hands its bytes to `journal`, which appends them to the `wal` and applies them to the memtable (the
//! first durability point: `set` resolves). `replication` cuts the changes, `format` makes a segment of them, `store`
//! takes it, and a listing through `ownership` that still shows our claim acknowledges it (the second: `flush` resolves).
//! Layers import downward only; `__test__/docs/layers.test.mjs` holds that.
#![deny(unsafe_code)]
#![cfg_attr(
    any(test, not(feature = "node")),
    allow(
        dead_code,
        unused_imports,
        reason = "the N-API surface is what uses the core, and it is not part of such a build"
    )
)]
#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::unreachable,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::print_stdout,
        clippy::print_stderr,
        clippy::type_complexity,
        reason = "a test may do what the core may not; the core itself is linted in the build without tests"
    )
)]

mod admin;
mod error;
mod event;
mod format;
#[cfg(any(test, feature = "fuzzing"))]
#[cfg_attr(
    feature = "fuzzing",
    allow(clippy::disallowed_methods, clippy::indexing_slicing, reason = "as a test")
)]
pub mod fuzz;
mod id;
mod journal;
#[cfg(feature = "node")]
mod node;
mod ownership;
mod platform;
mod profile;
mod registry;
mod replication;
mod session;
#[cfg(test)]
mod sim;
mod store;
mod wal;
