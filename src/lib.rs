//! Auth state for Baileys that cannot be lost: the Rust core.
#![deny(unsafe_code)]

mod disk;
mod error;
mod event;
mod host;
mod id;
mod journal;
mod name;
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
