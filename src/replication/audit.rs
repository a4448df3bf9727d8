//! Audits: whether the store still has what this owner stored, and what is done where it has not.
//!
//! An acknowledgement says that an object was stored, not that it is still there. Whatever is missing, memory has all of it: a mark
//! is stored again, and a new base makes good what the chain lacks. Nothing is acknowledged over a hole that is known.

use std::sync::Arc;
use std::time::Duration;

use crate::event::{Event, Level};
use crate::platform::host::Host;
use crate::platform::meter::METERS;

use super::stop::Work;
use super::{Replicator, spread};

/// Segments after which the chain is held against a listing.
pub const AUDIT_SEGMENTS: usize = 32;
/// The longest time without that.
const RARELY: Duration = Duration::from_secs(24 * 3600);
/// Audits after the store was seen to have lost things, with pauses that double.
const ALERT: u32 = 8;
/// The longest of these pauses, in check intervals.
const LONGEST: u32 = 1 << (ALERT - 1);

/// Time of the next audit.
pub struct Audits {
    at: Duration,
    pause: Duration,
    left: u32,
}

impl Audits {
    /// None before long, and not at the moment at which a whole fleet that was opened together has its own.
    pub fn rarely(host: &Arc<dyn Host>) -> Audits {
        Audits { at: host.now() + spread(host, RARELY), pause: Duration::ZERO, left: 0 }
    }

    /// Time of the next one.
    pub fn at(&self) -> Duration {
        self.at
    }

    /// One is due.
    pub fn hurry(&mut self, now: Duration) {
        self.at = self.at.min(now);
    }
}

impl Replicator {
    /// The store lost things, and may go on doing so: a mount that comes and goes, a copy that is behind.
    pub(super) fn suspect(&mut self) {
        // What is found to be missing right after it was made good is perhaps only not shown yet: it is stored again at growing
        // pauses too, and not as fast as the store takes it.
        let pause = if self.audits.left > 0 { self.audits.pause } else { self.pace.check_interval };
        let pause = pause.min(self.pace.check_interval * LONGEST);
        self.audits = Audits { at: self.now() + pause, pause, left: ALERT };
    }

    /// Holds the chain against a listing.
    pub(super) async fn audit(&mut self) {
        self.collect().await;
        let Audits { pause, left, .. } = self.audits;
        self.audits = match left.checked_sub(1) {
            Some(left) => Audits { at: self.now() + pause * 2, pause: pause * 2, left },
            None => Audits::rarely(self.owner.tenancy.host()),
        };
    }

    /// The store lost part of the chain, and no newer owner is there: stores the state anew, and then tells of it.
    pub(super) async fn mend(&mut self) -> Work {
        let lost = self.collector.take_losses();
        let note = "the store lost objects of this session; they are being stored again";
        (self.events)(Event::Note(Level::Warn, note.to_owned()));
        let (number, how) = if lost.pieces == 0 {
            // All that a restore reads is there, and segments go on after it.
            self.store_marks().await?;
            self.acknowledge(None, true).await?;
            (lost.count(), "they were stored again")
        } else {
            let renewed = self.rebuild().await?;
            let (lsn, bytes) = (self.head.lsn, self.chain.newest().bytes);
            self.acknowledge(Some((lsn, bytes)), true).await?;
            (lost.count(), if renewed { "its full state was stored again" } else { "they are there again" })
        };
        METERS.store_repairs.one();
        (self.events)(Event::Repaired(format!(
            "the store had lost {number} objects of this session; {how}, and nothing is missing"
        )));
        self.suspect();
        self.collector.expect(&self.chain);
        Ok(())
    }

    /// Stores marks, what waits, and the whole state behind it, and acknowledges nothing before that is there. `false`: the store takes no
    /// base, and has all of the chain before it.
    pub(super) async fn rebuild(&mut self) -> Work<bool> {
        // Both marks before the state: to whoever comes meanwhile this must be a session whose state is missing, which nobody
        // claims, and not one that never began.
        self.store_marks().await?;
        loop {
            let (lsn, base) = match self.journal.cut(true)? {
                None => self.journal.view()?,
                Some(cut) => {
                    self.store_cut(&cut).await?;
                    let Some(base) = cut.base else { continue };
                    (cut.last, base)
                }
            };
            // Something may have been written meanwhile.
            if lsn == self.head.lsn {
                return self.replace_chain(lsn, base).await;
            }
        }
    }
}
