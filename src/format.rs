//! The format: names of objects, records of batches, objects and their encryption. `docs/format.md` describes every byte.

pub mod fields;
pub mod name;
pub mod object;
pub mod record;
pub mod seal;
