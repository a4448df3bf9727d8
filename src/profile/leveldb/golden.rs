//! A manifest and a log that a real Chromium wrote, under load: the first through many compactions, the second over four starts,
//! the last of which was killed.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::edit::Version;
use super::*;

const MANIFEST: &[u8] = include_bytes!("../../../__test__/fixtures/profile/manifest.bin");
const LOG: &[u8] = include_bytes!("../../../__test__/fixtures/profile/log.bin");

/// The database of the manifest: of its tables only the ends are there.
struct GoldenDatabase {
    tables: BTreeMap<String, u64>,
    log: Vec<u8>,
}

impl FileSource for GoldenDatabase {
    fn files(&self) -> BTreeMap<&str, u64> {
        let others = [("CURRENT", 16), ("MANIFEST-000001", MANIFEST.len()), ("000155.log", self.log.len())];
        let tables = self.tables.iter().map(|(name, size)| (name.as_str(), *size));
        tables.chain(others.map(|(name, length)| (name, length as u64))).collect()
    }

    fn read(&self, name: &str, _start: u64) -> io::Result<Box<dyn Read + '_>> {
        Ok(match name {
            "CURRENT" => Box::new(&b"MANIFEST-000001\n"[..]),
            "MANIFEST-000001" => Box::new(MANIFEST),
            "000155.log" => Box::new(self.log.as_slice()),
            _ => Box::new(&TABLE_MAGIC[..]),
        })
    }
}

fn version() -> Version {
    Version::read(&mut &*MANIFEST).expect("a manifest").0
}

fn golden() -> GoldenDatabase {
    let name = |number: u64| format!("{number:06}.ldb");
    let tables = version().tables.into_iter().map(|((_, number), size)| (name(number), size)).collect();
    GoldenDatabase { tables, log: LOG.to_vec() }
}

#[test]
fn a_manifest_of_chromium_lists_the_tables_that_were_there() {
    let version = version();
    let numbers: Vec<u64> = version.tables.keys().map(|(_, number)| *number).collect();
    let expected: Vec<u64> = (158..=160).chain(120..=129).chain(141..=154).collect();
    assert_eq!(numbers, expected);
    assert_eq!(version.tables.values().sum::<u64>(), 53_773_623);
    assert_eq!((version.log, version.previous_log), (155, 0));
}

#[test]
fn a_database_of_chromium_is_whole() {
    let ends = check(&golden()).expect("a whole database");
    assert_eq!(ends["MANIFEST-000001"], MANIFEST.len() as u64);
    assert_eq!(ends["000155.log"], LOG.len() as u64);
}

#[test]
fn a_database_of_chromium_without_any_one_of_its_tables_is_damage() {
    for name in golden().tables.into_keys() {
        let mut golden = golden();
        golden.tables.remove(&name);
        assert_eq!(check(&golden).expect_err("damage").file, name);
    }
}

#[test]
fn a_log_of_chromium_with_a_rotten_bit_is_damage() {
    for bit in (0..LOG.len() * 8).step_by(101) {
        let mut golden = golden();
        golden.log[bit / 8] ^= 1 << (bit % 8);
        match check(&golden) {
            Err(damage) => assert_eq!(damage.file, "000155.log"),
            // The length of the last record may lead beyond the end, as if it were being written.
            Ok(ends) => {
                assert!(ends["000155.log"] < LOG.len() as u64 && bit / 8 > LOG.len() - 400, "bit {bit}")
            }
        }
    }
}
