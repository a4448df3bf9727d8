//! Databases as LevelDB writes them, made by hand for tests.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};

use super::crc32c::crc32c;
use super::record::masked;
use super::*;

/// Database in memory: files by name.
#[derive(Clone, Default)]
pub struct Database(pub BTreeMap<String, Vec<u8>>);

impl FileSource for Database {
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
    pub fn change(&mut self, name: &str) -> &mut Vec<u8> {
        self.0.get_mut(name).expect("a file of this name")
    }

    /// End of a manifest or log of a whole database.
    pub fn end(&self, name: &str) -> u64 {
        check(self).expect("a whole database")[name]
    }

    pub fn fault(&self) -> String {
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
        file.extend(masked(crc32c(&covered)).to_le_bytes());
        file.extend(u16::try_from(payload.len()).unwrap().to_le_bytes());
        file.extend(covered);
        (begins, record) = (false, rest);
        if record.is_empty() {
            return;
        }
    }
}

pub const BLOCK: usize = 32 * 1024;
pub const HEADER: usize = 7;

/// Number in as few bytes as it takes, seven bits in each.
pub fn number(edit: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        edit.push(number as u8 | 0x80);
        number >>= 7;
    }
    edit.push(number as u8);
}

pub fn text(edit: &mut Vec<u8>, bytes: &[u8]) {
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

/// Lengths of the records of the longer log.
pub const RECORDS: [usize; 5] = [12, 20_000, 13_000, 100_000, 500];

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
    for length in RECORDS {
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
