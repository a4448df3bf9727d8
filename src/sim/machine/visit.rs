//! One open of a session in a process: what comes of it is shown to the oracle, and to whoever waits at the door.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use crate::error::Code;
use crate::event::Event;
use crate::platform::disk::memory::MemoryDisk;
use crate::platform::host::Host;
use crate::session::open::{Settings, Site, open};
use crate::session::{OriginSource, Session};

use super::super::cluster::{Cluster, hold};
use super::super::host::SimHost;
use super::super::keys::Number;
use super::super::process::{Book, Door};
use super::super::sometimes::{Moment, saw};
use super::super::watch::watch_handover;
use super::Who;
use super::alone::{judge_alone, refused_alone};
use super::judge::{Left, Start, judge, told};

/// The means of a process to open one session.
pub struct Visit {
    pub(super) cluster: Arc<Cluster>,
    pub(super) host: Arc<SimHost>,
    pub(super) disk: MemoryDisk,
    /// The oldest key that a log on the disk may need.
    pub(super) logged: Arc<Mutex<Number>>,
    pub(super) who: Who,
    pub(super) tenant: usize,
    pub(super) here: Left,
    pub(super) door: Arc<Mutex<Door>>,
    pub(super) book: Arc<Mutex<Book>>,
    /// The store; `None`: its disk is all there is.
    pub(super) site: Option<Site>,
    /// A folder to import, as one batch, and the number of its write.
    pub(super) seed: Option<(u64, Vec<u8>)>,
    /// Set if nothing but the weather holds its requests up.
    pub(super) watched: bool,
}

impl Visit {
    /// Opens the session, and gives it, or why it does not open.
    pub async fn enter(self, settings: Settings) -> Result<Arc<Session>, Code> {
        let Visit { cluster, host, disk, logged, who, tenant, here, door, book, site, seed, watched } = self;
        let (number, key, left) = who;
        let (alone, leave) = (site.is_none(), settings.permissions.allowed.leave_store);
        let (import, seed) = seed.map_or((None, None), |(number, batch)| (Some(number), Some(batch)));
        let events = {
            let (cluster, door, book) = (Arc::clone(&cluster), Arc::clone(&door), Arc::clone(&book));
            let (host, interval) = (Arc::clone(&host), settings.tenure.pace.check_interval);
            Arc::new(move |event| {
                told(&cluster, tenant, number, &door, &book, &event);
                if matches!(event, Event::Fenced) && watched {
                    host.spawn(watch_handover(&cluster, &door, (number, tenant), interval));
                }
            })
        };
        let mode = settings.address.mode;
        if mode.keeps_log() && !alone {
            let logs = disk.files(&settings.address.folder).into_iter().map(|(name, _)| name);
            here.begins(number, logs.filter(|name| name.extension().is_some_and(|it| it == "log")).collect());
        }
        let (began, seeded) = {
            let (objects, stale) = (cluster.store.objects(), cluster.is_stale());
            let mut oracle = cluster.oracle_of(tenant);
            oracle.begins(number, &objects, stale);
            if settings.permissions.allowed.seed_from_disk {
                oracle.trusts_disk();
            }
            (oracle.clock(), settings.permissions.allowed.seed_from_disk)
        };
        let host: Arc<dyn Host> = host;
        match open(host, Arc::new(disk), settings, site, seed, events).await {
            Ok(session) => {
                let session = Arc::new(session);
                if alone {
                    judge_alone(&cluster, tenant, &session, &book, &here, import, leave);
                } else {
                    judge(&cluster, tenant, number, &session, &book, &here, &Start { began, seeded, import });
                }
                if seeded && session.origin().source == OriginSource::Local {
                    saw(Moment::Reseeded);
                }
                if mode.keeps_log() {
                    *hold(&logged) = key;
                }
                *hold(&door) = Door::Open(Arc::clone(&session));
                Ok(session)
            }
            Err(error) => {
                // Nobody has the key of what somebody without one of ours put there.
                let lacks_keys =
                    hold(&cluster.keys).may_lack(key, left) || cluster.strange.load(Ordering::Relaxed);
                // A disk that a story damaged may hold more than the store, and then a person has to look.
                let tampered = cluster.tampered.load(Ordering::Relaxed);
                let damaged = error.code() == Code::LocalCorrupt && (tampered || here.rotten() > 0);
                if damaged && !tampered {
                    saw(Moment::RotRefused);
                    if let Some(before) = here.with_one_rotten_bit().filter(|_| !alone) {
                        cluster.oracle_of(tenant).refused_rot(before, &error);
                    }
                }
                let full = error.code() == Code::LocalUnavailable && cluster.full.load(Ordering::Relaxed);
                if alone && !damaged && !full {
                    refused_alone(&error, leave, lacks_keys);
                } else if !damaged && !full {
                    cluster.oracle_of(tenant).refused(&error, mode, lacks_keys, began);
                }
                let code = error.code();
                *hold(&door) = Door::Refused(error);
                Err(code)
            }
        }
    }
}
