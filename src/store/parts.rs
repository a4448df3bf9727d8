//! Parts: an object that is larger than a store takes travels in several, with a list of them under its name.
//!
//! The parts come first and the list last: whoever sees the name finds all of it. Nothing here is believed for itself; what is
//! joined is held against the digest in the object's name by whoever reads it, like any other object.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{BufMut, Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream};

use super::failure::{Failure, Meaning};
use super::retrying::RetryingStore;
use crate::error::Error;
use crate::format::name::{MAX_PART, part};

/// Start of a list of parts: its kind and the version of its form.
const MAGIC: [u8; 5] = *b"BHAp\x01";
/// Bytes of a list: what it begins with, the bytes of the whole, and those of each part but the last.
const LIST_LEN: usize = MAGIC.len() + 8 + 8;
/// Sizes of parts, from the largest: the first one that the store takes is used.
const SIZES: [usize; 6] = [MAX_PART, 8 << 20, 2 << 20, 512 << 10, 64 << 10, 8 << 10];
/// The smallest of them, in bytes: a store that does not take it takes no parts.
pub const SMALLEST: u64 = 8 << 10;
/// Parts on their way at once.
const PARALLEL: usize = 8;
/// No list names more bytes than an object can have, with what seals it.
const MAX_LEN: u64 = 1 << 30;

/// The bytes of which a store was seen to take no more: of the smallest object that it found too large.
pub(super) struct Limit(AtomicU64);

impl Default for Limit {
    fn default() -> Limit {
        Limit(AtomicU64::new(u64::MAX))
    }
}

impl Limit {
    /// The size of the parts in which `len` bytes are sent; `None`: whole.
    fn parts(&self, len: usize) -> Option<usize> {
        let refused = self.0.load(Ordering::Relaxed);
        if (len as u64) < refused {
            return None;
        }
        SIZES.into_iter().find(|size| (*size as u64) < refused && *size < len)
    }

    /// Notes that `len` bytes were too large. Gives the size of parts to try next, if there is one.
    fn refused(&self, len: usize, whole: usize) -> Option<usize> {
        self.0.fetch_min(len as u64, Ordering::Relaxed);
        self.parts(whole)
    }

    /// Notes that the store takes `len` bytes after all.
    fn taken(&self, len: usize) {
        if self.0.load(Ordering::Relaxed) <= len as u64 {
            self.0.store(u64::MAX, Ordering::Relaxed);
        }
    }
}

/// An object that was read once more.
pub enum Reread {
    /// It is in parts.
    Parts,
    /// It is whole.
    Whole(Bytes),
}

impl RetryingStore {
    /// Stores an object, once, in parts if it is too large for the store.
    pub async fn put_once(&self, name: &str, bytes: Bytes) -> Result<(), Failure> {
        let mut size = self.limit.parts(bytes.len());
        loop {
            let (sent, answer) = match size {
                None => (bytes.len(), self.put_one(name, bytes.clone()).await),
                Some(size) => (size, self.put_parts(name, &bytes, size).await),
            };
            match answer {
                Err(failure) if failure.meaning == Meaning::TooLarge => {
                    size = Some(self.limit.refused(sent, bytes.len()).ok_or(failure)?);
                }
                Ok(()) => {
                    self.limit.taken(sent);
                    return Ok(());
                }
                failure => return failure,
            }
        }
    }

    /// The same, and then a listing of `folder` where the store makes that one exchange: a listing that began after the object was
    /// stored. `None`: nothing was listed.
    pub async fn put_then_list_once(
        &self,
        name: &str,
        bytes: Bytes,
        folder: &str,
        prefix: &str,
    ) -> Result<Option<Vec<String>>, Failure> {
        if self.limit.parts(bytes.len()).is_none() {
            match self.put_then_list(name, bytes.clone(), folder, prefix).await {
                Err(failure) if matches!(failure.meaning, Meaning::TooLarge | Meaning::Denied) => {}
                answer => return answer,
            }
        }
        self.put_once(name, bytes).await.map(|()| None)
    }

    /// The object called `name` once more; `None` if it is not there.
    pub async fn reread(&self, name: &str) -> Result<Option<Reread>, Error> {
        let found = self.with_retries("reading an object", || self.get_one(name)).await?;
        Ok(found.map(|bytes| if read(&bytes).is_some() { Reread::Parts } else { Reread::Whole(bytes) }))
    }

    async fn put_parts(&self, name: &str, bytes: &Bytes, size: usize) -> Result<(), Failure> {
        let store = |at: usize| {
            let piece = bytes.slice(at * size..bytes.len().min((at + 1) * size));
            async move {
                let name = part(name, size, at);
                self.persistently(|| self.put_one(&name, piece.clone())).await
            }
        };
        // If the first one is too large, so are all the others.
        store(0).await?;
        let rest = stream::iter(1..bytes.len().div_ceil(size)).map(store).buffer_unordered(PARALLEL);
        rest.try_collect::<()>().await?;
        let mut list = BytesMut::with_capacity(LIST_LEN);
        list.extend_from_slice(&MAGIC);
        list.put_u64_le(bytes.len() as u64);
        list.put_u64_le(size as u64);
        self.put_one(name, list.freeze()).await
    }

