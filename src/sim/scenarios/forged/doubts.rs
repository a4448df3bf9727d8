//! Stories of tombstones that are whole objects, and of which nobody here can tell whether a peer with another key made them, or somebody
//! with none: they stop, and end nothing for good.

use std::sync::Arc;

use super::*;
use crate::error::Code;
use crate::journal::Life;

const WHOLE: [Fake; 2] = [Fake::Plain, Fake::OwnKey];

/// An owner that goes on from another one, and the claims of both.
async fn heir(cluster: &Arc<Cluster>) -> (Machine, Claim, Claim) {
    let mut first = opened(cluster, Opening::default()).await;
    assert!(goes_on(&first).await);
    let parent = first.session().claim().expect("a claim");
    first.session().close(CHECK).await.expect("closes");
    first.kill();
    let heir = opened(cluster, Opening::default()).await;
    assert!(goes_on(&heir).await);
    let claim = heir.session().claim().expect("a claim");
    (heir, parent, claim)
}

fn tombstone(epoch: u64, owner: u8) -> ClaimName {
    ClaimName { claim: Claim { epoch, owner: OwnerId([owner; 16]) }, mark: Mark::Deleted }
}

fn tombstones(cluster: &Cluster) -> Vec<String> {
    cluster.store.objects().keys().filter(|name| name.ends_with(".deleted")).cloned().collect()
}

/// The answer to a blank machine; `None` if it opens with all of `lsn`.
async fn blank(cluster: &Arc<Cluster>, how: Opening, lsn: u64) -> Option<Code> {
    let mut last = opened(cluster, how).await;
    sleep(CHECK * 10).await;
    let refused = last.process().refused();
    if refused.is_none() {
        assert_eq!(last.session().journal().lsn(), lsn);
    }
    last.kill();
    refused
}

#[test]
fn a_tombstone_that_nobody_here_can_prove_over_what_an_owner_goes_on_from_ends_it_not() {
    for fake in WHOLE {
        for strays in [false, true] {
            run(async move {
                let cluster = guarded();
                cluster.strange.store(true, Ordering::Relaxed);
                let (mut heir, parent, _) = heir(&cluster).await;
                // Its claim is one that nobody made, or that of the former owner, whose marks are there or are not.
                let name = if strays {
                    ClaimName { claim: parent, mark: Mark::Deleted }
                } else {
                    tombstone(parent.epoch, 0xff)
                };
                if strays {
                    let claimed = ClaimName { claim: parent, mark: Mark::Claimed };
                    let claimed = claimed.object(cluster.oracle().tenant());
                    cluster.store.objects().retain(|name, _| !name.starts_with(&claimed));
                }
                let forged = forge(&cluster, name, fake);
                sleep(CHECK * 4).await;
                assert!(goes_on(&heir).await, "{fake:?} {strays}");
                assert_eq!(
                    tombstones(&cluster),
                    std::slice::from_ref(&forged),
                    "{fake:?}: none is stored for it"
                );
                assert_eq!(heir.process().told(), ["failed"], "{fake:?} is told once");
                let lsn = heir.session().journal().lsn();
                heir.kill();
                // A person has to look, and nothing is gone.
                let fresh = Opening { takeover: true, fresh: true, ..Opening::default() };
                for how in [Opening { fresh: false, ..fresh }, fresh] {
                    assert_eq!(blank(&cluster, how, lsn).await, Some(Code::KeyUnavailable), "{fake:?}");
                }
                cluster.store.objects().remove(&forged);
                assert_eq!(blank(&cluster, Opening::default(), lsn).await, None, "{fake:?}");
            });
        }
    }
}

#[test]
fn a_tombstone_that_nobody_here_can_prove_above_an_owner_stops_it_and_buries_nothing() {
    for fake in WHOLE {
        run(async move {
            let cluster = guarded();
            cluster.strange.store(true, Ordering::Relaxed);
            let mut machine = opened(&cluster, Opening::default()).await;
            assert!(goes_on(&machine).await);
            let claim = machine.session().claim().expect("a claim");
            write(&machine, 2);
            let forged = forge(&cluster, tombstone(claim.epoch + 1, 9), fake);
            sleep(CHECK * 6).await;
            assert_eq!(machine.session().journal().life(), Life::Fenced, "{fake:?}");
            assert_eq!(tombstones(&cluster), std::slice::from_ref(&forged), "{fake:?}");
            let lsn = machine.session().journal().lsn();
            machine.kill();
            // Its own disk, and a blank one.
            for fresh in [false, true] {
                machine.start(Opening { fresh, ..Opening::default() });
                sleep(CHECK * 10).await;
                assert_eq!(machine.process().refused(), Some(Code::KeyUnavailable), "{fake:?} {fresh}");
                machine.kill();
            }
            assert_eq!(blank(&cluster, Opening::default(), lsn).await, Some(Code::KeyUnavailable));
            cluster.store.objects().remove(&forged);
            assert_eq!(blank(&cluster, Opening::default(), lsn).await, None, "{fake:?}");
        });
    }
}

#[test]
fn a_log_is_not_given_up_for_a_tombstone_that_nobody_here_can_prove_in_a_store_without_data() {
    for fake in WHOLE {
        run(async move {
            let cluster = guarded();
            cluster.strange.store(true, Ordering::Relaxed);
            let mut machine = opened(&cluster, Opening::default()).await;
            assert!(goes_on(&machine).await);
            let claim = machine.session().claim().expect("a claim");
            machine.kill();
            cluster.harm_by(|objects| objects.clear());
            let forged = forge(&cluster, ClaimName { claim, mark: Mark::Deleted }, fake);
            for fresh in [false, true] {
                machine.start(Opening { fresh, ..Opening::default() });
                sleep(CHECK * 10).await;
                assert_eq!(machine.process().refused(), Some(Code::KeyUnavailable), "{fake:?} {fresh}");
                machine.kill();
            }
            cluster.store.objects().remove(&forged);
            machine.start(Opening { seed: true, ..Opening::default() });
            sleep(CHECK * 10).await;
            assert!(goes_on(&machine).await, "{fake:?}");
            assert_eq!(machine.session().journal().lsn(), 6);
        });
    }
}

#[test]
fn an_owner_is_told_of_by_its_own_tombstone_whatever_unproven_ones_are_above_it() {
    run(async {
        let cluster = guarded();
        cluster.strange.store(true, Ordering::Relaxed);
        let (mut heir, parent, _) = heir(&cluster).await;
        forge(&cluster, tombstone(parent.epoch, 0xff), Fake::OwnKey);
        heir.session().delete().await.expect("deletes");
        heir.kill();
        assert_eq!(blank(&cluster, Opening::default(), 0).await, Some(Code::Deleted));
    });
}
