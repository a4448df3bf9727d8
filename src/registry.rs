//! The process-wide registry: handles, sessions opened more than once, and the stores they share.
//!
//! Opening a tenant again in one process shares one backing state by reference count; reconnecting code does so all the
//! time. A session that has ended (fenced, deleted) is closed and opened anew. Handles are numbers, valid in every thread
//! and environment of the process.

#[cfg(test)]
mod interleaved;
mod places;
mod stores;
#[cfg(test)]
mod threads;
mod visit;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use dashmap::DashMap;

use crate::error::{Cause, Code, Error, Result};
use crate::event::{Event, EventSink, Level};
use crate::format::seal::KeyId;
use crate::journal::Life;
use crate::platform::disk::Disk;
use crate::platform::host::Host;
use crate::platform::meter::METERS;
use crate::platform::sync::{AsyncMutex, Mutex, MutexGuard};
use crate::session::open::{Address, Settings, Site, open};
use crate::session::{Session, Status};
use crate::store::StoreSpec;

use places::{Guests, Place, Stay};
use stores::Stores;
pub use stores::store_of;
use visit::Visit;

/// Names one open of a tenant. Never reused.
pub type Handle = u32;

/// Request of one open.
pub struct OpenRequest {
    /// The session's settings.
    pub settings: Settings,
    /// The store, if any.
    pub store: Option<StoreSpec>,
    /// Entries to start with if the session exists nowhere.
    pub seed: Option<Vec<u8>>,
    /// Listener of the session's events.
    pub listener: EventSink,
}

/// Outcome of an open.
pub struct OpenOutcome {
    /// Names it.
    pub handle: Handle,
    /// The session, perhaps shared with other opens.
    pub session: Arc<Session>,
    /// True if it was open already.
    pub shared: bool,
}

/// Listeners of one session.
#[derive(Default)]
struct Listeners(Mutex<Vec<(Handle, EventSink)>>);

impl Listeners {
    fn list(&self) -> MutexGuard<'_, Vec<(Handle, EventSink)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, event: &Event) {
        for (_, listener) in self.list().iter() {
            listener(event.clone());
        }
    }
}

struct OpenSession {
    session: Arc<Session>,
    place: Place,
    listeners: Arc<Listeners>,
    identity: Identity,
    opens: usize,
    /// Ends with the session.
    _stay: Option<Stay>,
}

/// A session, for whoever looks at all of them.
struct RunningSession {
    tenant: String,
    session: Arc<Session>,
}

/// Options that must be the same for opens to share a session.
#[derive(PartialEq, Eq)]
struct Identity {
    store: Option<Arc<StoreSpec>>,
    keys: Vec<KeyId>,
    hidden: bool,
}

type SessionSlot = Arc<AsyncMutex<Option<OpenSession>>>;

struct Open {
    session: Arc<Session>,
    slot: SessionSlot,
    place: Place,
}

/// An open that was taken back and is still to be closed.
pub struct WithdrawnOpen {
    handle: Handle,
    open: Open,
}

/// All sessions of a process.
pub struct Registry {
    host: Arc<dyn Host>,
    disk: Arc<dyn Disk>,
    slots: DashMap<Place, SessionSlot>,
    guests: Guests,
    handles: DashMap<Handle, Open>,
    /// Each session once, from the end of its open to the end of its close.
    running: DashMap<Place, RunningSession>,
    stores: Stores,
    next: AtomicU32,
}

/// Time that an ended session may take to let go when its tenant is opened again.
const LET_GO: Duration = Duration::from_secs(10);

impl Registry {
    /// An empty registry.
    pub fn new(host: Arc<dyn Host>, disk: Arc<dyn Disk>) -> Registry {
        Registry {
            host,
            disk,
            slots: DashMap::new(),
            guests: Guests::default(),
            handles: DashMap::new(),
            running: DashMap::new(),
            stores: Stores::default(),
            next: AtomicU32::new(1),
        }
    }

    /// Opens a tenant, or shares it if it is open already.
    pub async fn open(&self, request: OpenRequest) -> Result<OpenOutcome> {
        let opened = self.open_or_share(request).await;
        if let Err(error) = &opened {
            METERS.open_failures.one(error.code());
        }
        opened
    }

