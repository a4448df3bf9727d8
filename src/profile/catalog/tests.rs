//! Catalogs: what a state says is what was put into it, and damage is an error.

use super::*;
use crate::format::name::PackName;
use crate::id::{Claim, OwnerId, ShortDigest};

fn piece(pack: u64, offset: u32) -> Piece {
    Piece { pack, offset, len: 100, hash: [u8::try_from(offset / 100).expect("small"); 16] }
}

fn file(pieces: &[Piece]) -> Option<FileVersion> {
    Some(FileVersion { mode: 0o600, size: 100 * pieces.len() as u64, pieces: pieces.to_vec() })
}

fn pack(number: u64) -> Pack {
    let claim = Claim { epoch: 1, owner: OwnerId([1; 16]) };
    Pack { name: PackName { claim, number, digest: ShortDigest([0; 8]) }, stored: 500, body: 1000 }
}

fn generation(number: u64) -> Generation {
    let claim = Claim { epoch: 1, owner: OwnerId([1; 16]) };
    Generation { claim, wall_ms: number, quiet: 0, files: 1, bytes: 100 }
}

/// `a` changes in every generation, `b` is there from the first to the third, `c` from the second on.
fn sample() -> Catalog {
    let mut catalog = Catalog { head: Some(Head { generation: 4, next_pack: 5 }), ..Catalog::default() };
    for number in 1..=4 {
        catalog.generations.insert(number, generation(number));
        catalog.packs.insert(number, pack(number));
        catalog.files.entry("a".into()).or_default().insert(number, file(&[piece(number, 0)]));
    }
    catalog.files.insert("b".into(), [(1, file(&[piece(1, 100)])), (4, None)].into());
    catalog.files.insert("c".into(), [(2, file(&[piece(2, 200), piece(2, 300)]))].into());
    catalog
}

fn state(catalog: &Catalog) -> Memtable {
    Memtable::replay(&changes(&Catalog::default(), catalog)).expect("is a batch")
}

fn paths(catalog: &Catalog, generation: u64) -> Vec<&str> {
    catalog.at(generation).expect("is kept").into_keys().collect()
}

#[test]
fn state_reads_back_and_changes_lead_from_one_to_the_other() {
    let catalog = sample();
    assert_eq!(Catalog::read(&state(&catalog)).as_ref(), Ok(&catalog));
    assert_eq!(Catalog::read(&Memtable::default()), Ok(Catalog::default()));
    for keep in 1..=4 {
        let after = catalog.retaining(keep);
        let mut state = state(&catalog);
        state.absorb(&changes(&catalog, &after)).expect("is a batch");
        assert_eq!(Catalog::read(&state).as_ref(), Ok(&after), "{keep} generations");
        assert!(changes(&after, &after).is_empty());
    }
}

#[test]
fn generation_has_the_newest_version_of_each_file_up_to_it() {
    let catalog = sample();
    assert_eq!(paths(&catalog, 1), ["a", "b"]);
    assert_eq!(paths(&catalog, 3), ["a", "b", "c"]);
    assert_eq!(paths(&catalog, 4), ["a", "c"]);
    assert_eq!(catalog.newest()["a"].pieces, [piece(4, 0)]);
    assert_eq!(catalog.at(5).map(|_| ()).map_err(|error| error.code()), Err(Code::NotFound));
}

#[test]
fn what_is_retained_is_the_same_in_each_generation_that_is_kept() {
    let catalog = sample();
    for keep in 1..=4 {
        let kept = catalog.retaining(keep);
        assert_eq!(kept.generations.len(), keep);
        for generation in kept.generations.keys() {
            assert_eq!(kept.at(*generation), catalog.at(*generation), "{generation} of {keep}");
        }
    }
    let last = catalog.retaining(1);
    assert_eq!(last.packs.keys().copied().collect::<Vec<_>>(), [2, 4], "what c and a need");
    assert!(!last.files.contains_key("b"), "a file that went away leaves nothing");
    assert_eq!(catalog.retaining(0), last, "never none");
}

#[test]
fn packs_of_which_little_is_used_are_sparse() {
    let catalog = sample();
    assert_eq!(catalog.sparse(15), [(4, 100)]);
    assert_eq!(catalog.sparse(40), [(2, 200), (4, 100)], "those that nothing newest uses are none of them");
    assert_eq!(catalog.sparse(10), []);
}

#[test]
fn state_whose_parts_do_not_agree_is_damage() {
    let damaged = |change: &dyn Fn(&mut Catalog)| {
        let mut catalog = sample();
        change(&mut catalog);
        Catalog::read(&state(&catalog)).map_err(|error| error.code())
    };
    assert_eq!(damaged(&|catalog| _ = catalog.packs.remove(&2)), Err(Code::RemoteCorrupt));
    assert_eq!(damaged(&|catalog| _ = catalog.generations.remove(&4)), Err(Code::RemoteCorrupt));
    assert_eq!(damaged(&|catalog| catalog.head = None), Err(Code::RemoteCorrupt));
    assert_eq!(
        damaged(&|catalog| drop(catalog.files.insert("d".into(), [(4, file(&[piece(4, 950)]))].into()))),
        Err(Code::RemoteCorrupt),
        "a piece that ends behind its pack"
    );
    for key in [file_key("a", 1), generation_key(1), pack_key(1), Head::KEY.to_vec()] {
        let mut batch = changes(&Catalog::default(), &sample());
        push(&mut batch, &key, Some(b"\x09"));
        let state = Memtable::replay(&batch).expect("is a batch");
        assert_eq!(Catalog::read(&state).map_err(|error| error.code()), Err(Code::RemoteCorrupt));
    }
}

#[test]
fn state_of_version_1_reads_for_ever_and_is_written_byte_for_byte() {
    let golden = include_bytes!("../../../__test__/fixtures/v1/profile-state.bin");
    let written = changes(&Catalog::default(), &sample());
    assert!(golden[..] == written, "the format changed: {}", crate::id::hex(&written));
    let state = Memtable::replay(golden).expect("is a batch");
    assert_eq!(Catalog::read(&state), Ok(sample()));
}
