//! The database of a browser as a fuzz target: one input as its manifest, its log and its pointer.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};

use crate::profile::leveldb::crc32c::crc32c;
use crate::profile::leveldb::edit::Version;
use crate::profile::leveldb::record::masked;
use crate::profile::leveldb::{FileSource, check};

const BLOCK: usize = 32 * 1024;
const HEADER: usize = 7;

struct Database<'a> {
    files: BTreeMap<String, (u64, &'a [u8])>,
}

impl FileSource for Database<'_> {
    fn files(&self) -> BTreeMap<&str, u64> {
        self.files.iter().map(|(name, (size, _))| (name.as_str(), *size)).collect()
    }

    fn read(&self, name: &str, _start: u64) -> io::Result<Box<dyn Read + '_>> {
        let (_, bytes) = self.files.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Cursor::new(*bytes)))
    }
}

/// Checks a database made of `input`, once as it is and once with checksums that fit.
pub fn target(input: &[u8]) {
    for bytes in [input, &with_checksums(input)] {
        let mut files = BTreeMap::new();
        if let Ok((version, _)) = Version::read(&mut &*bytes) {
            assert!(version.tables.len() <= bytes.len());
            for (&(_, number), &size) in &version.tables {
                files.insert(
                    format!("{number:06}.ldb"),
                    (size, 0xdb47_7524_8b80_fb57_u64.to_le_bytes().to_vec()),
                );
            }
            files.insert(format!("{:06}.log", version.log), (0, bytes.to_vec()));
        }
        for (name, content) in [("MANIFEST-000004", bytes), ("18446744073709551615.log", bytes)] {
            files.insert(name.to_owned(), (0, content.to_vec()));
        }
        for current in [&b"MANIFEST-000004\n"[..], bytes] {
            let mut files: BTreeMap<_, _> =
                files.iter().map(|(name, (size, bytes))| (name.clone(), (*size, bytes.as_slice()))).collect();
            files.insert("CURRENT".to_owned(), (0, current));
            if let Ok(ends) = check(&Database { files }) {
                assert!(ends.values().all(|end| *end <= bytes.len() as u64));
            }
        }
    }
}

/// The same records with checksums made to fit, as far as their lengths lead.
fn with_checksums(input: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for block in bytes.chunks_mut(BLOCK) {
        let mut rest = block;
        while rest.len() >= HEADER {
            let end = HEADER + usize::from(u16::from_le_bytes([rest[4], rest[5]]));
            if end > rest.len() {
                break;
            }
            let crc = masked(crc32c(&rest[HEADER - 1..end]));
            rest[..4].copy_from_slice(&crc.to_le_bytes());
            rest = &mut rest[end..];
        }
    }
    bytes
}
