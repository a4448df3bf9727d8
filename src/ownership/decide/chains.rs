//! Chains: the objects that rebuild a state, from a base on and without a hole.
//!
//! A chain that is given reaches all that its owner is known to have stored; where that cannot be, there is an error (I17).

use super::vanished;
use crate::error::{Cause, Error, Result};
use crate::format::name::{DataName, Span};
use crate::id::Claim;

/// The objects that rebuild the last state of `claim`: its newest base and the segments after it, without a hole.
pub fn chain(data: &[DataName], claim: Claim) -> Result<Vec<DataName>> {
    chains(data, claim).into_iter().next().ok_or_else(|| vanished("no base"))?
}

/// The ways to rebuild the last state of `claim`: from its newest base, then from each older one that is still there.
pub fn chains(data: &[DataName], claim: Claim) -> Vec<Result<Vec<DataName>>> {
    let mut own: Vec<DataName> = data.iter().filter(|name| name.claim == claim).copied().collect();
    own.sort_unstable_by_key(|name| (name.span.last(), name.span));
    let bases = own.iter().rev().filter(|name| matches!(name.span, Span::Base(_)));
    bases.map(|base| follow(*base, &own)).collect()
}

fn follow(base: DataName, own: &[DataName]) -> Result<Vec<DataName>> {
    let mut chain = vec![base];
    let mut reached = base.span.last();
    for name in own {
        if let Span::Segment(first, last) = name.span
            && last > reached
        {
            if first != reached + 1 || last < first {
                let message =
                    format!("the store has a gap: LSN {reached} is followed by {first}; see the runbook");
                return Err(Error::new(Cause::Hole, message));
            }
            chain.push(*name);
            reached = last;
        }
    }
    // A base beyond the segments says that this history went further than this chain.
    match own.last() {
        Some(newest) if newest.span.last() > reached => Err(Error::new(
            Cause::Hole,
            format!(
                "LSN {} in the store needs a base that does not open; see the runbook",
                newest.span.last()
            ),
        )),
        _ => Ok(chain),
    }
}
