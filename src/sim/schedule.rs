//! A schedule: who does what and when, and what befalls the world meanwhile, all of it drawn from a seed before anything runs.
//!
//! Each step has a seed of its own for what it decides when its turn comes, so that any step can be left out and the others stay
//! what they are: that is how `shrink` makes a failing schedule small enough to be read.

mod acts;
mod play;
mod shrink;

use std::fmt;
use std::time::Duration;

use crate::replication::Pace;

use super::clock::Change;
use super::cluster::{CHECK, Cluster};
use super::desk::Tool;
use super::drag::Pressure;
use super::harm::Harm;
use super::host::Rng;
use super::weather::{Storm, Weather};

pub use play::{Failure, Outcome, play};
pub use shrink::shrink;

/// Peculiarities of a schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kind {
    /// The share of its processes that keep no log, in percent.
    pub clouds: u64,
    /// Set if its sessions are encrypted, and keys turned over.
    pub keys: bool,
    /// Set if storms pass, disks fail, and each process has a pace of its own.
    pub rough: bool,
    /// Set if an operator's tools run beside its processes.
    pub tools: bool,
    /// Set if each machine has a clock of its own, which runs wrong and jumps.
    pub clocks: bool,
    /// Set if disks rot, are torn, and are set back or copied.
    pub disks: bool,
    /// Set if the store loses objects, goes back, or is empty for a while.
    pub harm: bool,
    /// Set if some processes have no store, and some bring a folder to import.
    pub locals: bool,
    /// Set if sessions are deleted, again where that failed, and paired anew, all the while.
    pub logouts: bool,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.rough {
            "storms, disks that fail, several tenants, paces that differ"
        } else {
            "a network that fails now and then"
        })?;
        match self.clouds {
            0 => {}
            100 => f.write_str("; no process keeps a log")?,
            _ => f.write_str("; some processes keep no log")?,
        }
        f.write_str(if self.keys { "; keys are turned over" } else { "" })?;
        f.write_str(if self.tools { "; tools run" } else { "" })?;
        f.write_str(if self.clocks { "; clocks go wrong" } else { "" })?;
        f.write_str(if self.disks { "; logs rot, and old and foreign folders are put back" } else { "" })?;
        f.write_str(if self.harm { "; the store loses objects, and goes back" } else { "" })?;
        f.write_str(if self.logouts { "; sessions are deleted and paired anew" } else { "" })?;
        f.write_str(if self.locals { "; some have no store, or import a folder" } else { "" })
    }
}

/// Something that befalls the world before a step.
#[derive(Clone, Copy)]
pub enum Shift {
    /// The store goes away for all, or comes back.
    Outage,
    /// A new key is put first.
    Rotation,
    Storm(Storm),
    /// It is the operator's turn, with a seed for what comes of it.
    Tool(Tool, u64),
    /// A clock goes wrong.
    Clock(Change),
    /// Something happens to the disk of a machine, with a seed for what comes of it.
    Disk(usize, Damage, u64),
    /// Something happens to the store, with a seed for what comes of it.
    Store(Harm, u64),
    /// The disk of a machine is under pressure.
    Pressure(usize, Pressure),
}

/// Something that happens to a disk.
#[derive(Clone, Copy, Debug)]
pub enum Damage {
    /// One bit of a log rots.
    Rot,
    /// The power goes, and the end of a log is torn.
    Tear,
    /// An image is taken.
    Image,
    /// The last image is put back.
    PutBack,
    /// The folders of this machine come to it.
    Clone(usize),
}

impl Damage {
    fn draw(rng: &mut Rng, machines: u64) -> Damage {
        match rng.below(20) {
            0..9 => Damage::Rot,
            9..12 => Damage::Tear,
            12..15 => Damage::Image,
            15..17 => Damage::PutBack,
            _ => Damage::Clone(small(rng.below(machines))),
        }
    }
}

impl fmt::Display for Shift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shift::Outage => f.write_str("the store goes away, or comes back"),
            Shift::Rotation => f.write_str("a new key is put first"),
            Shift::Storm(storm) => storm.fmt(f),
            Shift::Clock(change) => change.fmt(f),
            Shift::Disk(machine, damage, _) => write!(f, "disk of machine {machine}: {damage:?}"),
            Shift::Store(harm, _) => write!(f, "the store: {harm:?}"),
            Shift::Pressure(machine, pressure) => write!(f, "disk of machine {machine}: {pressure}"),
            Shift::Tool(tool, _) => write!(f, "the operator's turn: {tool:?}"),
        }
    }
}

