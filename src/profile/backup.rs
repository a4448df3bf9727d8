//! Backups: a snapshot of the profile becomes a generation.
//!
//! Packs are stored before the batch that names them, and that batch is all of a generation: a generation is there as a whole, or
//! not at all. It is acknowledged as every batch is, so an owner that was fenced cannot make one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{Mutex, Semaphore};

use crate::error::{Code, Error, Result};
use crate::format::name::PackName;
use crate::format::object::{Link, ObjectKind};
use crate::ownership::lease::Owner;
use crate::platform::host::{Host, Lane, blocking, blocking_in};
use crate::platform::meter::METERS;
use crate::session::Session;

use super::catalog::{Catalog, changes};
use super::collect::{Collected, collect};
use super::cut::Cutter;
use super::entry::{FileVersion, Generation, Head, Pack};
use super::holds::{Holds, record};
use super::snapshot::{FileMark, Snapshot, SnapshotFile, SnapshotRequest, take};

/// Backups of a process that read files at once. None reads while it waits for a store, which may keep silent for hours: the profiles
/// in other stores have their turn meanwhile.
static READING: Semaphore = Semaphore::const_new(2);
/// A pack of which less is in use, in percent, is stored anew by and by,
const SPARSE: u64 = 40;
/// with so many bytes in one backup.
const REWRITTEN: u64 = 4 << 20;
/// Backups after which the packs in the store are looked at, whatever changed.
const LOOK_AFTER: u32 = 32;

/// Order of one backup.
pub struct Order {
    /// The profile, and how its browser is kept from writing.
    pub snapshot: Arc<SnapshotRequest>,
    /// Generations that are kept.
    pub keep: usize,
    /// File that says which generations the profile holds, if it stays in use; see [`super::holds`].
    pub marker: Option<PathBuf>,
    /// Look at the packs in the store although nothing changed.
    pub audit: bool,
    /// Age at which packs are stored again.
    pub refresh: Duration,
    /// Wait for the acknowledgement.
    pub timeout: Duration,
}

/// Outcome of a backup.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The newest generation.
    pub generation: u64,
    /// False if the profile is as it was, and nothing was sent.
    pub changed: bool,
    /// Its files and their bytes.
    pub files: usize,
    pub bytes: u64,
    /// Bytes of the packs that were stored for it, and their number.
    pub sent: u64,
    pub packs: usize,
    /// The way in which the browser was kept from writing, for how long, and how often it was tried.
    pub quiet: &'static str,
    pub stopped_ms: f64,
    pub tries: u32,
    /// Packs that the store had lost, and that were stored again.
    pub repaired: usize,
    /// Why superfluous packs could not be removed.
    pub uncollected: Option<String>,
}

/// Knowledge of one session that makes its next backup cheap. It is lost with the process, at the price of one full read.
#[derive(Default)]
pub struct Keeper(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    marks: BTreeMap<String, FileMark>,
    lost: BTreeSet<u64>,
    unlooked: u32,
    looked: bool,
}

impl Keeper {
    /// Backs the profile up. Resolves when any machine with the keys can restore it. One at a time.
    pub async fn backup(&self, session: &Session, order: Order) -> Result<Report> {
        let began = session.host().now();
        let backed_up = self.back_up(session, order).await;
        match &backed_up {
            Ok(_) => METERS.profile_backups.observe(session.host().now().saturating_sub(began)),
            Err(error) => METERS.profile_failures.one(error.code),
        }
        backed_up
    }

    async fn back_up(&self, session: &Session, order: Order) -> Result<Report> {
        let mut memory = self.0.lock().await;
        session.journal().life().refusal()?;
        let mut report = memory.generation(session, &order).await?;
        let looks = !memory.looked || memory.unlooked >= LOOK_AFTER || order.audit;
        if looks {
            let before = memory.lost.len();
            report.uncollected = memory.collect(session, order.refresh).await;
            if memory.lost.len() > before {
                let lost = memory.lost.len();
                let again = memory.generation(session, &order).await?;
                report =
                    Report { sent: report.sent + again.sent, packs: report.packs + again.packs, ..again };
                report.repaired = lost;
                memory.lost.clear();
            }
        }
        Ok(report)
    }
}

impl Memory {
    async fn generation(&mut self, session: &Session, order: &Order) -> Result<Report> {
        let owner = session.owner()?;
        let before = session.journal().read(Catalog::read)??;
        let (host, request) = (Arc::clone(session.host()), Arc::clone(&order.snapshot));
        let mut snapshot = reading(session.host(), move || take(host.as_ref(), &request)).await??;
        if !snapshot.stopped.is_zero() {
            METERS.profile_stops.observe(snapshot.stopped);
        }
        let files = std::mem::take(&mut snapshot.files);
        let (unread, mut now) = self.unchanged(&before, files);
        let avoided = self.avoided(&before);
        let mut known = before.index();
        known.retain(|_, piece| !avoided.contains(&piece.pack));
        let next_pack = before.head.map_or(0, |head| head.next_pack);
        let mut cutter = Cutter::new(unread, known, next_pack);
        let mut packs = BTreeMap::new();
        loop {
            let (back, cut) = reading(session.host(), move || {
                let cut = cutter.next_pack();
                (cutter, cut)
            })
            .await?;
            cutter = back;
            let Some((number, body)) = cut? else { break };
            packs.insert(number, store(owner, number, body).await?);
        }
        let (cut, next_pack) = cutter.finish();
        now.extend(cut);
        let now: BTreeMap<String, (FileVersion, FileMark)> =
            now.into_iter().map(|(file, version)| (file.path, (version, file.mark))).collect();
        let report = self.commit(session, order, &before, &now, packs, next_pack, &snapshot).await?;
        self.marks = now.into_iter().map(|(path, (_, mark))| (path, mark)).collect();
        Ok(report)
    }

