//! The claim, under every order of the requests of two owners.
//!
//! Each request to the store waits at a turnstile until the schedule lets its owner through, one request at a time, so that
//! an order is a word over the owners. Two families: an owner that stalls before its n-th request while another does all of
//! its own up to its m-th, for all n and m; and all orders of the requests by which two owners open at the same time.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Code;
use crate::platform::host::sleep;

use super::cluster::{Cluster, Weather};
use super::host::Rng;
use super::machine::{Machine, Opening};
use super::process::Process;
use super::run;
use super::turnstile::Turnstile;

/// More requests than any owner makes in these stories.
const ALL: usize = 10_000;

/// Lets everything settle that needs no further permit.
async fn settle() {
    // The clock is paused: this returns when nothing else can run, and is shorter than any timer of the engine.
    sleep(Duration::from_micros(50)).await;
}

/// A history with a live owner that does not know yet what comes, and two that open at its expense.
struct Stage {
    cluster: Arc<Cluster>,
    machines: Vec<Machine>,
    gates: Vec<Arc<Turnstile>>,
}

impl Stage {
    async fn new(seed: u64) -> Stage {
        let cluster = Cluster::new(seed, 1000, Weather::default());
        let mut old = Machine::new(&cluster);
        old.start(Opening::default());
        sleep(Duration::from_millis(100)).await;
        let mut rng = Rng::new(seed);
        let process = old.process.as_ref().expect("started");
        for _ in 0..3 {
            assert!(process.write(&mut rng));
        }
        sleep(Duration::from_millis(400)).await;
        old.kill();
        Stage { cluster, machines: Vec::new(), gates: Vec::new() }
    }

    /// An owner that will open at once, as far as its permits go.
    fn enter(&mut self) {
        let mut machine = Machine::new(&self.cluster);
        let gate = machine.start_gated(Opening { takeover: true, ..Opening::default() });
        self.machines.push(machine);
        self.gates.push(gate);
    }

    /// Everybody runs to the end, writes, and is told where it stands; then a blank machine must have every promise.
    async fn finish(mut self) {
        let mut rng = Rng::new(1);
        for _ in 0..2 {
            for gate in &self.gates {
                gate.admit(ALL);
            }
            sleep(Duration::from_millis(300)).await;
            for machine in &self.machines {
                machine.process.as_ref().expect("started").write(&mut rng);
            }
            sleep(Duration::from_secs(3)).await;
        }
        let live = self
            .machines
            .iter()
            .filter(|machine| machine.process.as_ref().is_some_and(Process::is_live))
            .count();
        assert!(live <= 1, "{live} owners");
        self.machines.iter_mut().for_each(Machine::kill);
        let mut last = Machine::new(&self.cluster);
        last.start(Opening { takeover: true, ..Opening::default() });
        sleep(Duration::from_millis(300)).await;
        let process = last.process.as_ref().expect("started");
        process.host.rethrow();
        assert!(process.is_live(), "a blank machine did not open: {:?}", process.refused());
        last.kill();
    }
}

/// Requests of an open at the expense of a live owner, and of one shipped write: a preflight (claims, data, base, segment), the
/// claim, claims, claims, data, base, segment, the new base, live, claims; then the collection, the segment, claims.
const REQUESTS: usize = 20;

#[test]
fn an_owner_may_stall_before_any_request_while_another_runs_up_to_any_of_its_own() {
    for first in 0..REQUESTS {
        for second in 0..REQUESTS {
            run(async {
                let mut stage = Stage::new(7).await;
                stage.enter();
                stage.enter();
                let mut rng = Rng::new(2);
                for (at, count) in [(0, first), (1, second)] {
                    for _ in 0..count {
                        stage.gates[at].admit(1);
                        settle().await;
                        // As soon as it is open, it has something to ship.
                        stage.machines[at].process.as_ref().expect("started").write(&mut rng);
                    }
                    sleep(Duration::from_millis(30)).await;
                }
                stage.finish().await;
            });
        }
    }
}

/// Every word with `left` requests of each owner to come.
fn words(prefix: &mut Vec<usize>, left: [usize; 2], visit: &mut impl FnMut(&[usize])) {
    if left == [0, 0] {
        visit(prefix);
    }
    for owner in 0..2 {
        if left[owner] > 0 {
            let mut rest = left;
            rest[owner] -= 1;
            prefix.push(owner);
            words(prefix, rest, visit);
            prefix.pop();
        }
    }
}

#[test]
fn every_order_of_the_first_requests_of_two_claimants_leaves_one_owner() {
    let mut count = 0;
    // Nine requests: claims, data, base, segment (the preflight), claim, claims, claims, data, base. The rest follows in turn.
    words(&mut Vec::new(), [9, 9], &mut |word| {
        count += 1;
        run(async {
            let mut stage = Stage::new(8).await;
            stage.enter();
            stage.enter();
            for owner in word {
                stage.gates[*owner].admit(1);
                settle().await;
            }
            stage.finish().await;
        });
    });
    assert_eq!(count, 48_620);
}

#[test]
fn what_was_deleted_stays_deleted_wherever_a_successor_stood_then() {
    for before in 0..REQUESTS {
        for dies in [true, false] {
            run(async {
                let cluster = Cluster::new(9, 1000, Weather::default());
                let mut old = Machine::new(&cluster);
                old.start(Opening::default());
                sleep(Duration::from_millis(100)).await;
                old.process().write(&mut Rng::new(3));
                let mut next = Machine::new(&cluster);
                let gate = next.start_gated(Opening { takeover: true, ..Opening::default() });
                for _ in 0..before {
                    gate.admit(1);
                    settle().await;
                }
                let deleted = old.session().delete().await;
                if dies {
                    next.kill();
                } else {
                    gate.admit(ALL);
                }
                sleep(Duration::from_secs(3)).await;
                let mut last = Machine::new(&cluster);
                last.start(Opening { takeover: true, ..Opening::default() });
                sleep(Duration::from_millis(300)).await;
                let refused = last.process().refused();
                match deleted {
                    Ok(()) => {
                        assert_eq!(refused, Some(Code::Deleted), "after {before} requests, dies: {dies}")
                    }
                    // The successor had claimed already: the session is its own now, and nothing was deleted.
                    Err(error) => {
                        assert_eq!(error.code(), Code::Fenced);
                        assert!(
                            last.process().is_live(),
                            "after {before} requests, dies: {dies}: {refused:?}"
                        );
                    }
                }
                next.kill();
                last.kill();
            });
        }
    }
}