    async fn open_or_share(&self, request: OpenRequest) -> Result<OpenOutcome> {
        let OpenRequest { settings, store, seed, listener } = request;
        let store = store.map(|spec| self.stores.known(&spec));
        let address = &settings.address;
        let identity =
            Identity { store: store.clone(), keys: address.ring.ids(), hidden: address.hide_tenant };
        let place = Place::of(address, store.as_ref());
        let slot = self.slots.entry(place.clone()).or_default().clone();
        let visit = Visit { registry: self, place, slot };
        let slot = &visit.slot;
        let mut shared = slot.lock().await;
        let handle = self.next.fetch_add(1, Ordering::Relaxed);
        if let Some(open) = shared.as_mut() {
            if open.session.journal().life() == Life::Live {
                if settings.permissions.expected.is_some() {
                    return Err(Error::new(Cause::InUse, "this process already has this tenant open"));
                }
                if open.identity != identity {
                    return Err(Error::new(
                        Code::InvalidOption,
                        "this process has this tenant open with another store or other keys",
                    ));
                }
                open.opens += 1;
                open.listeners.list().push((handle, listener));
                let session = Arc::clone(&open.session);
                self.handles.insert(
                    handle,
                    Open {
                        session: Arc::clone(&session),
                        slot: Arc::clone(slot),
                        place: visit.place.clone(),
                    },
                );
                return Ok(OpenOutcome { handle, session, shared: true });
            }
            // It has ended; what it could not store is in its log if it has one, or lost its claim.
            if let Err(error) = open.session.close(LET_GO).await {
                let note = format!("the session that ended before this open: {}", error.message);
                listener(Event::Note(Level::Warn, note));
            }
            *shared = None;
            self.running.remove(&Place::of(address, store.as_ref()));
        }
        let stay = self.guests.enter(address, store.as_ref())?;
        let site = store.as_ref().map(|spec| self.site(spec)).transpose()?;
        let listeners = Arc::new(Listeners::default());
        listeners.list().push((handle, listener));
        let events: EventSink = {
            let listeners = Arc::clone(&listeners);
            Arc::new(move |event| listeners.tell(&event))
        };
        let (place, tenant) = (Place::of(address, store.as_ref()), address.tenant.clone());
        let began = self.host.now();
        let opened = open(Arc::clone(&self.host), Arc::clone(&self.disk), settings, site, seed, events).await;
        let session = Arc::new(opened?);
        session.origin().source.opens().observe(self.host.now().saturating_sub(began));
        self.running.insert(place.clone(), RunningSession { tenant, session: Arc::clone(&session) });
        *shared = Some(OpenSession {
            session: Arc::clone(&session),
            place,
            listeners,
            identity,
            opens: 1,
            _stay: stay,
        });
        self.handles.insert(
            handle,
            Open { session: Arc::clone(&session), slot: Arc::clone(slot), place: visit.place.clone() },
        );
        Ok(OpenOutcome { handle, session, shared: false })
    }

    /// The machine.
    pub fn host(&self) -> &Arc<dyn Host> {
        &self.host
    }

    /// Its disk.
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// The live session that an open at `address` would share, if there is one in this process, and the store it has.
    pub async fn open_already(
        &self,
        address: &Address,
        store: Option<&StoreSpec>,
    ) -> Option<(Arc<Session>, Option<Arc<StoreSpec>>)> {
        let store = store.map(|spec| self.stores.known(spec));
        let place = Place::of(address, store.as_ref());
        let slot = self.slots.get(&place).map(|slot| Arc::clone(&slot))?;
        let visit = Visit { registry: self, place, slot };
        let shared = visit.slot.lock().await;
        let open = shared.as_ref().filter(|open| open.session.journal().life() == Life::Live)?;
        Some((Arc::clone(&open.session), open.identity.store.clone()))
    }

    /// A store, and what this process shares about it.
    pub fn site(&self, spec: &StoreSpec) -> Result<Site> {
        self.stores.site(spec, &self.host)
    }

    /// The stores of this process.
    pub fn stores(&self) -> &Stores {
        &self.stores
    }

    /// Status of each session, with its tenant; `None` for one that a fault put out of use.
    pub fn statuses(&self) -> Vec<(String, Option<Status>)> {
        self.running.iter().map(|one| (one.tenant.clone(), one.session.status().ok())).collect()
    }

    /// The session behind `handle`.
    pub fn session(&self, handle: Handle) -> Result<Arc<Session>> {
        match self.handles.get(&handle) {
            Some(open) => Ok(Arc::clone(&open.session)),
            None => Err(Error::new(Code::Closed, "this session was closed; open it again")),
        }
    }

    /// Takes an open back: nothing is reached through its handle any more, from this moment on. Closing it is then up to
    /// [`Registry::close`]. `None` if it was taken back before, which is no mistake.
    pub fn take(&self, handle: Handle) -> Option<WithdrawnOpen> {
        self.handles.remove(&handle).map(|(handle, open)| WithdrawnOpen { handle, open })
    }

    /// Ends an open that was taken back; the last one closes the session. Others only flush.
    pub async fn close(&self, taken: Option<WithdrawnOpen>, timeout: Duration) -> Result<()> {
        let Some(WithdrawnOpen { handle, open: Open { session, slot, place } }) = taken else {
            return Ok(());
        };
        let visit = Visit { registry: self, place, slot };
        let mut slot = visit.slot.lock().await;
        let Some(shared) = slot.as_mut().filter(|shared| Arc::ptr_eq(&shared.session, &session)) else {
            return Ok(());
        };
        // Whoever gives it back still hears of what that takes to the store.
        let listeners = Arc::clone(&shared.listeners);
        let leave = || listeners.list().retain(|(listener, _)| *listener != handle);
        shared.opens -= 1;
        if shared.opens > 0 {
            let life = shared.session.journal().life();
            drop(slot);
            let flushed = if life == Life::Live { session.flush(timeout).await.map(|_| ()) } else { Ok(()) };
            leave();
            return flushed;
        }
        let closed = session.close(timeout).await;
        leave();
        self.running.remove(&shared.place);
        *slot = None;
        closed
    }

    /// Deletes the session behind `handle`, for all who have it open.
    pub async fn delete(&self, handle: Handle) -> Result<()> {
        let session = self.session(handle)?;
        session.delete().await?;
        self.close(self.take(handle), LET_GO).await
    }
}
