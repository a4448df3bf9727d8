//! Damage to the store itself: an object is lost, the whole bucket goes back to an older moment, or is empty for a while, or shows data
//! as it was a while ago.
//!
//! Oracles are told of each at the instant at which it happens, and judge by what the store still shows from then on.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::cluster::{Cluster, hold};
use super::host::Rng;
use super::sometimes::{Moment, saw};

/// Objects of a store, by their names.
pub type Objects = BTreeMap<String, Bytes>;

/// Damage to a store.
#[derive(Clone, Copy, Debug)]
pub enum Harm {
    /// One object is lost.
    Lose,
    /// Several are lost that lie beside each other.
    LoseMany,
    /// An image of the bucket is taken.
    Image,
    /// The bucket goes back to the last image.
    Rollback,
    /// Another bucket, which is empty, takes its place.
    Empty,
    /// Objects of before come back, beside those of now.
    Return,
    /// Listings and reads of data are from this moment, for a while.
    Stale,
}

impl Harm {
    pub fn draw(rng: &mut Rng) -> Harm {
        match rng.below(20) {
            0..6 => Harm::Lose,
            6..8 => Harm::LoseMany,
            8..12 => Harm::Image,
            12..14 => Harm::Rollback,
            14 => Harm::Empty,
            15..17 => Harm::Return,
            _ => Harm::Stale,
        }
    }
}

impl Harm {
    /// The nearest to it that a failover does: servers keep images, and go back to them.
    pub fn as_failover(self) -> Harm {
        match self {
            Harm::Lose | Harm::Image => Harm::Image,
            _ => Harm::Rollback,
        }
    }
}

/// Remains of a bucket that is not what it was.
#[derive(Default)]
pub struct Remains {
    image: Option<Objects>,
    away: Option<Objects>,
    /// The view of one part of the bucket, and its end.
    stale: Option<(Instant, &'static str, Objects)>,
}

impl Cluster {
    /// View of the store that counts for `name`, if it is not the true one.
    pub fn stale(&self, name: &str) -> Option<Objects> {
        let remains = hold(&self.remains);
        let stale = remains.stale.as_ref();
        let stale = stale.filter(|(until, within, _)| *until > Instant::now() && name.starts_with(within));
        stale.map(|(.., shown)| shown.clone())
    }

    /// True if the store shows data as it was.
    pub fn is_stale(&self) -> bool {
        hold(&self.remains).stale.as_ref().is_some_and(|(until, ..)| *until > Instant::now())
    }

    /// The store shows `shown` of all names within `within`, for so long.
    pub fn show_stale(&self, within: &'static str, shown: Objects, lasts: Duration) {
        hold(&self.remains).stale = Some((Instant::now() + lasts, within, shown));
        self.tampered.store(true, Ordering::Relaxed);
    }

    /// Nothing befalls the store any more.
    pub fn end_harm(&self) {
        hold(&self.remains).stale = None;
    }

    /// Somebody changes the objects of the store.
    pub fn harm_by(&self, change: impl FnOnce(&mut Objects)) {
        let mut objects = self.store.objects();
        change(&mut objects);
        self.tampered.store(true, Ordering::Relaxed);
        for oracle in &self.oracles {
            hold(oracle).harmed(&objects);
        }
    }

    /// Something befalls the store.
    pub fn harm(&self, harm: Harm, rng: &mut Rng) {
        let mut remains = hold(&self.remains);
        let mut objects = self.store.objects();
        match harm {
            Harm::Image => {
                remains.image = Some(objects.clone());
                return;
            }
            Harm::Lose | Harm::LoseMany => {
                if objects.is_empty() {
                    return;
                }
                let count = if matches!(harm, Harm::Lose) { 1 } else { 2 + rng.below(4) };
                let at = usize::try_from(rng.below(objects.len() as u64)).unwrap_or(0);
                let names: Vec<String> =
                    objects.keys().skip(at).take(usize::try_from(count).unwrap_or(1)).cloned().collect();
                names.iter().for_each(|name| _ = objects.remove(name));
                saw(Moment::ObjectLost);
            }
            Harm::Rollback => {
                let Some(image) = remains.image.clone() else { return };
                *objects = image;
                // Those who do not ask for it hear nothing.
                self.server.fetch_add(1, Ordering::Relaxed);
                saw(Moment::RolledBack);
            }
            Harm::Empty => {
                if remains.away.is_some() || objects.is_empty() {
                    return;
                }
                remains.away = Some(std::mem::take(&mut objects));
                saw(Moment::Emptied);
            }
            Harm::Return => {
                let Some(away) = remains.away.take() else { return };
                objects.extend(away);
                saw(Moment::CameBack);
            }
            Harm::Stale => {
                let until = Instant::now() + Duration::from_millis(200 + rng.below(6_000));
                remains.stale = Some((until, "v1/data/", objects.clone()));
                saw(Moment::ShownStale);
            }
        }
        self.tampered.store(true, Ordering::Relaxed);
        for oracle in &self.oracles {
            hold(oracle).harmed(&objects);
        }
    }
}
