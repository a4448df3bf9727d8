//! What may be deleted: the objects that two kept bases make superfluous.
//!
//! A base against damage stays beside the newest, and the highest claim and the highest tombstone stay for ever (I2, I9).

use super::Survey;
use crate::id::{Claim, Lsn};
use crate::name::{ClaimName, DataName, Mark, Span};

/// What may be deleted by `me`, which is live: all that two kept bases dominate. The kept ones are my newest and my second
/// newest; before I have a second, the base of `parent`, my predecessor, with its segments and marks.
///
/// Safe without time (I9): a reader that may still act claims above me and lists the data after its claim. Either it sees
/// my base and needs nothing older, or it misses an object, lists again, and then sees it.
pub fn dominated(survey: &Survey, me: &Claim, parent: Option<Claim>) -> (Vec<DataName>, Vec<ClaimName>) {
    let mut bases: Vec<Lsn> =
        survey.data.iter().filter(|name| name.claim == *me).filter_map(base_lsn).collect();
    bases.sort_unstable();
    let second = bases.len().checked_sub(2).and_then(|at| bases.get(at)).copied();
    let kept = if second.is_some() { None } else { parent };
    let lower = |claim: &Claim| claim < me && Some(*claim) != kept;
    let data = survey.data.iter().filter(|name| {
        let older = second.is_some_and(|second| match name.span {
            Span::Base(lsn) => lsn < second,
            Span::Segment(_, last) => last <= second,
        });
        !bases.is_empty() && (lower(&name.claim) || (name.claim == *me && older))
    });
    let floor = survey.claims.floor();
    let marks = survey.claims.0.iter().filter(|(claim, _)| !bases.is_empty() && lower(claim)).flat_map(
        |(claim, marks)| {
            let deleted = marks.deleted && Some(*claim) != floor;
            [
                (true, Mark::Claimed),
                (marks.live, Mark::Live),
                (marks.leaving, Mark::Leaving),
                (marks.released, Mark::Released),
                (deleted, Mark::Deleted),
            ]
            .into_iter()
            .filter_map(move |(there, mark)| there.then_some(ClaimName { claim: *claim, mark }))
        },
    );
    (data.copied().collect(), marks.collect())
}

pub(super) fn base_lsn(name: &DataName) -> Option<Lsn> {
    match name.span {
        Span::Base(lsn) => Some(lsn),
        Span::Segment(..) => None,
    }
}
