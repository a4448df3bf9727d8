//! Verifying: whether a blank machine could restore a session, found out without claiming or writing anything.
//!
//! Whoever owns the session is not disturbed, and the answer is as of a moment during the call. It reads all that a restore
//! could come to need, also the older base that is kept against damage.

use serde::Serialize;

use crate::error::{Code, Error, Result};
use crate::id::{Claim, Digest, Lsn, OwnerId, hex};
use crate::plan::{Allowed, Local, Source, origin};
use crate::restore::{Audit, audit};

use super::{SURVEYS, Settings, Site, restless};

/// What a blank machine would restore.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The claim that wrote it last.
    epoch: u64,
    /// The last write in it.
    lsn: Lsn,
    /// Whether its owner ended there: nothing it ever resolved is missing.
    clean: bool,
    /// Keys, the credentials among them.
    keys: usize,
    /// Their bytes, unpacked.
    bytes: usize,
    /// SHA-256 of all of them: equal states have equal digests.
    digest: String,
    /// Objects in the best way to restore it.
    objects: usize,
    /// How many ways there are.
    ways: usize,
    /// What is wrong with ways that are damaged.
    damage: Vec<String>,
}

/// Checks all that `site` holds of the tenant that `settings` name.
pub async fn verify(settings: &Settings, site: Site) -> Result<Report> {
    Ok(peek(settings, site).await?.0)
}

/// The same, with the entries that a blank machine would restore.
pub async fn peek(settings: &Settings, site: Site) -> Result<(Report, Vec<u8>)> {
    let tenancy = settings.tenancy(site, settings.name()?);
    let mut last = None;
    for _ in 0..SURVEYS {
        let survey = tenancy.survey().await?;
        let anybody = Claim { epoch: u64::MAX, owner: OwnerId([u8::MAX; 16]) };
        let found = match origin(&survey, &anybody, Local::None, Allowed::default()) {
            Ok(found) => found,
            Err(error) if error.code == Code::RemoteCorrupt => {
                last = Some(error);
                continue;
            }
            Err(error) => return Err(error),
        };
        let (Source::Remote(_), Some(parent)) = (found.source, found.parent) else {
            return Err(Error::new(Code::NotFound, "the store holds no session of this tenant"));
        };
        match audit(&tenancy, &survey, parent).await {
            Ok(Some(audit)) => return Ok(report(parent, audit)),
            Ok(None) => {}
            // What looks like a loss may be a listing that a collection went through.
            Err(error) if error.code == Code::RemoteCorrupt => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(restless))
}

fn report(parent: Claim, audit: Audit) -> (Report, Vec<u8>) {
    let Audit { restored, ways, objects, damage } = audit;
    let state = &restored.state;
    let entries = state.snapshot().encode();
    let report = Report {
        epoch: parent.epoch,
        lsn: restored.end.lsn,
        clean: restored.clean,
        keys: state.len(),
        bytes: state.bytes(),
        digest: hex(&Digest::of(&entries).0),
        objects,
        ways,
        damage: damage.iter().map(Error::to_string).collect(),
    };
    (report, entries)
}
