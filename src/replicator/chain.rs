//! The chain: what the owner stored since its current base, that base included, so that it knows what must be there.
//!
//! Whoever restores this history reads these objects and no others; one that is missing makes the rest worthless.

use crate::name::{DataName, Span};

/// An object of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Its name.
    pub name: DataName,
    /// Its bytes.
    pub bytes: u64,
}

/// The current base, and the segments that were stored after it.
#[derive(Debug, Clone)]
pub struct Chain {
    base: Piece,
    segments: Vec<Piece>,
    segment_bytes: u64,
}

impl Chain {
    /// A chain of a base.
    pub fn of(base: Piece) -> Chain {
        Chain { base, segments: Vec::new(), segment_bytes: 0 }
    }

    /// The current base.
    pub fn base(&self) -> Piece {
        self.base
    }

    /// A segment was stored at the end.
    pub fn push(&mut self, segment: Piece) {
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

    /// All of it, in order.
    pub fn pieces(&self) -> impl Iterator<Item = Piece> {
        [self.base].into_iter().chain(self.segments.iter().copied())
    }
}
