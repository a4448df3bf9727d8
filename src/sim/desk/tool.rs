//! Tools, and the errand of one: what it asks, what it then does, and what the oracle is told of both.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::admin::{self, Ownership};
use crate::error::{Cause, Code, Error, Result};
use crate::id::{Claim, Lsn};
use crate::registry::{OpenRequest, Registry};
use crate::session::open::Settings;
use crate::store::StoreSpec;

use super::super::cluster::{Cluster, TENANT, hold};
use super::super::host::Rng;
use super::super::keys::Number;
use super::super::machine::{Visit, known};
use super::super::oracle::{Look, Seen};
use super::super::sometimes::{Moment, saw};

/// Longest wait of a tool for the store when it closes.
const TIMEOUT: Duration = Duration::from_secs(8);

/// A tool, as an operator starts it.
#[derive(Clone, Copy, Debug)]
pub enum Tool {
    Verify,
    Inspect,
    Survey,
    Export,
    Drill,
    /// Deletes a session that was released, or one that is taken for dead, or whatever there is.
    Prune {
        old: bool,
        active: bool,
    },
    Rekey {
        takeover: bool,
    },
    Delete,
}

impl Tool {
    /// A tool, as chance has it.
    pub fn draw(rng: &mut Rng) -> Tool {
        match rng.below(20) {
            0..3 => Tool::Verify,
            3..5 => Tool::Inspect,
            5 => Tool::Survey,
            6..8 => Tool::Export,
            8..11 => Tool::Drill,
            11..14 => Tool::Prune { old: rng.chance(60), active: rng.chance(15) },
            14..19 => Tool::Rekey { takeover: rng.chance(30) },
            _ => Tool::Delete,
        }
    }

    /// True if it may end an owner that runs.
    pub fn takes_over(self) -> bool {
        matches!(self, Tool::Prune { active: true, .. } | Tool::Rekey { takeover: true } | Tool::Delete)
    }

    fn only_looks(self) -> bool {
        matches!(self, Tool::Verify | Tool::Inspect | Tool::Survey | Tool::Export | Tool::Drill)
    }
}

/// One run of a tool.
pub struct Errand {
    pub cluster: Arc<Cluster>,
    pub registry: Registry,
    pub spec: StoreSpec,
    pub settings: Settings,
    /// The process, and the key that it seals with.
    pub number: u64,
    pub key: Number,
    /// The oldest key that a log of its disk needs.
    pub left: Number,
    pub scratch: PathBuf,
}

/// The report of a look to the oracle, of a session that has not ended.
fn seen(owner: Ownership, lsn: Option<Lsn>, damage: Vec<String>) -> Result<Seen> {
    match owner {
        Ownership::Deleted => Err(Error::new(Cause::Buried, "as it was looked at")),
        Ownership::None => Err(Error::new(Code::NotFound, "as it was looked at")),
        Ownership::Live | Ownership::Released => Ok(Seen { lsn, entries: None, damage }),
    }
}

impl Errand {
    /// Does all of it. `visits` are for the opens that it makes.
    pub async fn run(self, tool: Tool, mut visits: Vec<Visit>) {
        if tool.only_looks() {
            let look = self.cluster.oracle().look(self.number);
            let seen = self.look(tool).await;
            let lacks_keys = hold(&self.cluster.keys).may_lack(self.key, self.left);
            self.cluster.oracle().looked(&look, seen, lacks_keys);
            return;
        }
        match tool {
            Tool::Rekey { takeover } => self.rekey(visits, takeover).await,
            Tool::Prune { old, active } => {
                let Some((claim, owner)) = self.standing().await else { return };
                if let (Some(visit), true) = (visits.pop(), active || old || owner == Ownership::Released) {
                    self.delete(visit, Some((claim, !active)), Moment::ToolPruned).await;
                }
            }
            _ => {
                if let Some(visit) = visits.pop() {
                    self.delete(visit, None, Moment::ToolDeleted).await;
                }
            }
        }
    }

    fn request(&self) -> OpenRequest {
        OpenRequest {
            settings: self.settings.clone(),
            store: Some(self.spec.clone()),
            seed: None,
            listener: Arc::new(|_| {}),
        }
    }

