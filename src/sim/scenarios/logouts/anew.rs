//! Sessions that were paired anew after a logout, while whoever deletes is slow, or is asked again: they are others, and stay.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::*;

/// More requests than an open with `fresh` makes before it is live.
const STEPS: usize = 14;

impl Race {
    /// The old owner stores its tombstone and comes no further; the one that would have taken over is gone.
    async fn buried(seed: u64) -> Race {
        let mut race = Race::new(seed).await;
        race.next.kill();
        race.delete(1).await;
        while !race.has_tombstone() {
            Race::step(&race.olds, 1).await;
        }
        race
    }

    async fn paired_anew(&self) -> Machine {
        let fresh = opened(&self.cluster, Opening { fresh: true, ..Opening::default() }).await;
        assert!(fresh.process().is_live());
        fresh
    }

    /// The old owner does the rest, and answers.
    async fn finish(&self) -> Result<(), Code> {
        self.olds.admit(ALL);
        sleep(Duration::from_secs(5)).await;
        hold(&self.answer).take().expect("an answer")
    }
}

async fn stores(machine: &Machine, lsn: u64) {
    assert!(machine.process().write(&mut Rng::new(lsn)));
    machine.session().flush(TIMEOUT).await.expect("is stored");
    assert_eq!(machine.session().journal().lsn(), lsn);
}

/// Stores the state anew until nothing is there any more of what `machine` opened with.
async fn forget(machine: &Machine) {
    for _ in 0..3 {
        assert!(machine.process().write(&mut Rng::new(7)));
        machine.session().renew(TIMEOUT).await.expect("is stored anew");
    }
}

/// A blank machine has everything up to `lsn`.
async fn restores(cluster: &Arc<Cluster>, lsn: u64) {
    let mut last = opened(cluster, Opening { takeover: true, ..Opening::default() }).await;
    assert_eq!(last.session().journal().lsn(), lsn);
    last.kill();
}

#[test]
fn a_session_that_was_paired_anew_is_not_deleted_with_the_one_before_it_whatever_is_left_of_its_beginning() {
    for forgets in [false, true] {
        run(async {
            let race = Race::buried(24).await;
            let mut fresh = race.paired_anew().await;
            stores(&fresh, 1).await;
            if forgets {
                forget(&fresh).await;
            }
            let lsn = fresh.session().journal().lsn();
            assert_eq!(race.finish().await, Ok(()), "forgets: {forgets}");
            assert!(fresh.process().is_live(), "forgets: {forgets}");
            fresh.session().flush(TIMEOUT).await.expect("goes on");
            fresh.kill();
            restores(&race.cluster, lsn).await;
        });
    }
}

#[test]
fn a_session_that_was_paired_anew_and_moved_on_to_other_machines_is_not_deleted_with_the_one_before_it() {
    for forgets in [false, true] {
        run(async {
            let race = Race::buried(27).await;
            let mut fresh = race.paired_anew().await;
            stores(&fresh, 1).await;
            fresh.session().close(TIMEOUT).await.expect("closes");
            fresh.kill();
            for _ in 0..2 {
                let mut heir = opened(&race.cluster, Opening::default()).await;
                if forgets {
                    forget(&heir).await;
                }
                heir.session().close(TIMEOUT).await.expect("closes");
                heir.kill();
            }
            let mut heir = opened(&race.cluster, Opening::default()).await;
            if forgets {
                forget(&heir).await;
            }
            let lsn = heir.session().journal().lsn();
            assert_eq!(race.finish().await, Ok(()), "forgets: {forgets}");
            assert!(heir.process().is_live(), "forgets: {forgets}");
            heir.kill();
            restores(&race.cluster, lsn).await;
        });
    }
}

#[test]
fn a_logout_that_is_asked_for_again_deletes_nothing_that_was_paired_anew_since() {
    run(async {
        let race = Race::buried(28).await;
        race.olds.admit(ALL);
        race.cluster.outage.store(true, Ordering::Relaxed);
        sleep(Duration::from_secs(120)).await;
        let told = hold(&race.answer).take();
        assert_eq!(told, Some(Err(Code::RemoteUnavailable)));
        race.cluster.outage.store(false, Ordering::Relaxed);
        let mut fresh = race.paired_anew().await;
        stores(&fresh, 1).await;
        forget(&fresh).await;
        race.delete(0).await;
        assert_eq!(race.finish().await, Ok(()));
        assert!(fresh.process().is_live());
        fresh.kill();
        restores(&race.cluster, 4).await;
    });
}

/// A claim that the logout sees goes live a moment later: between any two requests of the one the other comes any number of its own far.
#[test]
fn what_a_session_that_was_paired_anew_got_acknowledged_stays_however_it_and_the_logout_interleave() {
    let (mut served, mut fenced) = (0, 0);
    for (anew, asked) in (0..STEPS).flat_map(|anew| (0..STEPS).map(move |asked| (anew, asked))) {
        run(async {
            let mut race = Race::buried(29).await;
            let mut fresh = Machine::new(&race.cluster);
            let gate = fresh.start_gated(Opening { fresh: true, ..Opening::default() });
            sleep(Duration::from_micros(50)).await;
            Race::step(&gate, anew).await;
            Race::step(&race.olds, asked).await;
            gate.admit(ALL);
            sleep(Duration::from_millis(100)).await;
            let wrote = fresh.process().is_live() && fresh.process().write(&mut Rng::new(8));
            let context = format!("paired anew at {anew}, the logout at {asked}");
            let acknowledged = wrote && fresh.session().flush(TIMEOUT).await.is_ok();
            let told = race.finish().await;
            assert!(matches!(told, Ok(()) | Err(Code::Fenced)), "{context}: {told:?}");
            served += usize::from(acknowledged);
            fenced += usize::from(!fresh.process().is_live());
            fresh.kill();
            race.old.kill();
            if acknowledged {
                let mut last = opened(&race.cluster, Opening { takeover: true, ..Opening::default() }).await;
                assert_eq!(last.process().refused(), None, "{context}");
                assert_eq!(last.session().journal().lsn(), 1, "{context}");
                last.kill();
            }
        });
    }
    assert!(served > 0 && fenced > 0, "{served} served, {fenced} fenced");
}

/// Somebody takes the new session over, and has no base yet: that claim is of the new session, and not of the deleted one.
#[test]
fn a_claim_above_a_session_that_was_paired_anew_is_none_of_the_one_before_it() {
    let mut between = 0;
    for steps in 0..STEPS {
        run(async {
            let mut race = Race::buried(30).await;
            let mut fresh = race.paired_anew().await;
            stores(&fresh, 1).await;
            let claims = |race: &Race| {
                race.cluster.store.objects().keys().filter(|name| name.starts_with("v1/claims/")).count()
            };
            let before = claims(&race);
            let mut heir = Machine::new(&race.cluster);
            let gate = heir.start_gated(Opening { takeover: true, ..Opening::default() });
            sleep(Duration::from_micros(50)).await;
            Race::step(&gate, steps).await;
            between += usize::from(claims(&race) == before + 1);
            assert_eq!(race.finish().await, Ok(()), "{steps}");
            heir.kill();
            fresh.kill();
            race.old.kill();
            restores(&race.cluster, 1).await;
        });
    }
    assert!(between > 0, "nobody was between a claim and its base");
}
