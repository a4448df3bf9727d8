//! The databases among the files of a profile, each of which has to be whole.
//!
//! Invariant: every folder that holds a database is checked, and every path in an answer is relative to the profile.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::profile::leveldb::{self, Damage, FileSource};
use crate::profile::scan;

/// Files of one folder: their places and lengths, by name.
#[derive(Default)]
struct FolderFiles<'a>(BTreeMap<&'a str, (&'a Path, u64)>);

impl FileSource for FolderFiles<'_> {
    fn files(&self) -> BTreeMap<&str, u64> {
        self.0.iter().map(|(name, (_, size))| (*name, *size)).collect()
    }

    fn read(&self, name: &str, start: u64) -> io::Result<Box<dyn Read + '_>> {
        let (at, size) = self.0.get(name).ok_or(io::ErrorKind::NotFound)?;
        let mut file = scan::open(at)?;
        file.seek(SeekFrom::Start(start))?;
        // Of a file that still grows, no more than the snapshot has.
        Ok(Box::new(file.take(size.saturating_sub(start))))
    }
}

/// Checks each database among files that are given by path in the profile, place and length. Gives the ends of its manifest and its
/// logs, as [`leveldb::check`] does, by path. The file of a damage is a path.
pub fn databases<'a>(
    files: impl Iterator<Item = (&'a str, &'a Path, u64)>,
) -> impl Iterator<Item = Result<BTreeMap<String, u64>, Damage>> {
    let mut folders: BTreeMap<&str, FolderFiles<'_>> = BTreeMap::new();
    for (path, at, size) in files {
        let Some((folder, name)) = path.rsplit_once('/') else { continue };
        folders.entry(folder).or_default().0.insert(name, (at, size));
    }
    let is_database =
        |(path, files): &(&str, FolderFiles<'_>)| leveldb::is_database(path, files.0.keys().copied());
    folders.into_iter().filter(is_database).map(|(path, files)| {
        let inner = |name: &str| format!("{path}/{name}");
        let ends =
            leveldb::check(&files).map_err(|Damage { file, fault }| Damage { file: inner(&file), fault })?;
        Ok(ends.into_iter().map(|(name, end)| (inner(&name), end)).collect())
    })
}

/// Checks all of these databases, each of which has to be whole.
pub fn check<'a>(
    files: impl Iterator<Item = (&'a str, &'a Path, u64)>,
) -> Result<BTreeMap<String, u64>, Damage> {
    let mut ends = BTreeMap::new();
    for of_one in databases(files) {
        ends.extend(of_one?);
    }
    Ok(ends)
}