    async fn look(&self, tool: Tool) -> Result<Seen> {
        let registry = &self.registry;
        Ok(match tool {
            Tool::Verify => {
                let report = admin::verify(registry, self.request()).await?;
                Seen { lsn: Some(report.lsn), entries: None, damage: report.damage }
            }
            Tool::Export => {
                let (report, entries) = admin::dump(registry, self.request()).await?;
                Seen { lsn: Some(report.lsn), entries: Some(known(&entries)), damage: report.damage }
            }
            Tool::Drill => {
                let (drill, entries) =
                    admin::drill(registry, self.request(), self.scratch.clone(), TIMEOUT).await?;
                let digests = &drill.digests;
                assert_eq!(digests.store, digests.restored, "a drill did not read back what it wrote");
                if let Some(owner) = &digests.owner {
                    assert_eq!(owner, &digests.store, "a drill differs from its owner's log");
                    saw(Moment::DrillCompared);
                }
                Seen { lsn: Some(drill.lsn), entries: Some(known(&entries)), damage: Vec::new() }
            }
            Tool::Inspect => {
                let stored = admin::inspect(registry, self.request()).await?.store.expect("it has a store");
                if let Some(error) = stored.error {
                    let plain =
                        [Code::NotFound, Code::RemoteUnavailable, Code::Deleted, Code::KeyUnavailable];
                    let is_plain = plain.contains(&error.code());
                    return Err(if is_plain { error } else { error.with_cause(Cause::Damaged) });
                }
                seen(stored.owner, stored.lsn, stored.damage)?
            }
            _ => {
                let standings =
                    admin::survey(registry, self.request(), Some(vec![TENANT.into()]), Vec::new()).await?;
                let standing = standings.into_iter().next().expect("it was asked for");
                seen(standing.owner, standing.lsn, standing.forged)?
            }
        })
    }

    /// The highest claim, and how its owner stands, where there is something that could go.
    async fn standing(&self) -> Option<(Claim, Ownership)> {
        let found = admin::survey(&self.registry, self.request(), Some(vec![TENANT.into()]), Vec::new())
            .await
            .ok()?;
        let standing = found.into_iter().next()?;
        let owner = standing.owner;
        let claim = Claim::parse(&standing.claim?)?;
        matches!(owner, Ownership::Live | Ownership::Released).then_some((claim, owner))
    }

    /// Goes on right after what it judged; `is_gentle` says that it ends nobody who runs.
    fn after(&self, claim: Claim, is_gentle: bool) -> Settings {
        self.cluster.oracle().judged(self.number, claim, is_gentle);
        self.settings.clone().after(Some(claim))
    }

    /// Deletes the session.
    async fn delete(&self, visit: Visit, judged: Option<(Claim, bool)>, done: Moment) {
        let settings = match judged {
            Some((claim, is_gentle)) => self.after(claim, is_gentle),
            None => self.settings.clone(),
        };
        let session = match visit.enter(settings).await {
            Ok(session) => session,
            Err(code) => return Self::refused(code),
        };
        match session.delete().await {
            Ok(()) => saw(done),
            // What it could not end it lets go of.
            Err(_) => _ = session.close(TIMEOUT).await,
        }
    }

    /// Opens and closes it twice: the second open removes what the first one kept of its predecessor.
    async fn rekey(&self, visits: Vec<Visit>, takeover: bool) {
        for (visit, is_second) in visits.into_iter().zip([false, true]) {
            let Some((claim, owner)) = self.standing().await else { return };
            if owner == Ownership::Live && (is_second || !takeover) {
                return;
            }
            let settings = self.after(claim, !takeover);
            let session = match visit.enter(settings).await {
                Ok(session) => session,
                Err(code) => return Self::refused(code),
            };
            let (own, lsn) = (session.claim().expect("it has a store"), session.journal().lsn());
            if session.close(TIMEOUT).await.is_err() {
                return;
            }
            if is_second {
                saw(Moment::ToolRekeyed);
                if self.settings.address.ring.ids().is_empty() {
                    return;
                }
                self.cluster.sealed_anew(own, self.key, lsn);
            }
        }
    }

    fn refused(code: Code) {
        if code == Code::OwnedElsewhere {
            saw(Moment::ToolWithdrew);
        }
    }
}
