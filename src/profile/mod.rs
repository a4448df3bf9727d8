//! Profiles of browsers: sessions of whatsapp-web.js, whose state is a table of files and whose payload lies beside it in packs.
//!
//! ```text
//! backup     a snapshot becomes a generation          restore   a generation becomes a folder
//! commit     what a backup found becomes a batch      memory    what is known until the next one
//! reseal     packs under new keys                     collect   packs that nothing names any more
//! catalog    files, generations and packs of a state  entry     their bytes
//! truncate   torn ends of logs, cut off before a browser starts
//! cut        files into pieces, pieces into packs     holds     the marker beside a folder
//! snapshot   a whole copy: stop, link and copy, continue, prove; again if it was not whole
//! quiet      a process that is stopped for a moment, and continues whatever happens
//! process    another process: its state, and the signals to it
//! copy       the folder of a snapshot, and what is linked and copied into it
//! proof      the databases in a snapshot, each of which has to be whole
//! leveldb    the proof for one of them
//! scan       the files that are kept, and their marks
//! ```
//!
//! Everything that makes a session safe is the engine's: claims, fencing, the log, segments, bases. Invariants of what is added:
//! what a snapshot holds opens in a browser with every record that was there at its moment, or there is no snapshot; a batch names
//! only packs that are stored, and a pack that an acknowledged state names is not removed. Nothing in a profile in use is changed.
#![cfg_attr(
    not(feature = "node"),
    allow(dead_code, reason = "the N-API surface is what uses the core, and it is not part of such a build")
)]

mod backup;
pub mod catalog;
mod collect;
mod commit;
mod copy;
mod cut;
pub mod entry;
mod holds;
pub mod leveldb;
mod memory;
mod process;
mod proof;
pub mod quiet;
mod reseal;
mod restore;
pub mod scan;
pub mod snapshot;
#[cfg(test)]
mod tests;
mod truncate;

pub use backup::{BackupOrder, BackupReport, Keeper};
pub use catalog::{Catalog, Summary};
pub use holds::{forget, hold, is_held};
pub use reseal::reseal;
pub use restore::{RestoreOutcome, restore, restore_from};
pub use truncate::truncate_logs;
