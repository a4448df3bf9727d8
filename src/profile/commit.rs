//! Commits: what a backup read and stored becomes a generation of the state, in one batch.
//!
//! Invariant: the batch names only packs that are stored, and it is all of the generation. Generations go with the packs that the store
//! has lost of them, and no other ones before their time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use crate::error::Result;
use crate::id::Claim;
use crate::platform::host::blocking;
use crate::session::Session;

use super::catalog::{Catalog, changes};
use super::entry::{FileVersion, Generation, Head, Pack};
use super::holds::{Holds, announce};
use super::snapshot::Quiet;

/// The profile as a backup found it.
pub struct Inventory {
    /// Its files, by path.
    pub files: BTreeMap<String, FileVersion>,
    /// The packs that were stored for it.
    pub packs: BTreeMap<u64, Pack>,
    /// The number of the next pack.
    pub next_pack: u64,
    /// The way in which the browser was kept from writing.
    pub quiet: Quiet,
}

/// Terms of a commit.
pub struct CommitTerms<'a> {
    /// Generations that are kept.
    pub keep: usize,
    /// Packs of the state before that the store has lost.
    pub lost: &'a BTreeSet<u64>,
    /// File that says which generations the profile holds, if it stays in use; see [`super::holds`].
    pub marker: Option<PathBuf>,
    /// Wait for the acknowledgement.
    pub timeout: Duration,
}

/// Outcome of a commit.
pub struct CommitOutcome {
    /// The newest generation.
    pub generation: u64,
    /// False if it was there before.
    pub changed: bool,
    /// Packs that the state does not name any more.
    pub freed: BTreeSet<u64>,
}

impl Inventory {
    /// True if the newest generation of `catalog` has the same files.
    fn is_in(&self, catalog: &Catalog) -> bool {
        let newest = catalog.newest();
        catalog.head.is_some()
            && newest.len() == self.files.len()
            && newest.iter().all(|(path, version)| self.files.get(*path) == Some(version))
    }

    /// The catalog in which this follows the newest generation of `before`.
    fn after(&self, before: &Catalog, claim: Claim, wall_ms: u64) -> Catalog {
        let (newest, mut after) = (before.newest(), before.clone());
        let generation = before.head.map_or(0, |head| head.generation) + 1;
        for (path, version) in &self.files {
            if newest.get(path.as_str()).is_none_or(|had| *had != version) {
                after.files.entry(path.clone()).or_default().insert(generation, Some(version.clone()));
            }
        }
        for path in newest.keys().filter(|path| !self.files.contains_key(**path)) {
            after.files.entry((*path).to_owned()).or_default().insert(generation, None);
        }
        after.packs.extend(&self.packs);
        after.head = Some(Head { generation, next_pack: self.next_pack });
        let made = Generation {
            claim,
            wall_ms,
            quiet: self.quiet as u8,
            files: u32::try_from(self.files.len()).unwrap_or(u32::MAX),
            bytes: self.files.values().map(|version| version.size).sum(),
        };
        after.generations.insert(generation, made);
        after
    }
}

/// Makes `contents` the newest generation after `before`, unless it is. Resolves when that is acknowledged.
pub async fn commit(
    session: &Session,
    before: &Catalog,
    contents: &Inventory,
    terms: CommitTerms<'_>,
) -> Result<CommitOutcome> {
    let newest = before.head.map_or(0, |head| head.generation);
    let is_same = contents.is_in(before);
    if is_same && terms.lost.is_empty() {
        // The backup that made it may have waited for its acknowledgement in vain.
        session.flush(terms.timeout).await?;
        return Ok(CommitOutcome { generation: newest, changed: false, freed: BTreeSet::new() });
    }
    let after = if is_same {
        before.clone()
    } else {
        contents.after(before, session.owner()?.claim, session.host().wall_ms())
    };
    let after = after.retaining(terms.keep.min(after.without(terms.lost)));
    let generation = after.head.map_or(newest, |head| head.generation);
    if let Some(marker) = terms.marker.filter(|_| !is_same) {
        let had = Holds::of(&before.generations, newest);
        let next = Holds::of(&after.generations, generation);
        blocking(session.host(), move || announce(&marker, had, next)).await?;
    }
    session.journal().append(&changes(before, &after), true)?;
    session.flush(terms.timeout).await?;
    let freed = before.packs.keys().filter(|number| !after.packs.contains_key(number)).copied().collect();
    Ok(CommitOutcome { generation, changed: !is_same, freed })
}
