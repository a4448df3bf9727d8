//! Tests of the memtable: what is dirty, what a batch changes, and the order in which it tells.

use super::*;
use crate::format::record::{CREDS_KEY, key, push, session_batch as batch};

fn set(state: &mut Memtable, changes: &[(&str, Option<&[u8]>)]) -> bool {
    let batch = batch(changes);
    let (changes, _) = state.changes(&batch).expect("well formed");
    state.apply(&changes);
    !changes.is_empty()
}

#[test]
fn a_value_changed_there_and_back_is_not_shipped() {
    let mut state = Memtable::default();
    assert!(set(&mut state, &[("a", Some(b"\x031")), ("b", Some(b"\x032"))]));
    assert_eq!(state.cut(), batch(&[("a", Some(b"\x031")), ("b", Some(b"\x032"))]));
    set(&mut state, &[("a", Some(b"\x039"))]);
    set(&mut state, &[("a", Some(b"\x031")), ("b", None)]);
    assert_eq!(state.cut(), batch(&[("b", None)]));
    assert!(state.cut().is_empty());
}

#[test]
fn a_key_born_and_gone_between_two_cuts_is_not_shipped() {
    let mut state = Memtable::default();
    set(&mut state, &[("a", Some(b"\x031"))]);
    set(&mut state, &[("a", None)]);
    assert_eq!(state.dirty_len(), 1);
    assert!(state.cut().is_empty());
}

#[test]
fn what_was_cut_stays_dirty_until_it_has_landed_and_is_counted_once() {
    let mut state = Memtable::default();
    set(&mut state, &[("a", Some(b"\x031")), ("b", Some(b"\x032"))]);
    let bytes = state.dirty_bytes();
    state.cut();
    assert_eq!((state.dirty_len(), state.dirty_bytes()), (2, bytes));
    set(&mut state, &[("b", None), ("c", Some(b"\x033"))]);
    assert_eq!(state.dirty_len(), 3);
    state.landed();
    assert_eq!(state.dirty_len(), 2);
    state.cut();
    state.landed();
    assert_eq!((state.dirty_len(), state.dirty_bytes()), (0, 0));
}

#[test]
fn what_changes_nothing_is_left_out_of_a_batch() {
    let mut state = Memtable::default();
    set(&mut state, &[("a", Some(b"\x031")), ("b", Some(b"\x032")), ("c", Some(b"\x033"))]);
    let mixed = batch(&[("a", Some(b"\x03x")), ("b", Some(b"\x032")), ("gone", None), ("c", None)]);
    let (changes, unchanged) = state.changes(&mixed).expect("well formed");
    assert_eq!(*changes, batch(&[("a", Some(b"\x03x")), ("c", None)]));
    assert_eq!(unchanged, 2);
    assert!(!set(&mut state, &[("b", Some(b"\x032")), ("gone", None)]));
}

#[test]
fn the_later_of_two_entries_of_a_key_wins() {
    let mut state = Memtable::default();
    set(&mut state, &[("a", Some(b"\x031"))]);
    set(&mut state, &[("a", Some(b"\x032")), ("a", Some(b"\x031")), ("b", Some(b"\x033")), ("b", None)]);
    assert_eq!(state.snapshot().encode(), batch(&[("a", Some(b"\x031"))]));
}

#[test]
fn the_same_state_always_encodes_to_the_same_bytes() {
    let mut one = Memtable::default();
    let mut two = Memtable::default();
    for id in 0..100 {
        set(&mut one, &[(&id.to_string(), Some(b"\x03v"))]);
        set(&mut two, &[(&(99 - id).to_string(), Some(b"\x03v"))]);
    }
    let bytes = one.snapshot().encode();
    assert_eq!(bytes, two.snapshot().encode());
    assert_eq!(bytes.len(), one.bytes());
    assert_eq!(Memtable::replay(&bytes).expect("replays").snapshot().encode(), bytes);
}

#[test]
fn clearing_spares_the_credentials() {
    let mut state = Memtable::default();
    let mut first = batch(&[("a", Some(b"\x031"))]);
    push(&mut first, CREDS_KEY, Some(b"\x01{}"));
    state.apply(&first);
    state.apply(&state.deletions());
    assert_eq!(state.len(), 1);
    assert_eq!(state.get(CREDS_KEY), Some(&b"\x01{}"[..]));
    assert_eq!(state.entries_of(b""), {
        let mut out = Vec::new();
        push(&mut out, CREDS_KEY, Some(b"\x01{}"));
        out
    });
}

/// Twenty keys of the sessions and one of another type, written from the last to the first.
fn disordered() -> (Memtable, Vec<String>) {
    let ids: Vec<String> = (10..30).map(|id| id.to_string()).collect();
    let mut state = Memtable::default();
    for id in ids.iter().rev() {
        set(&mut state, &[(id, Some(b"\x03v"))]);
    }
    let mut other = Vec::new();
    push(&mut other, &key("pre-key", "15"), Some(b"\x03other"));
    state.apply(&other);
    (state, ids)
}

#[test]
fn the_keys_of_one_type_are_listed_in_order_each_with_the_length_of_its_entry() {
    let (state, ids) = disordered();
    let mut expected = Vec::new();
    for id in &ids {
        let key = key("session", id);
        expected.extend_from_slice(&(key.len() as u16).to_le_bytes());
        expected.extend_from_slice(&key);
        expected.extend_from_slice(&(batch(&[(id, Some(b"\x03v"))]).len() as u32).to_le_bytes());
    }
    assert_eq!(state.index_of(b"session"), expected);
    assert_eq!(state.index_of(b"sender-key"), b"");
}

#[test]
fn deletions_are_in_the_order_of_their_keys() {
    let (state, ids) = disordered();
    let mut expected = Vec::new();
    push(&mut expected, &key("pre-key", "15"), None);
    for id in &ids {
        push(&mut expected, &key("session", id), None);
    }
    assert_eq!(state.deletions(), expected);
}
