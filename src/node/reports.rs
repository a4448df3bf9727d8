//! Reports of the tools that restore: verification, dump, drill and extraction, with the names of `types/tools.d.ts`.

use napi::bindgen_prelude::Buffer;
use napi_derive::napi;

use crate::admin;
use crate::profile;
use crate::session::open;

/// State that a new machine would restore.
#[napi(object, object_from_js = false)]
pub struct VerifyReport {
    /// The epoch of the owner that wrote it last.
    pub epoch: f64,
    /// The last write in it.
    pub lsn: f64,
    /// True if its owner ended there: no write that was ever resolved is missing.
    pub clean: bool,
    /// Keys, the credentials among them.
    pub keys: f64,
    /// Bytes of keys and values, uncompressed.
    pub bytes: f64,
    /// SHA-256 of all keys and values: equal states have equal digests.
    pub digest: String,
    /// Objects in the best way to restore it.
    pub objects: f64,
    /// Ways to restore it.
    pub ways: f64,
    /// Damage of the ways that have some, and of the state; one message each.
    pub damage: Vec<String>,
}

impl From<open::StateReport> for VerifyReport {
    fn from(report: open::StateReport) -> VerifyReport {
        VerifyReport {
            epoch: report.epoch as f64,
            lsn: report.lsn as f64,
            clean: report.clean,
            keys: report.keys as f64,
            bytes: report.bytes as f64,
            digest: report.digest,
            objects: report.objects as f64,
            ways: report.ways as f64,
            damage: report.damage,
        }
    }
}

/// State that a new machine would restore, with its contents.
#[napi(object, object_from_js = false)]
pub struct Dump {
    /// The state, verified.
    pub report: VerifyReport,
    /// Its entries, as `entries` gives them.
    pub entries: Buffer,
}

impl From<(open::StateReport, Vec<u8>)> for Dump {
    fn from((report, entries): (open::StateReport, Vec<u8>)) -> Dump {
        Dump { report: report.into(), entries: entries.into() }
    }
}

/// SHA-256 of keys and values at the same LSN.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct Digests {
    /// The one of the store.
    pub store: String,
    /// The one that was read back from the folder.
    pub restored: String,
    /// The one of the owner; `null` where it is not at hand.
    pub owner: Option<String>,
}

/// Milliseconds for each step of a drill.
#[napi(object, object_from_js = false)]
pub struct DrillSteps {
    /// Reading and checking the objects.
    pub download: f64,
    /// Writing the log.
    pub write: f64,
    /// Reading it back.
    pub read: f64,
    /// Comparing with the owner.
    pub compare: f64,
}

/// A restore that was tried.
#[napi(object, object_from_js = false)]
pub struct Drill {
    /// The epoch of the owner that wrote the state last.
    pub epoch: f64,
    /// The last write in it.
    pub lsn: f64,
    /// True if its owner ended there.
    pub clean: bool,
    /// Keys, the credentials among them.
    pub keys: f64,
    /// Bytes of keys and values, uncompressed.
    pub bytes: f64,
    /// The states that were compared.
    pub digests: Digests,
    /// Origin of the owner's state: `elsewhere` if it was not compared.
    #[napi(ts_type = "'memory' | 'log' | 'elsewhere'")]
    pub owner: &'static str,
    /// Durations.
    pub ms: DrillSteps,
    /// The entries that were read back, as `entries` gives them.
    pub entries: Buffer,
}

impl From<(admin::Drill, Vec<u8>)> for Drill {
    fn from((drill, entries): (admin::Drill, Vec<u8>)) -> Drill {
        let admin::Drill { epoch, lsn, clean, keys, bytes, digests, owner, ms } = drill;
        let admin::Digests { store, restored, owner: held } = digests;
        Drill {
            epoch: epoch as f64,
            lsn: lsn as f64,
            clean,
            keys: keys as f64,
            bytes: bytes as f64,
            digests: Digests { store, restored, owner: held },
            owner: owner.as_str(),
            ms: DrillSteps {
                download: ms.download as f64,
                write: ms.write as f64,
                read: ms.read as f64,
                compare: ms.compare as f64,
            },
            entries: entries.into(),
        }
    }
}

/// A generation of a browser profile, as it was restored to a folder.
#[napi(object, object_from_js = false)]
pub struct Restored {
    /// Number of the generation.
    pub generation: f64,
    /// Its files.
    pub files: f64,
    /// Their bytes.
    pub bytes: f64,
}

impl From<profile::RestoreOutcome> for Restored {
    fn from(profile::RestoreOutcome { generation, files, bytes }: profile::RestoreOutcome) -> Restored {
        Restored { generation: generation as f64, files: files as f64, bytes: bytes as f64 }
    }
}

/// A browser profile that was restored without a claim.
#[napi(object, object_from_js = false)]
pub struct Extraction {
    /// The state that was read.
    pub report: VerifyReport,
    /// The generation, as it lies in the folder.
    pub restored: Restored,
}

impl From<admin::Extraction> for Extraction {
    fn from(admin::Extraction { report, restored }: admin::Extraction) -> Extraction {
        Extraction { report: report.into(), restored: restored.into() }
    }
}
