//! Simulation of whole clusters: the real engine over a store and disks in memory, on one thread, under a steered clock.
//!
//! - `host`: a machine whose tasks can be stopped and killed, and whose randomness is seeded;
//! - `clock`: the clock of a machine, which may run wrong and jump;
//! - `drag`: the time that work on the logs of a machine takes;
//! - `cluster`: the store, and what all machines share; `network`: the way there; `weather`: how bad that is;
//! - `settings`: how sessions are opened in stories, and how one departs from that;
//! - `machine`: a disk, on which processes open the session and die;
//! - `process`: what one does with it: writes, flushes, closes, deletes, seals anew;
//! - `keys`: which keys processes are started with, and what must open with the newest alone;
//! - `desk`: a machine on which tools run over a session that others may have open;
//! - `harm`: what befalls the store itself: losses, rollbacks, empty and stale moments;
//! - `watch`: how an owner looks for newer ones, and how soon it hands over;
//! - `turnstile`: holds requests until they are let through;
//! - `oracle`: what must hold, judged from outside (I1 to I10, I13, I20);
//! - `schedule`: what happens in one schedule, drawn from a seed, played, and shrunk if it fails;
//! - `campaign`: many schedules over all cores, and what came of them; `sometimes`: what must have happened in them;
//! - `schedules`: thousands of seeded random schedules with faults;
//! - `interleaved`: threads of one process, in every order that shuttle tries;
//! - `interleavings`: the claim, with every order of the requests of two owners;
//! - `scenarios`: single stories, told once; `clouds`: those of sessions that keep no log, `outages` and `removals`: those of stores
//!   that fail, keep silent or refuse.

mod campaign;
mod clock;
mod clouds;
mod cluster;
mod desk;
mod drag;
mod harm;
mod host;
pub mod interleaved;
mod interleavings;
mod keys;
mod machine;
mod network;
mod oracle;
mod outages;
mod process;
mod removals;
mod scenarios;
mod schedule;
mod schedules;
mod settings;
mod sometimes;
mod turnstile;
mod watch;
mod weather;

use std::future::Future;

/// Runs `story` on one thread, with a clock that jumps to the next timer when nothing else can happen.
fn run<T>(story: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(story)
}

pub use cluster::Cluster;
pub use host::{Rng, SimHost};
