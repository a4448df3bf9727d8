//! Looking at a log beside its writer: any LSN that it has, at every length that a reader may find it with.

use super::*;
use crate::error::Code;

/// Every cut of a log whose base is at 2, against every LSN: the history up to it, or nothing.
#[test]
fn a_state_is_found_at_every_length_that_reaches_it() {
    for ring in rings() {
        let history = History::of(6);
        let disk = written(&ring, &history, 2, 0);
        let (file, whole) = only_log(&disk);
        let mut reached = 0;
        for len in 0..=whole.len() {
            disk.rewrite(&file, whole[..len].to_vec());
            for lsn in 0..9 {
                match state_at(&disk, &path(), &ring, tag(), claim(1), lsn).expect("readable") {
                    Past::Found(entries) => {
                        assert_eq!(entries, history.state(lsn), "LSN {lsn} at {len}");
                        reached = reached.max(lsn);
                    }
                    other => {
                        assert!(
                            !(2..=6).contains(&lsn) || len < whole.len(),
                            "LSN {lsn} at {len}: {other:?}"
                        );
                    }
                }
            }
        }
        assert_eq!(reached, 6);
    }
}

#[test]
fn the_log_of_another_claim_is_no_proof_and_another_key_is_an_error() {
    let history = History::of(3);
    let disk = written(&sealed(), &history, 1, 0);
    let at = |ring: &Arc<Ring>, claim| state_at(&disk, &path(), ring, tag(), claim, 3);
    assert!(matches!(at(&sealed(), claim(1)), Ok(Past::Found(_))));
    assert_eq!(at(&sealed(), claim(2)), Ok(Past::Elsewhere));
    assert_eq!(at(&keyed(&[7; 32]), claim(1)).map_err(|error| error.code()), Err(Code::KeyUnavailable));
}

#[test]
fn looking_changes_nothing_and_needs_no_lock() {
    let history = History::of(4);
    let disk = written(&sealed(), &history, 1, 0);
    let before = disk.files(&path());
    let seen = look(&disk, &path(), &sealed(), tag()).expect("readable").expect("a folder");
    assert_eq!(seen.key_ids, sealed().ids());
    assert!(!seen.is_locked);
    assert!(matches!(&seen.recovery, Ok(Recovery::Log(log)) if log.lsn == 4));
    let held = lock(&disk).expect("free");
    assert!(look(&disk, &path(), &sealed(), tag()).expect("readable").is_some_and(|seen| seen.is_locked));
    drop(held);
    let after: Vec<_> = disk.files(&path()).into_iter().filter(|(name, _)| is_log(name)).collect();
    let before: Vec<_> = before.into_iter().filter(|(name, _)| is_log(name)).collect();
    assert_eq!(after, before);
    assert!(look(&disk, &PathBuf::from("/data/nobody"), &sealed(), tag()).expect("readable").is_none());
}
