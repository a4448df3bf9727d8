//! Deletions against naive judges over every small listing, and bases of one LSN in every order of their names.

use super::*;
use crate::id::ShortDigest;
use crate::ownership::decide::chains;
use crate::ownership::decide::tests::{base, base_lsn, claim, marked, naive_reach, small_listings, survey};

/// The bases of claim 2 among `data`, stored in the order of their names.
fn stored(data: &[DataName]) -> OwnBases {
    let mut bases = OwnBases::of(base(2, 0));
    data.iter()
        .filter(|name| name.claim == claim(2) && base_lsn(name).is_some())
        .for_each(|name| bases.continue_with(*name));
    bases
}

#[test]
fn deletions_never_shorten_what_can_be_rebuilt_and_keep_two_bases() {
    let claims = [marked(1, &[Mark::Live, Mark::Released]), marked(2, &[Mark::Live])];
    for data in small_listings() {
        for parent in [None, Some(claim(1))] {
            let survey = survey(&claims, &data);
            let Garbage { data: gone, marks, .. } = dominated(&survey, &claim(2), parent, &stored(&data));
            let kept: Vec<DataName> = data.iter().filter(|name| !gone.contains(name)).copied().collect();
            let own_bases = |data: &[DataName]| {
                data.iter().filter(|name| name.claim == claim(2)).filter_map(base_lsn).count()
            };
            assert_eq!(naive_reach(&kept, claim(2)), naive_reach(&data, claim(2)), "{data:?}");
            assert_eq!(own_bases(&kept), own_bases(&data).min(2), "{data:?}");
            // The older of the two is kept for when the newer does not read: it must still lead as far as it did.
            let led = |data: &[DataName]| {
                chains(data, claim(2)).into_iter().take(2).map(|chain| chain.ok()).collect::<Vec<_>>()
            };
            assert_eq!(led(&kept), led(&data), "{data:?}");
            if own_bases(&data) == 0 {
                assert!(
                    gone.is_empty() && marks.is_empty(),
                    "I9: nothing is dominated before there is a base of mine"
                );
            }
            if own_bases(&data) == 1 && parent.is_some() {
                assert!(gone.is_empty(), "the predecessor's history is the second base: {gone:?}");
            }
            assert!(marks.iter().all(|mark| mark.claim < claim(2)), "I2");
        }
    }
}

#[test]
fn of_bases_of_one_lsn_the_current_one_and_one_more_are_kept_however_many_there_are() {
    let at = |lsn, digest| DataName { digest: ShortDigest([digest; 8]), ..base(2, lsn) };
    let bases: Vec<DataName> = (0..10).map(|digest| at(7, digest)).collect();
    let claims = [marked(1, &[Mark::Live]), marked(2, &[Mark::Live])];
    for current in &bases {
        let part = |of: DataName| PartName { of, size: 8192, before: 0 };
        let survey = Survey {
            // One of a base that is on its way, one of one that never arrived, and one of each that is there.
            parts: [at(8, 1), at(6, 1)].iter().chain(&bases).copied().map(part).collect(),
            ..survey(&claims, &bases)
        };
        let mut all = stored(&bases);
        all.continue_with(*current);
        let gone = dominated(&survey, &claim(2), Some(claim(1)), &all);
        assert_eq!(gone.data.len(), 8);
        assert!(!gone.data.contains(current), "the base that the next ones continue");
        let lost: Vec<DataName> = gone.parts.iter().map(|part| part.of).collect();
        assert_eq!(lost.len(), 9);
        assert!(lost.iter().all(|of| gone.data.contains(of) || *of == at(6, 1)), "{lost:?}");
    }
}

#[test]
fn a_base_that_is_about_to_be_the_current_one_is_never_removed() {
    let at = |lsn, digest| DataName { digest: ShortDigest([digest; 8]), ..base(2, lsn) };
    let claims = [marked(1, &[Mark::Live]), marked(2, &[Mark::Live])];
    // Names sort by digests, which have no order in time: each of the three may come first.
    for [former, current, next] in [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]] {
        for lsn in [7, 8] {
            let mut bases = OwnBases::of(at(7, former));
            bases.continue_with(at(7, current));
            let next = at(lsn, next);
            // As a listing gives them.
            let mut data = [at(7, former), at(7, current), next];
            data.sort_unstable();
            let parts = vec![PartName { of: next, size: 8192, before: 0 }];
            let survey = Survey { parts, ..survey(&claims, &data) };
            let gone = dominated(&survey, &claim(2), Some(claim(1)), &bases);
            assert!(!gone.data.contains(&next) && gone.parts.is_empty(), "{gone:?}");
            assert!(!gone.data.contains(&at(7, current)), "{gone:?}");
        }
    }
}

#[test]
fn the_highest_tombstone_outlives_every_collection() {
    let claims =
        [marked(1, &[Mark::Deleted]), marked(3, &[Mark::Deleted, Mark::Live]), marked(5, &[Mark::Live])];
    let survey = survey(&claims, &[base(5, 1), base(5, 2)]);
    let marks = dominated(&survey, &claim(5), None, &OwnBases::of(base(5, 2))).marks;
    assert!(marks.contains(&ClaimName { claim: claim(1), mark: Mark::Deleted }));
    assert!(!marks.contains(&ClaimName { claim: claim(3), mark: Mark::Deleted }), "I2");
}
