//! Names of the files in a tenant's directory: a number, and what it is. A number stands for one file at a time.

use crate::id::number;

/// Meaning of a name that is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Log(u64),
    Temporary(u64),
    Quarantined(u64),
    Unsent(u64),
}

impl Name {
    pub(super) fn parse(name: &str) -> Option<Name> {
        match name.split_once('.')? {
            (sequence, "log") => Some(Name::Log(number(sequence)?)),
            (sequence, "tmp") => Some(Name::Temporary(number(sequence)?)),
            (sequence, "quarantine") => Some(Name::Quarantined(number(sequence)?)),
            (sequence, "unsent") => Some(Name::Unsent(number(sequence)?)),
            _ => None,
        }
    }

    /// The number.
    pub(super) fn sequence(self) -> u64 {
        let (Name::Log(sequence)
        | Name::Temporary(sequence)
        | Name::Quarantined(sequence)
        | Name::Unsent(sequence)) = self;
        sequence
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Name::Log(sequence) => write!(f, "{sequence:020}.log"),
            Name::Temporary(sequence) => write!(f, "{sequence:020}.tmp"),
            Name::Quarantined(sequence) => write!(f, "{sequence:020}.quarantine"),
            Name::Unsent(sequence) => write!(f, "{sequence:020}.unsent"),
        }
    }
}

/// A number that no name has: the one after the highest or, where somebody gave that one away, the lowest.
pub(super) fn free(names: &[Name]) -> u64 {
    let highest = names.iter().map(|name| name.sequence()).max().unwrap_or(0);
    highest.checked_add(1).unwrap_or_else(|| {
        let taken = |number: &u64| names.iter().any(|name| name.sequence() == *number);
        (1..).find(|number| !taken(number)).unwrap_or(1)
    })
}
