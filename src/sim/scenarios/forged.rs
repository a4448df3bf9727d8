//! Stories of somebody who can write to the store and has no key: names and objects that no owner made.
//!
//! Such a one may stop a session for a while. It takes none over, ends none for good, and nothing acknowledged is lost to it. `doubts` are
//! of tombstones that a peer with another key could have made as well, `headers` of what is believed before it is opened.

mod doubts;
mod headers;

use bytes::Bytes;

use crate::format::name::{ClaimName, Mark};
use crate::format::object::{Link, ObjectKind, Sealer};
use crate::format::seal::{Ring, visible_tag};
use crate::id::{Claim, OwnerId, ShortDigest};
use crate::session::OriginSource;

use super::super::cluster::{TENANT, hold};
use super::*;

/// Bytes that a forger puts behind a name.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fake {
    Empty,
    Garbage,
    /// A mark of the owner itself, under another name.
    Copy,
    /// An object that is not encrypted.
    Plain,
    /// A whole object, sealed with a key of the forger's own.
    OwnKey,
    /// An object that says it was sealed with the owner's key.
    OwnKeyRenamed,
}

const FAKES: [Fake; 6] =
    [Fake::Empty, Fake::Garbage, Fake::Copy, Fake::Plain, Fake::OwnKey, Fake::OwnKeyRenamed];
const ENDLESS: Claim = Claim { epoch: u64::MAX, owner: OwnerId([0xff; 16]) };

fn guarded() -> Arc<Cluster> {
    let cluster = calm();
    hold(&cluster.keys).rotate();
    cluster.tampered.store(true, Ordering::Relaxed);
    cluster
}

fn kind(mark: Mark) -> ObjectKind {
    match mark {
        Mark::Claimed => ObjectKind::Claim,
        Mark::Live => ObjectKind::Live,
        Mark::Leaving => ObjectKind::Leaving,
        Mark::Released => ObjectKind::Released,
        Mark::Deleted => ObjectKind::Deleted,
    }
}

fn sealed_by(ring: &Ring, name: ClaimName) -> Vec<u8> {
    let mut sealer = Sealer::new(ring, visible_tag(TENANT), name.claim);
    sealer.seal(kind(name.mark), (0, 0), Link::default(), 1, &[0; 8]).expect("seals").bytes.to_vec()
}

impl Fake {
    fn bytes(self, cluster: &Cluster, name: ClaimName) -> Bytes {
        let strange = Ring::new(&[0xee; 32]).expect("a key");
        match self {
            Fake::Empty => Bytes::new(),
            Fake::Garbage => vec![7; 300].into(),
            Fake::Copy => {
                let objects = cluster.store.objects();
                let theirs = objects.iter().find(|(name, _)| name.starts_with("v1/claims/"));
                theirs.expect("an owner").1.clone()
            }
            Fake::Plain => sealed_by(&Ring::default(), name).into(),
            Fake::OwnKey => sealed_by(&strange, name).into(),
            Fake::OwnKeyRenamed => {
                let mut bytes = sealed_by(&strange, name);
                let id = hold(&cluster.keys).ring().ids()[0];
                bytes[8..16].copy_from_slice(&id);
                let end = bytes.len() - 32;
                let digest = crate::id::Digest::of(&bytes[..end]);
                bytes[end..].copy_from_slice(&digest.0);
                bytes.into()
            }
        }
    }
}

fn forge(cluster: &Cluster, name: ClaimName, fake: Fake) -> String {
    let bytes = fake.bytes(cluster, name);
    let object = name.object(cluster.oracle().tenant());
    cluster.store.objects().insert(object.clone(), bytes);
    object
}

/// True if what a machine writes is acknowledged.
async fn goes_on(machine: &Machine) -> bool {
    write(machine, 3);
    let session = machine.session();
    let flushed = session.flush(Duration::from_secs(20)).await;
    flushed.is_ok() && machine.process().is_live()
}

