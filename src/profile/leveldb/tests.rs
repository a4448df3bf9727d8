//! Databases as LevelDB writes them, made by hand, and each kind of damage to them.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};

use super::record::{checksum, masked};
use super::*;

/// Database in memory: files by name.
#[derive(Clone, Default)]
pub struct Database(pub BTreeMap<String, Vec<u8>>);

impl Folder for Database {
    fn files(&self) -> BTreeMap<&str, u64> {
        self.0.iter().map(|(name, bytes)| (name.as_str(), bytes.len() as u64)).collect()
    }

    fn read(&self, name: &str, start: u64) -> io::Result<Box<dyn Read + '_>> {
        let mut file = Cursor::new(self.0.get(name).ok_or(io::ErrorKind::NotFound)?);
        file.set_position(start);
        Ok(Box::new(file))
    }
}

impl Database {
    fn change(&mut self, name: &str) -> &mut Vec<u8> {
        self.0.get_mut(name).expect("a file of this name")
    }

    fn fault(&self) -> String {
        let Damage { file, fault } = check(self).expect_err("damage");
        format!("{file} {fault}")
    }
}

/// Appends `record` to a manifest or a log, in as many fragments as it takes.
pub fn append(file: &mut Vec<u8>, mut record: &[u8]) {
    let mut begins = true;
    loop {
        let mut left = BLOCK - file.len() % BLOCK;
        if left < HEADER {
            file.resize(file.len() + left, 0);
            left = BLOCK;
        }
        let (payload, rest) = record.split_at(record.len().min(left - HEADER));
        let kind = match (begins, rest.is_empty()) {
            (true, true) => 1,
            (true, false) => 2,
            (false, false) => 3,
            (false, true) => 4,
        };
        let covered = [&[kind], payload].concat();
        file.extend(masked(checksum(&covered)).to_le_bytes());
        file.extend(u16::try_from(payload.len()).unwrap().to_le_bytes());
        file.extend(covered);
        (begins, record) = (false, rest);
        if record.is_empty() {
            return;
        }
    }
}

const BLOCK: usize = 32 * 1024;
const HEADER: usize = 7;

/// Number in as few bytes as it takes, seven bits in each.
fn number(edit: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        edit.push(number as u8 | 0x80);
        number >>= 7;
    }
    edit.push(number as u8);
}

fn text(edit: &mut Vec<u8>, bytes: &[u8]) {
    number(edit, bytes.len() as u64);
    edit.extend(bytes);
}

/// Edit that sets the numbers that every manifest has.
pub fn opening(log: u64) -> Vec<u8> {
    let mut edit = vec![1];
    text(&mut edit, b"idb_cmp1");
    for (tag, value) in [(2, log), (9, 0), (3, 1000), (4, 77_777)] {
        edit.push(tag);
        number(&mut edit, value);
    }
    edit
}

/// Edit that adds a table.
pub fn added(level: u64, table: u64, size: u64) -> Vec<u8> {
    let mut edit = vec![7];
    for value in [level, table, size] {
        number(&mut edit, value);
    }
    text(&mut edit, b"first key 0000000");
    text(&mut edit, b"last key 00000000");
    edit
}

/// Edit that deletes a table.
pub fn deleted(level: u64, table: u64) -> Vec<u8> {
    let mut edit = vec![5];
    number(&mut edit, level);
    text(&mut edit, b"next key 00000000");
    edit.push(6);
    number(&mut edit, level);
    number(&mut edit, table);
    edit
}

/// Manifest of `edits`.
pub fn manifest(edits: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    edits.iter().for_each(|edit| append(&mut file, edit));
    file
}

/// Table of `size` bytes, of which only the end is as in a real one.
pub fn table(size: usize) -> Vec<u8> {
    let mut bytes = vec![0x5a; size - TABLE_MAGIC.len()];
    bytes.extend(TABLE_MAGIC);
    bytes
}

