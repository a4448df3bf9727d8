//! Plays a schedule to its end: the steps, then a good network for all, and at last a blank machine that must have every promise.
//!
//! A panic anywhere on the thread is a failure, also one in a task that nobody waits for.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Once};
use std::time::Duration;

use crate::error::Code;
use crate::id::Claim;
use crate::platform::host::sleep;
use crate::wal::set_slack;

use super::super::cluster::{Cluster, TENANTS, hold};
use super::super::desk::Desk;
use super::super::host::Rng;
use super::super::machine::{Image, Machine, Opening};
use super::super::process::Process;
use super::super::run;
use super::super::sometimes::{Moment, saw};
use super::acts::act;
use super::{Damage, Schedule, Shift};

/// Longer than any request is on its way.
const STRAY: Duration = Duration::from_secs(60);

/// Slack of a log that is rewritten every few writes.
const LITTLE: u64 = 250;

/// An outage that every owner notices.
const OUTAGE: Duration = Duration::from_secs(4);

/// The outcome of a schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub opens: usize,
    pub promises: usize,
    /// Writes that resolved as stored.
    pub kept: usize,
    /// Sessions that were sealed anew so that older keys could go.
    pub complete: usize,
    /// A digest of all requests.
    pub digest: u64,
}

/// The reason of a failure, and the steps until then.
#[derive(Debug)]
pub struct Failure {
    pub why: String,
    pub steps: Vec<String>,
}

impl Failure {
    /// The mark of all failures of one kind: the words before the first number or name.
    pub fn sort(&self) -> &str {
        let text = self.why.split_once(": ").map_or(self.why.as_str(), |(_, text)| text);
        text.split(|c: char| c.is_ascii_digit() || "{\"[(".contains(c)).next().unwrap_or_default()
    }
}

thread_local! {
    /// Panics of a schedule under way; `None` when there is none, and panics are printed.
    static PANICS: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
    static STEPS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Keeps panics of schedules from now on, instead of printing them.
fn keep_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = take_hook();
        set_hook(Box::new(move |panic| {
            let text = panic.payload().downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.payload().downcast_ref::<&str>().copied()).unwrap_or("a panic");
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            let kept = PANICS.with_borrow_mut(|panics| {
                panics.as_mut().map(|panics| panics.push(format!("{place}: {text}"))).is_some()
            });
            if !kept {
                others(panic);
            }
        }));
    });
}

/// Plays `schedule`.
pub fn play(schedule: &Schedule) -> Result<Outcome, Failure> {
    keep_panics();
    PANICS.set(Some(Vec::new()));
    STEPS.take();
    let outcome = catch_unwind(AssertUnwindSafe(|| run(story(schedule))));
    let panics = PANICS.take().unwrap_or_default();
    match (panics.into_iter().next(), outcome) {
        (None, Ok(outcome)) => Ok(outcome),
        (why, _) => Err(Failure { why: why.unwrap_or_else(|| "a panic".into()), steps: STEPS.take() }),
    }
}

fn note(step: String) {
    STEPS.with_borrow_mut(|steps| steps.push(step));
}

