//! The state of a browser profile as a fuzz target: one input as each of its entries, and as the batch of a whole state.

use crate::journal::memtable::Memtable;
use crate::profile::catalog::{Catalog, changes};
use crate::profile::entry::{Generation, Head, Pack, decode_file, encode_file};

/// Reads `input` as the value of each entry, and as a state.
pub fn target(input: &[u8]) {
    if let Some(head) = Head::decode(input) {
        assert_eq!(head.encode(), input);
    }
    if let Some(generation) = Generation::decode(input) {
        assert_eq!(generation.encode(), input);
    }
    if let Some(pack) = Pack::decode(7, input) {
        assert_eq!(pack.encode(), input);
    }
    if let Some(version) = decode_file(input) {
        assert_eq!(encode_file(version.as_ref()), input);
    }
    let Ok(state) = Memtable::replay(input) else { return };
    let Ok(catalog) = Catalog::read(&state) else { return };
    let written = changes(&Catalog::default(), &catalog);
    let again = Memtable::replay(&written).expect("a state reads what it wrote");
    assert_eq!(Catalog::read(&again).as_ref(), Ok(&catalog));
    for kind in ["generation", "pack", "file"] {
        assert_eq!(again.entries_of(kind.as_bytes()), state.entries_of(kind.as_bytes()), "{kind}");
    }
    for number in catalog.generations.keys() {
        let files = catalog.at(*number).expect("is kept");
        assert!(files.len() <= catalog.files.len());
    }
    let last = catalog.retaining(1);
    assert_eq!(last.newest(), catalog.newest());
    assert!(catalog.sparse(40).len() <= catalog.packs.len());
}