/// Database with two tables, one that moved, one that is gone, and logs with records of one and of many blocks.
pub fn database() -> Database {
    let manifest = manifest(&[
        opening(9),
        added(0, 5, 200),
        added(0, 7, 300),
        [deleted(0, 5), added(1, 5, 200)].concat(),
        added(1, 6, 1),
        deleted(1, 6),
    ]);
    let mut log = Vec::new();
    for length in [12, 20_000, 13_000, 100_000, 500] {
        append(&mut log, &vec![7; length]);
    }
    let mut next = Vec::new();
    append(&mut next, &[8; 64]);
    let files = [
        ("CURRENT", b"MANIFEST-000004\n".to_vec()),
        ("MANIFEST-000004", manifest),
        ("000005.ldb", table(200)),
        ("000007.sst", table(300)),
        ("000003.log", b"of no use any more".to_vec()),
        ("000009.log", log),
        ("000010.log", next),
    ];
    Database(files.map(|(name, bytes)| (name.to_owned(), bytes)).into())
}

#[test]
fn a_whole_database_passes() {
    assert_eq!(check(&database()), Ok(()));
    assert!(is_database("some/folder", database().files().into_keys()));
    assert!(
        is_database("Local Storage/leveldb", ["000003.log"].into_iter()),
        "even if its CURRENT is missing"
    );
    assert!(!is_database("a.indexeddb.blob/1/00", ["5"].into_iter()));
}

#[test]
fn the_checksum_is_the_one_of_the_castagnoli_polynomial() {
    assert_eq!(checksum(b"123456789"), 0xe306_9283);
    assert_eq!(checksum(&[0; 32]), 0x8a91_36aa);
    assert_eq!(masked(0), 0xa282_ead8);
}

#[test]
fn a_pointer_to_no_manifest_is_damage() {
    for current in [
        "",
        "MANIFEST-000004",
        "MANIFEST-\n",
        "MANIFEST-00x004\n",
        "../MANIFEST-000004\n",
        "MANIFEST-000004\n\n",
    ] {
        let mut database = database();
        *database.change("CURRENT") = current.into();
        assert_eq!(database.fault(), "CURRENT names no manifest", "{current:?}");
    }
    let mut database = database();
    *database.change("CURRENT") = b"MANIFEST-000005\n".to_vec();
    assert_eq!(database.fault(), "MANIFEST-000005 is missing");
    database.0.remove("CURRENT");
    assert_eq!(database.fault(), "CURRENT is missing");
    assert!(is_database("some/folder", database.files().into_keys()), "it is still seen as a database");
}

#[test]
fn a_missing_table_is_damage() {
    for name in ["000005.ldb", "000007.sst"] {
        let mut database = database();
        database.0.remove(name);
        let expected = format!("{} is missing, and MANIFEST-000004 lists it", name.replace("sst", "ldb"));
        assert_eq!(database.fault(), expected);
    }
}

#[test]
fn a_table_of_another_size_is_damage() {
    for size in [0, 8, 199, 201] {
        let mut database = database();
        *database.change("000005.ldb") = table(size.max(8))[..size].to_vec();
        assert_eq!(database.fault(), format!("000005.ldb has {size} bytes instead of 200"));
    }
}

#[test]
fn a_table_that_never_reached_the_disk_is_damage() {
    let mut database = database();
    *database.change("000005.ldb") = vec![0; 200];
    assert_eq!(database.fault(), "000005.ldb does not end as a table");
}

#[test]
fn a_missing_log_is_damage_and_an_old_one_is_none() {
    let mut database = database();
    database.0.remove("000003.log");
    database.0.remove("000010.log");
    assert_eq!(check(&database), Ok(()));
    database.0.remove("000009.log");
    assert_eq!(database.fault(), "000009.log is missing, and MANIFEST-000004 names it");
}

#[test]
fn a_log_before_the_oldest_counts_if_the_manifest_says_so() {
    let mut database = database();
    let mut edit = vec![9];
    number(&mut edit, 3);
    append(database.change("MANIFEST-000004"), &edit);
    append(&mut vec![], &[]);
    *database.change("000003.log") = vec![0xff; 2 * BLOCK];
    assert!(database.fault().starts_with("000003.log has a record"));
}

#[test]
fn every_torn_tail_of_a_log_is_passed_over() {
    let whole = database();
    let mut short = Vec::new();
    append(&mut short, &[1; 40]);
    append(&mut short, &[2; 40]);
    for (name, log) in [("000010.log", short), ("000009.log", whole.0["000009.log"].clone())] {
        for length in (0..log.len()).step_by(if log.len() < 200 { 1 } else { 997 }) {
            let mut torn = whole.clone();
            *torn.change(name) = log[..length].to_vec();
            assert_eq!(check(&torn), Ok(()), "{name} torn at {length}");
        }
    }
}

