//! Verifying: whether a blank machine could restore a session, found out without claiming or writing anything.
//!
//! Whoever owns the session is not disturbed, and the answer is as of a moment during the call. It reads all that a restore
//! could come to need, also the older base that is kept against damage.

use crate::error::{Code, Error, Result, Staleness};
use crate::id::{Claim, Digest, Lsn, OwnerId, hex};
use crate::journal::memtable::Memtable;
use crate::ownership::decide::{Local, Overrides, Source, origin};
use crate::ownership::naming;
use crate::replication::restore::{Audit, audit};

use super::{Address, NO_CREDENTIALS, Site, lacks_credentials};

/// The state that a new machine would restore.
#[derive(Debug, Clone)]
pub struct StateReport {
    /// The claim that wrote it last.
    pub epoch: u64,
    /// The last write in it.
    pub lsn: Lsn,
    /// True if its owner ended there: nothing it ever resolved is missing.
    pub clean: bool,
    /// Keys, the credentials among them.
    pub keys: usize,
    /// Their bytes, unpacked.
    pub bytes: usize,
    /// SHA-256 of all of them: equal states have equal digests.
    pub digest: String,
    /// Objects in the best way to restore it.
    pub objects: usize,
    /// Number of ways.
    pub ways: usize,
    /// Damage of the ways that have some.
    pub damage: Vec<String>,
}

/// Checks all that `site` holds of a tenant.
pub async fn verify(address: &Address, site: Site) -> Result<StateReport> {
    let (parent, audit) = whole(address, site).await?;
    Ok(report(parent, &audit))
}

/// Reads and checks all that `site` holds of a tenant, and whose it is.
pub async fn whole(address: &Address, site: Site) -> Result<(Claim, Audit)> {
    let tenancy = address.tenancy(site, address.name()?);
    let mut left = Staleness::default();
    loop {
        let survey = tenancy.survey().await?;
        let anybody = Claim { epoch: u64::MAX, owner: OwnerId([u8::MAX; 16]) };
        let found = match origin(&survey, &anybody, Local::None, Overrides::default()) {
            Ok(found) => found,
            Err(error) => {
                left.again(error)?;
                continue;
            }
        };
        let (Source::Remote(_), Some(parent)) = (found.source, found.parent) else {
            naming::require_only(&tenancy, &address.tenant, address.hide_tenant).await?;
            return Err(Error::new(Code::NotFound, "the store has no session of this tenant"));
        };
        match audit(&tenancy, &survey, parent).await {
            Ok(audit) => return Ok((parent, audit)),
            // What looks like a loss may be a listing that a collection went through. Damage is what the caller wants to know.
            Err(error) => left.again(error)?,
        }
    }
}

/// The words for it.
pub fn report(parent: Claim, audit: &Audit) -> StateReport {
    let Audit { restored, ways, objects, damage } = audit;
    let (ways, objects) = (*ways, *objects);
    let state = &restored.state;
    StateReport {
        epoch: parent.epoch,
        lsn: restored.end.lsn,
        clean: restored.clean,
        keys: state.len(),
        bytes: state.bytes(),
        digest: hex(&Digest::of(&state.snapshot().encode()).0),
        objects,
        ways,
        damage: told(damage, state),
    }
}

/// The damage of a session: of its objects, and of what they restore to.
pub fn told(damage: &[Error], state: &Memtable) -> Vec<String> {
    let lacking = lacks_credentials(state).then(|| NO_CREDENTIALS.to_owned());
    damage.iter().map(Error::to_string).chain(lacking).collect()
}
