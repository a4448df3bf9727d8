//! Each kind of damage to a database.

use std::collections::BTreeMap;

use super::record::masked;
use super::writer::*;
use super::*;

#[test]
fn a_checksum_is_stored_masked() {
    assert_eq!(masked(0), 0xa282_ead8);
}

#[test]
fn a_whole_database_passes() {
    let ends: BTreeMap<String, u64> = ["MANIFEST-000004", "000009.log", "000010.log"]
        .map(|name| (name.to_owned(), database().0[name].len() as u64))
        .into();
    assert_eq!(check(&database()), Ok(ends));
    assert!(is_database("some/folder", database().files().into_keys()));
    assert!(
        is_database("Local Storage/leveldb", ["000003.log"].into_iter()),
        "even if its CURRENT is missing"
    );
    assert!(!is_database("a.indexeddb.blob/1/00", ["5"].into_iter()));
}

#[test]
fn a_pointer_to_no_manifest_is_damage() {
    for current in [
        "",
        "MANIFEST-000004",
        "MANIFEST-\n",
        "MANIFEST-00x004\n",
        "../MANIFEST-000004\n",
        "MANIFEST-000004\n\n",
    ] {
        let mut database = database();
        *database.change("CURRENT") = current.into();
        assert_eq!(database.fault(), "CURRENT names no manifest", "{current:?}");
    }
    let mut database = database();
    *database.change("CURRENT") = b"MANIFEST-000005\n".to_vec();
    assert_eq!(database.fault(), "MANIFEST-000005 is missing");
    database.0.remove("CURRENT");
    assert_eq!(database.fault(), "CURRENT is missing");
    assert!(is_database("some/folder", database.files().into_keys()), "it is still seen as a database");
}

#[test]
fn a_missing_table_is_damage() {
    for name in ["000005.ldb", "000007.sst"] {
        let mut database = database();
        database.0.remove(name);
        let expected = format!("{} is missing, and MANIFEST-000004 lists it", name.replace("sst", "ldb"));
        assert_eq!(database.fault(), expected);
    }
}

#[test]
fn a_table_of_another_size_is_damage() {
    for size in [0, 8, 199, 201] {
        let mut database = database();
        *database.change("000005.ldb") = table(size.max(8))[..size].to_vec();
        assert_eq!(database.fault(), format!("000005.ldb has {size} bytes instead of 200"));
    }
}

#[test]
fn a_table_that_never_reached_the_disk_is_damage() {
    let mut database = database();
    *database.change("000005.ldb") = vec![0; 200];
    assert_eq!(database.fault(), "000005.ldb does not end as a table");
}

#[test]
fn a_missing_log_is_damage_and_an_old_one_is_none() {
    let mut database = database();
    database.0.remove("000003.log");
    let whole = database.clone();
    database.0.remove("000010.log");
    assert!(check(&database).is_ok());
    database.0.remove("000009.log");
    assert_eq!(database.fault(), "*.log is missing, and every database has one");
    database = whole;
    database.0.remove("000009.log");
    assert_eq!(database.fault(), "000009.log is missing, and MANIFEST-000004 names it");
}

#[test]
fn a_log_before_the_oldest_counts_if_the_manifest_says_so() {
    let mut database = database();
    let mut edit = vec![9];
    number(&mut edit, 3);
    append(database.change("MANIFEST-000004"), &edit);
    append(&mut vec![], &[]);
    *database.change("000003.log") = vec![0xff; 2 * BLOCK];
    assert!(database.fault().starts_with("000003.log has a record"));
}

#[test]
fn every_torn_tail_of_a_log_is_told_from_what_is_before_it() {
    let whole = database();
    let mut short = Vec::new();
    append(&mut short, &[1; 40]);
    append(&mut short, &[2; 40]);
    let long = whole.0["000009.log"].clone();
    let ends = record_ends(&long);
    for (name, log, ends) in [("000010.log", short, vec![0, 47, 94]), ("000009.log", long, ends)] {
        for length in (0..log.len()).step_by(if log.len() < 200 { 1 } else { 997 }) {
            let mut torn = whole.clone();
            *torn.change(name) = log[..length].to_vec();
            let end = ends.iter().rfind(|end| **end <= length as u64);
            assert_eq!(Some(&torn.end(name)), end, "{name} torn at {length}");
        }
    }
}

