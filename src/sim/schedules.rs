//! Seeded random schedules: machines come and go, stop and die, the network fails in every way, and the oracle watches.
//!
//! A failure prints its seed; `SIM_SEED=<n> cargo test --no-default-features seeded` runs that one alone, and
//! `SIM_SCHEDULES=<n>` sets how many are run. In one kind of schedule all processes keep a log; in another some of them, or
//! all, keep none, and a machine may change from one to the other at each start; in a third, keys are turned over, and sessions
//! sealed anew, all the while.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::error::Code;
use crate::host::sleep;

use super::cluster::{Cluster, Weather, hold};
use super::host::Rng;
use super::machine::{Machine, Opening};
use super::process::Process;
use super::run;

const SCHEDULES: u64 = 10_000;
const CLOUD_SCHEDULES: u64 = 6_000;
const KEY_SCHEDULES: u64 = 300;

/// What is special about a schedule.
#[derive(Clone, Copy, Default)]
struct Kind {
    /// How many of its processes keep no log, in percent.
    clouds: u64,
    /// Whether its sessions are encrypted, and keys turned over.
    keys: bool,
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
            slow: rng.below(400),
        },
    }
}

/// One random step of one machine.
fn step(machine: &mut Machine, rng: &mut Rng, Kind { clouds, keys }: Kind) {
    let Some(process) = &mut machine.process else {
        let fresh = rng.chance(50);
        let (takeover, impatient) = (rng.chance(20), rng.chance(20));
        let strict = rng.chance(10);
        let cloud = clouds > 0 && rng.chance(clouds);
        machine.start(Opening { takeover, fresh, impatient, strict, cloud });
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
    if keys && rng.chance(15) {
        process.seal_anew();
        return;
    }
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

/// Runs one schedule and gives the number of opens, of promises, of writes that resolved as stored, and of sessions that were
/// sealed anew so that older keys could go; and the digest of all its requests.
async fn schedule(seed: u64, kind: Kind) -> ([usize; 4], u64) {
    let mut rng = Rng::new(seed);
    let weather = weather(&mut rng);
    let page = if rng.chance(50) { 1 + usize::try_from(rng.below(3)).unwrap_or(0) } else { 1000 };
    let cluster = Cluster::new(rng.next(), page, weather);
    if kind.keys {
        hold(&cluster.keys).rotate();
    }
    let mut machines: Vec<Machine> = (0..2 + rng.below(3)).map(|_| Machine::new(&cluster)).collect();
    for _ in 0..60 + rng.below(90) {
        let at = usize::try_from(rng.below(machines.len() as u64)).unwrap_or(0);
        step(&mut machines[at], &mut rng, kind);
        if rng.chance(3) {
            let now = cluster.outage.load(Ordering::Relaxed);
            cluster.outage.store(!now, Ordering::Relaxed);
        }
        if kind.keys && rng.chance(6) {
            hold(&cluster.keys).rotate();
        }
        let longest = if rng.chance(10) { 4_000 } else { 400 };
        sleep(Duration::from_millis(rng.below(longest))).await;
        cluster.restore_what_was_sealed_anew().await;
    }
    // The network heals, and everybody who can finds out where they stand.
    cluster.heal();
    for process in machines.iter_mut().filter_map(|machine| machine.process.as_mut()) {
        process.stopped = false;
        process.host.resume();
    }
    sleep(Duration::from_secs(120)).await;
    let live =
        machines.iter().filter(|machine| machine.process.as_ref().is_some_and(Process::is_live)).count();
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
    let [opens, promises, kept] = cluster.oracle().counts();
    let complete = hold(&cluster.keys).complete;
    ([opens, promises, kept, complete], cluster.digest())
}

/// Runs `count` schedules, or those that the environment asks for, each of the kind that its seed makes it. Gives how many there were, and what came of them in all.
fn run_schedules(count: u64, kind: fn(u64) -> Kind) -> (usize, [usize; 4]) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds: Vec<u64> = match number("SIM_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("SIM_SCHEDULES").unwrap_or(count)).collect(),
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let results = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|worker| {
                let mine: Vec<u64> = seeds.iter().copied().skip(worker).step_by(threads).collect();
                scope.spawn(move || {
                    let mut sum = [0; 4];
                    for seed in mine {
                        let outcome = std::panic::catch_unwind(|| run(schedule(seed, kind(seed))));
                        let Ok((counts, _)) = outcome else { panic!("schedule with SIM_SEED={seed} failed") };
                        sum = std::array::from_fn(|n| sum[n] + counts[n]);
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
    let all @ [opens, promises, kept, complete] =
        results.into_iter().fold([0; 4], |sum, one| std::array::from_fn(|n| sum[n] + one[n]));
    println!(
        "{} schedules from seed {:?}: {opens} opens, {promises} acknowledgements, {kept} writes resolved as stored, {complete} times sealed anew",
        seeds.len(),
        seeds.first()
    );
    assert!(opens > seeds.len(), "schedules in which nothing happens prove nothing");
    assert!(promises > seeds.len(), "schedules in which nothing is promised prove nothing");
    (seeds.len(), all)
}

#[test]
fn seeded_schedules_keep_every_invariant() {
    run_schedules(SCHEDULES, |_| Kind::default());
}

#[test]
fn seeded_schedules_of_machines_without_disks_lose_no_write_that_resolved() {
    // In every third one nobody keeps a log; in the others machines change from start to start.
    let (schedules, [_, _, kept, _]) = run_schedules(CLOUD_SCHEDULES, |seed| Kind {
        clouds: if seed.is_multiple_of(3) { 100 } else { 50 },
        ..Kind::default()
    });
    assert!(kept > schedules, "schedules in which no write resolves prove nothing");
}

#[test]
fn seeded_schedules_that_turn_keys_over_need_no_key_that_was_dropped() {
    let (schedules, [_, _, _, complete]) = run_schedules(KEY_SCHEDULES, |seed| Kind {
        clouds: if seed.is_multiple_of(3) { 40 } else { 0 },
        keys: true,
    });
    assert!(complete > schedules, "schedules in which no key can go prove nothing");
}

#[test]
fn a_seed_replays_with_the_same_requests_at_the_same_instants() {
    for kind in [Kind::default(), Kind { clouds: 50, keys: false }, Kind { clouds: 40, keys: true }] {
        let digests = |_| -> Vec<u64> { (0..20).map(|seed| run(schedule(seed, kind)).1).collect() };
        let [once, again] = [0, 1].map(digests);
        assert_eq!(once, again);
        let others: std::collections::BTreeSet<u64> = once.iter().copied().collect();
        assert_eq!(others.len(), once.len(), "a digest that all seeds share proves nothing");
    }
}
