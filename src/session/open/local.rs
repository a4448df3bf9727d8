//! Opening without a store: the log is all there is.
//!
//! A session that was in a store has perhaps another owner by now, whom nothing here could see. Only whoever says that it is to
//! be local cuts it off; a variable that is missing once does not (I17).

use std::sync::Arc;

use crate::error::{Code, Error, Result};
use crate::format::object::Link;
use crate::id::{Claim, OwnerId};
use crate::journal::Journal;
use crate::journal::memtable::Memtable;
use crate::ownership::decide::log_is_damaged;
use crate::platform::host::random;
use crate::session::{Origin, Session};
use crate::wal::Recovery;

use super::salvage::{Leftover, local_of};
use super::{LoadedState, Opening};

impl Opening {
    /// Opens a session that has no store.
    pub(super) async fn local(self, recovery: Recovery, seed: Option<Vec<u8>>) -> Result<Session> {
        if !self.settings.permissions.allowed.leave_store && self.was_replicated(&recovery) {
            return Err(cut_off());
        }
        let left = Leftover::of(&recovery);
        let (loaded, claim) = match recovery {
            Recovery::None => {
                let claim = Claim { epoch: 0, owner: OwnerId::of_user(random(self.host.as_ref())) };
                (self.fresh(seed)?, claim)
            }
            Recovery::Log(log) => {
                let origin = Origin::local(log.is_clean());
                let state = Memtable::replay(&log.entries)?;
                // The claim stays: should this log meet a store again, it is known whose history it continues.
                (LoadedState { state, lsn: log.lsn, previous: Link::default(), origin }, log.claim)
            }
            Recovery::Locked(log) => return Err(log.error),
            Recovery::Damaged(damage) => {
                return Err(log_is_damaged(damage.good, damage.reason));
            }
        };
        let LoadedState { state, lsn, origin, .. } = self.identified(loaded)?;
        let log = self.start_log(claim, lsn, &state, left).await?;
        let journal = Arc::new(Journal::local(Arc::clone(&self.host), state, lsn, log));
        Ok(Session::local(self.host, journal, self.events, origin))
    }

    /// True if this session was in a store before, as far as this disk knows: a claim was made from here, or wrote the log.
    fn was_replicated(&self, recovery: &Recovery) -> bool {
        let written = local_of(recovery).claim().is_some_and(|claim| claim.epoch > 0);
        written || !self.home.dead().is_empty()
    }
}

fn cut_off() -> Error {
    Error::new(
        Code::InvalidOption,
        "this session was in a store, and none is configured here: set the variables of the bucket again, or set `mode: 'local'` to disconnect the session from its store",
    )
}
