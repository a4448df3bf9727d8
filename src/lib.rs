//! Auth state for Baileys that cannot be lost.
#![forbid(unsafe_code)]
#![allow(dead_code)]

mod disk;
mod error;
mod host;
mod id;
mod record;
mod seal;
mod wal;
