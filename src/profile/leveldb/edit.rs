//! The edits in a manifest of LevelDB, and the version that they make: live tables, and the logs that count.
//!
//! Invariant: a table that was added and not deleted later is in the version with the size that the edit gave; an edit that
//! does not read to its end is a fault.

use std::collections::BTreeMap;
use std::io::Read;

use crate::profile::leveldb::record::{self, ReadFault};

/// Levels that a table can be in.
const LEVELS: u64 = 7;

const NO_EDIT: ReadFault = ReadFault::Damaged("has a record that is no edit");

/// State of a database after all edits.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// Sizes of the live tables, by level and number.
    pub tables: BTreeMap<(u64, u64), u64>,
    /// Number of the oldest log that counts.
    pub log: u64,
    /// Number of a log before it that counts too, or 0.
    pub previous_log: u64,
}

/// Numbers that a database does not open without.
#[derive(Default)]
struct RequiredNumbers {
    log: Option<u64>,
    next_file: Option<u64>,
    last_sequence: Option<u64>,
}

impl Version {
    /// Reads the manifest in `file`. Gives the end of its last edit too.
    pub fn read(file: &mut dyn Read) -> Result<(Version, u64), ReadFault> {
        let mut version = Version::default();
        let mut given = RequiredNumbers::default();
        let end = record::each(file, &mut |edit| version.apply(edit, &mut given).ok_or(NO_EDIT))?;
        match (given.log, given.next_file, given.last_sequence) {
            (Some(log), Some(_), Some(_)) => Ok((Version { log, ..version }, end)),
            _ => Err(ReadFault::Damaged("ends before it describes the database")),
        }
    }

    /// Applies an edit; `None` if it is none.
    fn apply(&mut self, edit: &[u8], given: &mut RequiredNumbers) -> Option<()> {
        let mut fields = EditFields(edit);
        let mut added = Vec::new();
        while !fields.0.is_empty() {
            match fields.number()? {
                // Name of the order of the keys.
                1 => drop(fields.bytes()?),
                2 => given.log = Some(fields.number()?),
                3 => given.next_file = Some(fields.number()?),
                4 => given.last_sequence = Some(fields.number()?),
                // Key from which a level is compacted next.
                5 => {
                    fields.level()?;
                    fields.key()?;
                }
                6 => {
                    let table = (fields.level()?, fields.number()?);
                    self.tables.remove(&table);
                }
                7 => {
                    added.push(((fields.level()?, fields.number()?), fields.number()?));
                    fields.key()?;
                    fields.key()?;
                }
                9 => self.previous_log = fields.number()?,
                _ => return None,
            }
        }
        // Wherever they stand in it, an edit deletes before it adds.
        self.tables.extend(added);
        Some(())
    }
}

/// The fields of an edit that are not read yet.
struct EditFields<'a>(&'a [u8]);

impl<'a> EditFields<'a> {
    /// A number of up to 64 bits, seven in each byte.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn level(&mut self) -> Option<u64> {
        self.number().filter(|level| *level < LEVELS)
    }

    /// A key with its sequence number, which is never empty.
    fn key(&mut self) -> Option<&'a [u8]> {
        self.bytes().filter(|key| !key.is_empty())
    }
}
