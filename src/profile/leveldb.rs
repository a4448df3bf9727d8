//! The proof that a LevelDB directory is whole: that it opens, and that nothing of it is missing.
//!
//! `CURRENT` names a manifest; the edits in it make the list of live tables and the number of the oldest log that counts. A
//! database whose log is missing opens all the same, without its records: here that is damage.
//!
//! Invariants: reads, and nothing else; no input makes it panic; it holds the edits of one manifest at a time and one block of
//! 32 KiB, never a table. As strict as LevelDB with paranoid checks, because that is how a browser opens its databases, and it
//! empties those that fail. Stricter where LevelDB goes on without records that were there.

pub mod crc32c;
pub mod edit;
pub mod record;

use std::collections::BTreeMap;
use std::io::{self, Read};

use edit::Version;
use record::ReadFault;

/// The last bytes of a table.
const TABLE_MAGIC: [u8; 8] = 0xdb47_7524_8b80_fb57_u64.to_le_bytes();
/// Length of the end of a table, which is in each.
const TABLE_FOOTER: u64 = 48;
/// A batch in a log begins with its sequence number and its count.
const BATCH_HEADER: u64 = 12;
/// Length of `MANIFEST-000001` and a line end, with room for the longest number.
const LONGEST_CURRENT: u64 = 32;

/// Files of one directory, by name.
pub trait FileSource {
    /// Names of all files, with their lengths.
    fn files(&self) -> BTreeMap<&str, u64>;
    /// Content of the file from `start` on.
    fn read(&self, name: &str, start: u64) -> io::Result<Box<dyn Read + '_>>;
}

/// Reason for which a directory is not whole.
#[derive(Debug, PartialEq, Eq)]
pub struct Damage {
    /// Name of the file.
    pub file: String,
    /// Its fault.
    pub fault: String,
}

/// True if the folder at `path`, with files of these names, is a LevelDB database.
pub fn is_database<'a>(path: &str, mut names: impl Iterator<Item = &'a str>) -> bool {
    path.ends_with("leveldb") || names.any(|name| name == "CURRENT" || name.starts_with("MANIFEST-"))
}

/// Checks that the database in `folder` is whole. Gives the ends of its manifest and its logs, by name: what is behind the end
/// of one was being written, and belongs into no copy.
pub fn check(folder: &dyn FileSource) -> Result<BTreeMap<String, u64>, Damage> {
    let files = folder.files();
    let mut ends = BTreeMap::new();
    let manifest = current(folder)?;
    let (version, end) =
        Version::read(&mut *open(folder, &manifest)?).map_err(|fault| damage(&manifest, &fault))?;
    let numbered = |name: &&str| numbered(name, "log");
    for (&(_, number), &size) in &version.tables {
        let names = ["ldb", "sst"].map(|ending| format!("{number:06}.{ending}"));
        let Some((name, &there)) = names.iter().find_map(|name| Some((name, files.get(name.as_str())?)))
        else {
            let [name, _] = names;
            return Err(Damage { file: name, fault: format!("is missing, and {manifest} lists it") });
        };
        if there != size {
            let fault = format!("has {there} bytes instead of {size}");
            return Err(Damage { file: name.clone(), fault });
        }
        let mut end = Vec::with_capacity(TABLE_MAGIC.len());
        let start = size.saturating_sub(TABLE_MAGIC.len() as u64);
        folder
            .read(name, start)
            .and_then(|file| file.take(TABLE_FOOTER).read_to_end(&mut end))
            .map_err(|error| damage(name, &ReadFault::Unreadable(error)))?;
        if size < TABLE_FOOTER || end != TABLE_MAGIC {
            return Err(Damage { file: name.clone(), fault: "does not end as a table".to_owned() });
        }
    }
    let mut logs: BTreeMap<u64, &str> =
        files.keys().filter_map(|name| Some((numbered(name)?, *name))).collect();
    logs.retain(|&number, _| number >= version.log || number == version.previous_log);
    // A manifest that was never written to again names none, but a database that was ever opened has a log.
    if logs.is_empty() {
        return Err(Damage {
            file: "*.log".to_owned(),
            fault: "is missing, and every database has one".to_owned(),
        });
    }
    if version.log > 0 && !logs.contains_key(&version.log) {
        let file = format!("{:06}.log", version.log);
        return Err(Damage { file, fault: format!("is missing, and {manifest} names it") });
    }
    for name in logs.values() {
        let file = &mut *open(folder, name)?;
        let end = record::each_length(file, &mut |length| match length {
            ..BATCH_HEADER => Err(ReadFault::Damaged("has a record that is no batch")),
            _ => Ok(()),
        })
        .map_err(|fault| damage(name, &fault))?;
        ends.insert((*name).to_owned(), end);
    }
    ends.insert(manifest, end);
    Ok(ends)
}

/// Name of the manifest that counts.
fn current(folder: &dyn FileSource) -> Result<String, Damage> {
    let mut bytes = Vec::new();
    open(folder, "CURRENT")?
        .take(LONGEST_CURRENT)
        .read_to_end(&mut bytes)
        .map_err(|error| damage("CURRENT", &ReadFault::Unreadable(error)))?;
    let name = std::str::from_utf8(&bytes).ok().and_then(|text| text.strip_suffix('\n'));
    let digits = name.and_then(|name| name.strip_prefix("MANIFEST-"));
    match (name, digits) {
        (Some(name), Some(digits))
            if digits.len() >= 6 && digits.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            Ok(name.to_owned())
        }
        _ => Err(Damage { file: "CURRENT".to_owned(), fault: "names no manifest".to_owned() }),
    }
}

/// Number of a file `<number>.<ending>`.
fn numbered(name: &str, ending: &str) -> Option<u64> {
    let digits = name.strip_suffix(ending)?.strip_suffix('.')?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

fn open<'a>(folder: &'a dyn FileSource, name: &str) -> Result<Box<dyn Read + 'a>, Damage> {
    folder.read(name, 0).map_err(|error| damage(name, &ReadFault::Unreadable(error)))
}

fn damage(name: &str, fault: &ReadFault) -> Damage {
    let fault = match fault {
        ReadFault::Unreadable(error) if error.kind() == io::ErrorKind::NotFound => "is missing".to_owned(),
        ReadFault::Unreadable(error) => format!("cannot be read ({error})"),
        ReadFault::Damaged(fault) => (*fault).to_owned(),
    };
    Damage { file: name.to_owned(), fault }
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub mod writer;
