//! Garbage collection: the objects that two kept bases make obsolete.
//!
//! A base against damage stays beside the newest, and the highest claim and the highest tombstone stay for ever (I2, I9).

use std::collections::BTreeSet;

use super::Survey;
use crate::format::name::{ClaimName, DataName, Mark, PartName, Span};
use crate::id::Claim;

/// The bases of an owner, as it stored them: of several of one LSN their names do not tell which is the newest.
#[derive(Debug)]
pub struct OwnBases {
    current: DataName,
    former: BTreeSet<DataName>,
}

impl OwnBases {
    /// The first one.
    pub fn of(current: DataName) -> OwnBases {
        OwnBases { current, former: BTreeSet::new() }
    }

    /// Another one, or the same, is the current one from now on.
    pub fn continue_with(&mut self, current: DataName) {
        let former = std::mem::replace(&mut self.current, current);
        if former != current {
            self.former.insert(former);
        }
    }

    /// Keeps those in mind that `survey` shows.
    pub fn retain(&mut self, survey: &Survey) {
        self.former.retain(|name| survey.data.contains(name));
    }

    /// True for a base that was just stored and is about to be the current one: it was never current, and nothing newer is.
    fn is_next(&self, name: &DataName) -> bool {
        name.claim == self.current.claim
            && matches!(name.span, Span::Base(_))
            && name.span.last() >= self.current.span.last()
            && *name != self.current
            && !self.former.contains(name)
    }
}

/// Names that may be deleted.
#[derive(Debug, Default)]
pub struct Garbage {
    /// Data.
    pub data: Vec<DataName>,
    /// Parts of these, and of others of that age that were never stored as a whole.
    pub parts: Vec<PartName>,
    /// Statements about claims.
    pub marks: Vec<ClaimName>,
}

/// Names that may be deleted by `me`, which is live and has `bases`: all that two kept bases dominate. The kept ones are my newest and my
/// second newest; before I have a second, the base of `parent`, my predecessor, with its segments and marks.
///
/// Safe without time (I9): a reader that may still act claims above me and lists the data after its claim. Either it sees
/// my base and needs nothing older, or it misses an object, lists again, and then sees it.
pub fn dominated(survey: &Survey, me: &Claim, parent: Option<Claim>, bases: &OwnBases) -> Garbage {
    let own = survey.data.iter().filter(|name| name.claim == *me);
    let mut stored: Vec<DataName> = own.filter(|name| matches!(name.span, Span::Base(_))).copied().collect();
    stored.sort_unstable_by_key(|name| (name.span.last(), *name == bases.current));
    let (newest, second) = (stored.pop(), stored.pop());
    let kept = if second.is_some() { None } else { parent };
    let lower = |claim: &Claim| claim < me && Some(*claim) != kept;
    let goes = |name: &DataName| {
        let older = second.is_some_and(|second| match name.span {
            Span::Base(lsn) => lsn <= second.span.last() && ![Some(second), newest].contains(&Some(*name)),
            Span::Segment(_, last) => last <= second.span.last(),
        });
        newest.is_some() && (lower(&name.claim) || (name.claim == *me && older && !bases.is_next(name)))
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
    Garbage {
        data: survey.data.iter().filter(|name| goes(name)).copied().collect(),
        parts: survey.parts.iter().filter(|part| goes(&part.of)).copied().collect(),
        marks: marks.collect(),
    }
}

#[cfg(test)]
mod tests;
