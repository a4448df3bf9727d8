//! The chain: what the owner stored since its current base, that base included, so that it knows what must be there.
//!
//! Whoever restores this history reads these objects and no others; one that is missing makes the rest worthless.

use std::collections::BTreeSet;

use crate::format::name::{DataName, Span};
use crate::ownership::decide::Survey;

/// An object of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainObject {
    /// Its name.
    pub name: DataName,
    /// Its bytes.
    pub bytes: u64,
}

/// Objects that should be in the store and are not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Losses {
    /// Objects of the chain: without one of them it does not restore.
    pub pieces: usize,
    /// Marks of the claim, which are stored again under their names.
    pub marks: usize,
}

impl Losses {
    /// Number of all of them.
    pub fn count(self) -> usize {
        self.pieces + self.marks
    }
}

/// The current base, and the segments that were stored after it.
#[derive(Debug, Clone)]
pub struct Chain {
    base: ChainObject,
    segments: Vec<ChainObject>,
    segment_bytes: u64,
}

impl Chain {
    /// A chain of a base.
    pub fn of(base: ChainObject) -> Chain {
        Chain { base, segments: Vec::new(), segment_bytes: 0 }
    }

    /// The current base.
    pub fn base(&self) -> ChainObject {
        self.base
    }

    /// The object at the end.
    pub fn newest(&self) -> ChainObject {
        self.segments.last().copied().unwrap_or(self.base)
    }

    /// A segment was stored at the end.
    pub fn push(&mut self, segment: ChainObject) {
        debug_assert!(matches!(segment.name.span, Span::Segment(..)));
        self.segment_bytes += segment.bytes;
        self.segments.push(segment);
    }

    /// Segments since the base.
    pub fn len(&self) -> usize {
        self.segments.len()
    }

    /// Their bytes.
    pub fn segment_bytes(&self) -> u64 {
        self.segment_bytes
    }

    /// Objects that should be in `survey` and are not, the two marks of a live claim among them.
    pub fn lost(&self, survey: &Survey) -> Losses {
        let marks = survey.claims.marks(&self.base.name.claim);
        let names: BTreeSet<&DataName> = survey.data.iter().collect();
        let lost = self.pieces().filter(|piece| !names.contains(&piece.name) || !is_whole(piece, survey));
        Losses { pieces: lost.count(), marks: usize::from(!marks.claimed) + usize::from(!marks.live) }
    }

    /// Segments in `survey` between this base and this end that are neither here nor in `later`, which this chain has become since it
    /// was listed for: this owner stored none of them.
    pub fn foreign<'a>(&'a self, later: &'a Chain, survey: &'a Survey) -> impl Iterator<Item = &'a DataName> {
        let base = self.base.name;
        let (after, upto) = (base.span.last(), self.newest().name.span.last());
        let known: BTreeSet<DataName> = self.pieces().chain(later.pieces()).map(|piece| piece.name).collect();
        survey.data.iter().filter(move |name| {
            let Span::Segment(first, last) = name.span else { return false };
            name.claim == base.claim && first <= upto && last > after && !known.contains(*name)
        })
    }

    /// All of it, in order.
    pub fn pieces(&self) -> impl Iterator<Item = ChainObject> {
        [self.base].into_iter().chain(self.segments.iter().copied())
    }
}

/// True if no part of it is missing, if it is in parts.
fn is_whole(piece: &ChainObject, survey: &Survey) -> bool {
    let parts = || survey.parts.iter().filter(|part| part.of == piece.name);
    let sizes: BTreeSet<usize> = parts().map(|part| part.size).collect();
    sizes.is_empty()
        || sizes.into_iter().any(|size| {
            let there = parts().filter(|part| part.size == size).map(|part| part.before);
            there.collect::<BTreeSet<_>>().len() as u64 >= piece.bytes.div_ceil(size.max(1) as u64)
        })
}
