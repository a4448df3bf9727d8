//! The operator's desk: a machine of its own on which tools run, one after another, over a session that others may have open.
//!
//! The tools are those of the core; what JavaScript decides between two of their calls is decided here in the same way. One that
//! only looks is held against what the oracle knows and stores nothing; one that changes something is watched in every request.

mod tool;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::platform::host::Host;
use crate::registry::Registry;
use crate::session::Mode;
use crate::session::open::Site;
use crate::store::StoreSpec;

use super::cluster::{Cluster, TENANT};
use super::host::Rng;
use super::machine::{Machine, Opening};
use super::network::Network;
use super::process::Process;
use super::sometimes::{Moment, saw};
use tool::Errand;
pub use tool::Tool;

/// A machine on which nobody opens a session to keep it.
pub struct Desk {
    cluster: Arc<Cluster>,
    pub machine: Machine,
    done: Arc<AtomicBool>,
    errands: usize,
}

impl Desk {
    pub fn new(cluster: &Arc<Cluster>) -> Desk {
        Desk {
            cluster: Arc::clone(cluster),
            machine: Machine::new(cluster),
            done: Arc::default(),
            errands: 0,
        }
    }

    /// The turn of the operator: starts `tool` if none is running, or else may stop, resume or kill the one that runs.
    pub fn act(&mut self, tool: Tool, rng: &mut Rng) -> String {
        let is_done = self.done.load(Ordering::Relaxed);
        match &mut self.machine.process {
            Some(process) if !is_done && process.stopped => {
                if rng.chance(50) {
                    process.stopped = false;
                    process.host.resume();
                    return "the tool goes on".into();
                }
            }
            Some(process) if !is_done => match rng.below(10) {
                0..2 => {
                    process.stopped = true;
                    process.host.stop();
                    return "the tool is stopped".into();
                }
                2..5 => {}
                _ => return "the tool goes on".into(),
            },
            _ => {
                self.machine.kill();
                self.start(tool);
                return format!("a tool is started: {tool:?}");
            }
        }
        self.machine.kill();
        saw(Moment::ToolDied);
        "the tool dies".into()
    }

    /// Has a tool that was stopped go on.
    pub fn resume(&mut self) {
        if let Some(process) = &mut self.machine.process {
            process.stopped = false;
            process.host.resume();
        }
    }

    /// True if no tool is at work.
    pub fn is_done(&self) -> bool {
        self.machine.process.is_none() || self.done.load(Ordering::Relaxed)
    }

    fn start(&mut self, tool: Tool) {
        self.errands += 1;
        self.done = Arc::default();
        let (host, who) = self.machine.begin(Mode::Hybrid);
        let number = who.0;
        let dyn_host: Arc<dyn Host> = host.clone();
        let network = Network::new(&self.cluster, number, self.machine.number);
        let how = Opening { existing: true, takeover: tool.takes_over(), ..Opening::default() };
        let settings = self.cluster.settings(how);
        let site = Site::of(Arc::new(network), &dyn_host);
        // Two opens at the most, one after the other, as `rekey` makes them.
        let (first, one) = self.machine.prepare(Arc::clone(&host), who, 0, Some(&site));
        let (second, two) = self.machine.prepare(Arc::clone(&host), who, 0, Some(&site));
        let passes = vec![one, two];
        let spec = StoreSpec::Memory { name: TENANT.into() };
        let registry = Registry::over(dyn_host, Arc::new(self.machine.disk().clone()), &spec, site);
        let errand = Errand {
            cluster: Arc::clone(&self.cluster),
            registry,
            spec,
            settings,
            number,
            key: who.1,
            left: who.2,
            scratch: PathBuf::from(format!("/drills/{}", self.errands)),
        };
        let done = Arc::clone(&self.done);
        host.spawn(Box::pin(async move {
            errand.run(tool, passes).await;
            done.store(true, Ordering::Relaxed);
        }));
        self.machine.process = Some(Process { neighbours: vec![second], ..first });
    }
}
