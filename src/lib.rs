//! Auth state for Baileys that cannot be lost: the Rust core.
#![deny(unsafe_code)]
#![cfg_attr(
    any(test, not(feature = "node")),
    allow(dead_code, reason = "the N-API surface is what uses the core, and it is not part of such a build")
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
mod host;
mod id;
mod journal;
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
mod wal;
mod watch;
