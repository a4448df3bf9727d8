//! Objects of every kind: sealed and read back, cut, flipped, forged, and as version 1 wrote them.

use super::*;
use crate::format::seal::visible_tag;
use crate::id::OwnerId;

fn sample(ring: &Ring, kind: ObjectKind, body: &[u8]) -> SealedObject {
    let claim = Claim { epoch: 5, owner: OwnerId([3; 16]) };
    let mut sealer = Sealer::new(ring, visible_tag("t"), claim);
    sealer.seal(kind, (4, 9), Link { lsn: 3, ..Link::default() }, 1, body).expect("seals")
}

fn ring() -> Ring {
    Ring::new(&[7; 32]).expect("a key")
}

#[test]
fn an_object_reads_back_as_it_was_sealed() {
    for ring in [ring(), Ring::default()] {
        for body in [&b""[..], b"x", &[0xee; 100_000]] {
            let object = Object::read(sample(&ring, ObjectKind::Segment, body).bytes).expect("reads");
            assert_eq!((object.meta.first, object.meta.last, object.meta.previous.lsn), (4, 9, 3));
            assert_eq!(object.body(&ring).expect("opens"), body);
        }
    }
}

#[test]
fn every_truncation_and_every_flip_of_every_kind_is_damage() {
    for ring in [ring(), Ring::default()] {
        for kind in [
            ObjectKind::Claim,
            ObjectKind::Live,
            ObjectKind::Released,
            ObjectKind::Deleted,
            ObjectKind::Base,
            ObjectKind::Segment,
            ObjectKind::Pack,
        ] {
            let whole = sample(&ring, kind, b"some body").bytes;
            for len in 0..whole.len() {
                let code = Object::read(whole.slice(..len)).map(|_| ()).map_err(|e| e.code());
                assert_eq!(code, Err(Code::RemoteCorrupt), "{kind:?} cut to {len}");
            }
            for bit in 0..whole.len() * 8 {
                let mut bad = whole.to_vec();
                bad[bit / 8] ^= 1 << (bit % 8);
                let code = Object::read(bad.into()).map(|_| ()).map_err(|e| e.code());
                assert_eq!(code, Err(Code::RemoteCorrupt), "{kind:?} bit {bit}");
            }
        }
    }
}

#[test]
fn a_forger_who_mends_the_digest_still_fails_at_the_seal() {
    let ring = ring();
    let whole = sample(&ring, ObjectKind::Segment, b"some body").bytes;
    for at in 0..whole.len() - DIGEST_LEN {
        let mut bad = whole[..whole.len() - DIGEST_LEN].to_vec();
        bad[at] ^= 0x10;
        let digest = Digest::of(&bad);
        bad.extend_from_slice(&digest.0);
        let opened = Object::read(bad.into()).and_then(|object| object.body(&ring));
        assert!(opened.is_err(), "byte {at}");
    }
}

#[test]
fn another_key_is_not_called_damage() {
    let object = Object::read(sample(&ring(), ObjectKind::Base, b"b").bytes).expect("reads without a key");
    let other = Ring::new(&[8; 32]).expect("a key");
    assert_eq!(object.body(&other).map_err(|e| e.code()), Err(Code::KeyUnavailable));
    assert_eq!(object.body(&Ring::default()).map_err(|e| e.code()), Err(Code::KeyUnavailable));
}

#[test]
fn objects_of_one_claim_never_share_a_nonce() {
    let claim = Claim { epoch: 1, owner: OwnerId([3; 16]) };
    let mut sealer = Sealer::new(&ring(), visible_tag("t"), claim);
    let mut seal = || sealer.seal(ObjectKind::Live, (0, 0), Link::default(), 0, b"").expect("seals");
    let counters: Vec<u64> = (0..5).map(|_| Object::read(seal().bytes).expect("reads").counter).collect();
    assert_eq!(counters, [0, 1, 2, 3, 4]);
}

#[test]
fn version_1_objects_open_for_ever_and_are_written_byte_for_byte() {
    let golden: [(&[u8], Ring); 2] = [
        (include_bytes!("../../../__test__/fixtures/v1/objects-plain.bin"), Ring::default()),
        (include_bytes!("../../../__test__/fixtures/v1/objects-sealed.bin"), ring()),
    ];
    for (file, ring) in golden {
        let written = golden_objects(&ring);
        assert!(file == written, "the format changed: it needs a new version");
        // All bodies are the same, and so all objects are of one length.
        for (kind, bytes) in KINDS.into_iter().zip(file.chunks(file.len() / KINDS.len())) {
            let object = Object::read(Bytes::from_static(bytes)).expect("reads");
            assert_eq!(
                (object.meta.kind, object.meta.first, object.meta.last, object.meta.wall_ms),
                (kind, 4, 9, 1_234)
            );
            assert_eq!(object.body(&ring).expect("opens"), b"a body of version 1");
        }
    }
}

#[test]
fn packs_of_version_1_open_for_ever_and_are_written_byte_for_byte() {
    let golden: [(&[u8], Ring); 2] = [
        (include_bytes!("../../../__test__/fixtures/v1/pack-plain.bin"), Ring::default()),
        (include_bytes!("../../../__test__/fixtures/v1/pack-sealed.bin"), ring()),
    ];
    for (file, ring) in golden {
        let mut sealer =
            Sealer::new(&ring, visible_tag("tenant"), Claim { epoch: 5, owner: OwnerId([3; 16]) });
        let body = b"pieces of version 1, pieces of version 1";
        let written = sealer.seal(ObjectKind::Pack, (7, 7), Link::default(), 1_234, body).expect("seals");
        assert!(file == written.bytes, "the format changed: {}", crate::id::hex(&written.bytes));
        let object = Object::read(Bytes::from_static(file)).expect("reads");
        assert_eq!((object.meta.kind, object.meta.first, object.meta.last), (ObjectKind::Pack, 7, 7));
        assert_eq!(object.body(&ring).expect("opens"), body);
    }
}

const KINDS: [ObjectKind; 6] = [
    ObjectKind::Claim,
    ObjectKind::Live,
    ObjectKind::Released,
    ObjectKind::Deleted,
    ObjectKind::Base,
    ObjectKind::Segment,
];

/// One object of each kind, end to end.
fn golden_objects(ring: &Ring) -> Vec<u8> {
    let claim = Claim { epoch: 5, owner: OwnerId([3; 16]) };
    let mut sealer = Sealer::new(ring, visible_tag("tenant"), claim);
    let previous = Link { claim, lsn: 3, digest: Digest([8; 32]) };
    let mut out = Vec::new();
    for kind in KINDS {
        let sealed = sealer.seal(kind, (4, 9), previous, 1_234, b"a body of version 1").expect("seals");
        out.extend_from_slice(&sealed.bytes);
    }
    out
}
