//! The local log: one append-only file per open, and what recovery makes of what a crash left.
//!
//! - `acquire`: a directory that is made and locked;
//! - `behind`: what does not read at the end of a log, and what reads behind it;
//! - `folder`: the tenant's directory, locked for life, and the claims made from it;
//! - `frame`: the bytes of a log, written and read;
//! - `names`: what a file of the directory is called;
//! - `reader`: the same read by somebody who has no lock, and changes nothing;
//! - `recover`: from files to a state, telling a torn tail, a power cut and damage apart;
//! - `slack`: how much garbage a log may hold;
//! - `tail`: the open file, and how much of it survives a power cut;
//! - `writer`: appending, and rewriting the log without stopping.
//!
//! The promises are I11 to I14 and I17; a network or a key's meaning is nothing to this layer, and a clock only for how long a
//! sync took.

mod acquire;
mod behind;
mod folder;
mod frame;
mod locked;
mod names;
mod reader;
mod recover;
mod slack;
mod tail;
#[cfg(test)]
mod tests;
mod writer;

pub use acquire::is_missing;
pub use behind::Suffix;
pub use folder::Folder;
pub use locked::locked;
pub use reader::{FolderContents, is_locked, look, read_unlocked, state_at};
pub use recover::{Past, Recovery};
#[cfg(test)]
pub use slack::set_slack;
pub use tail::sync;
pub use writer::{Appended, Lineage, Wal};
