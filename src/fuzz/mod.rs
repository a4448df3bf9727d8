//! Fuzz targets: every decoder of bytes that somebody else may have written, each as a function of one input.
//!
//! Invariant: no input makes a target panic, and whatever reads is written again as the same bytes. `fuzz/` runs the targets
//! under libFuzzer; the tests here run them over mutations of the golden files, a bounded number, from a seed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::format::name::{ClaimName, DataName, TenantName};
use crate::format::object::Object;
use crate::format::record::Entries;
use crate::format::seal::{Ring, visible_tag};
use crate::id::{Claim, Digest, TenantTag};
use crate::journal::memtable::Memtable;
use crate::platform::disk::Disk;
use crate::platform::disk::memory::MemoryDisk;
use crate::store::{Operation, Refusal, judge, keeps_versions, rules};
use crate::wal::{Folder, Recovery};

mod leveldb;
mod profile;

/// A decoder under test.
pub struct Target {
    /// Name of the target, and of its folder of inputs.
    pub name: &'static str,
    /// Decodes one input.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: [Target; 7] = [
    Target { name: "batch", run: batch },
    Target { name: "object", run: object },
    Target { name: "log", run: log },
    Target { name: "name", run: name },
    Target { name: "document", run: document },
    Target { name: "leveldb", run: leveldb::target },
    Target { name: "profile", run: profile::target },
];

/// Runs the target called `name`.
///
/// # Panics
///
/// If there is no such target, or the target finds a fault.
pub fn run(name: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target of this name");
    (target.run)(input);
}

/// A batch of changes, and the state that it makes.
fn batch(input: &[u8]) {
    let read: usize = Entries::new(input).filter_map(Result::ok).map(|entry| entry.bytes.len()).sum();
    assert!(read <= input.len());
    let Ok(mut state) = Memtable::replay(input) else { return };
    let encoded = state.snapshot().encode();
    let again = Memtable::replay(&encoded).expect("a state reads what it wrote");
    assert_eq!(again.snapshot().encode(), encoded);
    if let Ok((changes, _)) = state.changes(input) {
        let changes = changes.into_owned();
        state.apply(&changes);
    }
}

/// An object of a bucket, once as it is and once with a digest that fits: else hardly an input would pass it.
fn object(input: &[u8]) {
    let covered = input.get(..input.len().saturating_sub(32)).unwrap_or_default();
    let fitting = [covered, &Digest::of(covered).0].concat();
    for bytes in [input, &fitting] {
        let Ok(object) = Object::read(Bytes::copy_from_slice(bytes)) else { continue };
        for ring in [Ring::default(), ring()] {
            let _ = object.body(&ring);
        }
    }
}

/// A local log and its note of claims, once as they are and once with checksums that fit.
fn log(input: &[u8]) {
    let path = Path::new("/log");
    for bytes in [input.to_vec(), with_checksums(input)] {
        for (ring, tag) in [(Ring::default(), tag()), (ring(), tag())] {
            let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::default());
            disk.make_dir(path).expect("room");
            for name in ["00000000000000000001.log", "claims"] {
                disk.create(&path.join(name)).and_then(|file| file.append(&bytes)).expect("room");
            }
            let folder = Folder::lock(Arc::clone(&disk), path).expect("free");
            let _: Vec<Claim> = folder.claims();
            if let Ok(Recovery::Log(log)) = folder.recover(&ring, tag) {
                assert!(log.entries.len() <= bytes.len());
            }
        }
    }
}

/// A name in a listing.
fn name(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Some(name) = DataName::parse(text) {
        assert_eq!(name.to_string(), text);
    }
    if let Some(id) = TenantName::reveal(text) {
        let tenant = TenantName::visible(&id).expect("it was written once");
        assert!(text.starts_with(&tenant.claims_prefix()));
        if let Some(name) = ClaimName::parse(&tenant, text) {
            assert!(name.object(&tenant).ends_with(text));
        }
    }
    let _ = TenantName::found(text);
    let _ = TenantName::visible(text);
}

/// A document that a store answers with: its rules, its versions, the word of an error.
fn document(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let _ = rules(text);
    let _ = keeps_versions(text);
    for status in [200, 400, 403, 404, 429, 500, 503] {
        let retry_after = Some(Duration::from_secs(text.len() as u64));
        let failure = judge(&Refusal { status, code: Some(text), retry_after }, Operation::Put);
        assert!(failure.pause(Duration::ZERO) <= Duration::from_secs(3600), "nobody waits for ever");
    }
}

/// The keys of the golden files.
fn ring() -> Ring {
    Ring::new(&[0x42; 32]).expect("a whole key")
}

/// The tenant of the golden log.
fn tag() -> TenantTag {
    visible_tag("tenant-7")
}

/// The same log with its checksums made to fit, by the tables of `docs/format.md`.
fn with_checksums(input: &[u8]) -> Vec<u8> {
    const HEADER: usize = 116;
    const FRAME: usize = 37;
    let mut bytes = input.to_vec();
    if bytes.len() < HEADER {
        return bytes;
    }
    let crc = crc32fast::hash(&bytes[..HEADER - 4]);
    bytes[HEADER - 4..HEADER].copy_from_slice(&crc.to_le_bytes());
    let mut salted = crc32fast::Hasher::new();
    salted.update(&bytes[32..64]);
    let mut at = HEADER;
    while let Some(frame) = bytes.get_mut(at..).filter(|frame| frame.len() >= FRAME) {
        let len = u32::from_le_bytes([frame[4], frame[5], frame[6], frame[7]]);
        let whole = FRAME.saturating_add(usize::try_from(len).unwrap_or(usize::MAX));
        let Some(frame) = frame.get_mut(..whole) else { break };
        let mut crc = salted.clone();
        crc.update(&frame[4..8]);
        crc.update(&frame[12..]);
        frame[8..12].copy_from_slice(&crc.finalize().to_le_bytes());
        at += whole;
    }
    bytes
}

#[cfg(test)]
mod tests;