/// Waits until the process is open or refused, as long as any handover may take.
async fn until_answered(process: &Process) {
    for _ in 0..600 {
        process.host.rethrow();
        if process.rooms().all(|room| room.session().is_some() || room.refused().is_some()) {
            return;
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// The number of processes that take themselves for the owner of a tenant's session.
fn owners(machines: &[Machine], tenant: usize) -> usize {
    let processes = machines.iter().filter_map(|machine| machine.process.as_ref());
    let sessions = processes.flat_map(Process::rooms).filter(|room| room.tenant == tenant);
    sessions.filter(|session| session.is_owner()).count()
}

/// The claim of the process that owns a tenant's session.
fn owner(machines: &[Machine], tenant: usize) -> Option<Claim> {
    let processes = machines.iter().filter_map(|machine| machine.process.as_ref());
    let mut live = processes.flat_map(Process::rooms).filter(|room| room.tenant == tenant && room.is_owner());
    live.next()?.session()?.claim()
}

/// Gives everybody time to look: all of it, or, as that takes longest to simulate, until nothing is left to be found out.
async fn until_settled(machines: &[Machine], whole: bool) {
    for _ in 0..120 {
        sleep(Duration::from_secs(1)).await;
        let mut rooms =
            machines.iter().filter_map(|machine| machine.process.as_ref()).flat_map(Process::rooms);
        let is_opening = rooms.any(|room| room.session().is_none() && room.refused().is_none());
        if !whole && !is_opening && (0..TENANTS.len()).all(|tenant| owners(machines, tenant) <= 1) {
            return;
        }
    }
}

/// The generator of one deed, which depends on nothing before it, nor does what it starts.
fn seeded(cluster: &Cluster, seed: u64) -> Rng {
    let mut rng = Rng::new(seed);
    *hold(&cluster.seeds) = Rng::new(rng.next());
    rng
}

/// Something happens to the disk of a machine. `images` are the last ones of each.
fn befall(
    machines: &mut [Machine],
    at: usize,
    damage: Damage,
    images: &mut BTreeMap<usize, Image>,
    rng: &mut Rng,
) {
    match damage {
        Damage::Rot => _ = machines[at].rot(rng),
        Damage::Tear => {
            let (share, seed) = (rng.below(101), rng.next());
            machines[at].tear(rng, |change| Rng::new(seed ^ change as u64).chance(share));
        }
        Damage::Image => _ = images.insert(at, machines[at].image()),
        Damage::PutBack => {
            if let Some(image) = images.get(&at) {
                machines[at].put_back(image);
                saw(Moment::PutBack);
            }
        }
        Damage::Clone(from) if from != at => {
            let image = machines[from].image();
            machines[at].put_back(&image);
            saw(Moment::Cloned);
        }
        Damage::Clone(_) => {}
    }
}

async fn story(schedule: &Schedule) -> Outcome {
    let kind = schedule.kind;
    let cluster = Cluster::new(schedule.seed, schedule.page, schedule.weather);
    // Logs that schedules write are small: with little slack, some of them are rewritten again and again.
    set_slack((kind.rough && schedule.seed & 1 == 0).then_some(LITTLE));
    // By the seed, and not drawn: the schedule stays what it is.
    cluster.folds.store(schedule.seed & 4 != 0, Ordering::Relaxed);
    cluster.notifies.store(schedule.seed & 8 != 0, Ordering::Relaxed);
    cluster.tells.store(kind.harm && schedule.seed & 2 != 0, Ordering::Relaxed);
    if kind.keys {
        hold(&cluster.keys).rotate();
    }
    let mut machines: Vec<Machine> = (0..schedule.machines).map(|_| Machine::new(&cluster)).collect();
    let mut images = BTreeMap::new();
    let mut desk = Desk::new(&cluster);
    cluster.creds.store(kind.tools, Ordering::Relaxed);
    for step in &schedule.steps {
        for shift in &step.shifts {
            note(format!("{:4}  {shift}", step.number));
            match shift {
                Shift::Outage => _ = cluster.outage.fetch_xor(true, Ordering::Relaxed),
                Shift::Rotation => hold(&cluster.keys).rotate(),
                Shift::Storm(storm) => cluster.sky.begin(*storm),
                Shift::Clock(change) => {
                    machines[change.machine].clock().turn(change);
                    saw(Moment::ClockTurned);
                }
                Shift::Disk(machine, damage, seed) => {
                    befall(&mut machines, *machine, *damage, &mut images, &mut Rng::new(*seed));
                }
                Shift::Store(harm, seed) => {
                    let tells = cluster.tells.load(Ordering::Relaxed);
                    let harm = if tells { harm.as_failover() } else { *harm };
                    cluster.harm(harm, &mut Rng::new(*seed));
                }
                Shift::Pressure(machine, pressure) => machines[*machine].drag().begin(*pressure),
                Shift::Tool(tool, seed) => {
                    let mut rng = seeded(&cluster, *seed);
                    note(format!("{:4}  {}", step.number, desk.act(*tool, &mut rng)));
                }
            }
        }
        let mut rng = seeded(&cluster, step.seed);
        let did = act(&mut machines[step.machine], &mut rng, kind);
        note(format!("{:4}  machine {} {did}; {:?}", step.number, step.machine, step.pause));
        sleep(step.pause).await;
        cluster.restore_what_was_sealed_anew().await;
    }
    end(&cluster, machines, desk, schedule).await;
    let [opens, promises, kept] = cluster.oracle().counts();
    let complete = hold(&cluster.keys).complete;
    Outcome { opens, promises, kept, complete, digest: cluster.digest() }
}

/// The network heals, and everybody who can finds out where they stand.
async fn end(cluster: &Arc<Cluster>, mut machines: Vec<Machine>, mut desk: Desk, schedule: &Schedule) {
    let kind = schedule.kind;
    note("      the network heals, and everybody has time to look".into());
    cluster.heal();
    cluster.end_harm();
    machines.iter().for_each(|machine| machine.disk().set_space(None));
    for machine in &mut machines {
        machine.resume();
        machine.clock().mend();
        machine.drag().end();
    }
    desk.resume();
    for _ in 0..200 {
        if desk.is_done() {
            break;
        }
        sleep(Duration::from_secs(1)).await;
    }
    assert!(desk.is_done(), "a tool does not come to an end");
    // What it had open it closed.
    desk.machine.kill();
    if kind.harm {
        // Everybody who runs looks at what the store has after an outage.
        cluster.outage.store(true, Ordering::Relaxed);
        sleep(OUTAGE).await;
        cluster.outage.store(false, Ordering::Relaxed);
    }
    until_settled(&machines, kind.harm || schedule.seed.is_multiple_of(32)).await;
    for tenant in 0..TENANTS.len() {
        let live = owners(&machines, tenant);
        assert!(live <= 1, "{live} owners after everybody had time to look");
    }
    let owners = (0..TENANTS.len()).map(|tenant| owner(&machines, tenant)).collect::<Vec<_>>();
    machines.iter_mut().for_each(Machine::kill);
    // What is still on its way arrives.
    sleep(STRAY).await;
    note("      all die, and a blank machine opens the session".into());
    // A blank machine has every promise, or is told that the session was deleted.
    let mut last = Machine::new(cluster);
    let neighbours = if kind.rough && !kind.keys { TENANTS.len() - 1 } else { 0 };
    last.start(Opening { neighbours, ..Opening::default() });
    until_answered(last.process()).await;
    let process = last.process();
    for room in process.rooms() {
        let is_buried = room.refused() == Some(Code::Deleted);
        let owner = owners[room.tenant].filter(|_| kind.harm);
        // What nobody had in memory to store it anew stays lost, and is said to be.
        let is_missing = room.refused() == Some(Code::RemoteCorrupt) && kind.harm && owner.is_none();
        assert!(
            room.is_live() || is_buried || is_missing,
            "a blank machine did not open: {:?}",
            room.refused()
        );
        if let Some(owner) = owner.filter(|_| room.is_live()) {
            cluster.oracle_of(room.tenant).healed(owner);
        }
    }
    if kind.keys && process.is_live() {
        // Nobody interferes any more: the newest key is then the only one that is needed.
        process.seal_anew();
        sleep(Duration::from_secs(30)).await;
        process.host.rethrow();
        cluster.restore_what_was_sealed_anew().await;
        assert!(hold(&cluster.keys).is_single(), "sealing anew left something that needs an older key");
        last.wipe();
        last.start(Opening { takeover: true, ..Opening::default() });
        sleep(Duration::from_secs(10)).await;
        last.session();
    }
    last.kill();
}
