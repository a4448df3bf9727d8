//! Stories of logs that rot while nobody looks: the whole state, or an error, and every byte kept.

use std::path::{Path, PathBuf};

use super::super::weather::{Names, Storm};
use super::*;
use crate::session::{Mode, OriginSource};
use crate::store::adapters::memory::Request;

const FOLDER: &str = "/sessions/tenant";
const WRITES: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Damage {
    Flip,
    Zeros,
}

/// Offsets of the header, of each frame, and of the end.
fn starts(bytes: &[u8]) -> Vec<usize> {
    let mut starts = vec![0, 116];
    while let Some(head) = bytes.get(starts[starts.len() - 1]..).filter(|head| head.len() >= 37) {
        let len = u32::from_le_bytes(head[4..8].try_into().expect("four bytes"));
        starts.push(starts[starts.len() - 1] + 37 + usize::try_from(len).expect("small"));
    }
    starts
}

fn log_of(machine: &Machine) -> (PathBuf, Vec<u8>) {
    let files = machine.disk().files(Path::new(FOLDER));
    files.into_iter().find(|(name, _)| name.extension().is_some_and(|it| it == "log")).expect("a log")
}

/// A machine that wrote, of which the store has the first `stored`, and died.
async fn died(cluster: &Arc<Cluster>, stored: usize) -> Machine {
    let mut machine = opened(cluster, Opening::default()).await;
    write(&machine, stored);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(machine.session().journal().progress().stored, stored as u64);
    cluster.outage.store(true, Ordering::Relaxed);
    write(&machine, WRITES - stored);
    machine.kill();
    cluster.outage.store(false, Ordering::Relaxed);
    machine
}

#[test]
fn a_damaged_log_gives_everything_or_an_error_wherever_the_store_stands() {
    for stored in [0, 3, WRITES] {
        for frame in 0..=WRITES + 1 {
            for damage in [Damage::Flip, Damage::Zeros] {
                run(async move {
                    let context = format!("{damage:?} at frame {frame}, the store has {stored}");
                    let cluster = calm();
                    cluster.tampered.store(true, Ordering::Relaxed);
                    let mut machine = died(&cluster, stored).await;
                    let (path, mut bytes) = log_of(&machine);
                    let starts = starts(&bytes);
                    let (start, end) = (starts[frame], starts[frame + 1]);
                    match damage {
                        Damage::Flip => bytes[(start + end) / 2] ^= 2,
                        Damage::Zeros => bytes[start..end].fill(0),
                    }
                    machine.disk().rewrite(&path, bytes.clone());
                    machine.start(Opening { takeover: true, ..Opening::default() });
                    sleep(Duration::from_millis(500)).await;
                    let kept =
                        machine.disk().files(Path::new(FOLDER)).into_iter().any(|(_, left)| left == bytes);
                    assert!(kept, "{context}: the damaged file is gone");
                    if let Some(code) = machine.process().refused() {
                        assert_eq!(code, Code::LocalCorrupt, "{context}");
                        // How many batches there were in zeros nobody can tell.
                        let unknown = damage == Damage::Zeros && frame == WRITES + 1;
                        assert!(stored < WRITES || unknown, "{context}: the store has everything");
                        // What follows the damage makes the store whole if that has the batch which was hit.
                        let whole = (1..=WRITES).contains(&frame) && stored + 1 >= frame;
                        assert!(!whole, "{context}: all was there");
                        return;
                    }
                    let (lsn, origin) = (machine.session().journal().lsn(), machine.session().origin());
                    assert_eq!(lsn, WRITES as u64, "{context}: {origin:?}");
                    assert!(machine.process().told().contains(&"repaired"), "{context}: nobody was told");
                });
            }
        }
    }
}

