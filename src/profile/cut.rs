//! Cutting: the files of a snapshot into pieces, and those that are not stored yet into packs.
//!
//! Pieces are cut at fixed offsets: what Chromium appends to or never changes does not shift. One pack at a time is in memory.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;

use sha2::{Digest, Sha256};

use crate::error::{Code, Error, Result};

use super::entry::{FileVersion, PIECE_LEN, Piece, PieceHash};
use super::scan::open;
use super::snapshot::SnapshotFile;

/// Bytes of the longest body of a pack.
pub const PACK_LEN: usize = 8 << 20;

/// A file that is being read.
struct Reading {
    file: SnapshotFile,
    source: File,
    left: u64,
    pieces: Vec<Piece>,
}

/// Cuts files, pack by pack.
pub struct Cutter {
    files: std::vec::IntoIter<SnapshotFile>,
    reading: Option<Reading>,
    known: HashMap<PieceHash, Piece>,
    next_pack: u64,
    done: Vec<(SnapshotFile, FileVersion)>,
}

/// The start of the hash of a piece.
pub fn hash(piece: &[u8]) -> PieceHash {
    let mut short = PieceHash::default();
    for (to, from) in short.iter_mut().zip(Sha256::digest(piece)) {
        *to = from;
    }
    short
}

impl Cutter {
    /// Cuts `files`. What is `known` is not stored again; new packs are numbered from `next_pack` on.
    pub fn new(files: Vec<SnapshotFile>, known: HashMap<PieceHash, Piece>, next_pack: u64) -> Cutter {
        Cutter { files: files.into_iter(), reading: None, known, next_pack, done: Vec::new() }
    }

    /// The body of the next pack with its number; `None` when all files are cut.
    pub fn next_pack(&mut self) -> Result<Option<(u64, Vec<u8>)>> {
        let mut body = Vec::new();
        let mut buffer = [0; PIECE_LEN];
        while body.len() + PIECE_LEN <= PACK_LEN {
            let Some(mut reading) = self.reading.take() else {
                let Some(file) = self.files.next() else { break };
                self.reading = Some(begin(file)?);
                continue;
            };
            let len = usize::try_from(reading.left).unwrap_or(PIECE_LEN).min(PIECE_LEN);
            if len == 0 {
                let Reading { file, pieces, .. } = reading;
                self.done.push((file.clone(), FileVersion { mode: file.mode, size: file.size, pieces }));
                continue;
            }
            let piece = buffer.get_mut(..len).unwrap_or_default();
            reading.source.read_exact(piece).map_err(|error| unread(&reading.file, error))?;
            reading.left -= len as u64;
            let hash = hash(piece);
            let place = match self.known.get(&hash) {
                Some(place) => *place,
                None => {
                    let offset = u32::try_from(body.len()).unwrap_or(u32::MAX);
                    let len = u16::try_from(len).unwrap_or(u16::MAX);
                    let place = Piece { pack: self.next_pack, offset, len, hash };
                    body.extend_from_slice(piece);
                    self.known.insert(hash, place);
                    place
                }
            };
            reading.pieces.push(place);
            self.reading = Some(reading);
        }
        if body.is_empty() {
            return Ok(None);
        }
        self.next_pack += 1;
        Ok(Some((self.next_pack - 1, body)))
    }

    /// The files as they were cut, and the number of the next pack.
    pub fn finish(self) -> (Vec<(SnapshotFile, FileVersion)>, u64) {
        (self.done, self.next_pack)
    }
}

fn begin(file: SnapshotFile) -> Result<Reading> {
    let source = open(&file.at).map_err(|error| unread(&file, error))?;
    Ok(Reading { left: file.size, source, pieces: Vec::new(), file })
}

fn unread(file: &SnapshotFile, error: std::io::Error) -> Error {
    Error::new(
        Code::ProfileBusy,
        format!(
            "{} changed while it was read ({error}); the last backup stays, and the next one tries again",
            file.path
        ),
    )
    .with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::snapshot::FileMark;

    fn file(at: &std::path::Path, bytes: &[u8]) -> SnapshotFile {
        std::fs::write(at, bytes).expect("room");
        let size = bytes.len() as u64;
        let mark = FileMark { inode: 0, size, modified_ns: 0, is_fixed: false };
        let path = at.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        SnapshotFile { path, at: at.to_owned(), size, mode: 0o600, mark }
    }

    fn noise(len: usize, seed: u64) -> Vec<u8> {
        let mut state = seed;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        std::iter::repeat_with(next).take(len).collect()
    }

    #[test]
    fn file_is_its_pieces_end_to_end_and_what_is_known_is_not_stored_again() {
        let folder = tempfile::tempdir().expect("room");
        let bytes = noise(PACK_LEN + 40_000, 1);
        let files =
            vec![file(&folder.path().join("a"), &bytes), file(&folder.path().join("b"), &bytes[..50_000])];
        let mut cutter = Cutter::new(files, HashMap::new(), 5);
        let mut packs = HashMap::new();
        while let Some((number, body)) = cutter.next_pack().expect("reads") {
            assert!(body.len() <= PACK_LEN);
            packs.insert(number, body);
        }
        let (done, next) = cutter.finish();
        assert_eq!((packs.len(), next), (2, 7));
        let stored: usize = packs.values().map(Vec::len).sum();
        // The last piece of b is shorter than the one of a that begins so.
        assert_eq!(stored, bytes.len() + 50_000 % PIECE_LEN, "the same pieces once");
        for ((file, version), expected) in done.iter().zip([&bytes[..], &bytes[..50_000]]) {
            let put = |piece: &Piece| {
                let at = piece.offset as usize;
                packs[&piece.pack][at..at + usize::from(piece.len)].to_vec()
            };
            assert_eq!(version.pieces.iter().flat_map(put).collect::<Vec<u8>>(), expected, "{}", file.path);
            assert!(version.pieces.iter().all(|piece| hash(&put(piece)) == piece.hash));
        }
    }

    #[test]
    fn file_that_shrank_is_not_taken_for_whole() {
        let folder = tempfile::tempdir().expect("room");
        let mut shrunk = file(&folder.path().join("a"), b"short");
        shrunk.size += 1;
        let mut cutter = Cutter::new(vec![shrunk], HashMap::new(), 0);
        assert_eq!(cutter.next_pack().map_err(|error| error.code()), Err(Code::ProfileBusy));
    }
}
