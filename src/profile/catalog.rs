//! The catalog: files, generations and packs of a profile, as its state says; and its summary, which is cheap to read.
//!
//! A file is kept as of each generation in which it changed, and one in which it went away is a version too: the file in a
//! generation is its newest version up to there. A version counts only if its pieces lie within packs that are known.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::error::{Code, Error, Result};
use crate::format::record::{Entries, push};
use crate::journal::memtable::Memtable;

use super::entry::{
    self, FILE, FileVersion, GENERATION, Generation, Head, PACK, Pack, Piece, PieceHash, decode_file,
    encode_file, file_key, file_of, generation_key, number_of, pack_key, read,
};

/// Files of one generation, by path.
pub type Files<'a> = BTreeMap<&'a str, &'a FileVersion>;

/// The contents of a profile, as its state says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalog {
    /// The head; `None` before the first backup.
    pub head: Option<Head>,
    /// The generations that are kept.
    pub generations: BTreeMap<u64, Generation>,
    /// The packs that they need.
    pub packs: BTreeMap<u64, Pack>,
    /// Versions of each file, by the generation in which they began.
    pub files: BTreeMap<String, BTreeMap<u64, Option<FileVersion>>>,
}

/// A catalog without its files, of which there may be thousands.
#[derive(Debug, Default)]
pub struct Summary {
    /// The head; `None` before the first backup.
    pub head: Option<Head>,
    /// The generations that are kept.
    pub generations: BTreeMap<u64, Generation>,
    /// The packs that they need.
    pub packs: BTreeMap<u64, Pack>,
}

impl Summary {
    /// Reads a state.
    pub fn read(state: &Memtable) -> Result<Summary> {
        let mut summary = Summary::default();
        if let Some(value) = state.get(Head::KEY) {
            summary.head = Some(read(Head::decode(value), "the head")?);
        }
        for entry in Entries::new(&state.entries_of(GENERATION.as_bytes())) {
            let entry = entry?;
            let number = read(number_of(entry.key, GENERATION), "a generation")?;
            let generation = read(entry.value.and_then(Generation::decode), "a generation")?;
            summary.generations.insert(number, generation);
        }
        for entry in Entries::new(&state.entries_of(PACK.as_bytes())) {
            let entry = entry?;
            let number = read(number_of(entry.key, PACK), "a pack")?;
            let pack = read(entry.value.and_then(|value| Pack::decode(number, value)), "a pack")?;
            summary.packs.insert(number, pack);
        }
        let head = summary.head.map(|head| head.generation);
        if head != summary.generations.last_key_value().map(|(newest, _)| *newest) {
            return Err(entry::malformed("the list of generations"));
        }
        Ok(summary)
    }
}

impl Catalog {
    /// Reads a state.
    pub fn read(state: &Memtable) -> Result<Catalog> {
        let Summary { head, generations, packs } = Summary::read(state)?;
        let mut catalog = Catalog { head, generations, packs, files: BTreeMap::new() };
        for entry in Entries::new(&state.entries_of(FILE.as_bytes())) {
            let entry = entry?;
            let (path, generation) = read(file_of(entry.key), "a file")?;
            let version = read(entry.value.and_then(decode_file), "a file")?;
            catalog.files.entry(path.to_owned()).or_default().insert(generation, version);
        }
        catalog.check()?;
        Ok(catalog)
    }

    fn check(&self) -> Result<()> {
        let lies = |piece: &Piece| {
            let pack = self.packs.get(&piece.pack);
            pack.is_some_and(|pack| {
                piece.offset.checked_add(piece.len.into()).is_some_and(|end| end <= pack.body)
            })
        };
        let known = self.versions().flat_map(|version| &version.pieces).all(lies);
        if known { Ok(()) } else { Err(entry::malformed("a piece")) }
    }

    /// Every version of every file that is there.
    pub fn versions(&self) -> impl Iterator<Item = &FileVersion> {
        self.files.values().flat_map(BTreeMap::values).filter_map(Option::as_ref)
    }