#[test]
fn a_power_cut_never_takes_what_the_store_has_and_leaves_what_follows_it() {
    for stored in [0, 3, WRITES] {
        for kept in (0..1_u32 << WRITES).step_by(7) {
            run(async move {
                let context = format!("kept {kept:b} of the writes, the store has {stored}");
                let cluster = calm();
                let mut machine = opened(&cluster, Opening::default()).await;
                write(&machine, stored);
                sleep(Duration::from_secs(2)).await;
                cluster.outage.store(true, Ordering::Relaxed);
                write(&machine, WRITES - stored);
                let writes = machine.disk().unsynced() - WRITES;
                machine.lose_power(|change| change >= writes && kept >> (change - writes) & 1 == 1);
                cluster.outage.store(false, Ordering::Relaxed);
                machine.start(Opening { takeover: true, ..Opening::default() });
                sleep(Duration::from_millis(500)).await;
                let (lsn, clean) =
                    (machine.session().journal().lsn() as usize, machine.session().origin().clean);
                let reach = |from: usize| from + (kept >> from).trailing_ones() as usize;
                // What follows the start of the log, or else what follows the store to the last write that was kept.
                let (log, last) = (reach(0), (u32::BITS - kept.leading_zeros()) as usize);
                let expected = if log >= stored {
                    log
                } else if reach(stored) == last && last > stored {
                    last
                } else {
                    stored
                };
                assert_eq!(lsn, expected, "{context}");
                assert!(!clean, "{context}: nobody knows what was lost");
            });
        }
    }
}

#[test]
fn an_old_image_of_a_folder_gives_way_to_the_store() {
    run(async {
        let cluster = calm();
        cluster.tampered.store(true, Ordering::Relaxed);
        let mut machine = opened(&cluster, Opening::default()).await;
        write(&machine, 3);
        let image = machine.disk().files(Path::new(FOLDER));
        write(&machine, 3);
        sleep(Duration::from_secs(2)).await;
        machine.kill();
        machine.disk().put_back(Path::new(FOLDER), &image);
        machine.start(Opening { takeover: true, ..Opening::default() });
        sleep(Duration::from_millis(500)).await;
        assert_eq!(
            (machine.session().origin().source, machine.session().journal().lsn()),
            (OriginSource::Remote, 6)
        );
    });
}

/// Opens while no base gets through, until the open gives up, and ends the process.
async fn no_base_gets_through(cluster: &Arc<Cluster>, machine: &mut Machine) {
    let weather = Weather { fails: 100, ..Weather::default() };
    let lasts = Duration::from_secs(120);
    cluster.sky.begin(Storm {
        machine: None,
        request: Some(Request::Put),
        names: Names::Data,
        weather,
        lasts,
    });
    machine.start(Opening { takeover: true, ..Opening::default() });
    sleep(lasts).await;
    assert_eq!(machine.process().refused(), Some(Code::RemoteUnavailable));
    machine.kill();
}

#[test]
fn open_that_fails_leaves_a_damaged_log_and_what_only_that_has() {
    run(async {
        let cluster = calm();
        cluster.tampered.store(true, Ordering::Relaxed);
        let mut machine = died(&cluster, 3).await;
        let (path, bytes) = log_of(&machine);
        let starts = starts(&bytes);
        machine.disk().rot(&path, usize::midpoint(starts[2], starts[3]), 1);
        no_base_gets_through(&cluster, &mut machine).await;
        machine.start(Opening { takeover: true, ..Opening::default() });
        sleep(Duration::from_secs(1)).await;
        assert_eq!(machine.session().journal().lsn(), WRITES as u64, "what only the log had is gone");
    });
}

#[test]
fn open_that_fails_leaves_a_session_that_had_no_store_where_it_was() {
    run(async {
        let cluster = calm();
        let mut other = opened(&cluster, Opening::default()).await;
        write(&other, 1);
        sleep(Duration::from_secs(2)).await;
        other.kill();
        let mut machine = opened(&cluster, Opening { mode: Mode::Local, ..Opening::default() }).await;
        write(&machine, 5);
        machine.kill();
        no_base_gets_through(&cluster, &mut machine).await;
        machine.start(Opening { mode: Mode::Local, leave: true, ..Opening::default() });
        sleep(Duration::from_secs(1)).await;
        assert_eq!(machine.session().origin().source, OriginSource::Local);
        assert_eq!(machine.session().journal().lsn(), 5);
    });
}
