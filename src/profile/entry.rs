//! Entries of a browser profile's state: head, generations, packs and versions of files, in bytes.
//!
//! The byte tables are in `docs/format.md`. Nothing here panics on any input, or allocates beyond it: a length counts only as
//! far as the bytes that it announces are there.

use crate::error::{Cause, Error, Result};
use crate::format::fields::{Fields, put_claim};
use crate::format::name::PackName;
use crate::format::record::{PROFILE_KEY, key};
use crate::id::{Claim, ShortDigest, number};

use super::snapshot::Quiet;

/// The type of a generation's entry.
pub const GENERATION: &str = "generation";
/// The type of a pack's entry.
pub const PACK: &str = "pack";
/// The type of a file's entry.
pub const FILE: &str = "file";

/// First byte of every value: the format of the rest.
const FORMAT: u8 = 1;

/// Bytes of the longest piece.
pub const PIECE_LEN: usize = 16 << 10;

/// The start of a piece's SHA-256, which tells pieces apart.
pub type PieceHash = [u8; 16];

/// The position of the profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The newest generation.
    pub generation: u64,
    /// The number of the next pack.
    pub next_pack: u64,
}

/// One backup of the profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generation {
    /// The claim under which it was made: with the number it names the generation for good.
    pub claim: Claim,
    /// Time at which it was made, in milliseconds since 1970; for people only.
    pub wall_ms: u64,
    /// The way in which the browser was kept from writing: the number of a [`Quiet`].
    pub quiet: u8,
    /// Its files, and their bytes.
    pub files: u32,
    pub bytes: u64,
}

/// Place of a piece's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The number of the pack.
    pub pack: u64,
    /// Its beginning in the pack's body.
    pub offset: u32,
    /// Its bytes, at most [`PIECE_LEN`].
    pub len: u16,
    /// Its hash.
    pub hash: PieceHash,
}

/// A file as of one generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileVersion {
    /// Its permissions.
    pub mode: u32,
    /// Its bytes.
    pub size: u64,
    /// Its pieces, end to end.
    pub pieces: Vec<Piece>,
}

/// A pack as it lies in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pack {
    /// Its name.
    pub name: PackName,
    /// Bytes of the object, and of its body.
    pub stored: u32,
    pub body: u32,
}

/// The key of a generation.
pub fn generation_key(generation: u64) -> Vec<u8> {
    key(GENERATION, &format!("{generation:020}"))
}

/// The key of a pack.
pub fn pack_key(number: u64) -> Vec<u8> {
    key(PACK, &format!("{number:020}"))
}

/// The key of the file `path` as of `generation`.
pub fn file_key(path: &str, generation: u64) -> Vec<u8> {
    key(FILE, &format!("{generation:020}/{path}"))
}

/// The id in a key of a known type. Of the forms that ids have, an entry of a profile has the first alone.
pub fn id_of<'a>(key: &'a [u8], kind: &str) -> Option<&'a str> {
    let (form, id) = key.get(kind.len() + 1..)?.split_first()?;
    std::str::from_utf8(id).ok().filter(|_| *form == 0)
}

/// The number in the key of a generation or a pack.
pub fn number_of(key: &[u8], kind: &str) -> Option<u64> {
    number(id_of(key, kind)?)
}

/// The path and the generation in the key of a file.
pub fn file_of(key: &[u8]) -> Option<(&str, u64)> {
    let (digits, path) = id_of(key, FILE)?.split_at_checked(20)?;
    Some((path.strip_prefix('/')?, number(digits)?))
}

/// The fields of a value of this format.
fn fields(value: &[u8]) -> Option<Fields<'_>> {
    let (format, rest) = value.split_first()?;
    (*format == FORMAT).then_some(Fields::of(rest))
}

impl Head {
    /// Its key.
    pub const KEY: &[u8] = PROFILE_KEY;

    /// Its value.
    pub fn encode(&self) -> Vec<u8> {
        [&[FORMAT][..], &self.generation.to_le_bytes(), &self.next_pack.to_le_bytes()].concat()
    }

    /// Reads a value.
    pub fn decode(value: &[u8]) -> Option<Head> {
        let mut fields = fields(value)?;
        let head = Head { generation: fields.u64()?, next_pack: fields.u64()? };
        fields.end(head)
    }
}

impl Generation {
    /// The way in which it was made; `None` if it is one of a newer release.
    pub fn quiet(&self) -> Option<Quiet> {
        let known = [Quiet::Closed, Quiet::Stopped, Quiet::Optimistic];
        known.into_iter().find(|quiet| *quiet as u8 == self.quiet)
    }

    /// Its value.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        put_claim(&mut out, &self.claim);
        out.extend_from_slice(&self.wall_ms.to_le_bytes());
        out.push(self.quiet);
        out.extend_from_slice(&self.files.to_le_bytes());
        out.extend_from_slice(&self.bytes.to_le_bytes());
        out
    }

    /// Reads a value.
    pub fn decode(value: &[u8]) -> Option<Generation> {
        let mut fields = fields(value)?;
        let (claim, wall_ms) = (fields.claim()?, fields.u64()?);
        let [quiet] = fields.take()?;
        let generation = Generation { claim, wall_ms, quiet, files: fields.u32()?, bytes: fields.u64()? };
        fields.end(generation)
    }
}

