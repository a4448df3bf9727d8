//! A machine with its disk, and the processes that come and go on it.
//!
//! The oracle is shown each open and each promise when it was made; what a dead process had in memory is gone.

mod alone;
mod damage;
mod judge;
mod visit;

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use crate::id::Claim;
use crate::platform::disk::memory::MemoryDisk;
use crate::platform::host::Host;
use crate::replication::Pace;
use crate::session::open::Site;
use crate::session::{Mode, Session};
use crate::store::Store;

use super::clock::Clock;
use super::cluster::{Cluster, TENANTS, hold};
use super::drag::Drag;
use super::host::SimHost;
use super::keys::Number;
use super::network::Network;
use super::process::{Door, Process};
use super::sometimes::{Moment, saw};
use super::turnstile::Turnstile;
use super::watch::Terms;
pub use damage::Image;
use judge::Left;
pub use judge::known;
pub(super) use visit::Visit;

/// Options of one open.
#[derive(Clone, Copy, Debug, Default)]
pub struct Opening {
    pub takeover: bool,
    pub fresh: bool,
    pub impatient: bool,
    pub strict: bool,
    /// Place in which its sessions live. Without a log its disk is read-only; without a store that is all there is.
    pub mode: Mode,
    /// The pace; `None`: that of all.
    pub pace: Option<Pace>,
    /// The number of other tenants that the process opens as well, over the same connections.
    pub neighbours: usize,
    /// Opens as a tool that judged this claim.
    pub judged: Option<Claim>,
    /// Trusts its disk over a store that lost its history.
    pub seed: bool,
    /// Goes on without a store also if the session was in one.
    pub leave: bool,
    /// Brings a folder of another kind along, to begin with where there is nothing.
    pub import: bool,
    /// Opens nothing that is not there.
    pub existing: bool,
}

/// A process: its number, the key that it seals with, and the oldest key that logs on its disk need.
pub(super) type Who = (u64, Number, Number);

/// A disk, and the processes that come and go on it.
pub struct Machine {
    cluster: Arc<Cluster>,
    pub(super) number: usize,
    disk: MemoryDisk,
    clock: Arc<Clock>,
    drag: Arc<Drag>,
    /// Remains of each tenant on it.
    left: [Left; TENANTS.len()],
    /// The oldest key that a log on its disk may need.
    logged: Arc<Mutex<Number>>,
    pub process: Option<Process>,
    /// Number of times that a blank one replaced it.
    replaced: usize,
}

/// A blank disk of a machine that no other one was started together with.
fn disk_of(number: usize, replaced: usize) -> MemoryDisk {
    let disk = MemoryDisk::default();
    disk.set_boot(u16::try_from(1 + number % 60 * 1_000 + replaced % 20 * 50).unwrap_or(1));
    disk
}

impl Machine {
    pub fn new(cluster: &Arc<Cluster>) -> Machine {
        let number = cluster.next_machine.fetch_add(1, Ordering::Relaxed);
        Machine {
            cluster: Arc::clone(cluster),
            number,
            disk: disk_of(number, 0),
            clock: Arc::new(Clock::new(cluster.start)),
            drag: Arc::new(Drag::new(number as u64)),
            left: Default::default(),
            logged: Arc::new(Mutex::new(Number::MAX)),
            process: None,
            replaced: 0,
        }
    }

    /// Its disk.
    pub fn disk(&self) -> &MemoryDisk {
        &self.disk
    }

    /// Its clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The drag of its disk.
    pub fn drag(&self) -> &Drag {
        &self.drag
    }

