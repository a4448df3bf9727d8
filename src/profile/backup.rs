//! Backups: a snapshot of the profile becomes a generation.
//!
//! Packs are stored before the batch that names them, and that batch is all of a generation: a generation is there as a whole, or
//! not at all. It is acknowledged as every batch is, so an owner that was fenced cannot make one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore};

use crate::error::{Code, Error, Result};
use crate::format::name::PackName;
use crate::format::object::{Link, ObjectKind};
use crate::ownership::lease::Owner;
use crate::platform::host::{Host, Lane, blocking, blocking_in};
use crate::platform::meter::METERS;
use crate::session::Session;

use super::catalog::Catalog;
use super::commit::{CommitOutcome, CommitTerms, Inventory, commit};
use super::cut::Cutter;
use super::entry::Pack;
use super::memory::{ProfileMemory, avoided};
use super::snapshot::{Quiet, SnapshotRequest, take};

/// Backups of a process that read files at once. None reads while it waits for a store, which may keep silent for hours: the profiles
/// in other stores have their turn meanwhile.
static READING: Semaphore = Semaphore::const_new(2);

/// Order of one backup.
pub struct BackupOrder {
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
#[derive(Debug, Clone)]
pub struct BackupReport {
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
    pub quiet: Quiet,
    pub stopped_ms: f64,
    pub tries: u32,
    /// Packs that the store had lost: what the profile has of them was stored again, and generations that need the rest are given up.
    pub repaired: usize,
    /// Reason that superfluous packs could not be removed.
    pub uncollected: Option<String>,
}

/// Makes the backups of one profile, one at a time.
#[derive(Default)]
pub struct Keeper(Mutex<ProfileMemory>);

impl Keeper {
    /// Backs the profile up. Resolves when any machine with the keys can restore it.
    pub async fn backup(&self, session: &Session, order: BackupOrder) -> Result<BackupReport> {
        let began = session.host().now();
        let backed_up = self.back_up(session, order).await;
        match &backed_up {
            Ok(_) => METERS.profile_backups.observe(session.host().now().saturating_sub(began)),
            Err(error) => METERS.profile_failures.one(error.code()),
        }
        backed_up
    }

    async fn back_up(&self, session: &Session, order: BackupOrder) -> Result<BackupReport> {
        let mut memory = self.0.lock().await;
        session.journal().life().refusal()?;
        let first = generation(&mut memory, session, &order).await?;
        if !(memory.must_look(session) || order.audit) {
            return Ok(first);
        }
        match memory.look(session, order.refresh).await {
            Ok(false) => Ok(first),
            Ok(true) => {
                let again = generation(&mut memory, session, &order).await?;
                Ok(BackupReport {
                    changed: first.changed || again.changed,
                    sent: first.sent + again.sent,
                    packs: first.packs + again.packs,
                    repaired: first.repaired + again.repaired,
                    ..again
                })
            }
            Err(error) => Ok(BackupReport { uncollected: Some(error.message), ..first }),
        }
    }
}

/// One pass over the profile: what it has that the state does not becomes a generation.
async fn generation(
    memory: &mut ProfileMemory,
    session: &Session,
    order: &BackupOrder,
) -> Result<BackupReport> {
    let before = session.journal().read(Catalog::read)??;
    let lost = memory.lost(&before);
    let (host, request) = (Arc::clone(session.host()), Arc::clone(&order.snapshot));
    let mut snapshot = reading(session.host(), move || take(host.as_ref(), &request)).await??;
    if !snapshot.stopped.is_zero() {
        METERS.profile_stops.observe(snapshot.stopped);
    }
    let avoided = avoided(&before, &lost);
    let (unread, mut files) = memory.unchanged(&before, &avoided, std::mem::take(&mut snapshot.files));
    let mut known = before.index();
    known.retain(|_, piece| !avoided.contains(&piece.pack));
    let cutter = Cutter::new(unread, known, before.head.map_or(0, |head| head.next_pack));
    let (cutter, packs) = store_all(session, cutter).await?;
    let (cut, next_pack) = cutter.finish();
    files.extend(cut);
    let marks = files.iter().map(|(file, _)| (file.path.clone(), file.mark.clone())).collect();
    let files = files.into_iter().map(|(file, version)| (file.path, version)).collect();
    let contents = Inventory { files, packs, next_pack, quiet: snapshot.quiet };
    let terms =
        CommitTerms { keep: order.keep, lost: &lost, marker: order.marker.clone(), timeout: order.timeout };
    let CommitOutcome { generation, changed, freed } = commit(session, &before, &contents, terms).await?;
    memory.remember(marks, !freed.is_empty());
    Ok(BackupReport {
        generation,
        changed,
        files: contents.files.len(),
        bytes: contents.files.values().map(|version| version.size).sum(),
        sent: contents.packs.values().map(|pack| u64::from(pack.stored)).sum(),
        packs: contents.packs.len(),
        quiet: snapshot.quiet,
        stopped_ms: snapshot.stopped.as_secs_f64() * 1000.0,
        tries: snapshot.tries,
        repaired: freed.intersection(&lost).count(),
        uncollected: None,
    })
}

/// Stores the packs that are cut, one after another: one of them is in memory.
async fn store_all(session: &Session, mut cutter: Cutter) -> Result<(Cutter, BTreeMap<u64, Pack>)> {
    let owner = session.owner()?;
    let mut packs = BTreeMap::new();
    loop {
        let (back, cut) = reading(session.host(), move || {
            let cut = cutter.next_pack();
            (cutter, cut)
        })
        .await?;
        cutter = back;
        let Some((number, body)) = cut? else { return Ok((cutter, packs)) };
        packs.insert(number, store(owner, number, body).await?);
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
