//! A tenant's keys in memory, and what of them the store does not have yet.
//!
//! A value is kept as the bytes of its whole record entry, in one allocation, shared with snapshots by reference count:
//! cutting a segment or a base copies pointers while the lock is held and bytes afterwards. A key is dirty when its value
//! differs from what was last cut for the store; changed there and back, it costs nothing (exact comparison, no hash).

use std::borrow::Cow;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashSet, HashTable, hash_table};
use std::hash::BuildHasher;

use crate::error::Result;
use crate::format::record::{self, Entries, Entry, LENGTHS};

/// The bytes of one record entry that has a value.
pub type Cell = Arc<[u8]>;

/// Value of a key when the store last had it, for a key that changed since.
struct Dirty {
    key: Box<[u8]>,
    shipped: Option<Cell>,
}

/// Keys, values and the dirty set.
#[derive(Default)]
pub struct Memtable {
    hasher: DefaultHashBuilder,
    cells: HashTable<Cell>,
    dirty: HashTable<Dirty>,
    /// Keys that were cut, until the store is known to have them.
    on_the_way: HashSet<Box<[u8]>>,
    bytes: usize,
}

/// The key of a cell. Its length field was checked when the cell was made.
fn key_of(cell: &[u8]) -> &[u8] {
    match cell.split_first_chunk::<2>() {
        Some((len, rest)) => rest.get(..usize::from(u16::from_le_bytes(*len))).unwrap_or_default(),
        None => &[],
    }
}

/// The value of a cell: what follows the key and its own length field.
fn value_of(cell: &[u8]) -> &[u8] {
    cell.get(2 + key_of(cell).len() + 4..).unwrap_or_default()
}

impl Memtable {
    /// The state that `entries` build, one after another. Nothing of it is dirty.
    pub fn replay(entries: &[u8]) -> Result<Memtable> {
        let mut state = Memtable::default();
        state.absorb(entries)?;
        Ok(state)
    }

    /// Applies entries that the store has already: nothing becomes dirty.
    pub fn absorb(&mut self, entries: &[u8]) -> Result<()> {
        for entry in Entries::new(entries) {
            let entry = entry?;
            self.put(&entry);
        }
        Ok(())
    }

