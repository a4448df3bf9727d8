//! What may be deleted: the objects that two kept bases make superfluous.
//!
//! A base against damage stays beside the newest, and the highest claim and the highest tombstone stay for ever (I2, I9).

use super::Survey;
use crate::id::Claim;
#[cfg(test)]
use crate::id::Lsn;
use crate::name::{ClaimName, DataName, Mark, PartName, Span};

/// What may be deleted.
#[derive(Debug, Default)]
pub struct Dominated {
    /// Data.
    pub data: Vec<DataName>,
    /// Parts of these, and of others of that age that were never stored as a whole.
    pub parts: Vec<PartName>,
    /// What is said about claims.
    pub marks: Vec<ClaimName>,
}

/// What may be deleted by `me`, which is live and whose base is `current`: all that two kept bases dominate. The kept ones are my
/// newest and my second newest; before I have a second, the base of `parent`, my predecessor, with its segments and marks. Of
/// several of one LSN, which names cannot tell apart, `current` is the newest.
///
/// Safe without time (I9): a reader that may still act claims above me and lists the data after its claim. Either it sees
/// my base and needs nothing older, or it misses an object, lists again, and then sees it.
pub fn dominated(survey: &Survey, me: &Claim, parent: Option<Claim>, current: Option<DataName>) -> Dominated {
    let own = survey.data.iter().filter(|name| name.claim == *me);
    let mut bases: Vec<DataName> = own.filter(|name| matches!(name.span, Span::Base(_))).copied().collect();
    bases.sort_unstable_by_key(|name| (name.span.last(), Some(*name) == current));
    let (newest, second) = (bases.pop(), bases.pop());
    let kept = if second.is_some() { None } else { parent };
    let lower = |claim: &Claim| claim < me && Some(*claim) != kept;
    let goes = |name: &DataName| {
        let older = second.is_some_and(|second| match name.span {
            Span::Base(lsn) => lsn <= second.span.last() && ![Some(second), newest].contains(&Some(*name)),
            Span::Segment(_, last) => last <= second.span.last(),
        });
        newest.is_some() && (lower(&name.claim) || (name.claim == *me && older))
    };
    let floor = survey.claims.floor();
    let marks = survey.claims.0.iter().filter(|(claim, _)| newest.is_some() && lower(claim)).flat_map(
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
    Dominated {
        data: survey.data.iter().filter(|name| goes(name)).copied().collect(),
        parts: survey.parts.iter().filter(|part| goes(&part.of)).copied().collect(),
        marks: marks.collect(),
    }
}

#[cfg(test)]
pub(super) fn base_lsn(name: &DataName) -> Option<Lsn> {
    match name.span {
        Span::Base(lsn) => Some(lsn),
        Span::Segment(..) => None,
    }
}
