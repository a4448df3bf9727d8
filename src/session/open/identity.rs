//! Sessions without an identity yet, and keys without credentials: a session that lost its identity, and none that anybody can go
//! on with (I17).
//!
//! Baileys would make new credentials beside the old keys, and the number would have to be linked again. It is said by one rule
//! wherever a session is opened or looked at; a state with nothing in it is a session that was not paired yet, and lost nothing.

use crate::error::{Code, Error, Result};
use crate::format::object::Link;
use crate::format::record::{CREDS_KEY, PROFILE_KEY};
use crate::journal::memtable::Memtable;
use crate::session::Origin;

use super::{LoadedState, Opening, Permissions, missing};

/// The damage, in the words of all tools.
pub const NO_CREDENTIALS: &str = "it has no credentials";

/// True if `state` has keys, and no credentials that they belong to. A browser profile has its identity in its files.
pub fn lacks_credentials(state: &Memtable) -> bool {
    state.len() > 0 && state.get(CREDS_KEY).is_none() && state.get(PROFILE_KEY).is_none()
}

/// Refuses a session of the other library: its state would be taken for none.
fn require_kind(state: &Memtable, is_profile: bool) -> Result<()> {
    if state.len() == 0 || state.get(PROFILE_KEY).is_some() == is_profile {
        return Ok(());
    }
    Err(Error::new(
        Code::InvalidOption,
        if is_profile {
            "this is a session of Baileys and not a browser profile; open it with `useHybridAuthState`"
        } else {
            "this is a browser profile and not a session of Baileys; open it with `HybridAuth` or `openProfile`"
        },
    ))
}

/// The error of whoever needs an identity.
pub fn no_identity() -> Error {
    Error::new(
        Code::NotFound,
        "this session has keys but no credentials, so it has no identity: call `saveCreds` at each `creds.update`",
    )
}

impl Opening {
    /// A session that exists nowhere: what was imported, or nothing.
    pub(super) fn fresh(&self, seed: Option<Vec<u8>>) -> Result<LoadedState> {
        let (state, lsn, origin) = match seed {
            Some(entries) => {
                self.home.takes_in()?;
                (Memtable::replay(&entries)?, 1, Origin::imported())
            }
            None if self.settings.permissions.create => (Memtable::default(), 0, Origin::fresh()),
            None => return Err(missing()),
        };
        Ok(LoadedState { state, lsn, previous: Link { lsn, ..Link::default() }, origin })
    }

    /// Refuses a state without an identity where none may be made.
    pub(super) fn require_identity(&self, state: &Memtable) -> Result<()> {
        let Permissions { create, profile, without_creds, .. } = self.settings.permissions;
        if !without_creds {
            require_kind(state, profile)?;
        }
        if !create && !without_creds && lacks_credentials(state) {
            return Err(no_identity());
        }
        Ok(())
    }

    /// Gives back `loaded` if there is an identity in it or one may be made; that one is made is told.
    pub(super) fn identified(&self, loaded: LoadedState) -> Result<LoadedState> {
        self.require_identity(&loaded.state)?;
        if self.settings.permissions.without_creds || !lacks_credentials(&loaded.state) {
            return Ok(loaded);
        }
        self.tell_repaired(
            "the session has keys but no credentials: a new identity is created, and the number must be linked again".to_owned(),
        );
        let origin = Origin { clean: loaded.origin.clean, ..Origin::fresh() };
        Ok(LoadedState { origin, ..loaded })
    }
}
