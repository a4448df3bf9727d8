//! Schedules: machines that back up, crash and take each other over, through a network that loses, delays and repeats requests.
//!
//! The oracle knows the contents of every attempt. Each generation that an open finds restores to exactly that of its attempt, and none
//! that was acknowledged is missing or older than what is found (I7, I17, I22). In every third schedule the store loses packs too: then a
//! generation restores exactly, or is an error, and after one backup that looks at the packs all that are kept restore again.

use tokio::time::timeout;

use super::*;
use crate::id::Claim;
use crate::sim::Rng;

/// Schedules that are played; each is told by its seed.
const SCHEDULES: u64 = 120;
const STEPS: usize = 30;
const MACHINES: usize = 3;
/// Generations that are kept.
const KEEP: usize = 3;

type Name = (u64, Claim);

#[derive(Default)]
struct Oracle {
    attempts: BTreeMap<Name, Contents>,
    acknowledged: Vec<Name>,
    /// Number of those that are not held against it any more.
    before: usize,
    restored: usize,
    crashes: usize,
    /// The store loses packs.
    loses: bool,
    losses: usize,
    /// It had lost some, and all was well after another backup.
    repaired: bool,
}

/// A machine of a schedule: its process, if one runs, and the generations that its folder began as or became.
struct Node {
    place: Place,
    running: Option<(Arc<SimHost>, Session)>,
    holds: Vec<Name>,
}

fn fate(rng: &mut Rng) -> (Duration, Fate) {
    let time = Duration::from_millis(rng.below(40));
    let later = Duration::from_millis(rng.below(3_000));
    let fate = match rng.below(100) {
        0..=2 => Fate::FailBefore,
        3..=5 => Fate::FailAfter,
        6..=7 => Fate::Late(later),
        8..=9 => Fate::Twice(later),
        _ => Fate::Done,
    };
    (time, fate)
}

fn edit(place: &Place, rng: &mut Rng) {
    for _ in 0..=rng.below(3) {
        let path = format!("file-{}", rng.below(6));
        let at = place.folder.path().join("profile").join(KEPT).join(&path);
        let had = std::fs::read(&at).ok();
        let size = usize::try_from(rng.below(60_000)).expect("small");
        match (rng.below(4), had) {
            (0, Some(_)) => place.remove(&path),
            (1 | 2, Some(mut bytes)) if bytes.len() < 200_000 => {
                bytes.extend(noise(size, rng.next()));
                place.write(&path, &bytes);
            }
            _ => place.write(&path, &noise(size, rng.next())),
        }
    }
}

/// The newest generation of a session, by number and claim.
fn newest(session: &Session) -> Option<Name> {
    let catalog = session.journal().read(Catalog::read).ok()?.ok()?;
    let (number, made) = catalog.generations.last_key_value()?;
    Some((*number, made.claim))
}

impl Node {
    /// Holds the finding of an open against the oracle, and makes the folder that goes with it.
    async fn judge(&mut self, session: &Session, oracle: &mut Oracle) {
        let catalog = session.journal().read(Catalog::read).expect("is live").expect("reads");
        let found: Vec<Name> =
            catalog.generations.iter().map(|(number, made)| (*number, made.claim)).collect();
        let oldest = found.first().map_or(0, |(number, _)| *number);
        // What needs a lost pack is given up.
        for name in oracle.acknowledged.iter().filter(|(number, _)| *number >= oldest && oracle.losses == 0) {
            assert!(found.contains(name), "generation {name:?} was acknowledged, and {found:?} is found");
        }
        for name in &found {
            let restored = self.place.restored(session, Some(name.0)).await;
            // A network that fails for long fails a restore, and says so.
            match restored {
                Ok(contents) => assert_eq!(Some(&contents), oracle.attempts.get(name), "generation {name:?}"),
                Err(Code::RemoteUnavailable) => {}
                Err(code) => assert!(oracle.losses > 0 && code == Code::RemoteCorrupt, "{name:?}: {code:?}"),
            }
            oracle.restored += 1;
        }
        let marker = self.place.folder.path().join("holds.json");
        let profile = self.place.folder.path().join("profile");
        let Some(head) = found.last().copied() else { return };
        if is_held(&marker, &catalog.generations) {
            assert!(self.holds.contains(&head), "the folder never held {head:?}");
            return;
        }
        forget(&marker).expect("room");
        let _ = std::fs::remove_dir_all(&profile);
        if restore(session, profile, None).await.is_ok() {
            hold(&marker, &catalog.generations).expect("room");
            self.holds = vec![head];
        } else {
            self.holds.clear();
        }
    }

    async fn start(&mut self, store: &Memory, seed: u64, oracle: &mut Oracle) {
        let host = SimHost::new(seed, tokio::time::Instant::now());
        let opening = self.place.open_on(Arc::clone(&host) as Arc<dyn Host>, store, &[7], identity);
        match timeout(Duration::from_secs(60), opening).await {
            Ok(Ok(session)) => {
                self.judge(&session, oracle).await;
                self.place.keeper = Keeper::default();
                self.running = Some((host, session));
            }
            _ => host.kill(),
        }
    }

