//! The life of a server, in its own words: while it stays the same, the server has forgotten nothing.
//!
//! A database tells its cluster, in hexadecimal the timeline that began when it was promoted, and its start: `7345…:00000002:1796…`.
//! Of one cluster a later timeline counts, and a server on a former one was replaced.

use crate::store::Incarnation;

/// The life of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerLife(String);

impl ServerLife {
    /// The life that a server told.
    pub fn read(text: String) -> ServerLife {
        ServerLife(text)
    }

    /// True if this is an earlier timeline of the same cluster: a server that was replaced.
    pub fn is_before(&self, other: &ServerLife) -> bool {
        let parts = |life: &ServerLife| {
            let mut parts = life.0.split(':').map(str::to_owned);
            Some((parts.next()?, u32::from_str_radix(&parts.next()?, 16).ok()?))
        };
        match (parts(self), parts(other)) {
            (Some((ours, earlier)), Some((theirs, later))) => ours == theirs && earlier < later,
            _ => false,
        }
    }

    /// The same, for comparison by those who do not know this kind of store.
    pub fn incarnation(&self) -> Incarnation {
        Incarnation::of(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_former_timeline_of_the_same_cluster_is_before_and_nothing_else_is() {
        let life = |text: &str| ServerLife::read(text.to_owned());
        assert!(life("7:00000001").is_before(&life("7:00000002")));
        assert!(life("7:0000000F").is_before(&life("7:00000010:1767.5")));
        for (one, other) in [
            ("7:00000002", "7:00000001"),
            ("7:00000001", "8:00000002"),
            ("7:00000002:1", "7:00000002:2"),
            ("", "7:00000001"),
            ("7:00000001", ""),
        ] {
            assert!(!life(one).is_before(&life(other)), "{one} {other}");
        }
    }
}