/// Ends of the records of the long log of [`database`], and its start.
fn record_ends(log: &[u8]) -> Vec<u64> {
    let mut ends = vec![0];
    let mut again = Vec::new();
    for length in RECORDS {
        append(&mut again, &vec![7; length]);
        ends.push(again.len() as u64);
    }
    assert_eq!(again, log);
    ends
}

#[test]
fn every_torn_tail_of_a_manifest_is_the_version_before_it_or_damage() {
    let whole = database();
    let manifest = whole.0["MANIFEST-000004"].clone();
    let last = manifest.len() - 1;
    let mut torn = whole.clone();
    *torn.change("MANIFEST-000004") = manifest[..last].to_vec();
    assert_eq!(torn.fault(), "000006.ldb is missing, and MANIFEST-000004 lists it");
    *torn.change("MANIFEST-000004") = manifest[..10].to_vec();
    assert_eq!(torn.fault(), "MANIFEST-000004 ends before it describes the database");
}

#[test]
fn every_rotten_bit_of_a_log_with_records_after_it_is_damage() {
    let whole = database();
    let mut log = Vec::new();
    append(&mut log, &[1; 40]);
    append(&mut log, &[2; 40]);
    let first = log.len() / 2;
    for bit in 0..first * 8 {
        let mut database = whole.clone();
        let mut rotten = log.clone();
        rotten[bit / 8] ^= 1 << (bit % 8);
        *database.change("000010.log") = rotten;
        assert!(database.fault().starts_with("000010.log has a record"), "bit {bit}");
    }
}

#[test]
fn every_rotten_bit_of_a_manifest_is_damage() {
    let whole = database();
    let manifest = whole.0["MANIFEST-000004"].clone();
    for bit in 0..manifest.len() * 8 {
        let mut database = whole.clone();
        database.change("MANIFEST-000004")[bit / 8] ^= 1 << (bit % 8);
        assert!(check(&database).is_err(), "bit {bit}");
    }
}

#[test]
fn fragments_out_of_order_are_damage() {
    let mut log = Vec::new();
    append(&mut log, &vec![7; 3 * BLOCK]);
    for (blocks, fault) in [
        (vec![1, 2], "fragments of a record out of order"),
        (vec![0, 0], "fragments of a record out of order"),
        (vec![0, 1], ""),
    ] {
        let mut database = database();
        *database.change("000010.log") =
            blocks.iter().flat_map(|block| log.chunks(BLOCK).nth(*block).unwrap().to_vec()).collect();
        match fault {
            "" => assert_eq!(database.end("000010.log"), 0, "a record without its last fragment"),
            fault => assert_eq!(database.fault(), format!("000010.log has {fault}")),
        }
    }
}

#[test]
fn reserved_space_ends_a_log_and_nothing_may_follow_it() {
    let mut log = Vec::new();
    append(&mut log, &[1; 40]);
    log.resize(2 * BLOCK + 5000, 0);
    let mut database = database();
    *database.change("000010.log") = log.clone();
    assert_eq!(database.end("000010.log"), 47);
    for at in [log.len() - 1, BLOCK, 60] {
        let mut follows = log.clone();
        follows[at] = 1;
        *database.change("000010.log") = follows;
        assert_eq!(database.fault(), "000010.log has a hole");
    }
    let mut torn = Vec::new();
    append(&mut torn, &vec![1; BLOCK]);
    torn.truncate(BLOCK);
    torn.resize(BLOCK + 100, 0);
    *database.change("000010.log") = torn;
    assert_eq!(database.fault(), "000010.log has a hole");
}

#[test]
fn records_that_mean_nothing_are_damage() {
    let mut short = database();
    append(short.change("000010.log"), &[1; 11]);
    assert_eq!(short.fault(), "000010.log has a record that is no batch");
    let endless = [vec![2], vec![0x80; 12]].concat();
    for edit in [
        vec![8, 1],
        vec![7, 7, 1, 1, 1, b'k', 1, b'k'],
        vec![7, 0, 1, 1, 0, 0],
        vec![6, 0],
        endless,
        vec![2, 0xff, 0xff],
    ] {
        let mut database = database();
        append(database.change("MANIFEST-000004"), &edit);
        assert_eq!(database.fault(), "MANIFEST-000004 has a record that is no edit", "{edit:?}");
    }
}
