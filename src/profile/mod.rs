//! Profiles of browsers: what of a Chromium user data directory is kept, and a whole copy of it at one moment.
//!
//! ```text
//! snapshot   a whole copy
//! proof      its databases, each of which has to be whole
//! leveldb    the proof that a LevelDB directory is whole
//! scan       the files that are kept, and their marks
//! ```
//!
//! Invariant: what a [`snapshot::Snapshot`] holds opens in a browser with every record that was there at its moment, or there is
//! an error and no snapshot. Nothing in the profile is changed.
#![allow(dead_code, reason = "backups of profiles, which use it, are not part of the N-API surface yet")]

pub mod leveldb;
pub mod proof;
pub mod scan;
pub mod snapshot;
