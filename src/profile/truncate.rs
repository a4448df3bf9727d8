//! Truncation of the logs of a closed browser's databases behind their last whole record, before the next browser starts.
//!
//! A killed browser may leave half a record at the end of a log. The next one reads up to there, and appends behind it: what it writes
//! then lies behind damage. Nothing that a browser would read is removed, and a database that is not whole is left as it is.
#![expect(clippy::disallowed_methods, reason = "a browser keeps its profile on the real disk")]

use std::fs::OpenOptions;
use std::path::Path;

use crate::error::Result;

use super::proof;
use super::scan::{look, unreadable};

/// Truncates the manifests and logs of the profile in `directory`, where no browser runs, behind their last whole records. Gives the
/// number of files. A folder that is no profile has none.
pub fn truncate_logs(directory: &Path) -> Result<usize> {
    let Ok(files) = look(directory, &[]) else { return Ok(0) };
    let databases = proof::databases(
        files.iter().map(|(path, found)| (path.as_str(), found.at.as_path(), found.mark.size)),
    );
    let mut truncated = 0;
    for (path, end) in databases.flatten().flatten() {
        let Some(found) = files.get(&path).filter(|found| end < found.mark.size) else { continue };
        let truncate = || {
            let log = OpenOptions::new().write(true).open(&found.at)?;
            log.set_len(end)?;
            log.sync_all()
        };
        truncate().map_err(|error| unreadable(&path, error))?;
        truncated += 1;
    }
    Ok(truncated)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::leveldb::writer::{append, database};

    const DATABASES: [&str; 2] =
        ["Default/IndexedDB/https_a_0.indexeddb.leveldb", "Default/Local Storage/leveldb"];

    #[test]
    fn torn_ends_are_cut_off_and_a_damaged_database_stays_as_it_is() {
        let profile = tempfile::tempdir().expect("room");
        let write = |folder: &str, name: &str, bytes: &[u8]| {
            let at = profile.path().join(folder);
            std::fs::create_dir_all(&at).expect("room");
            std::fs::write(at.join(name), bytes).expect("room");
        };
        let mut torn = database();
        for name in ["000010.log", "MANIFEST-000004"] {
            append(torn.change(name), &[7; 300]);
            torn.change(name).pop();
        }
        for folder in DATABASES {
            torn.0.iter().for_each(|(name, bytes)| write(folder, name, bytes));
        }
        let [whole, damaged] = DATABASES;
        std::fs::remove_file(profile.path().join(damaged).join("000007.sst")).expect("is there");
        let read = |folder: &str, name: &str| {
            std::fs::read(profile.path().join(folder).join(name)).expect("is there")
        };
        assert_eq!(truncate_logs(profile.path()), Ok(2));
        for (name, bytes) in &database().0 {
            assert!(read(whole, name) == *bytes, "{name} of the whole one");
            assert!(name == "000007.sst" || read(damaged, name) == torn.0[name], "{name} of the damaged one");
        }
        assert_eq!(truncate_logs(profile.path()), Ok(0), "a second time");
        assert_eq!(truncate_logs(&profile.path().join("none")), Ok(0));
        let names: Vec<_> = std::fs::read_dir(profile.path()).expect("reads").flatten().collect();
        assert_eq!(names.len(), 1, "nothing is copied");
    }
}
