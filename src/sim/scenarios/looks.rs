//! Stories of those who look while others begin, store and remove: what they say was true at a moment, and leftovers are not damage.

use super::super::cluster::hold;
use super::super::host::SimHost;
use super::*;
use crate::platform::host::Host;
use crate::session::Mode;
use crate::session::open::{Site, whole};

/// Ways to restore what the store has now, and the damage of others.
async fn ways(cluster: &Arc<Cluster>) -> (usize, Vec<String>) {
    let host: Arc<dyn Host> = SimHost::new(9, cluster.start);
    let store = Memory::default();
    *store.objects() = cluster.store.objects().clone();
    let site = Site::of(Arc::new(store), &host);
    let (_, audit) = whole(&Cluster::settings_for_tests().address, site).await.expect("it reads");
    (audit.ways, audit.damage.iter().map(ToString::to_string).collect())
}

fn spans_in(cluster: &Cluster) -> Vec<(String, Span)> {
    let objects = cluster.store.objects();
    let names = objects.keys().filter(|name| name.starts_with("v1/data/"));
    names
        .map(|name| (name.clone(), DataName::parse(&name["v1/data/tenant/".len()..]).expect("data").span))
        .collect()
}

#[test]
fn base_that_comes_late_after_its_removal_is_not_damage_and_a_lost_segment_is() {
    run(async {
        let cluster = calm();
        let machine = opened(&cluster, Opening::default()).await;
        let first = cluster.store.objects().clone();
        for _ in 0..2 {
            write(&machine, 1);
            sleep(Duration::from_secs(1)).await;
            machine.session().renew(Duration::from_secs(5)).await.expect("stores");
        }
        let late = first.into_iter().find(|(name, _)| name.ends_with(".base")).expect("a base");
        assert!(!cluster.store.objects().contains_key(&late.0), "it was removed");
        assert_eq!(ways(&cluster).await, (2, vec![]));
        cluster.store.objects().insert(late.0, late.1);
        assert_eq!(ways(&cluster).await, (2, vec![]), "what nobody needs is called damage");
        let lost =
            spans_in(&cluster).into_iter().find(|(_, span)| *span == Span::Segment(2, 2)).expect("a segment");
        cluster.store.objects().remove(&lost.0);
        let (ways, damage) = ways(&cluster).await;
        assert!(ways == 1 && !damage.is_empty(), "the second base leads nowhere: {ways} ways, {damage:?}");
    });
}

#[test]
fn answer_that_nothing_is_there_may_be_older_than_a_session_but_not_as_old_as_the_question() {
    let mut answered = 0;
    for stops_at in (0..2_000).step_by(50) {
        run(async {
            let cluster = Cluster::new(7, 1000, Weather { slow: 300, ..Weather::default() });
            let mut tool = Machine::new(&cluster);
            tool.start(Opening { existing: true, ..Opening::default() });
            sleep(Duration::from_millis(stops_at)).await;
            tool.stop(false);
            let user = opened(&cluster, Opening::default()).await;
            sleep(Duration::from_secs(5)).await;
            write(&user, 1);
            sleep(Duration::from_secs(3)).await;
            tool.resume();
            sleep(Duration::from_secs(10)).await;
            tool.process().host.rethrow();
            answered += usize::from(tool.process().refused() == Some(Code::NotFound));
            let error = Error::new(Code::NotFound, "nothing is there");
            let blames = |began: u64| {
                let oracle = Arc::clone(&cluster.oracles[0]);
                std::thread::spawn(move || hold(&oracle).refused(&error.clone(), Mode::Hybrid, false, began))
                    .join()
                    .is_err()
            };
            let now = cluster.oracle().clock();
            assert!(blames(now), "the session was there when that open began");
        });
    }
    assert!(answered > 0, "no open looked before the session was made");
}
