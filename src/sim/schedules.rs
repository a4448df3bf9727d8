//! Seeded random schedules: machines come and go, stop and die, the network fails in every way, and the oracle watches.
//!
//! A failure prints its seed; `SIM_SEED=<n> cargo test --no-default-features seeded` runs that one alone, and
//! `SIM_SCHEDULES=<n>` sets how many are run.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::error::Code;
use crate::host::sleep;

use super::cluster::{Cluster, Machine, Opening, Weather};
use super::host::Rng;
use super::run;

const SCHEDULES: u64 = 10_000;

fn weather(rng: &mut Rng) -> Weather {
    match rng.below(4) {
        0 => Weather::default(),
        1 => Weather { slow: 300, ..Weather::default() },
        _ => Weather {
            fails: rng.below(20),
            lost: rng.below(15),
            late: rng.below(10),
            twice: rng.below(10),
            slow: rng.below(400),
        },
    }
}

/// One random step of one machine.
fn step(machine: &mut Machine, rng: &mut Rng) {
    let Some(process) = &mut machine.process else {
        let fresh = rng.chance(50);
        let (takeover, impatient) = (rng.chance(20), rng.chance(20));
        machine.start(Opening { takeover, fresh, impatient, strict: rng.chance(10) });
        return;
    };
    if process.stopped {
        if rng.chance(30) {
            process.stopped = false;
            process.host.resume();
        } else if rng.chance(20) {
            machine.kill();
        }
        return;
    }
    if process.refused().is_some() {
        machine.kill();
        return;
    }
    let Some(session) = process.session() else {
        match rng.below(20) {
            0 => machine.kill(),
            1 => {
                process.stopped = true;
                process.host.stop();
            }
            _ => {}
        }
        return;
    };
    match rng.below(100) {
        0..66 => {
            for _ in 0..=rng.below(3) {
                process.write(rng);
            }
        }
        66..76 => process.background(|session: std::sync::Arc<crate::session::Session>| async move {
            let _ = session.flush(Duration::from_secs(5)).await;
        }),
        76..81 => {
            process.stopped = true;
            process.host.stop();
        }
        81..86 => machine.kill(),
        86..89 => machine.wipe(),
        89..94 => {
            let done = session;
            process.background(|session: std::sync::Arc<crate::session::Session>| async move {
                let _ = session.close(Duration::from_secs(8)).await;
            });
            drop(done);
        }
        94..95 => process.background(|session: std::sync::Arc<crate::session::Session>| async move {
            let _ = session.delete().await;
        }),
        _ => {
            if !process.is_live() {
                machine.kill();
            }
        }
    }
}

/// Runs one schedule and gives the number of opens and of promises.
async fn schedule(seed: u64) -> (usize, usize) {
    let mut rng = Rng::new(seed);
    let weather = weather(&mut rng);
    let page = if rng.chance(50) { 1 + usize::try_from(rng.below(3)).unwrap_or(0) } else { 1000 };
    let cluster = Cluster::new(rng.next(), page, weather);
    let mut machines: Vec<Machine> = (0..2 + rng.below(3)).map(|_| Machine::new(&cluster)).collect();
    for _ in 0..60 + rng.below(90) {
        let at = usize::try_from(rng.below(machines.len() as u64)).unwrap_or(0);
        step(&mut machines[at], &mut rng);
        if rng.chance(3) {
            let now = cluster.outage.load(Ordering::Relaxed);
            cluster.outage.store(!now, Ordering::Relaxed);
        }
        let longest = if rng.chance(10) { 4_000 } else { 400 };
        sleep(Duration::from_millis(rng.below(longest))).await;
    }
    // The network heals, and everybody who can finds out where they stand.
    cluster.heal();
    for process in machines.iter_mut().filter_map(|machine| machine.process.as_mut()) {
        process.stopped = false;
        process.host.resume();
    }
    sleep(Duration::from_secs(120)).await;
    let live = machines
        .iter()
        .filter(|machine| machine.process.as_ref().is_some_and(super::cluster::Process::is_live))
        .count();
    assert!(live <= 1, "{live} owners after everybody had time to look");
    machines.iter_mut().for_each(Machine::kill);
    // A blank machine has every promise, or is told that the session was deleted.
    let mut last = Machine::new(&cluster);
    last.start(Opening::default());
    sleep(Duration::from_secs(60)).await;
    let process = last.process.as_ref().expect("started");
    process.host.rethrow();
    assert!(
        process.is_live() || process.refused() == Some(Code::Deleted),
        "a blank machine did not open: {:?}",
        process.refused()
    );
    last.kill();
    cluster.oracle().counts()
}

#[test]
fn seeded_schedules_keep_every_invariant() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds: Vec<u64> = match number("SIM_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("SIM_SCHEDULES").unwrap_or(SCHEDULES)).collect(),
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let results = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|worker| {
                let mine: Vec<u64> = seeds.iter().copied().skip(worker).step_by(threads).collect();
                scope.spawn(move || {
                    let mut sum = (0, 0);
                    for seed in mine {
                        let outcome = std::panic::catch_unwind(|| run(schedule(seed)));
                        let Ok((opens, promises)) = outcome else {
                            panic!("schedule with SIM_SEED={seed} failed")
                        };
                        sum = (sum.0 + opens, sum.1 + promises);
                    }
                    sum
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("a schedule failed; its seed is above"))
            .collect::<Vec<_>>()
    });
    let (opens, promises) = results.into_iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    println!(
        "{} schedules from seed {:?}: {opens} opens, {promises} acknowledgements",
        seeds.len(),
        seeds.first()
    );
    assert!(opens > seeds.len(), "schedules in which nothing happens prove nothing");
    assert!(promises > seeds.len(), "schedules in which nothing is promised prove nothing");
}