impl Pack {
    /// Its value.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        put_claim(&mut out, &self.name.claim);
        out.extend_from_slice(&self.name.digest.0);
        out.extend_from_slice(&self.stored.to_le_bytes());
        out.extend_from_slice(&self.body.to_le_bytes());
        out
    }

    /// Reads the value of pack `number`.
    pub fn decode(number: u64, value: &[u8]) -> Option<Pack> {
        let mut fields = fields(value)?;
        let name = PackName { claim: fields.claim()?, number, digest: ShortDigest(fields.take()?) };
        let pack = Pack { name, stored: fields.u32()?, body: fields.u32()? };
        fields.end(pack)
    }
}

/// The value of a file that is there, or is not any more.
pub fn encode_file(version: Option<&FileVersion>) -> Vec<u8> {
    let Some(FileVersion { mode, size, pieces }) = version else { return vec![FORMAT, 0] };
    let mut out = Vec::with_capacity(14 + pieces.len() * 30);
    out.extend_from_slice(&[FORMAT, 1]);
    out.extend_from_slice(&mode.to_le_bytes());
    out.extend_from_slice(&size.to_le_bytes());
    for Piece { pack, offset, len, hash } in pieces {
        out.extend_from_slice(&pack.to_le_bytes());
        out.extend_from_slice(&offset.to_le_bytes());
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(hash);
    }
    out
}

/// Reads the value of a file. Its pieces are exactly its bytes.
pub fn decode_file(value: &[u8]) -> Option<Option<FileVersion>> {
    let mut fields = fields(value)?;
    match fields.take()? {
        [0] => return fields.end(None),
        [1] => {}
        [_] => return None,
    }
    let (mode, size) = (fields.u32()?, fields.u64()?);
    let mut pieces = Vec::with_capacity(fields.left() / 30);
    let mut reached = 0_u64;
    while fields.left() > 0 {
        let (pack, offset, len) = (fields.u64()?, fields.u32()?, fields.u16()?);
        if len == 0 || usize::from(len) > PIECE_LEN {
            return None;
        }
        reached += u64::from(len);
        pieces.push(Piece { pack, offset, len, hash: fields.take()? });
    }
    (reached == size).then_some(Some(FileVersion { mode, size, pieces }))
}

/// The error for a state that does not read.
pub fn malformed(what: &str) -> Error {
    Error::new(
        Cause::Damaged,
        format!("{what} in the state of this profile is malformed, or of a newer release; see the runbook"),
    )
}

/// The result of `decode`, or the error for it.
pub fn read<T>(decoded: Option<T>, what: &str) -> Result<T> {
    decoded.ok_or_else(|| malformed(what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::OwnerId;

    fn claim() -> Claim {
        Claim { epoch: 7, owner: OwnerId([5; 16]) }
    }

    fn piece(pack: u64, len: u16) -> Piece {
        Piece { pack, offset: 9, len, hash: [4; 16] }
    }

    #[test]
    fn every_entry_reads_back_and_no_cut_or_longer_one_does() {
        let head = Head { generation: 3, next_pack: 8 };
        let generation = Generation { claim: claim(), wall_ms: 11, quiet: 1, files: 2, bytes: 17_000 };
        let name = PackName { claim: claim(), number: 6, digest: ShortDigest([2; 8]) };
        let pack = Pack { name, stored: 100, body: 200 };
        let file = FileVersion { mode: 0o600, size: 17_000, pieces: vec![piece(6, 16_384), piece(6, 616)] };
        assert_eq!(Head::decode(&head.encode()), Some(head));
        assert_eq!(Generation::decode(&generation.encode()), Some(generation));
        assert_eq!(Pack::decode(6, &pack.encode()), Some(pack));
        assert_eq!(decode_file(&encode_file(Some(&file))), Some(Some(file.clone())));
        assert_eq!(decode_file(&encode_file(None)), Some(None));
        // The type in the key tells which of these a value is.
        type Reads = fn(&[u8]) -> bool;
        let values: [(Vec<u8>, Reads); 5] = [
            (head.encode(), |value| Head::decode(value).is_some()),
            (generation.encode(), |value| Generation::decode(value).is_some()),
            (pack.encode(), |value| Pack::decode(6, value).is_some()),
            (encode_file(Some(&file)), |value| decode_file(value).is_some()),
            (encode_file(None), |value| decode_file(value).is_some()),
        ];
        for (value, reads) in values {
            assert!(reads(&value));
            assert!((0..value.len()).all(|len| !reads(&value[..len])), "{} bytes", value.len());
            assert!(!reads(&[&value[..], &[0]].concat()), "longer");
            assert!(!reads(&[&[2][..], &value[1..]].concat()), "of a newer format");
        }
    }

    #[test]
    fn file_whose_pieces_are_not_its_bytes_is_refused() {
        for (size, pieces) in
            [(17_001, vec![piece(6, 16_384)]), (0, vec![piece(6, 1)]), (0, vec![piece(6, 0)])]
        {
            let file = FileVersion { mode: 0, size, pieces };
            assert_eq!(decode_file(&encode_file(Some(&file))), None);
        }
        let long = FileVersion { mode: 0, size: 16_385, pieces: vec![piece(6, 16_385)] };
        assert_eq!(decode_file(&encode_file(Some(&long))), None);
    }

    #[test]
    fn keys_sort_as_numbers_and_read_back() {
        assert!(generation_key(9) < generation_key(10));
        assert_eq!(number_of(&pack_key(12), PACK), Some(12));
        assert_eq!(file_of(&file_key("Default/a b", 3)), Some(("Default/a b", 3)));
        assert_eq!(file_of(&key(FILE, "3/a")), None);
    }
}
