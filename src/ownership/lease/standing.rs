//! Standing: whether an owner still is one, by a listing.
//!
//! A higher claim ends an owner for good, whatever it was about to do (I3).

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;

use super::Owner;
use crate::id::Claim;
use crate::ownership::decide::Claims;
use crate::store::Failure;

/// Standing of an owner, as one listing showed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its claim is the highest.
    Owner,
    /// There is a higher claim.
    Fenced(Claim),
    /// A tombstone covers this claim, or what it goes on from.
    Deleted,
    /// Its claim is not there at all, and no higher one either: the store was emptied.
    Forgotten,
}

impl Owner {
    /// Standing of this owner, by a LIST that starts after this call; asked once.
    pub async fn check(&self) -> Result<Standing, Failure> {
        Ok(self.standing(&self.tenancy.look(self.interval / 2).await?))
    }

    /// Standing of this owner, by a LIST that started at `tick` or later, and that others may have asked for; asked once. It may
    /// wait as long as `within` for those who ask for the same.
    pub async fn check_since(&self, tick: Duration, within: Duration) -> Result<Standing, Failure> {
        Ok(self.standing(&self.tenancy.look_since(tick, within, self.interval / 2).await?))
    }

    /// Stores an object, once, and gives the standing of this owner by a LIST that started after it was stored, where the store makes
    /// that one exchange.
    pub async fn put_then_check(&self, name: &str, bytes: Bytes) -> Result<Option<Standing>, Failure> {
        let claims = self.tenancy.put_then_look(name, bytes, self.interval / 2).await?;
        Ok(claims.map(|claims| self.standing(&claims)))
    }

    /// Keeps in mind that a higher claim ended this session: a store that goes back may show none any more.
    pub fn lose(&self) {
        self.outrun.store(true, Ordering::Relaxed);
    }

    /// True once a higher claim ended this session.
    pub fn has_lost(&self) -> bool {
        self.outrun.load(Ordering::Relaxed)
    }

    /// Standing of this owner among `claims`. A tombstone in doubt ends it only as the claim that it is in the name of, if that is higher.
    pub fn standing(&self, claims: &Claims) -> Standing {
        let covered = self.parent.get().unwrap_or(&self.claim);
        if let Some(doubt) = claims.doubt().filter(|doubt| doubt >= covered && *doubt < self.claim) {
            self.tenancy.known.ignore_tombstone(doubt);
        }
        if claims.floor().is_some_and(|floor| floor >= *covered) {
            return Standing::Deleted;
        }
        match claims.highest() {
            Some(highest) if highest == self.claim => Standing::Owner,
            Some(highest) if highest > self.claim => Standing::Fenced(highest),
            _ => Standing::Forgotten,
        }
    }
}
