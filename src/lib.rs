//! Durable auth state for Baileys: the Rust core.
//!
//! ```text
//! 5  node                     N-API: free functions over numbered handles, promises that never reject
//! 4  tools > registry > open > session
//!        what an operator asks | opens that share a session | the order that makes an open safe | one tenant's life
//! 3  replicator   journal   owner   restore   names
//!        ships what changed | memory and log under one lock | claims | chains | looking under the right name
//! 2  wal   remote   watch   tenancy          the log | the store | shared listings | one tenant in one store
//! 1  plan   state   object   record   seal   name   disk        decisions, bytes, keys, names, files
//! 0  error   id   event   host   meter       words, the one door to time, chance and threads, and what is counted
//! ```
//!
//! A batch flows down: `node` hands its bytes to `journal`, which appends them to the `wal` and applies them to `state` (the
//! first durability point: `set` resolves). `replicator` cuts what changed, `object` and `seal` make a segment of it, `remote`
//! stores it, and a listing through `watch` that still shows our claim acknowledges it (the second: `flush` resolves).
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

mod disk;
mod error;
mod event;
#[cfg(any(test, feature = "fuzzing"))]
#[cfg_attr(
    feature = "fuzzing",
    allow(clippy::disallowed_methods, clippy::indexing_slicing, reason = "as a test")
)]
pub mod fuzz;
mod host;
mod id;
mod journal;
mod meter;
mod name;
mod names;
#[cfg(feature = "node")]
mod node;
mod object;
mod open;
mod owner;
mod plan;
mod record;
mod registry;
mod remote;
mod replicator;
mod restore;
mod seal;
mod session;
#[cfg(test)]
mod sim;
mod state;
mod tenancy;
mod tools;
mod wal;
mod watch;
