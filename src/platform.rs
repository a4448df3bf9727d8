//! The platform: clock, randomness, tasks and threads; files; counters. Each is a seam, so that a simulation can stand in its place.

pub mod disk;
pub mod host;
pub mod meter;
pub mod sync;