    /// True if a power cut may have taken from a log what the store has: a session that then left the store would write other things
    /// under the same numbers, and the log would count for the newer one when it comes back (a limit in `docs/protocol.md`).
    pub fn may_be_behind_its_store(&self) -> bool {
        self.left.iter().any(Left::may_be_behind_its_store)
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

    /// The process is stopped; if the whole machine is suspended, its clock `stands` as well.
    pub fn stop(&mut self, stands: bool) {
        if let Some(process) = &mut self.process {
            process.stopped = true;
            process.hold_up();
            process.host.stop();
            self.clock.stand(stands);
        }
    }

    /// The process goes on if it was stopped.
    pub fn resume(&mut self) {
        self.clock.stand(false);
        if let Some(process) = &mut self.process {
            process.stopped = false;
            process.host.resume();
        }
    }

    /// The process dies. What it wrote to its disk stays.
    pub fn kill(&mut self) {
        self.clock.stand(false);
        if let Some(process) = self.process.take() {
            process.host.rethrow();
            process.host.kill();
            hold(&self.cluster.keys).end(process.number);
            for room in process.rooms() {
                *hold(&room.door) = Door::Opening;
            }
        }
        self.disk.kill();
        self.disk = self.disk.restart();
    }

    /// The power goes, and comes back: of what was not synced those changes survive for which `keeps` says so.
    pub fn lose_power(&mut self, keeps: impl Fn(usize) -> bool) {
        self.kill();
        self.disk = self.disk.power_cut(keeps);
        self.left.iter().for_each(Left::cut);
        saw(Moment::CutByPower);
    }

    /// The machine is replaced by a blank one.
    pub fn wipe(&mut self) {
        self.kill();
        self.replaced += 1;
        self.disk = disk_of(self.number, self.replaced);
        self.left = Default::default();
        *hold(&self.logged) = Number::MAX;
    }

    /// Starts a process that opens the session.
    pub fn start(&mut self, how: Opening) {
        self.start_through(how, true, Arc::new);
    }

    /// Starts a process whose requests wait at a turnstile.
    pub fn start_gated(&mut self, how: Opening) -> Arc<Turnstile> {
        let mut gate = None;
        // What waits at it is held up by nobody but the story.
        self.start_through(how, false, |network| Arc::clone(gate.insert(Turnstile::new(Arc::new(network)))));
        gate.expect("the process was given its store")
    }

    /// Begins a process: its number, the key that it seals with, and the oldest that logs here need.
    pub(super) fn begin(&mut self, mode: Mode) -> (Arc<SimHost>, Who) {
        let number = self.cluster.next_process.fetch_add(1, Ordering::Relaxed);
        let host =
            SimHost::by(hold(&self.cluster.seeds).next(), Arc::clone(&self.clock), Arc::clone(&self.drag));
        let key = hold(&self.cluster.keys).start(number);
        self.disk.set_read_only(!mode.keeps_log());
        let left = *hold(&self.logged);
        if mode.keeps_log() {
            *hold(&self.logged) = left.min(key);
        }
        (host, (number, key, left))
    }

    fn start_through<S: Store + 'static>(
        &mut self,
        how: Opening,
        is_free: bool,
        reach: impl FnOnce(Network) -> Arc<S>,
    ) {
        let cluster = Arc::clone(&self.cluster);
        let (host, who) = self.begin(how.mode);
        let dyn_host: Arc<dyn Host> = host.clone();
        let site = Site::of(reach(Network::new(&cluster, who.0, self.number)), &dyn_host);
        let site = (how.mode != Mode::Local).then_some(site);
        let settings = cluster.settings(how);
        let mut rooms = (0..=how.neighbours).map(|tenant| {
            let seed = how.import.then(|| self.folder_to_import(tenant));
            let settings = settings.clone().of_tenant(TENANTS[tenant]);
            let (process, visit) = self.prepare(Arc::clone(&host), who, tenant, site.as_ref());
            let terms = Terms { interval: settings.tenure.pace.check_interval, strict: how.strict };
            let terms = (is_free && how.mode != Mode::Local).then_some(terms);
            let process = Process { terms, ..process };
            let visit = Visit { seed, watched: is_free, ..visit };
            process.host.spawn(Box::pin(async move { _ = visit.enter(settings).await }));
            process
        });
        let first = rooms.next();
        let neighbours = rooms.collect();
        self.process = first.map(|first| Process { neighbours, ..first });
    }

    /// A process that does not open anything yet, and the means to do so.
    pub(super) fn prepare(
        &self,
        host: Arc<SimHost>,
        (number, key, left): Who,
        tenant: usize,
        site: Option<&Site>,
    ) -> (Process, Visit) {
        let here = self.left[tenant].clone();
        let process = Process {
            cluster: Arc::clone(&self.cluster),
            host: Arc::clone(&host),
            tenant,
            door: Arc::new(Mutex::new(Door::Opening)),
            book: Arc::default(),
            synced: Arc::clone(&here.synced),
            alone: Arc::clone(&here.alone),
            number,
            key,
            stopped: false,
            terms: None,
            neighbours: Vec::new(),
        };
        let visit = Visit {
            cluster: Arc::clone(&self.cluster),
            host,
            disk: self.disk.clone(),
            logged: Arc::clone(&self.logged),
            who: (number, key, left),
            tenant,
            here,
            door: Arc::clone(&process.door),
            book: Arc::clone(&process.book),
            site: site.cloned(),
            seed: None,
            watched: true,
        };
        (process, visit)
    }
}
