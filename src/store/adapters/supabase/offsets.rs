//! Reading a listing in pages by offset, while names come and go.
//!
//! A name that goes moves all behind it forward, so that the next page may begin behind names nobody has read. Invariant: a
//! name that is there from the first page to the last is in the listing. A page is therefore taken only if it holds a name
//! that was read before; as pages are runs of one order, nothing lies unread before such a page. One that holds none is asked
//! for again from further ahead, and from the start if need be.

use std::collections::BTreeMap;

/// Pages that may be asked for in vain, beside a few for each page of names that was read.
const IN_VAIN: usize = 64;

/// The step after a page.
#[derive(Debug, PartialEq)]
pub enum PageStep {
    /// The page from this offset on.
    Page(usize),
    /// All was read.
    Whole,
    /// Names come faster than they are read.
    Runaway,
}

/// A listing being read.
pub struct Offsets<K, V> {
    /// Names in a page that is not the last.
    page: usize,
    seen: BTreeMap<K, V>,
    offset: usize,
    /// Distance to look ahead if the next page does not join.
    back: usize,
    asked: usize,
}

impl<K: Ord, V> Offsets<K, V> {
    /// A listing whose pages hold `page` names, of which nothing was read. The first page begins at 0.
    pub fn new(page: usize) -> Offsets<K, V> {
        Offsets { page, seen: BTreeMap::new(), offset: 0, back: page, asked: 0 }
    }

    /// Takes the page that was asked for last, in the order of the server.
    pub fn take(&mut self, names: Vec<(K, V)>) -> PageStep {
        let len = names.len();
        let joins = self.offset == 0 || names.iter().any(|(name, _)| self.seen.contains_key(name));
        if joins {
            self.seen.extend(names);
            if len < self.page {
                return PageStep::Whole;
            }
            self.back = self.page;
            // Each page begins within the one before, so that a few names may go between the two.
            self.offset = (self.offset + len).saturating_sub((self.page / 10).max(1));
        } else {
            self.offset = self.offset.saturating_sub(self.back);
            self.back = self.back.saturating_mul(2);
        }
        self.asked += 1;
        let enough = IN_VAIN + 4 * self.seen.len() / self.page;
        if self.asked < enough { PageStep::Page(self.offset) } else { PageStep::Runaway }
    }

    /// Names that were read, each once.
    pub fn into_names(self) -> impl Iterator<Item = V> {
        self.seen.into_values()
    }
}

#[cfg(test)]
mod tests {
    use super::{Offsets, PageStep};

    /// Time at which a name is there, counted in pages asked for.
    #[derive(Clone, Copy, Debug)]
    enum Life {
        Always,
        Until(usize),
        From(usize),
    }

    fn page(lives: &[Life], asked: usize, offset: usize, len: usize) -> Vec<(usize, usize)> {
        let there = |life: &Life| match *life {
            Life::Always => true,
            Life::Until(end) => asked < end,
            Life::From(start) => asked >= start,
        };
        let names = lives.iter().enumerate().filter(|(_, life)| there(life)).map(|(name, _)| (name, name));
        names.skip(offset).take(len).collect()
    }

    /// Names that a reader gets, and the number of pages that it asked for.
    fn read(lives: &[Life], len: usize) -> (Vec<usize>, usize) {
        let mut offsets = Offsets::new(len);
        let (mut asked, mut next) = (0, PageStep::Page(0));
        while let PageStep::Page(offset) = next {
            next = offsets.take(page(lives, asked, offset, len));
            asked += 1;
        }
        assert_eq!(next, PageStep::Whole, "{lives:?}");
        (offsets.into_names().collect(), asked)
    }

    #[test]
    fn whatever_comes_and_goes_between_two_pages_a_name_that_stays_is_listed() {
        const LIVES: [Life; 7] = [
            Life::Always,
            Life::Until(1),
            Life::Until(2),
            Life::Until(3),
            Life::From(1),
            Life::From(2),
            Life::From(3),
        ];
        let mut lives = [Life::Always; 7];
        for case in 0..LIVES.len().pow(7) {
            let mut rest = case;
            for life in &mut lives {
                *life = LIVES[rest % LIVES.len()];
                rest /= LIVES.len();
            }
            for len in [2, 3] {
                let (names, _) = read(&lives, len);
                for (name, life) in lives.iter().enumerate() {
                    assert!(!matches!(life, Life::Always) || names.contains(&name), "{name} of {lives:?}");
                }
            }
        }
    }

    #[test]
    fn a_page_beyond_the_end_of_a_listing_that_shrank_is_not_its_end() {
        let mut offsets = Offsets::new(10);
        assert_eq!(offsets.take((0..10).map(|name| (name, name)).collect()), PageStep::Page(9));
        assert_eq!(offsets.take(Vec::new()), PageStep::Page(0));
        assert_eq!(offsets.take(vec![(0, 0), (20, 20)]), PageStep::Whole);
        assert!(offsets.into_names().any(|name| name == 20));
    }

    #[test]
    fn a_few_names_that_go_cost_no_page_and_many_cost_a_few() {
        let quiet: Vec<Life> = vec![Life::Always; 5_000];
        let (names, still) = read(&quiet, 1_000);
        assert_eq!((names.len(), still), (5_000, 6));
        let few: Vec<Life> =
            (0..5_000).map(|n| if n < 100 { Life::Until(n % 6) } else { Life::Always }).collect();
        assert_eq!(read(&few, 1_000).1, still);
        let many: Vec<Life> =
            (0..5_000).map(|n| if n < 3_000 { Life::Until(4) } else { Life::Always }).collect();
        let (names, pages) = read(&many, 1_000);
        assert!((3_000..5_000).all(|name| names.contains(&name)));
        assert!(pages <= still + 4, "{pages}");
    }

    #[test]
    fn a_listing_that_grows_at_its_start_faster_than_it_is_read_comes_to_an_end() {
        let (mut offsets, mut first) = (Offsets::new(10), 1_000_000_usize);
        let mut offset = 0;
        for _ in 0..1_000 {
            match offsets.take((0..10).map(|n| (first + offset + n, ())).collect()) {
                PageStep::Page(next) => offset = next,
                end => return assert_eq!(end, PageStep::Runaway),
            }
            first -= 10;
        }
        panic!("never gives up");
    }
}
