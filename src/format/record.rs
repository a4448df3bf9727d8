//! Records: the bytes of one batch of changes, the same in memory, in the local log and in objects.
//!
//! `entry := key_len u16le | key | value_len u32le | value`, where `value_len` ffffffff deletes and has no value.
//! A key is `type_len u8 | type | form u8 | id`; the single byte 00 is the key of the credentials. The values are
//! opaque here: they were encoded in JavaScript. Nothing read here can panic or allocate beyond its input.

use crate::error::{Code, Error, Result};

/// The key of the credentials: no type is empty, so nothing else can have it.
pub const CREDS_KEY: &[u8] = &[0];

/// The key of the head of a browser profile: a state that has it is one, and needs no credentials.
pub const PROFILE_KEY: &[u8] = b"\x07profile\x00head";

/// Longest key: ids come from the network, and somebody may send a very long one.
pub const MAX_KEY_LEN: usize = 4096;
/// Bytes of an entry beside its key and its value: their two lengths.
pub const LENGTHS: usize = 6;

/// Longest batch, and longest whole state, that is accepted.
pub const MAX_BATCH_LEN: usize = 512 << 20;

const DELETE: u32 = u32::MAX;

/// One change: a key with its new value, or with none when it is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The key bytes.
    pub key: &'a [u8],
    /// The value bytes, absent for a deletion.
    pub value: Option<&'a [u8]>,
    /// The whole entry as encoded.
    pub bytes: &'a [u8],
}

impl Entry<'_> {
    /// The type of the key; empty for the credentials.
    #[cfg(test)]
    pub fn kind(&self) -> &[u8] {
        kind(self.key)
    }
}

/// The type of `key`; empty for the credentials.
pub fn kind(key: &[u8]) -> &[u8] {
    let len = key.first().copied().map_or(0, usize::from);
    key.get(1..1 + len).unwrap_or_default()
}

/// True if `key` is formed as keys are.
fn well_formed(key: &[u8]) -> bool {
    if key == CREDS_KEY {
        return true;
    }
    if key.len() > MAX_KEY_LEN {
        return false;
    }
    match key.first().copied().map(usize::from) {
        None | Some(0) => false,
        Some(len) => {
            let named = key.get(1..1 + len).is_some_and(|kind| std::str::from_utf8(kind).is_ok());
            let id = key.get(2 + len..).unwrap_or_default();
            named
                && match key.get(1 + len) {
                    Some(0) => std::str::from_utf8(id).is_ok(),
                    Some(1) => id.len() % 2 == 0,
                    _ => false,
                }
        }
    }
}

/// Reads the entries of a batch one after another. An item is an error when the bytes are not a batch; nothing follows it.
#[derive(Debug, Clone)]
pub struct Entries<'a> {
    rest: &'a [u8],
}

impl<'a> Entries<'a> {
    /// Reads `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Entries { rest: bytes }
    }

    fn read(&mut self) -> Option<Entry<'a>> {
        let whole = self.rest;
        let (len, rest) = whole.split_first_chunk::<2>()?;
        let (key, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
        let (len, rest) = rest.split_first_chunk::<4>()?;
        let len = u32::from_le_bytes(*len);
        let (value, rest) = if len == DELETE {
            (None, rest)
        } else {
            let (value, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
            // A value has at least its kind byte.
            (Some(value).filter(|value| !value.is_empty())?.into(), rest)
        };
        if !well_formed(key) {
            return None;
        }
        self.rest = rest;
        let bytes = whole.get(..whole.len() - rest.len())?;
        Some(Entry { key, value, bytes })
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match self.read() {
            Some(entry) => Some(Ok(entry)),
            None => {
                self.rest = &[];
                Some(Err(Error::new(Code::InvalidOption, "a batch of changes is malformed")))
            }
        }
    }
}

/// Appends an entry to `out`.
pub fn push(out: &mut Vec<u8>, key: &[u8], value: Option<&[u8]>) {
    debug_assert!(well_formed(key) && value.is_none_or(|value| !value.is_empty()));
    out.extend_from_slice(&u16::try_from(key.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(key);
    match value {
        None => out.extend_from_slice(&DELETE.to_le_bytes()),
        Some(value) => {
            out.extend_from_slice(&u32::try_from(value.len()).unwrap_or(DELETE).to_le_bytes());
            out.extend_from_slice(value);
        }
    }
}

/// A batch of changes to keys of the type `session`.
#[cfg(test)]
pub fn session_batch(changes: &[(&str, Option<&[u8]>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (id, value) in changes {
        push(&mut out, &key("session", id), *value);
    }
    out
}

/// The key of `id` of type `kind`, as JavaScript writes it for a well-formed id.
pub fn key(kind: &str, id: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(2 + kind.len() + id.len());
    key.push(u8::try_from(kind.len()).unwrap_or(u8::MAX));
    key.extend_from_slice(kind.as_bytes());
    key.push(0);
    key.extend_from_slice(id.as_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut batch = Vec::new();
        push(&mut batch, CREDS_KEY, Some(b"\x01{}"));
        push(&mut batch, &key("session", "1.0"), Some(b"\x03abc"));
        push(&mut batch, &key("pre-key", "7"), None);
        push(&mut batch, &key("bridge-x", ""), Some(b"\x03"));
        batch
    }

    #[test]
    fn a_batch_reads_back_as_it_was_written() {
        let batch = sample();
        let entries: Vec<Entry<'_>> = Entries::new(&batch).map(|entry| entry.expect("well formed")).collect();
        assert_eq!(entries.len(), 4);
        assert_eq!(entries[0].key, CREDS_KEY);
        assert_eq!(entries[1].kind(), b"session");
        assert_eq!(entries[2].value, None);
        assert_eq!(entries.iter().flat_map(|entry| entry.bytes).copied().collect::<Vec<u8>>(), batch);
    }

    #[test]
    fn every_truncation_is_an_error_or_a_shorter_batch() {
        let batch = sample();
        let whole: Vec<usize> = Entries::new(&batch)
            .scan(0, |at, entry| {
                *at += entry.expect("well formed").bytes.len();
                Some(*at)
            })
            .collect();
        for len in 0..batch.len() {
            let bad = Entries::new(&batch[..len]).any(|entry| entry.is_err());
            assert_eq!(bad, len != 0 && !whole.contains(&len), "at {len}");
        }
    }

    #[test]
    fn no_single_byte_flip_panics() {
        let batch = sample();
        for at in 0..batch.len() {
            for bit in 0..8 {
                let mut bad = batch.clone();
                bad[at] ^= 1 << bit;
                let read: usize =
                    Entries::new(&bad).filter_map(|entry| entry.ok()).map(|entry| entry.bytes.len()).sum();
                assert!(read <= bad.len());
            }
        }
    }

    #[test]
    fn keys_that_no_javascript_writes_are_refused() {
        let long = [&[1, b'a', 0][..], &vec![b'x'; MAX_KEY_LEN]].concat();
        for bad in [
            &b""[..],
            b"\x00x",
            b"\x01",
            b"\x01a",
            b"\x01a\x02",
            b"\x01a\x01x",
            b"\x01\xff\x00",
            b"\x01a\x00\xff",
            &long,
        ] {
            assert!(!well_formed(bad), "{bad:?}");
        }
    }
}