    /// Subject of `list`, which was found under `name`: the object as a whole, or itself if it is no list. `None` when it went
    /// meanwhile. What cannot be found is left out, and no digest will hold.
    pub(super) async fn joined(&self, name: &str, list: Bytes) -> Result<Option<Bytes>, Failure> {
        let Some((len, size)) = read(&list) else { return Ok(Some(list)) };
        let read = |at: usize| async move {
            let name = part(name, size, at);
            self.persistently(|| self.get_one(&name)).await
        };
        let mut pieces = stream::iter(0..len.div_ceil(size)).map(read).buffered(PARALLEL);
        let mut whole = BytesMut::new();
        while let Some(piece) = pieces.try_next().await? {
            let Some(piece) = piece else {
                // Either all of it was removed just now, or this part was lost.
                return Ok(self.get_one(name).await?.map(|_| whole.freeze()));
            };
            if piece.len() > size {
                break;
            }
            whole.extend_from_slice(&piece);
        }
        Ok(Some(whole.freeze()))
    }
}

/// The bytes of the whole and of each part, if `list` is a list of parts.
fn read(list: &[u8]) -> Option<(usize, usize)> {
    let rest = list.strip_prefix(&MAGIC)?;
    let (len, rest) = rest.split_first_chunk()?;
    let (size, rest) = rest.split_first_chunk()?;
    let (len, size) = (u64::from_le_bytes(*len), u64::from_le_bytes(*size));
    let makes_sense = rest.is_empty() && len <= MAX_LEN && (1..=MAX_PART as u64).contains(&size);
    makes_sense.then_some((usize::try_from(len).ok()?, usize::try_from(size).ok()?))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::sim::SimHost;
    use crate::store::adapters::memory::Memory;

    fn remote(memory: &Memory) -> RetryingStore {
        RetryingStore::new(Arc::new(memory.clone()), SimHost::new(1, tokio::time::Instant::now()))
    }

    fn bytes(len: usize) -> Bytes {
        (0..len).map(|at| u8::try_from(at % 251).expect("is small")).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_that_is_too_large_travels_in_parts_and_reads_back_whole() {
        for (limit, len) in
            [(60_000, 60_001), (60_000, 200_000), (9_000, 16_384), (9_000, 8_193), (70_000, 131_072)]
        {
            let memory = Memory::default().limited(Arc::new(AtomicUsize::new(limit)));
            let whole = bytes(len);
            remote(&memory).put("v1/data/x/a.base", whole.clone()).await.expect("stores");
            assert!(memory.objects().values().all(|object| object.len() <= limit));
            let other = remote(&memory);
            assert_eq!(other.get("v1/data/x/a.base").await.expect("reads"), Some(whole.clone()));
            // Stored again by another process it is the same, and what fits goes whole.
            let before = memory.objects().clone();
            other.put("v1/data/x/a.base", whole).await.expect("stores");
            assert_eq!(*memory.objects(), before);
            other.put("v1/data/x/b.base", bytes(1_000)).await.expect("stores");
            assert_eq!(memory.objects().len(), before.len() + 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_that_was_raised_is_noticed_and_one_that_nothing_fits_is_told() {
        let limit = Arc::new(AtomicUsize::new(4_000));
        let memory = Memory::default().limited(Arc::clone(&limit));
        let remote = remote(&memory);
        let refused = remote.put("v1/data/x/a.base", bytes(10_000)).await.expect_err("nothing fits");
        assert!(refused.message.contains("larger"), "{refused}");
        assert!(memory.objects().is_empty());
        limit.store(1 << 20, Ordering::Relaxed);
        remote.put("v1/data/x/b.base", bytes(10_000)).await.expect("stores");
        remote.put("v1/data/x/c.base", bytes(300_000)).await.expect("stores");
        assert_eq!(memory.objects().len(), 2, "both are whole");
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_was_lost_is_no_absence_and_a_list_that_went_is_one() {
        let memory = Memory::default().limited(Arc::new(AtomicUsize::new(60_000)));
        let remote = remote(&memory);
        remote.put("v1/data/x/a.base", bytes(100_000)).await.expect("stores");
        let lost =
            memory.objects().keys().find(|name| name.ends_with(".part")).cloned().expect("is in parts");
        memory.objects().remove(&lost);
        let read = remote.get("v1/data/x/a.base").await.expect("reads").expect("is there");
        assert!(read.len() < 100_000);
        memory.objects().remove("v1/data/x/a.base");
        assert_eq!(remote.get("v1/data/x/a.base").await.expect("reads"), None);
    }

    #[test]
    fn what_is_no_list_is_an_object() {
        for list in [&b""[..], b"BHAo", b"BHAp\x01", b"BHAp\x02aaaaaaaabbbbbbbb", &[0; LIST_LEN]] {
            assert_eq!(read(list), None);
        }
        let list = |len: u64, size: u64| [&MAGIC[..], &len.to_le_bytes(), &size.to_le_bytes()].concat();
        assert_eq!(read(&list(10, 4)), Some((10, 4)));
        for (len, size) in [(10, 0), (MAX_LEN + 1, 4), (10, MAX_PART as u64 + 1)] {
            assert_eq!(read(&list(len, size)), None);
        }
    }
}
