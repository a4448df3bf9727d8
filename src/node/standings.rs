//! Standings of tenants: the inspection of one, the survey of all, with the names of `types/tools.d.ts`.

use std::collections::BTreeMap;

use napi_derive::napi;

use super::promise::Failure;
use crate::admin;

/// State of a tenant, in the store and here.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct Inspection {
    /// Contents of the store; `null` without one.
    pub store: Option<Stored>,
    /// Contents of this machine; `null` if there is no folder here.
    pub local: Option<Here>,
}

impl From<admin::Inspection> for Inspection {
    fn from(admin::Inspection { store, local }: admin::Inspection) -> Inspection {
        Inspection { store: store.map(Stored::from), local: local.map(Here::from) }
    }
}

/// Number of objects of one kind, and their bytes in the store.
#[napi(object, object_from_js = false)]
pub struct Amount {
    /// Their number.
    pub count: f64,
    /// Their bytes.
    pub bytes: f64,
}

impl From<admin::Amount> for Amount {
    fn from(admin::Amount { count, bytes }: admin::Amount) -> Amount {
        Amount { count: count as f64, bytes: bytes as f64 }
    }
}

/// Keys of one type.
#[napi(object, object_from_js = false)]
pub struct Share {
    /// Their number.
    pub keys: f64,
    /// Bytes of the keys and their values.
    pub bytes: f64,
}

/// The state that a new machine would restore.
#[napi(object, object_from_js = false)]
pub struct Contents {
    /// Keys, the credentials among them.
    pub keys: f64,
    /// Bytes of keys and values, uncompressed.
    pub bytes: f64,
    /// The same by type; the credentials are `creds`.
    #[napi(ts_type = "Record<string, Share>")]
    pub types: BTreeMap<String, Share>,
    /// True if its owner ended there.
    pub clean: bool,
    /// SHA-256 of all keys and values.
    pub digest: String,
    /// Ways to restore it.
    pub ways: f64,
}

impl From<admin::Contents> for Contents {
    fn from(contents: admin::Contents) -> Contents {
        let share = |share: admin::Share| Share { keys: share.keys as f64, bytes: share.bytes as f64 };
        Contents {
            keys: contents.keys as f64,
            bytes: contents.bytes as f64,
            types: contents.types.into_iter().map(|(name, of)| (name, share(of))).collect(),
            clean: contents.clean,
            digest: contents.digest,
            ways: contents.ways as f64,
        }
    }
}

/// Contents of the store.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct Stored {
    /// The owner, by its marks.
    #[napi(ts_type = "import('./types/tools.js').SessionOwner")]
    pub owner: &'static str,
    /// The highest claim: its epoch; `null` if there is none.
    pub epoch: Option<f64>,
    /// Its text.
    pub claim: Option<String>,
    /// Time of that claim, by the clock of its machine, in milliseconds since 1970.
    pub claimed_at: Option<f64>,
    /// Time of its release or deletion, by the clock of its machine, in milliseconds since 1970.
    pub ended_at: Option<f64>,
    /// The last write in the store.
    pub lsn: Option<f64>,
    /// Time at which the newest object was made, by the clock of its machine, in milliseconds since 1970.
    pub made_at: Option<f64>,
    /// Time at which it was stored, perhaps again, by the clock of the store; `null` if it has no times.
    pub stored_at: Option<f64>,
    /// Full states.
    pub bases: Amount,
    /// Later changes.
    pub segments: Amount,
    /// Marks of ownership.
    pub marks: f64,
    /// Ids of the keys that are needed to read all of it.
    pub key_ids: Vec<String>,
    /// The state that a new machine would restore; `null` if there is none.
    pub contents: Option<Contents>,
    /// Objects that are damaged, one message each.
    pub damage: Vec<String>,
    /// The reason why there are no contents.
    pub error: Option<Failure>,
}

impl From<admin::StoreContents> for Stored {
    fn from(stored: admin::StoreContents) -> Stored {
        Stored {
            owner: stored.owner.as_str(),
            epoch: stored.epoch.map(|epoch| epoch as f64),
            claim: stored.claim,
            claimed_at: stored.claimed_at.map(|ms| ms as f64),
            ended_at: stored.ended_at.map(|ms| ms as f64),
            lsn: stored.lsn.map(|lsn| lsn as f64),
            made_at: stored.made_at.map(|ms| ms as f64),
            stored_at: stored.stored_at.map(|ms| ms as f64),
            bases: stored.bases.into(),
            segments: stored.segments.into(),
            marks: stored.marks as f64,
            key_ids: stored.key_ids,
            contents: stored.contents.map(Contents::from),
            damage: stored.damage,
            error: stored.error.map(Failure::from),
        }
    }
}

/// Contents of this machine.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct Here {
    /// Process that has the session open: this one, another one of this machine, or none.
    #[napi(ts_type = "'here' | 'elsewhere' | 'nobody'")]
    pub open: &'static str,
    /// Bytes of the log.
    pub log_bytes: f64,
    /// The epoch of the owner that wrote the log; `null` if it cannot be read.
    pub epoch: Option<f64>,
    /// The last write in it that can be read.
    pub lsn: Option<f64>,
    /// Ids of the keys that are needed to read it.
    pub key_ids: Vec<String>,
    /// The reason why it cannot be read.
    pub error: Option<Failure>,
}

impl From<admin::LocalContents> for Here {
    fn from(
        admin::LocalContents { open, log_bytes, epoch, lsn, key_ids, error }: admin::LocalContents,
    ) -> Here {
        Here {
            open: open.as_str(),
            log_bytes: log_bytes as f64,
            epoch: epoch.map(|epoch| epoch as f64),
            lsn: lsn.map(|lsn| lsn as f64),
            key_ids,
            error: error.map(Failure::from),
        }
    }
}

/// Standing of one tenant by the listings.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct TenantStanding {
    /// Its id; `null` where the store does not tell.
    pub tenant_id: Option<String>,
    /// Its name in the store.
    pub name: String,
    /// The owner, by its marks.
    #[napi(ts_type = "import('./types/tools.js').SessionOwner")]
    pub owner: &'static str,
    /// The highest claim: its epoch; `null` if there is none.
    pub epoch: Option<f64>,
    /// Its text.
    pub claim: Option<String>,
    /// The last write in the store.
    pub lsn: Option<f64>,
    /// Time at which its newest object was stored, by the clock of the store, in milliseconds since 1970.
    pub stored_at: Option<f64>,
    /// Bytes of its newest base, as stored.
    pub base_bytes: Option<f64>,
    /// Names that were made without a key, one message each.
    pub forged: Vec<String>,
    /// Other names of this tenant in the store.
    pub also_named: Vec<String>,
}

impl From<admin::TenantStanding> for TenantStanding {
    fn from(standing: admin::TenantStanding) -> TenantStanding {
        TenantStanding {
            tenant_id: standing.tenant_id,
            name: standing.name,
            owner: standing.owner.as_str(),
            epoch: standing.epoch.map(|epoch| epoch as f64),
            claim: standing.claim,
            lsn: standing.lsn.map(|lsn| lsn as f64),
            stored_at: standing.stored_at.map(|ms| ms as f64),
            base_bytes: standing.base_bytes.map(|bytes| bytes as f64),
            forged: standing.forged,
            also_named: standing.also_named,
        }
    }
}

/// The tenants that have a session in a store.
#[napi(object, object_from_js = false)]
pub struct Tenants {
    /// Their ids, in order.
    pub tenants: Vec<String>,
    /// Number of those whose ids the store does not tell.
    pub unnamed: f64,
}