    /// Files that have to be read, and those that never change and were seen, with the version that they have.
    fn unchanged(
        &self,
        before: &Catalog,
        files: Vec<SnapshotFile>,
    ) -> (Vec<SnapshotFile>, Vec<(SnapshotFile, FileVersion)>) {
        let (newest, avoided) = (before.newest(), self.avoided(before));
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

    /// Packs whose pieces are stored anew: lost ones, and some of those that hold little of use.
    fn avoided(&self, before: &Catalog) -> BTreeSet<u64> {
        let mut budget = REWRITTEN;
        let sparse = before.sparse(SPARSE).into_iter().filter(|(_, used)| {
            let fits = budget >= *used;
            budget = budget.saturating_sub(*used);
            fits
        });
        sparse.map(|(number, _)| number).chain(self.lost.iter().copied()).collect()
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one generation, each made by another step")]
    async fn commit(
        &mut self,
        session: &Session,
        order: &Order,
        before: &Catalog,
        now: &BTreeMap<String, (FileVersion, FileMark)>,
        packs: BTreeMap<u64, Pack>,
        next_pack: u64,
        snapshot: &Snapshot,
    ) -> Result<Report> {
        let (owner, newest) = (session.owner()?, before.newest());
        let bytes = now.values().map(|(version, _)| version.size).sum();
        let is_same = before.head.is_some()
            && newest.len() == now.len()
            && newest.iter().all(|(path, version)| now.get(*path).is_some_and(|(now, _)| now == *version));
        let generation = before.head.map_or(0, |head| head.generation) + u64::from(!is_same);
        let report = Report {
            generation,
            changed: !is_same,
            files: now.len(),
            bytes,
            sent: packs.values().map(|pack| u64::from(pack.stored)).sum(),
            packs: packs.len(),
            quiet: snapshot.quiet.as_str(),
            stopped_ms: snapshot.stopped.as_secs_f64() * 1000.0,
            tries: snapshot.tries,
            repaired: 0,
            uncollected: None,
        };
        self.unlooked += 1;
        if is_same {
            // The backup that made it may have waited for its acknowledgement in vain.
            session.flush(order.timeout).await?;
            return Ok(report);
        }
        let mut after = before.clone();
        for (path, (version, _)) in now {
            if newest.get(path.as_str()).is_none_or(|had| *had != version) {
                after.files.entry(path.clone()).or_default().insert(generation, Some(version.clone()));
            }
        }
        for path in newest.keys().filter(|path| !now.contains_key(**path)) {
            after.files.entry((*path).to_owned()).or_default().insert(generation, None);
        }
        after.packs.extend(packs);
        after.head = Some(Head { generation, next_pack });
        let made = Generation {
            claim: owner.claim,
            wall_ms: session.host().wall_ms(),
            quiet: snapshot.quiet as u8,
            files: u32::try_from(now.len()).unwrap_or(u32::MAX),
            bytes,
        };
        after.generations.insert(generation, made);
        // Older generations that need what the store has lost are none.
        let after = after.retaining(if self.lost.is_empty() { order.keep } else { 1 });
        if let Some(marker) = order.marker.clone() {
            let had = before.head.and_then(|head| Holds::of(before, head.generation));
            let holds = had.into_iter().chain(Holds::of(&after, generation)).collect();
            blocking(session.host(), move || record(&marker, holds)).await?;
        }
        if before.packs.keys().any(|number| !after.packs.contains_key(number)) {
            self.looked = false;
        }
        session.journal().append(&changes(before, &after), true)?;
        session.flush(order.timeout).await?;
        Ok(report)
    }

    /// Removes packs that nothing names any more, and finds out which ones are lost. Gives the reason why it could not.
    async fn collect(&mut self, session: &Session, refresh: Duration) -> Option<String> {
        let collected = async {
            let catalog = session.journal().read(Catalog::read)??;
            // It is acknowledged: a backup that is not has failed before.
            collect(&session.owner()?.tenancy, &session.owner()?.claim, &catalog, refresh).await
        };
        match collected.await {
            Ok(Collected { lost }) => {
                (self.looked, self.unlooked) = (true, 0);
                self.lost.extend(lost);
                None
            }
            Err(error) => Some(error.message),
        }
    }
}

/// Reads files, in turn with the other backups of this process.
async fn reading<T: Send + 'static>(
    host: &Arc<dyn Host>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let _turn = READING.acquire().await.map_err(|error| Error::new(Code::Internal, error))?;
    Ok(blocking(host, work).await)
}

/// Seals a pack and stores it.
pub async fn store(owner: &Arc<Owner>, number: u64, body: Vec<u8>) -> Result<Pack> {
    let len = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
    let body_len = len(body.len());
    let sealer = Arc::clone(owner);
    let seal = move || sealer.seal(ObjectKind::Pack, (number, number), Link::default(), &body);
    let sealed = blocking_in(owner.tenancy.host(), Lane::Compute, seal).await?;
    let name = PackName { claim: owner.claim, number, digest: sealed.digest.short() };
    let stored = len(sealed.bytes.len());
    owner.tenancy.remote.put(&name.object(&owner.tenancy.name), sealed.bytes).await?;
    Ok(Pack { name, stored, body: body_len })
}