#[test]
fn every_torn_tail_of_a_manifest_is_the_version_before_it_or_damage() {
    let whole = database();
    let manifest = whole.0["MANIFEST-000004"].clone();
    let last = manifest.len() - 1;
    let mut torn = whole.clone();
    *torn.change("MANIFEST-000004") = manifest[..last].to_vec();
    assert_eq!(torn.fault(), "000006.ldb is missing, and MANIFEST-000004 lists it");
    *torn.change("MANIFEST-000004") = manifest[..10].to_vec();
    assert_eq!(torn.fault(), "MANIFEST-000004 ends before it describes the database");
}

#[test]
fn every_rotten_bit_of_a_log_with_records_after_it_is_damage() {
    let whole = database();
    let mut log = Vec::new();
    append(&mut log, &[1; 40]);
    append(&mut log, &[2; 40]);
    let first = log.len() / 2;
    for bit in 0..first * 8 {
        let mut database = whole.clone();
        let mut rotten = log.clone();
        rotten[bit / 8] ^= 1 << (bit % 8);
        *database.change("000010.log") = rotten;
        assert!(database.fault().starts_with("000010.log has a record"), "bit {bit}");
    }
}

#[test]
fn every_rotten_bit_of_a_manifest_is_damage() {
    let whole = database();
    let manifest = whole.0["MANIFEST-000004"].clone();
    for bit in 0..manifest.len() * 8 {
        let mut database = whole.clone();
        database.change("MANIFEST-000004")[bit / 8] ^= 1 << (bit % 8);
        assert!(check(&database).is_err(), "bit {bit}");
    }
}

#[test]
fn fragments_out_of_order_are_damage() {
    let mut log = Vec::new();
    append(&mut log, &vec![7; 3 * BLOCK]);
    for (blocks, fault) in [
        (vec![1, 2], "fragments of a record out of order"),
        (vec![0, 0], "fragments of a record out of order"),
        (vec![0, 1], ""),
    ] {
        let mut database = database();
        *database.change("000010.log") =
            blocks.iter().flat_map(|block| log.chunks(BLOCK).nth(*block).unwrap().to_vec()).collect();
        match fault {
            "" => assert_eq!(check(&database), Ok(())),
            fault => assert_eq!(database.fault(), format!("000010.log has {fault}")),
        }
    }
}

#[test]
fn reserved_space_ends_a_log_and_nothing_may_follow_it() {
    let mut log = Vec::new();
    append(&mut log, &[1; 40]);
    log.resize(2 * BLOCK + 5000, 0);
    let mut database = database();
    *database.change("000010.log") = log.clone();
    assert_eq!(check(&database), Ok(()));
    for at in [log.len() - 1, BLOCK, 60] {
        let mut follows = log.clone();
        follows[at] = 1;
        *database.change("000010.log") = follows;
        assert_eq!(database.fault(), "000010.log has a hole");
    }
    let mut torn = Vec::new();
    append(&mut torn, &vec![1; BLOCK]);
    torn.truncate(BLOCK);
    torn.resize(BLOCK + 100, 0);
    *database.change("000010.log") = torn;
    assert_eq!(database.fault(), "000010.log has a hole");
}

#[test]
fn records_that_mean_nothing_are_damage() {
    let mut short = database();
    append(short.change("000010.log"), &[1; 11]);
    assert_eq!(short.fault(), "000010.log has a record that is no batch");
    let endless = [vec![2], vec![0x80; 12]].concat();
    for edit in [
        vec![8, 1],
        vec![7, 7, 1, 1, 1, b'k', 1, b'k'],
        vec![7, 0, 1, 1, 0, 0],
        vec![6, 0],
        endless,
        vec![2, 0xff, 0xff],
    ] {
        let mut database = database();
        append(database.change("MANIFEST-000004"), &edit);
        assert_eq!(database.fault(), "MANIFEST-000004 has a record that is no edit", "{edit:?}");
    }
}
