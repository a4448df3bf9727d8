//! Acts of a machine at a step, given how it stands: starts, writes, flushes, stops, dies, closes, deletes.
//!
//! Each answers in words what it did, for the list of steps that a failure prints.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::error::Code;
use crate::journal::Life;
use crate::session::{Mode, Session};

use super::super::host::Rng;
use super::super::machine::{Machine, Opening};
use super::super::process::Process;
use super::super::sometimes::{Moment, saw};
use super::{Kind, pace, small};

/// Takes one random step of one machine.
pub fn act(machine: &mut Machine, rng: &mut Rng, kind: Kind) -> String {
    let Some(process) = &mut machine.process else {
        let how = Opening {
            fresh: rng.chance(if kind.logouts { 90 } else { 50 }),
            takeover: rng.chance(20),
            impatient: rng.chance(20),
            strict: rng.chance(10),
            mode: if kind.clouds > 0 && rng.chance(kind.clouds) { Mode::Cloud } else { Mode::Hybrid },
            pace: kind.rough.then(|| pace(rng)),
            judged: None,
            existing: false,
            seed: false,
            leave: false,
            import: kind.locals && rng.chance(30),
            neighbours: if kind.rough && !kind.keys { [0, 0, 1, 2][small(rng.below(4))] } else { 0 },
        };
        // Without a store, for a while or for good.
        let may_leave = kind.locals && !machine.may_be_behind_its_store();
        let how = match may_leave && rng.chance(35) {
            true => Opening { mode: Mode::Local, leave: rng.chance(60), ..how },
            false => how,
        };
        machine.start(how);
        saw(Moment::Started);
        return format!("starts: {how:?}");
    };
    if process.stopped {
        if rng.chance(30) {
            machine.resume();
            return "goes on".into();
        }
        if rng.chance(20) {
            machine.kill();
            return "dies while it is stopped".into();
        }
        return "stays stopped".into();
    }
    if let Some(code) = process.refused() {
        machine.kill();
        // Somebody is sure that this disk has the session, and says so.
        if code == Code::RemoteCorrupt && rng.chance(30) {
            machine.start(Opening { seed: true, takeover: rng.chance(50), ..Opening::default() });
            return "starts from its disk, whatever the store lacks".into();
        }
        // Somebody looks at what the error says, and gives the damaged disk away.
        if code == Code::LocalCorrupt && rng.chance(50) {
            machine.wipe();
            return "is replaced: its disk is damaged".into();
        }
        return format!("ends: it was refused with {code:?}");
    }
    if process.session().is_none() {
        return match rng.below(20) {
            0 => die(machine, "while it opens"),
            1 => stop(machine, rng, kind),
            _ => "is opening".into(),
        };
    }
    if kind.keys && rng.chance(15) {
        process.seal_anew();
        return "seals the session anew".into();
    }
    if kind.logouts && rng.chance(40) {
        return log_out(process, rng).into();
    }
    let count = process.neighbours.len();
    if count > 0 && rng.chance(60) {
        let neighbour = small(rng.below(count as u64));
        return format!("tenant {} {}", neighbour + 1, beside(&process.neighbours[neighbour], rng));
    }
    match rng.below(100) {
        0..66 => {
            if kind.rough && rng.chance(20) {
                return format!("writes, and waits for the disk: {}", process.write_durably(rng));
            }
            let taken = (0..=rng.below(3)).filter(|_| process.write(rng)).count();
            format!("writes {taken} times")
        }
        66..76 => {
            process.background(|session: Arc<Session>| async move {
                let _ = session.flush(Duration::from_secs(5)).await;
            });
            "flushes".into()
        }
        76..81 => stop(machine, rng, kind),
        81..86 if kind.rough && rng.chance(40) => {
            let (share, seed) = ([0, 50, 100][small(rng.below(3))], rng.next());
            machine.lose_power(|change| Rng::new(seed ^ change as u64).chance(share));
            format!("loses power; of what was not synced, {share} % is kept")
        }
        81..86 => die(machine, "while it is open"),
        86..89 => {
            machine.wipe();
            saw(Moment::Wiped);
            "is replaced by a blank one".into()
        }
        89..94 => {
            process.background(|session: Arc<Session>| async move {
                let _ = session.close(Duration::from_secs(8)).await;
            });
            "closes".into()
        }
        94..95 => {
            process.delete();
            "deletes".into()
        }
        95..98 if kind.rough => {
            let room = rng.chance(50).then(|| small(rng.below(2_000)));
            process.cluster.full.store(true, Ordering::Relaxed);
            machine.disk().set_space(room);
            format!("has room for {room:?} bytes")
        }
        _ if !process.is_live() => die(machine, "after its end"),
        _ => "does nothing".into(),
    }
}

/// Deletes the session, once more if that failed, or stores it anew: what it began with is then removed.
fn log_out(process: &Process, rng: &mut Rng) -> &'static str {
    let life = process.session().map(|session| session.journal().life());
    match life {
        Some(Life::Deleted) => {
            process.delete();
            "deletes once more"
        }
        Some(Life::Live) if rng.chance(25) => {
            process.delete();
            "deletes"
        }
        _ => {
            process.write(rng);
            process.background(|session: Arc<Session>| async move {
                let _ = session.renew(Duration::from_secs(5)).await;
            });
            "writes, and stores its state anew"
        }
    }
}

/// Acts of the session of another tenant in the process.
fn beside(neighbour: &Process, rng: &mut Rng) -> &'static str {
    if neighbour.session().is_none() {
        return "is not open";
    }
    match rng.below(100) {
        0..80 => {
            neighbour.write(rng);
            "writes"
        }
        80..92 => {
            neighbour.background(|session: Arc<Session>| async move {
                let _ = session.flush(Duration::from_secs(5)).await;
            });
            "flushes"
        }
        92..97 => {
            neighbour.background(|session: Arc<Session>| async move {
                let _ = session.close(Duration::from_secs(8)).await;
            });
            "closes"
        }
        97..98 => {
            neighbour.delete();
            "deletes"
        }
        _ => "does nothing",
    }
}

fn die(machine: &mut Machine, when: &str) -> String {
    machine.kill();
    saw(Moment::Killed);
    format!("dies {when}")
}

fn stop(machine: &mut Machine, rng: &mut Rng, kind: Kind) -> String {
    let stands = kind.clocks && rng.chance(40);
    machine.stop(stands);
    saw(if stands { Moment::Suspended } else { Moment::Stopped });
    if stands { "is suspended, and its clock stands".into() } else { "is stopped".into() }
}
