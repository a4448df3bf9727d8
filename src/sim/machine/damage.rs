//! Damage to the disk of a machine that is down: a bit that rots, a write that is torn, an old image of its folders put back, and those of
//! another machine.
//!
//! What a disk must still have afterwards is noted in its remains: rot takes nothing without a word, an image may lack what came later.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use crate::platform::disk::Disk;

use super::super::cluster::{TENANTS, hold};
use super::super::host::Rng;
use super::super::keys::Number;
use super::super::sometimes::{Moment, saw};
use super::Machine;
use super::judge::Left;

/// Bytes that a disk writes or loses together.
const SECTOR: usize = 512;

/// The folders of a disk, as they were at some time.
pub struct Image {
    files: Vec<(PathBuf, Vec<u8>)>,
    /// The oldest key that a log in it may need.
    logged: Number,
    /// Bits of logs in it that rotted, of each tenant.
    rotten: [usize; TENANTS.len()],
}

fn pick<T>(list: Vec<T>, rng: &mut Rng) -> Option<T> {
    let at = usize::try_from(rng.below(list.len() as u64)).unwrap_or(0);
    list.into_iter().nth(at)
}

fn folder(tenant: usize) -> PathBuf {
    PathBuf::from(format!("/sessions/{}", TENANTS[tenant]))
}

impl Machine {
    fn logs(&self, tenant: usize) -> Vec<(PathBuf, Vec<u8>)> {
        let files = self.disk.files(&folder(tenant)).into_iter();
        files
            .filter(|(name, data)| name.extension().is_some_and(|it| it == "log") && !data.is_empty())
            .collect()
    }

    /// The process dies, and one bit of a log rots. False if there is none.
    pub fn rot(&mut self, rng: &mut Rng) -> bool {
        self.kill();
        let all =
            (0..TENANTS.len()).flat_map(|tenant| self.logs(tenant).into_iter().map(move |log| (tenant, log)));
        let Some((tenant, (path, data))) = pick(all.collect(), rng) else { return false };
        let len = data.len() as u64;
        // The newest writes are those that nobody else has.
        let at = if rng.chance(60) { len - 1 - rng.below(len.min(300)) } else { rng.below(len) };
        self.disk.rot(&path, usize::try_from(at).unwrap_or(0), u32::try_from(rng.below(8)).unwrap_or(0));
        self.left[tenant].rotten.fetch_add(1, Ordering::Relaxed);
        saw(Moment::Rotted);
        true
    }

    /// The power goes in the middle of a write: of what was not synced those changes survive for which `keeps` says so, and the end of
    /// a log is torn.
    pub fn tear(&mut self, rng: &mut Rng, keeps: impl Fn(usize) -> bool) {
        let safe = self.disk.power_cut(|_| false);
        self.lose_power(keeps);
        for tenant in 0..TENANTS.len() {
            let synced = safe.files(&folder(tenant));
            for (path, mut data) in self.logs(tenant) {
                let Some((_, synced)) = synced.iter().find(|(name, _)| *name == path) else { continue };
                let Some(loose) = data.len().checked_sub(synced.len()).filter(|loose| *loose > 1) else {
                    continue;
                };
                if rng.chance(50) {
                    data.truncate(data.len() - 1 - usize::try_from(rng.below(loose as u64 - 1)).unwrap_or(0));
                } else {
                    let len = data.len();
                    for sector in synced.len() / SECTOR..len.div_ceil(SECTOR) {
                        if rng.chance(50) {
                            data[(sector * SECTOR).max(synced.len())..((sector + 1) * SECTOR).min(len)]
                                .fill(0);
                        }
                    }
                }
                self.disk.rewrite(&path, data);
                saw(Moment::Torn);
            }
        }
    }

    /// An image of its folders.
    pub fn image(&self) -> Image {
        let rotten = self.left.each_ref().map(Left::rotten);
        Image { files: self.disk.files(Path::new("/sessions")), logged: *hold(&self.logged), rotten }
    }

    /// The process dies, and an image takes the place of its folders.
    pub fn put_back(&mut self, image: &Image) {
        self.kill();
        for tenant in 0..TENANTS.len() {
            let folder = folder(tenant);
            let files: Vec<_> =
                image.files.iter().filter(|(name, _)| name.starts_with(&folder)).cloned().collect();
            self.disk.set_read_only(false);
            self.disk.make_dir(&folder).expect("a directory is made");
            self.disk.put_back(&folder, &files);
        }
        self.left = image.rotten.map(Left::of);
        let mut logged = hold(&self.logged);
        *logged = image.logged.min(*logged);
    }
}
