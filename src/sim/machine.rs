//! A machine with its disk, and the processes that come and go on it.
//!
//! The oracle is shown each open and each promise when it was made; what a dead process had in memory is gone.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use crate::disk::memory::MemoryDisk;
use crate::error::Code;
use crate::event::Event;
use crate::host::Host;
use crate::id::Claim;
use crate::open::open;
use crate::record::{Entries, Entry};
use crate::remote::Store;
use crate::remote::memory::Memory;
use crate::session::Session;

use super::cluster::{Cluster, hold};
use super::host::SimHost;
use super::keys::Number;
use super::oracle::{Found, Writes};
use super::process::{Book, Door, Process};
use super::turnstile::Turnstile;

/// Options of one open.
#[derive(Clone, Copy, Default)]
pub struct Opening {
    pub takeover: bool,
    pub fresh: bool,
    pub impatient: bool,
    pub strict: bool,
    /// Keeps no log: its disk is read-only.
    pub cloud: bool,
}

/// A disk, and the processes that come and go on it.
pub struct Machine {
    cluster: Arc<Cluster>,
    disk: MemoryDisk,
    /// The last claim that was live here.
    before: Arc<Mutex<Option<Claim>>>,
    /// The oldest key that a log on its disk may need.
    logged: Arc<Mutex<Number>>,
    pub process: Option<Process>,
}

impl Machine {
    pub fn new(cluster: &Arc<Cluster>) -> Machine {
        Machine {
            cluster: Arc::clone(cluster),
            disk: MemoryDisk::default(),
            before: Arc::default(),
            logged: Arc::new(Mutex::new(Number::MAX)),
            process: None,
        }
    }

    /// Its disk.
    pub fn disk(&self) -> &MemoryDisk {
        &self.disk
    }

    /// The process on it.
    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("a process was started")
    }

    /// Its session.
    pub fn session(&self) -> Arc<Session> {
        let process = self.process();
        process.session().unwrap_or_else(|| panic!("not open: {:?}", process.refused()))
    }

    /// The process dies. What it wrote to its disk stays.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.host.rethrow();
            process.host.kill();
            hold(&self.cluster.keys).end(process.number);
            *hold(&process.door) = Door::Opening;
        }
        self.disk.kill();
        self.disk = self.disk.restart();
    }

    /// The power goes, and comes back: of what was not synced those changes survive for which `keeps` says so.
    pub fn lose_power(&mut self, keeps: impl Fn(usize) -> bool) {
        self.kill();
        self.disk = self.disk.power_cut(keeps);
        *hold(&self.before) = None;
    }

    /// The machine is replaced by a blank one.
    pub fn wipe(&mut self) {
        self.kill();
        self.disk = MemoryDisk::default();
        *hold(&self.before) = None;
        *hold(&self.logged) = Number::MAX;
    }

    /// Starts a process that opens the session.
    pub fn start(&mut self, how: Opening) {
        self.start_through(how, Arc::new);
    }

    /// Starts a process whose requests wait at a turnstile.
    pub fn start_gated(&mut self, how: Opening) -> Arc<Turnstile> {
        let mut gate = None;
        self.start_through(how, |network| Arc::clone(gate.insert(Turnstile::new(Arc::new(network)))));
        gate.expect("the process was given its store")
    }

    fn start_through<S: Store + 'static>(&mut self, how: Opening, reach: impl FnOnce(Memory) -> Arc<S>) {
        let cluster = Arc::clone(&self.cluster);
        let number = cluster.next_process.fetch_add(1, Ordering::Relaxed);
        let host = SimHost::new(hold(&cluster.seeds).next(), cluster.start);
        let key = hold(&cluster.keys).start(number);
        let process = Process {
            cluster: Arc::clone(&cluster),
            host: Arc::clone(&host),
            door: Arc::new(Mutex::new(Door::Opening)),
            book: Arc::default(),
            number,
            key,
            stopped: false,
        };
        let dyn_host: Arc<dyn Host> = host.clone();
        let settings = cluster.settings(&dyn_host, reach(cluster.network(number)), how);
        let (door, book) = (Arc::clone(&process.door), Arc::clone(&process.book));
        let events = {
            let (cluster, door, book) = (Arc::clone(&cluster), Arc::clone(&door), Arc::clone(&book));
            Arc::new(move |event| told(&cluster, number, &door, &book, &event))
        };
        self.disk.set_read_only(how.cloud);
        let (disk, before, logged) = (self.disk.clone(), Arc::clone(&self.before), Arc::clone(&self.logged));
        let left = *hold(&logged);
        if !how.cloud {
            *hold(&logged) = left.min(key);
        }
        host.spawn(Box::pin(async move {
            let began = cluster.oracle().clock();
            match open(dyn_host, Arc::new(disk), settings, None, events).await {
                Ok(session) => {
                    let session = Arc::new(session);
                    judge(&cluster, number, &session, &book, &before, began);
                    if !how.cloud {
                        *hold(&logged) = key;
                    }
                    *hold(&door) = Door::Open(session);
                }
                Err(error) => {
                    let lacks_keys = hold(&cluster.keys).may_lack(key, left);
                    // A disk that a story damaged may hold more than the store, and then a person has to look.
                    let damaged =
                        error.code == Code::LocalCorrupt && cluster.tampered.load(Ordering::Relaxed);
                    if !damaged {
                        cluster.oracle().refused(&error, how.cloud, lacks_keys);
                    }
                    *hold(&door) = Door::Refused(error);
                }
            }
        }));
        self.process = Some(process);
    }
}