#[test]
fn an_endless_epoch_that_nobody_with_a_key_made_stops_no_owner_and_keeps_nobody_out() {
    for fake in FAKES {
        run(async move {
            let cluster = guarded();
            let mut machine = opened(&cluster, Opening::default()).await;
            assert!(goes_on(&machine).await);
            let marks = [Mark::Claimed, Mark::Live, Mark::Deleted, Mark::Released];
            let forged = marks.map(|mark| forge(&cluster, ClaimName { claim: ENDLESS, mark }, fake));
            sleep(CHECK * 4).await;
            assert!(goes_on(&machine).await, "{fake:?} stopped an owner");
            assert!(machine.process().told().contains(&"failed"), "{fake:?} was not told");
            let told = machine.process().told().len();
            sleep(CHECK * 10).await;
            assert_eq!(machine.process().told().len(), told, "{fake:?} is told once");

            // Another machine takes it over as ever, and the first one again, which died without a word.
            let mut other = opened(&cluster, Opening::default()).await;
            sleep(Duration::from_secs(5)).await;
            assert!(goes_on(&other).await, "{fake:?} kept somebody out");
            assert!(!machine.process().is_live());
            machine.kill();
            other.kill();
            machine.start(Opening::default());
            sleep(Duration::from_secs(10)).await;
            assert!(goes_on(&machine).await, "{fake:?} kept somebody out who comes back");
            for name in forged {
                assert!(cluster.store.objects().contains_key(&name), "{name} was removed in silence");
            }
        });
    }
}

#[test]
fn a_tombstone_that_nobody_with_a_key_made_ends_no_session() {
    for fake in FAKES {
        run(async move {
            let cluster = guarded();
            let mut machine = opened(&cluster, Opening::default()).await;
            assert!(goes_on(&machine).await);
            let claim = machine.session().claim().expect("a claim");
            forge(&cluster, ClaimName { claim, mark: Mark::Deleted }, fake);
            sleep(CHECK * 4).await;
            assert!(goes_on(&machine).await, "{fake:?}");
            machine.kill();
            let mut blank = opened(&cluster, Opening::default()).await;
            sleep(Duration::from_secs(10)).await;
            assert!(goes_on(&blank).await, "{fake:?}");
            assert_eq!(blank.session().origin().source, OriginSource::Remote);
            blank.kill();
        });
    }
}

#[test]
fn what_is_said_falsely_of_an_owner_costs_its_successor_nothing_that_was_stored() {
    for fake in FAKES {
        for mark in [Mark::Released, Mark::Leaving, Mark::Live] {
            run(async move {
                let cluster = guarded();
                let mut machine = opened(&cluster, Opening::default()).await;
                assert!(goes_on(&machine).await);
                let claim = machine.session().claim().expect("a claim");
                // A claimant that never went live, and an owner that runs.
                let of = if mark == Mark::Live {
                    Claim { epoch: claim.epoch, owner: OwnerId([0xff; 16]) }
                } else {
                    claim
                };
                forge(&cluster, ClaimName { claim: of, mark }, fake);
                // For all that anybody here can know, that is a peer that rotated first, and whose base is missing.
                if matches!(fake, Fake::OwnKey | Fake::Plain) && mark == Mark::Live {
                    return;
                }
                // Its own mark would be stored over the false one.
                machine.kill();
                let heir = opened(&cluster, Opening::default()).await;
                sleep(Duration::from_secs(20)).await;
                assert!(goes_on(&heir).await, "{fake:?} {mark:?}");
            });
        }
    }
}

#[test]
fn data_of_a_claim_that_nobody_with_a_key_made_is_no_history() {
    run(async {
        let cluster = guarded();
        let mut machine = opened(&cluster, Opening::default()).await;
        assert!(goes_on(&machine).await);
        machine.kill();
        let base = DataName { claim: ENDLESS, span: Span::Base(900), digest: ShortDigest([1; 8]) };
        let below = Claim { epoch: 40, owner: OwnerId([3; 16]) };
        let tenant = cluster.oracle().tenant().clone();
        for name in [base, DataName { claim: below, ..base }] {
            cluster.store.objects().insert(name.object(&tenant), Bytes::new());
        }
        let heir = opened(&cluster, Opening::default()).await;
        sleep(Duration::from_secs(10)).await;
        assert!(goes_on(&heir).await);
        assert_eq!(heir.session().origin().source, OriginSource::Remote);
    });
}

#[test]
fn a_key_that_is_not_configured_is_a_peer_that_rotated_first() {
    run(async {
        let cluster = guarded();
        let machine = opened(&cluster, Opening::default()).await;
        assert!(goes_on(&machine).await);
        let claim = machine.session().claim().expect("a claim");
        let next = Claim { epoch: claim.epoch + 1, owner: OwnerId([9; 16]) };
        forge(&cluster, ClaimName { claim: next, mark: Mark::Claimed }, Fake::OwnKey);
        sleep(CHECK * 4).await;
        assert!(!machine.process().is_live(), "nobody goes on beside it");
        // It has no base: whoever opens the session goes on above it, from where the last owner was.
        let heir = opened(&cluster, Opening::default()).await;
        sleep(Duration::from_secs(10)).await;
        assert!(goes_on(&heir).await);
        assert!(heir.session().claim() > Some(next));
    });
}
