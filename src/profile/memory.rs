//! Knowledge of a profile from one backup to the next: marks of files that need not be read again, and packs that are lost.
//!
//! It is lost with the process, at the price of one full read. A lost pack counts as long as the state names it, and no longer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::error::Result;
use crate::format::name::PackName;
use crate::session::Session;
use crate::store::Incarnation;

use super::catalog::Catalog;
use super::collect::collect;
use super::entry::FileVersion;
use super::snapshot::{FileMark, SnapshotFile};

/// A pack of which less is in use, in percent, is stored anew by and by,
const SPARSE: u64 = 40;
/// with so many bytes in one backup.
const REWRITTEN: u64 = 4 << 20;
/// Backups after which the packs in the store are looked at, whatever changed.
const LOOK_AFTER: u32 = 32;

/// Knowledge of one profile.
#[derive(Default)]
pub struct ProfileMemory {
    marks: BTreeMap<String, FileMark>,
    /// Packs that the last look at the store missed.
    lost: BTreeSet<PackName>,
    /// Backups since that look, if its findings still hold.
    unlooked: Option<u32>,
    /// The life of the server that was looked at: another one may have forgotten packs.
    server: Option<Incarnation>,
}

impl ProfileMemory {
    /// Remembers the files of a backup. `freed`: it made packs superfluous, which are now looked for.
    pub fn remember(&mut self, marks: BTreeMap<String, FileMark>, freed: bool) {
        self.marks = marks;
        self.unlooked = self.unlooked.filter(|_| !freed).map(|backups| backups.saturating_add(1));
    }

    /// True if it is time to look at the packs in the store.
    pub fn must_look(&self, session: &Session) -> bool {
        self.unlooked.is_none_or(|backups| backups >= LOOK_AFTER)
            || session.owner().is_ok_and(|owner| owner.tenancy.remote.incarnation() != self.server)
    }

    /// Removes packs that nothing names any more, and finds out which ones are lost. True if one is that was not known to be.
    pub async fn look(&mut self, session: &Session, refresh: Duration) -> Result<bool> {
        let catalog = session.journal().read(Catalog::read)??;
        let owner = session.owner()?;
        let server = owner.tenancy.remote.incarnation();
        // It is acknowledged: a backup that is not has failed before.
        let lost = collect(&owner.tenancy, &owner.claim, &catalog, refresh).await?;
        let is_new = !lost.is_subset(&self.lost);
        (self.unlooked, self.lost, self.server) = (Some(0), lost, server);
        Ok(is_new)
    }

    /// Numbers of the packs that `catalog` names and the store does not have, as far as is known.
    pub fn lost(&self, catalog: &Catalog) -> BTreeSet<u64> {
        let named = catalog.packs.values().map(|pack| pack.name);
        named.filter(|name| self.lost.contains(name)).map(|name| name.number).collect()
    }

    /// Files that have to be read, and those that never change and were seen, with the version that they have. Those with pieces in
    /// packs to be `avoided` have to be read.
    pub fn unchanged(
        &self,
        before: &Catalog,
        avoided: &BTreeSet<u64>,
        files: Vec<SnapshotFile>,
    ) -> (Vec<SnapshotFile>, Vec<(SnapshotFile, FileVersion)>) {
        let newest = before.newest();
        let (mut unread, mut seen) = (Vec::new(), Vec::new());
        for file in files {
            let version = newest.get(file.path.as_str()).filter(|version| {
                file.mark.is_fixed
                    && self.marks.get(&file.path) == Some(&file.mark)
                    && version.size == file.size
                    && !version.pieces.iter().any(|piece| avoided.contains(&piece.pack))
            });
            match version {
                Some(version) => seen.push((file, FileVersion::clone(version))),
                None => unread.push(file),
            }
        }
        (unread, seen)
    }
}

/// Packs whose pieces are stored anew: lost ones, and some of those that hold little of use.
pub fn avoided(before: &Catalog, lost: &BTreeSet<u64>) -> BTreeSet<u64> {
    let mut budget = REWRITTEN;
    let sparse = before.sparse(SPARSE).into_iter().filter(|(_, used)| {
        let fits = budget >= *used;
        budget = budget.saturating_sub(*used);
        fits
    });
    sparse.map(|(number, _)| number).chain(lost.iter().copied()).collect()
}
