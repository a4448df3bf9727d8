//! A bounded run of every target over mutations of known inputs.
//!
//! `FUZZ_ROUNDS=<n>` sets how many inputs each target gets, `FUZZ_SEED=<n>` where the sequence starts. A failure prints the
//! target and the input, which then belongs into `fuzz/corpus/<target>`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use crate::id::hex;
use crate::sim::Rng;

use super::TARGETS;

const ROUNDS: u64 = 100_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The committed inputs of a target, in the order of their names.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&folder).expect("a corpus").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).expect("an input")).collect()
}

fn position(rng: &mut Rng, len: usize) -> usize {
    usize::try_from(rng.below(len as u64 + 1)).expect("below a length")
}

/// Changes a few places of `input`, in ways that decoders are sensitive to.
fn mutate(input: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    for _ in 0..=rng.below(4) {
        let at = position(rng, input.len());
        let end = (at + position(rng, 24)).min(input.len());
        match rng.below(8) {
            0 => input.truncate(at),
            1 => drop(input.drain(at..end)),
            2 => {
                let copy = input[at..end].to_vec();
                input.splice(at..at, copy);
            }
            3 => {
                let from = position(rng, other.len());
                let to = (from + position(rng, 64)).min(other.len());
                input.splice(at..end, other[from..to].iter().copied());
            }
            4 => {
                let edge = [0, 1, 0x7f, 0x80, 0xff, u64::from(u32::MAX), 1 << 31, 1 << 63, u64::MAX];
                let value = edge[position(rng, edge.len() - 1)].to_le_bytes();
                let len = [1, 2, 4, 8][position(rng, 3)].min(input.len() - at);
                input[at..at + len].copy_from_slice(&value[..len]);
            }
            5 => input.insert(at, u8::try_from(rng.below(256)).expect("a byte")),
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << rng.below(8);
                }
            }
        }
    }
}

fn survives(name: &str, run: fn(&[u8]), input: &[u8]) {
    let outcome = catch_unwind(AssertUnwindSafe(|| run(input)));
    assert!(outcome.is_ok(), "target {name} fails on {}", hex(input));
}

#[test]
fn every_decoder_survives_mutations_of_known_inputs() {
    let (seed, rounds) = (number("FUZZ_SEED").unwrap_or(1), number("FUZZ_ROUNDS").unwrap_or(ROUNDS));
    println!("FUZZ_SEED={seed} FUZZ_ROUNDS={rounds}");
    for (index, target) in TARGETS.iter().enumerate() {
        let corpus = corpus(target.name);
        assert!(!corpus.is_empty(), "{} has no inputs", target.name);
        for input in &corpus {
            survives(target.name, target.run, input);
        }
        let mut rng = Rng::new(seed.wrapping_add(index as u64));
        for _ in 0..rounds {
            let mut input = corpus[position(&mut rng, corpus.len() - 1)].clone();
            let other = &corpus[position(&mut rng, corpus.len() - 1)];
            mutate(&mut input, other, &mut rng);
            survives(target.name, target.run, &input);
        }
    }
}
