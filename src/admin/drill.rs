//! The drill: restores a session into a folder, reads it back from the disk, and holds it against what its owner has.
//!
//! The owner is not stopped. What it had at the LSN that the store has is taken from its memory, which keeps it for the time of a
//! look if it is open here, or else from its log, read beside it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Cause, Code, Error, Result};
use crate::id::{Claim, Digest, Lsn, hex};
use crate::journal::memtable::Memtable;
use crate::platform::host::blocking;
use crate::registry::{OpenRequest, Registry, store_of};
use crate::session::open::{Address, whole};
use crate::wal::{Folder, Lineage, Past, Recovery, Wal, look, state_at};

/// Times that a state that changes meanwhile is looked at again.
const LOOKS: usize = 4;

/// The comparison, and its durations.
#[derive(Debug, Clone)]
pub struct Drill {
    pub epoch: u64,
    pub lsn: Lsn,
    pub clean: bool,
    pub keys: usize,
    pub bytes: usize,
    pub digests: Digests,
    pub owner: OwnerPlace,
    pub ms: Steps,
}

/// SHA-256 of keys and values at the same LSN.
#[derive(Debug, Clone)]
pub struct Digests {
    /// Of those that the store has.
    pub store: String,
    /// Of those that were read back from the folder.
    pub restored: String,
    /// Of those that the owner had.
    pub owner: Option<String>,
}

/// Place from which the owner's state was taken.
#[derive(Debug, Clone, Copy)]
pub enum OwnerPlace {
    Memory,
    Log,
    /// On another machine: it was not compared.
    Elsewhere,
}

impl OwnerPlace {
    /// The stable name that JavaScript sees.
    pub fn as_str(self) -> &'static str {
        match self {
            OwnerPlace::Memory => "memory",
            OwnerPlace::Log => "log",
            OwnerPlace::Elsewhere => "elsewhere",
        }
    }
}

/// Milliseconds for each step.
#[derive(Debug, Clone, Copy, Default)]
pub struct Steps {
    pub download: u64,
    pub write: u64,
    pub read: u64,
    pub compare: u64,
}

/// Drills a restore into `folder`, the directory of a machine that has nothing yet. Gives the report and the entries read back.
pub async fn drill(
    registry: &Registry,
    request: OpenRequest,
    folder: PathBuf,
    timeout: Duration,
) -> Result<(Drill, Vec<u8>)> {
    let spec = store_of(&request)?.clone();
    let address = request.settings.address;
    let site = registry.site(&spec)?;
    let host = registry.host();
    let open = registry.open_already(&address, Some(&spec)).await;
    let open = open.filter(|(_, store)| store.as_deref() == Some(&spec));
    let began = host.now();
    let mut ms = Steps::default();
    let mut lap = {
        let mut since = began;
        move || {
            let now = host.now();
            let took = now.saturating_sub(std::mem::replace(&mut since, now));
            u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
        }
    };
    let mut found = None;
    for _ in 0..LOOKS {
        let recorder = match &open {
            Some((session, _)) => {
                let recorder = session.journal().record_cuts()?;
                session.flush(timeout).await?;
                Some(recorder)
            }
            None => None,
        };
        let (parent, audit) = whole(&address, site.clone()).await?;
        ms.download += lap();
        let lsn = audit.restored.end.lsn;
        let owner = match recorder.and_then(|recorder| recorder.at(lsn)) {
            Some(entries) => OwnerState::Memory(entries),
            None => from_log(registry, &address, parent, lsn).await?,
        };
        ms.compare += lap();
        // The log was rewritten since, and begins later: what the store has by now is in it. Or so much was stored during the
        // look that memory did not keep it all.
        let is_settled = match owner {
            OwnerState::Memory(_) | OwnerState::Log(Some(_)) => true,
            OwnerState::Log(None) => false,
            OwnerState::Elsewhere => open.is_none(),
        };
        found = Some((parent, audit, owner));
        if is_settled {
            break;
        }
    }
    let Some((parent, audit, owner)) = found else {
        return Err(Error::new(Code::Internal, "nothing was checked"));
    };
    let restored = audit.restored;
    let (lsn, keys, bytes) = (restored.end.lsn, restored.state.len(), restored.state.bytes());
    let entries = restored.state.snapshot().encode();
    let store = digest(&entries);
    write(registry, &address, &folder, parent, lsn, entries).await?;
    ms.write = lap();
    let entries = read_back(registry, &address, &folder, lsn).await?;
    ms.read = lap();
    let (owner, held) = match owner {
        OwnerState::Memory(entries) => (OwnerPlace::Memory, Some(entries)),
        OwnerState::Log(entries) => (OwnerPlace::Log, entries),
        OwnerState::Elsewhere => (OwnerPlace::Elsewhere, None),
    };
    let report = Drill {
        epoch: parent.epoch,
        lsn,
        clean: restored.clean,
        keys,
        bytes,
        digests: Digests { store, restored: digest(&entries), owner: held.as_deref().map(digest) },
        owner,
        ms: Steps { compare: ms.compare + lap(), ..ms },
    };
    Ok((report, entries))
}