    /// Looks at the packs and stores what is lost: all that is kept then restores.
    async fn repair(&mut self, store: &Memory, rng: &mut Rng, oracle: &mut Oracle) {
        let (host, session) = self.running.take().expect("runs");
        let claim = session.owner().expect("has one").claim;
        let next = newest(&session).map_or(0, |(number, _)| number) + 1;
        edit(&self.place, rng);
        for number in next..=next + 1 {
            oracle.attempts.insert((number, claim), self.place.contents());
        }
        let order = BackupOrder { audit: true, ..self.place.order(KEEP) };
        let report = self.place.keeper.backup(&session, order).await.expect("is stored in good weather");
        assert_eq!(report.uncollected, None);
        session.close(WAIT).await.expect("closes");
        host.kill();
        // From here on no loss explains anything.
        oracle.losses = 0;
        oracle.before += oracle.acknowledged.len();
        oracle.acknowledged = vec![(report.generation, claim)];
        let mut other = Node { place: Place::new(), running: None, holds: Vec::new() };
        other.start(store, rng.next(), oracle).await;
        assert!(other.running.is_some(), "opens in good weather");
        oracle.repaired = true;
    }

    async fn back_up(&mut self, rng: &mut Rng, oracle: &mut Oracle) {
        let Some((host, session)) = &self.running else { return };
        edit(&self.place, rng);
        let claim = session.owner().expect("has one").claim;
        let order = BackupOrder { audit: oracle.loses && rng.chance(50), ..self.place.order(KEEP) };
        let next = newest(session).map_or(0, |(number, _)| number) + 1;
        // A backup that finds packs lost makes another generation of the same contents.
        for number in next..=next + u64::from(oracle.losses > 0) {
            oracle.attempts.insert((number, claim), self.place.contents());
            self.holds.push((number, claim));
        }
        let within = if rng.chance(25) { Duration::from_millis(rng.below(200)) } else { WAIT * 4 };
        match timeout(within, self.place.keeper.backup(session, order)).await {
            Ok(Ok(report)) if report.changed => {
                assert!(report.generation == next || (oracle.losses > 0 && report.generation == next + 1));
                oracle.acknowledged.push((report.generation, claim));
            }
            Ok(_) => {}
            // The process ends in the middle of it.
            Err(_) => {
                host.kill();
                self.running = None;
                oracle.crashes += 1;
            }
        }
    }
}

fn lose_a_pack(store: &Memory, rng: &mut Rng, oracle: &mut Oracle) {
    let names = packs(store);
    if let Some(name) = names.get(usize::try_from(rng.below(names.len().max(1) as u64)).expect("small")) {
        store.objects().remove(name);
        oracle.losses += 1;
    }
}

async fn play(seed: u64) -> Oracle {
    let mut rng = Rng::new(seed);
    let weather = Mutex::new(Rng::new(seed ^ 0xabc));
    let calm = Memory::default();
    let store = calm.through(Arc::new(move |_, _: &str| fate(&mut weather.lock().expect("is whole"))), 7);
    let mut nodes: Vec<Node> =
        (0..MACHINES).map(|_| Node { place: Place::new(), running: None, holds: Vec::new() }).collect();
    let mut oracle = Oracle { loses: seed.is_multiple_of(3), ..Oracle::default() };
    for _ in 0..STEPS {
        let at = usize::try_from(rng.below(MACHINES as u64)).expect("small");
        let node = &mut nodes[at];
        match rng.below(10) {
            0 | 1 => {
                if let Some((host, _)) = node.running.take() {
                    host.kill();
                    oracle.crashes += 1;
                }
                node.start(&store, rng.next(), &mut oracle).await;
            }
            2 => {
                if let Some((host, session)) = node.running.take() {
                    let _ = session.close(Duration::from_secs(5)).await;
                    host.kill();
                }
            }
            3 if oracle.loses && rng.chance(50) => lose_a_pack(&calm, &mut rng, &mut oracle),
            3 => sleep(Duration::from_millis(rng.below(5_000))).await,
            _ if node.running.is_none() => node.start(&store, rng.next(), &mut oracle).await,
            _ => node.back_up(&mut rng, &mut oracle).await,
        }
    }
    for (host, _) in nodes.iter().filter_map(|node| node.running.as_ref()) {
        host.kill();
    }
    // Whatever was under way arrives, and the weather is good: a new machine finds all that was acknowledged.
    sleep(Duration::from_secs(60)).await;
    let mut last = Node { place: Place::new(), running: None, holds: Vec::new() };
    last.start(&calm, rng.next(), &mut oracle).await;
    assert!(last.running.is_some(), "opens in good weather");
    if oracle.losses > 0 {
        last.repair(&calm, &mut rng, &mut oracle).await;
    }
    oracle
}

#[test]
fn acknowledged_generation_restores_bit_for_bit_in_every_schedule() {
    let first = std::env::var("PROFILE_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    let seeds = first.map_or(0..SCHEDULES, |seed| seed..seed + 1);
    let (mut acknowledged, mut restored, mut crashes, mut repaired) = (0, 0, 0, 0);
    for seed in seeds {
        // Told if it fails.
        println!("PROFILE_SEED={seed}");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let oracle = runtime.expect("a runtime").block_on(play(seed));
        acknowledged += oracle.acknowledged.len() + oracle.before;
        repaired += usize::from(oracle.repaired);
        restored += oracle.restored;
        crashes += oracle.crashes;
    }
    if first.is_none() {
        assert!(
            acknowledged > 500 && restored > 1_000 && crashes > 100 && repaired > 20,
            "{acknowledged}, {restored}, {crashes}, {repaired}"
        );
    }
}
