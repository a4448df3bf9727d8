//! Restoring the profile of a browser without a claim: for operators, and for drills.

use std::path::PathBuf;

use crate::error::{Code, Error, Result, Staleness};
use crate::profile::{Catalog, RestoreOutcome, restore_from};
use crate::registry::{OpenRequest, Registry, store_of};
use crate::session::open::{StateReport, report, whole};

/// Outcome of an extraction.
#[derive(Debug, Clone)]
pub struct Extraction {
    /// The state that was read.
    pub report: StateReport,
    /// The generation, as it lies in the folder.
    pub restored: RestoreOutcome,
}

/// Restores a generation, or the newest one, to the folder `to`, which must not be there. The owner goes on.
pub async fn extract_profile(
    registry: &Registry,
    request: OpenRequest,
    to: PathBuf,
    generation: Option<u64>,
) -> Result<Extraction> {
    let site = registry.site(store_of(&request)?)?;
    let address = &request.settings.address;
    let tenancy = address.tenancy(site.clone(), address.name()?);
    let mut left = Staleness::default();
    loop {
        let (parent, audit) = whole(address, site.clone()).await?;
        let catalog = Catalog::read(&audit.restored.state)?;
        if catalog.head.is_none() {
            return Err(Error::new(Code::NotFound, "this profile has no backup yet"));
        }
        match restore_from(&tenancy, &catalog, to.clone(), generation).await {
            Ok(restored) => return Ok(Extraction { report: report(parent, &audit), restored }),
            // What looks like a loss may be a pack that its owner collected meanwhile. A pack that is damaged stays so.
            Err(error) => left.again(error)?,
        }
    }
}
