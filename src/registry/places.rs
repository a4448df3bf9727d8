//! Places of sessions: what one process opens once and shares, and what it must not open in two ways.
//!
//! A session with a folder is known by it, so that a process may be several machines to one store. One without is known by
//! its store and tenant, and nothing but it may then have that tenant in that store: the two would throw each other out.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use crate::error::{Code, Error, Result};
use crate::platform::sync::Mutex;
use crate::session::Mode;
use crate::session::open::Address;
use crate::store::StoreSpec;

/// Key by which opens share a session.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// The folder of the local log.
    Folder(PathBuf),
    /// A tenant in a store.
    Store(Arc<StoreSpec>, String),
}

impl Place {
    /// The place of a session that is to be opened.
    pub fn of(address: &Address, store: Option<&Arc<StoreSpec>>) -> Place {
        match (address.mode, store) {
            (Mode::Cloud, Some(store)) => Place::Store(Arc::clone(store), address.tenant.clone()),
            _ => Place::Folder(address.folder.clone()),
        }
    }
}

type Key = (Arc<StoreSpec>, String);

/// Sessions of one tenant in one store, all of the same mode.
struct Sessions {
    mode: Mode,
    number: usize,
}

/// Sessions by their store.
#[derive(Clone, Default)]
pub struct Guests(Arc<Mutex<HashMap<Key, Sessions>>>);

/// A session's stay in its store, until it is dropped.
pub struct Stay {
    guests: Guests,
    key: Key,
}

impl Guests {
    /// Lets a session into its store; a session without a store needs no leave.
    pub fn enter(&self, address: &Address, store: Option<&Arc<StoreSpec>>) -> Result<Option<Stay>> {
        let Some(store) = store else { return Ok(None) };
        let key = (Arc::clone(store), address.tenant.clone());
        let mut guests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mode = address.mode;
        let sessions = guests.entry(key.clone()).or_insert(Sessions { mode, number: 0 });
        if sessions.mode != mode {
            let other = sessions.mode.as_str();
            return Err(Error::new(
                Code::InvalidOption,
                format!("this process has this tenant open in another `mode`, {other}: close it there first"),
            ));
        }
        sessions.number += 1;
        drop(guests);
        Ok(Some(Stay { guests: self.clone(), key }))
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        let mut guests = self.guests.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sessions) = guests.get_mut(&self.key) {
            sessions.number -= 1;
            if sessions.number == 0 {
                guests.remove(&self.key);
            }
        }
    }
}
