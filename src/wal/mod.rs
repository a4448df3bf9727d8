//! The local log: one append-only file per open, and what recovery makes of what a crash left.
//!
//! - `folder`: the tenant's directory, locked for life, and the claims made from it;
//! - `frame`: the bytes of a log, written and read;
//! - `recover`: from files to a state, telling a torn tail, an unsynced hole and damage apart;
//! - `writer`: appending, and rewriting the log without stopping.

mod folder;
mod frame;
mod recover;
#[cfg(test)]
mod tests;
mod writer;

pub use folder::Folder;
pub use recover::Recovery;
pub use writer::{Appended, Wal};