/// Shows the oracle what an open found.
fn judge(
    cluster: &Cluster,
    number: u64,
    session: &Session,
    book: &Mutex<Book>,
    before: &Mutex<Option<Claim>>,
    began: u64,
) {
    let state = session.journal().read(|state| state.snapshot().encode()).expect("a live session reads");
    // Other keys belong to single stories and are judged there.
    let known = |entry: &Entry<'_>| [&b"write"[..], b"last", b"hot"].contains(&entry.kind());
    let state: Vec<u8> = Entries::new(&state)
        .filter_map(Result::ok)
        .filter(known)
        .flat_map(|entry| entry.bytes)
        .copied()
        .collect();
    let writes: Writes = Entries::new(&state)
        .filter_map(Result::ok)
        .filter(|entry| entry.kind() == b"write")
        .filter_map(|entry| Some(u64::from_le_bytes(entry.value?.get(1..9)?.try_into().ok()?)))
        .collect();
    let claim = session.claim().expect("a session with a store has a claim");
    let origin = session.origin();
    let cloud = session.mode() == "cloud";
    cluster.oracle().opened(&Found {
        process: number,
        claim,
        lsn: session.journal().lsn(),
        source: origin.source,
        clean: origin.clean,
        state: &state,
        writes: &writes,
        before: hold(before).filter(|_| !cloud),
        began,
    });
    if !cloud {
        *hold(before) = Some(claim);
    }
    hold(book).inherited = writes;
}

fn told(cluster: &Cluster, number: u64, door: &Mutex<Door>, book: &Mutex<Book>, event: &Event) {
    match event {
        Event::Backup { lsn, .. } => {
            let claim = match &*hold(door) {
                Door::Open(session) => session.claim().expect("a session with a store has a claim"),
                // Killed, and not yet aware of it.
                Door::Opening | Door::Refused(_) => return,
            };
            let book = hold(book);
            let own = book.own.iter().filter(|(at, _)| at <= lsn).map(|(_, write)| *write);
            let writes = book.inherited.iter().copied().chain(own).collect();
            cluster.oracle().acknowledged(number, claim, *lsn, writes);
        }
        Event::Waiting { .. } => {}
        Event::Fenced => hold(book).fenced = true,
        Event::Degraded(_) => hold(book).told.push("degraded"),
        Event::Recovered { .. } => hold(book).told.push("recovered"),
        Event::Repaired(what) => {
            hold(book).told.push("repaired");
            assert!(
                !what.contains("the store had lost") || cluster.tampered.load(Ordering::Relaxed),
                "nobody tampered with the store, and yet: {what}"
            );
        }
        Event::Note(..) => {}
        Event::Failed(error) => {
            hold(book).told.push("failed");
            // A release that an outage kept back is told, and is no loss: all is stored, and only a successor waits.
            let unreleased =
                error.code == Code::RemoteUnavailable && error.message.contains("the release is not");
            assert!(
                unreleased || cluster.tampered.load(Ordering::Relaxed),
                "a session failed, and nobody tampered with anything: {error:?}"
            );
        }
    }
}