/// Deeds of one machine.
#[derive(Clone)]
pub struct Step {
    pub number: usize,
    pub machine: usize,
    /// Decides what it is, given how the machine stands then.
    pub seed: u64,
    pub shifts: Vec<Shift>,
    /// The time until the next step.
    pub pause: Duration,
}

/// All of it.
#[derive(Clone)]
pub struct Schedule {
    pub seed: u64,
    pub kind: Kind,
    pub page: usize,
    pub weather: Weather,
    pub machines: usize,
    pub steps: Vec<Step>,
}

/// Tells the generator of what befalls the world from that of the steps.
const APART: u64 = 0x005e_ed0f_7001;
/// The same for disks under pressure.
const DRAGS: u64 = 0x00d1_5c0d_ea95;

fn small(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn weather(rng: &mut Rng) -> Weather {
    match rng.below(4) {
        0 => Weather::default(),
        1 => Weather { slow: 300, ..Weather::default() },
        _ => Weather {
            fails: rng.below(20),
            lost: rng.below(15),
            late: rng.below(10),
            twice: rng.below(10),
            throttled: rng.below(5),
            partial: rng.below(30),
            slow: rng.below(400),
            ..Weather::default()
        },
    }
}

/// The pace of a process, as somebody configured it.
pub fn pace(rng: &mut Rng) -> Pace {
    let usual = Cluster::settings_for_tests().tenure.pace;
    let pick = |rng: &mut Rng, of: &[u64]| Duration::from_millis(of[small(rng.below(of.len() as u64))]);
    Pace {
        flush_interval: pick(rng, &[20, 200, 1_000]),
        check_interval: if rng.chance(50) { CHECK } else { pick(rng, &[200, 1_000, 2_500]) },
        refresh: if rng.chance(60) { usual.refresh } else { pick(rng, &[3_000, 10_000]) },
        ..usual
    }
}

impl Schedule {
    /// The schedule of `seed`.
    pub fn draw(seed: u64, kind: Kind) -> Schedule {
        let mut rng = Rng::new(seed);
        let weather = weather(&mut rng);
        let page = if rng.chance(50) { 1 + small(rng.below(3)) } else { 1000 };
        let machines = 2 + rng.below(3);
        let steps = (0..60 + small(rng.below(90))).map(|number| {
            let machine = small(rng.below(machines));
            let shift = match rng.below(100) {
                0..3 => Some(Shift::Outage),
                3..9 if kind.keys => Some(Shift::Rotation),
                9..17 if kind.rough => Some(Shift::Storm(Storm::draw(&mut rng, machines))),
                _ => None,
            };
            let longest = if rng.chance(10) { 4_000 } else { 400 };
            let pause = Duration::from_millis(rng.below(longest));
            Step { number, machine, seed: rng.next(), shifts: shift.into_iter().collect(), pause }
        });
        let mut steps: Vec<Step> = steps.collect();
        // What else befalls the world is drawn apart, so that the schedule without it is the same.
        let mut apart = Rng::new(seed ^ APART);
        for step in &mut steps {
            if kind.clocks && apart.chance(8) {
                step.shifts.push(Shift::Clock(Change::draw(&mut apart, machines)));
            }
            if kind.disks && apart.chance(8) {
                let machine = small(apart.below(machines));
                step.shifts.push(Shift::Disk(machine, Damage::draw(&mut apart, machines), apart.next()));
            }
            if kind.harm && apart.chance(6) {
                step.shifts.push(Shift::Store(Harm::draw(&mut apart), apart.next()));
            }
            if kind.tools && apart.chance(25) {
                step.shifts.push(Shift::Tool(Tool::draw(&mut apart), apart.next()));
            }
        }
        let mut drags = Rng::new(seed ^ DRAGS);
        for step in steps.iter_mut().filter(|_| kind.rough) {
            if drags.chance(10) {
                let machine = small(drags.below(machines));
                step.shifts.push(Shift::Pressure(machine, Pressure::draw(&mut drags)));
            }
        }
        Schedule { seed, kind, page, weather, machines: small(machines), steps }
    }
}