    /// The files of `generation`; `NOT_FOUND` if it is not kept.
    pub fn at(&self, generation: u64) -> Result<Files<'_>> {
        if !self.generations.contains_key(&generation) {
            let kept: Vec<String> = self.generations.keys().map(u64::to_string).collect();
            let message = match kept.as_slice() {
                [] => "this profile has no backup yet".to_owned(),
                kept => format!("generation {generation} is not kept; there are {}", kept.join(", ")),
            };
            return Err(Error::new(Code::NotFound, message));
        }
        let newest = |versions: &'_ BTreeMap<u64, Option<FileVersion>>| -> Option<u64> {
            let (number, version) = versions.range(..=generation).next_back()?;
            version.as_ref().map(|_| *number)
        };
        let there = self.files.iter().filter_map(|(path, versions)| {
            let version = versions.get(&newest(versions)?)?.as_ref()?;
            Some((path.as_str(), version))
        });
        Ok(there.collect())
    }

    /// The files of the newest generation; none before the first.
    pub fn newest(&self) -> Files<'_> {
        self.head.and_then(|head| self.at(head.generation).ok()).unwrap_or_default()
    }

    /// The place of each known piece.
    pub fn index(&self) -> HashMap<PieceHash, Piece> {
        self.versions().flat_map(|version| &version.pieces).map(|piece| (piece.hash, *piece)).collect()
    }

    /// The packs of which the newest generation uses something, but less than `percent` of the bytes, with the bytes that it uses.
    pub fn sparse(&self, percent: u64) -> Vec<(u64, u64)> {
        let mut used: BTreeMap<u64, BTreeMap<u32, u64>> = BTreeMap::new();
        for piece in self.newest().values().flat_map(|version| &version.pieces) {
            used.entry(piece.pack).or_default().insert(piece.offset, piece.len.into());
        }
        let shares = used.into_iter().map(|(number, pieces)| (number, pieces.values().sum::<u64>()));
        let body = |number: &u64| self.packs.get(number).map_or(0, |pack| u64::from(pack.body));
        shares.filter(|(number, share)| share * 100 < body(number) * percent).collect()
    }

    /// Number of the newest generations that need none of `packs`.
    pub fn without(&self, packs: &BTreeSet<u64>) -> usize {
        let needs = |version: &&FileVersion| version.pieces.iter().any(|piece| packs.contains(&piece.pack));
        let is_whole = |number: &&u64| self.at(**number).is_ok_and(|files| !files.values().any(needs));
        if packs.is_empty() {
            return self.generations.len();
        }
        self.generations.keys().rev().take_while(is_whole).count()
    }

    /// The catalog without all but the newest `keep` generations, and without the versions and packs that only those needed.
    pub fn retaining(&self, keep: usize) -> Catalog {
        let mut kept = self.clone();
        while kept.generations.len() > keep.max(1) {
            kept.generations.pop_first();
        }
        let oldest = kept.generations.first_key_value().map_or(0, |(number, _)| *number);
        for versions in kept.files.values_mut() {
            // The newest version up to the oldest generation is the one that it has; a file that it has not needs none.
            let first = versions.range(..=oldest).next_back().map(|(number, _)| *number);
            versions
                .retain(|number, version| *number > oldest || (Some(*number) == first && version.is_some()));
        }
        kept.files.retain(|_, versions| !versions.is_empty());
        let needed: BTreeSet<u64> =
            kept.versions().flat_map(|version| &version.pieces).map(|piece| piece.pack).collect();
        kept.packs.retain(|number, _| needed.contains(number));
        kept
    }
}

/// The entries that make `after` of `before`.
pub fn changes(before: &Catalog, after: &Catalog) -> Vec<u8> {
    let mut batch = Vec::new();
    // The head is first: a state that has anything of a profile has it.
    if let Some(head) = after.head.filter(|head| before.head != Some(*head)) {
        push(&mut batch, Head::KEY, Some(&head.encode()));
    }
    difference(&before.packs, &after.packs, |number, pack| {
        push(&mut batch, &pack_key(*number), pack.map(Pack::encode).as_deref());
    });
    difference(&before.generations, &after.generations, |number, generation| {
        push(&mut batch, &generation_key(*number), generation.map(Generation::encode).as_deref());
    });
    let none = BTreeMap::new();
    let paths: BTreeSet<&String> = before.files.keys().chain(after.files.keys()).collect();
    for path in paths {
        let of = |catalog: &'_ Catalog| catalog.files.get(path).unwrap_or(&none).clone();
        difference(&of(before), &of(after), |generation, version| {
            let value = version.map(|version| encode_file(version.as_ref()));
            push(&mut batch, &file_key(path, *generation), value.as_deref());
        });
    }
    batch
}

/// Tells what differs: what is new or another, and what is gone.
fn difference<K: Ord, V: PartialEq>(
    before: &BTreeMap<K, V>,
    after: &BTreeMap<K, V>,
    mut tell: impl FnMut(&K, Option<&V>),
) {
    for (key, value) in after {
        if before.get(key) != Some(value) {
            tell(key, Some(value));
        }
    }
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        tell(key, None);
    }
}

#[cfg(test)]
mod tests;