    /// The value of `key`.
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.cell(key).map(|cell| value_of(cell))
    }

    fn cell(&self, key: &[u8]) -> Option<&Cell> {
        self.cells.find(self.hasher.hash_one(key), |cell| key_of(cell) == key)
    }

    /// Entries of `batch` that would change something (`batch` itself when all would), and how many would not. Checks
    /// that it is well formed.
    pub fn changes<'a>(&self, batch: &'a [u8]) -> Result<(Cow<'a, [u8]>, u64)> {
        let mut kept = Vec::new();
        let mut all = true;
        let mut unchanged = 0;
        let differs = |entry: &Entry<'_>| self.get(entry.key) != entry.value;
        let (mut some, mut before) = (false, None);
        for entry in Entries::new(batch) {
            let entry = entry?;
            let mut changed = differs(&entry);
            if some && !changed {
                // What is as it was may take back what the batch changed before: the later entry of a key wins.
                let earlier = || Entries::new(batch).map_while(Result::ok).filter(differs);
                let keys = before.get_or_insert_with(|| earlier().map(|e| e.key).collect::<HashSet<_>>());
                changed = keys.contains(entry.key);
            }
            some |= changed;
            unchanged += u64::from(!changed);
            if changed != all {
                if all {
                    // The first that changes nothing: keep what came before it.
                    kept.extend_from_slice(batch.get(..offset(batch, entry.bytes)).unwrap_or_default());
                    all = false;
                } else {
                    kept.extend_from_slice(entry.bytes);
                }
            }
        }
        Ok((if all { batch.into() } else { kept.into() }, unchanged))
    }

    /// Applies a batch that [`Memtable::changes`] let through, and remembers what it made dirty.
    pub fn apply(&mut self, batch: &[u8]) {
        for entry in Entries::new(batch).map_while(Result::ok) {
            let before = self.put(&entry);
            let hash = self.hasher.hash_one(entry.key);
            let hasher = &self.hasher;
            let slot = self.dirty.entry(hash, |d| *d.key == *entry.key, |d| hasher.hash_one(&*d.key));
            if let hash_table::Entry::Vacant(slot) = slot {
                slot.insert(Dirty { key: entry.key.into(), shipped: before });
            }
        }
    }

    fn put(&mut self, entry: &Entry<'_>) -> Option<Cell> {
        let hash = self.hasher.hash_one(entry.key);
        let hasher = &self.hasher;
        let slot =
            self.cells.entry(hash, |cell| key_of(cell) == entry.key, |cell| hasher.hash_one(key_of(cell)));
        let before = match (slot, entry.value) {
            (hash_table::Entry::Occupied(mut slot), Some(_)) => {
                Some(std::mem::replace(slot.get_mut(), entry.bytes.into()))
            }
            (hash_table::Entry::Occupied(slot), None) => Some(slot.remove().0),
            (hash_table::Entry::Vacant(slot), Some(_)) => {
                slot.insert(entry.bytes.into());
                None
            }
            (hash_table::Entry::Vacant(_), None) => None,
        };
        self.bytes += entry.value.map_or(0, |_| entry.bytes.len());
        self.bytes -= before.as_ref().map_or(0, |cell| cell.len());
        before
    }

    /// Takes the dirty set: the entries that bring the store from what it had to what is now, in key order. Keys that are
    /// back at what the store has are left out; deletions are not. What is taken is on the way until [`Memtable::landed`].
    pub fn cut(&mut self) -> Vec<u8> {
        let mut dirty: Vec<Dirty> = self.dirty.drain().collect();
        dirty.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        let mut out = Vec::new();
        for Dirty { key, shipped } in dirty {
            match self.cell(&key) {
                Some(now) if shipped.as_ref() != Some(now) => out.extend_from_slice(now),
                None if shipped.is_some() => record::push(&mut out, &key, None),
                _ => continue,
            }
            self.on_the_way.insert(key);
        }
        out
    }

    /// The store has everything that was cut.
    pub fn landed(&mut self) {
        self.on_the_way = HashSet::default();
    }

    /// Every cell, by reference, in no order.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { cells: self.cells.iter().cloned().collect(), bytes: self.bytes }
    }

    /// The entries of one type (empty: the credentials), in key order.
    pub fn entries_of(&self, kind: &[u8]) -> Vec<u8> {
        let of_kind = |cell: &&Cell| record::kind(key_of(cell)) == kind;
        let cells: Vec<Cell> = self.cells.iter().filter(of_kind).cloned().collect();
        let bytes = cells.iter().map(|cell| cell.len()).sum();
        Snapshot { cells, bytes }.encode()
    }

    /// The keys of one type in order, each behind its length and before the length of its whole entry: values are not copied.
    pub fn index_of(&self, kind: &[u8]) -> Vec<u8> {
        let cells = self.cells.iter().map(|cell| (key_of(cell), cell.len()));
        let mut keys: Vec<(&[u8], usize)> = cells.filter(|(key, _)| record::kind(key) == kind).collect();
        keys.sort_unstable();
        let mut out = Vec::with_capacity(keys.iter().map(|(key, _)| key.len() + 6).sum());
        for (key, len) in keys {
            out.extend_from_slice(&u16::try_from(key.len()).unwrap_or(u16::MAX).to_le_bytes());
            out.extend_from_slice(key);
            out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
        }
        out
    }

    /// A batch that deletes every key but the credentials.
    pub fn deletions(&self) -> Vec<u8> {
        let mut keys: Vec<&[u8]> = self.cells.iter().map(|cell| key_of(cell)).collect();
        keys.retain(|key| *key != record::CREDS_KEY);
        keys.sort_unstable();
        let mut out = Vec::new();
        for key in keys {
            record::push(&mut out, key, None);
        }
        out
    }

    /// Number of keys, the credentials among them.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Bytes of all entries.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keys that may differ from what the store is known to have: those to be shipped and those on the way, each once.
    fn unstored(&self) -> impl Iterator<Item = &[u8]> {
        let again =
            |key: &[u8]| self.dirty.find(self.hasher.hash_one(key), |dirty| *dirty.key == *key).is_some();
        let on_the_way = self.on_the_way.iter().map(|key| &**key).filter(move |key| !again(key));
        self.dirty.iter().map(|dirty| &*dirty.key).chain(on_the_way)
    }

    /// Number of keys that may differ from what the store is known to have; computed, so not for the hot path.
    pub fn dirty_len(&self) -> usize {
        self.unstored().count()
    }

    /// Bytes of their entries; computed as well.
    pub fn dirty_bytes(&self) -> usize {
        self.unstored().map(|key| self.cell(key).map_or(key.len() + LENGTHS, |cell| cell.len())).sum()
    }
}

fn offset(whole: &[u8], part: &[u8]) -> usize {
    (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize)
}

/// A state at one LSN, frozen.
pub struct Snapshot {
    cells: Vec<Cell>,
    bytes: usize,
}

impl Snapshot {
    /// The entries in key order, so that the same state always gives the same bytes.
    pub fn encode(mut self) -> Vec<u8> {
        self.cells.sort_unstable_by(|a, b| key_of(a).cmp(key_of(b)));
        let mut out = Vec::with_capacity(self.bytes);
        for cell in &self.cells {
            out.extend_from_slice(cell);
        }
        out
    }
}

#[cfg(test)]
mod tests;
