//! The stop: how all work of a replicator ends, however deep it is in it, and what that leaves unanswered.
//!
//! A session that ended, or has a newer owner, is no failure: nobody is told of an error, and nothing is stored after it.

use crate::error::Error;
use crate::store::Failure;

/// The end of all work, whatever is under way: `?` carries it.
#[derive(Debug)]
pub enum Stop {
    /// The session ended, or has a newer owner: nothing is wrong.
    Ended,
    /// The session cannot go on with this.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Failed(error)
    }
}

/// Result of work that a stop cuts short.
pub type Work<T = ()> = Result<T, Stop>;

/// The reason why a request has no answer to give.
#[derive(Debug)]
pub enum NoAnswer {
    /// The session ended meanwhile, or has a newer owner.
    Ended,
    /// It failed.
    Failed(Failure),
}
