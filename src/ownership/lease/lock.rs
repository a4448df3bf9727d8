//! The lock of an owner without a log: it says that its process is connected, and falls with the connection.
//!
//! A free lock shortens the wait for a predecessor and decides nothing: one that lost only its connection is refused at its next
//! check, and what it had not got acknowledged was promised to nobody, because without a log a write resolves only then.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::Owner;
use crate::error::Result;
use crate::format::name::{ClaimName, Mark};
use crate::id::Claim;
use crate::ownership::tenancy::Tenancy;

/// Time for which a lock has to be free: a connection that broke may be made again.
const GRACE: Duration = Duration::from_millis(250);

/// Terms of an owner, as its claim states them.
#[derive(Debug, Clone, Copy, Default)]
pub struct OwnerTerms {
    /// Least often that it looks for a higher claim.
    pub interval: Duration,
    /// True if it holds a lock while it is connected.
    pub locks: bool,
}

fn lock_of(claim: &Claim) -> u64 {
    let digest = Sha256::digest(claim.to_string().as_bytes());
    digest.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// The lock of `claim`, if the store has such locks and this process holds it now.
pub async fn held(tenancy: &Tenancy, claim: &Claim) -> Option<u64> {
    let lock = lock_of(claim);
    if tenancy.remote.hold_lock(lock).await {
        return Some(lock);
    }
    tenancy.remote.release_lock(lock);
    None
}

/// Terms of the owner that made `claim`.
pub async fn terms_of(tenancy: &Tenancy, claim: &Claim) -> Result<OwnerTerms> {
    let name = ClaimName { claim: *claim, mark: Mark::Claimed };
    let body = match tenancy.mark(&name).await {
        Ok(Some(object)) => tenancy.open(&object),
        Ok(None) => return Ok(OwnerTerms::default()),
        Err(error) => Err(error),
    };
    match body {
        Ok(body) => {
            let millis = body.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
            let interval = Duration::from_millis(millis.min(600_000));
            Ok(OwnerTerms { interval, locks: body.get(8) == Some(&1) })
        }
        // A damaged claim says nothing about its owner; one's own interval has to do.
        Err(error) if error.cause.is_loss() => Ok(OwnerTerms::default()),
        Err(error) => Err(error),
    }
}

/// The absence of a predecessor whose lock is free.
#[derive(Default)]
pub struct Absence {
    since: Option<(Claim, Duration)>,
}

impl Absence {
    /// End of the wait for `predecessor`, if its lock is free.
    pub async fn end(&mut self, tenancy: &Tenancy, predecessor: &Claim) -> Result<Option<Duration>> {
        let is_gone = terms_of(tenancy, predecessor).await?.locks
            && tenancy.remote.is_lock_free(lock_of(predecessor)).await;
        self.since = self.since.filter(|(claim, _)| is_gone && claim == predecessor);
        if is_gone && self.since.is_none() {
            // As of the answer: it may have been held until the question arrived.
            self.since = Some((*predecessor, tenancy.host().now()));
        }
        Ok(self.since.map(|(_, since)| since + GRACE))
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        if let Some(lock) = self.lock {
            self.tenancy.remote.release_lock(lock);
        }
    }
}