/// State of the owner.
enum OwnerState {
    Memory(Vec<u8>),
    /// Nothing, if the log has other LSNs.
    Log(Option<Vec<u8>>),
    Elsewhere,
}

fn digest(entries: &[u8]) -> String {
    hex(&Digest::of(entries).0)
}

/// The owner's state at `lsn`, if this machine has its log.
async fn from_log(registry: &Registry, address: &Address, claim: Claim, lsn: Lsn) -> Result<OwnerState> {
    let (disk, path, ring, tag) =
        (Arc::clone(registry.disk()), address.folder.clone(), Arc::clone(&address.ring), address.log_tag());
    let found =
        blocking(registry.host(), move || state_at(disk.as_ref(), &path, &ring, tag, claim, lsn)).await?;
    Ok(match found {
        Past::Found(entries) => OwnerState::Log(Some(Memtable::replay(&entries)?.snapshot().encode())),
        Past::Missing => OwnerState::Log(None),
        Past::Elsewhere => OwnerState::Elsewhere,
    })
}

fn place(address: &Address, folder: &std::path::Path) -> PathBuf {
    address.folder.file_name().map_or_else(|| folder.to_owned(), |name| folder.join(name))
}

/// Writes the log that a blank machine would start with.
async fn write(
    registry: &Registry,
    address: &Address,
    folder: &std::path::Path,
    claim: Claim,
    lsn: Lsn,
    entries: Vec<u8>,
) -> Result<()> {
    let lineage = Lineage { ring: Arc::clone(&address.ring), tag: address.log_tag(), claim };
    let (disk, path, host) =
        (Arc::clone(registry.disk()), place(address, folder), Arc::clone(registry.host()));
    blocking(registry.host(), move || {
        if look(disk.as_ref(), &path, &lineage.ring, lineage.tag)?.is_some_and(|look| look.bytes > 0) {
            return Err(Error::new(
                Code::InvalidOption,
                "the folder of the drill already contains a session of this tenant; choose an empty one",
            ));
        }
        let folder = Arc::new(Folder::lock(disk, &path)?);
        Wal::create(&folder, host.as_ref(), lineage, lsn, &entries).map(|_| ())
    })
    .await
}

async fn read_back(
    registry: &Registry,
    address: &Address,
    folder: &std::path::Path,
    lsn: Lsn,
) -> Result<Vec<u8>> {
    let (disk, path, ring, tag) =
        (Arc::clone(registry.disk()), place(address, folder), Arc::clone(&address.ring), address.log_tag());
    let found = blocking(registry.host(), move || look(disk.as_ref(), &path, &ring, tag)).await?;
    match found.map(|look| look.recovery).transpose()? {
        Some(Recovery::Log(log)) if log.lsn == lsn => Ok(Memtable::replay(&log.entries)?.snapshot().encode()),
        _ => Err(Error::new(
            Cause::LocalDamage,
            "the data written to the folder of the drill cannot be read back",
        )),
    }
}
