//! Copies of a running process, as a machine makes them that is cloned or set back to a snapshot of its memory: both have one claim, and no
//! listing of claims tells them apart. What the other one stores does.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::super::cluster::{CHECK, Cluster, TENANT, hold};
use super::super::outages::{Told, session_with, set};
use super::super::run;
use crate::error::Code;
use crate::event::Event;
use crate::format::name::{DataName, Span};
use crate::format::object::{Link, ObjectKind, Sealer};
use crate::format::record::session_batch;
use crate::format::seal::{Ring, visible_tag};
use crate::id::{Claim, Digest};
use crate::platform::host::sleep;
use crate::session::Session;
use crate::session::open::Settings;
use crate::store::adapters::memory::Memory;

const LONG: Duration = Duration::from_secs(600);
/// Writes, each a segment: more than it takes until the chain is looked at.
const WRITES: u32 = 80;

fn settings() -> Settings {
    Cluster::settings_for_tests().taking_over()
}

async fn owner(memory: &Memory) -> (Session, Told, Claim) {
    let (session, told) = session_with(Arc::new(memory.clone()), settings()).await.expect("opens");
    let claim = session.claim().expect("has one");
    (session, told, claim)
}

async fn write(session: &Session, ids: std::ops::Range<u32>) -> Option<Code> {
    for id in ids {
        set(session, id);
        if let Err(error) = session.flush(LONG).await {
            return Some(error.code());
        }
    }
    None
}

/// Stores the segment `first..=last` as a copy of the owner of `claim` would.
fn store(memory: &Memory, claim: Claim, (first, last): (u64, u64), is_whole: bool) {
    let body = session_batch(&[("copy", Some(&[first as u8]))]);
    let previous = Link { claim, lsn: first - 1, digest: Digest::of(b"of the copy") };
    let mut sealer = Sealer::new(&Ring::default(), visible_tag(TENANT), claim);
    let sealed = sealer.seal(ObjectKind::Segment, (first, last), previous, 1, &body).expect("seals");
    let name = DataName { claim, span: Span::Segment(first, last), digest: sealed.digest.short() };
    let beside = memory.objects().keys().find(|name| name.starts_with("v1/data")).cloned().expect("a base");
    let (folder, _) = beside.rsplit_once('/').expect("a folder");
    let bytes = if is_whole { sealed.bytes } else { Bytes::from_static(b"no object") };
    memory.objects().insert(format!("{folder}/{name}"), bytes);
}

fn lost(told: &Told) -> usize {
    let is_told = |event: &Event| matches!(event, Event::Failed(error) if error.code() == Code::LeaseLost);
    hold(told).iter().filter(|(_, event)| is_told(event)).count()
}

#[test]
fn two_copies_of_one_process_do_not_go_on_for_long_under_one_claim() {
    run(async {
        // The copy was made at LSN 3 and has stored less, as much, and more than the other one.
        for span in [(4, 4), (4, 9), (4, 60), (20, 20), (40, 44)] {
            let memory = Memory::default();
            let (session, told, claim) = owner(&memory).await;
            assert_eq!(write(&session, 0..3).await, None);
            store(&memory, claim, span, true);
            let code = write(&session, 3..3 + WRITES).await;
            sleep(CHECK).await;
            let refused = session.journal().append(&session_batch(&[("late", Some(&[1]))]), false);
            assert_eq!(refused.map_err(|error| error.code()), Err(Code::LeaseLost), "{span:?}");
            assert!(code.is_none_or(|code| code == Code::LeaseLost), "{code:?}");
            assert_eq!(lost(&told), 1, "it is told once");
            let lacks = session.journal().progress().stored < session.journal().lsn();
            assert_eq!(session.close(LONG).await.is_err(), lacks, "{span:?}");
        }
    });
}

#[test]
fn names_alone_and_segments_that_a_base_replaced_end_no_session() {
    run(async {
        for (span, is_whole) in [((4, 4), false), ((4, 9), false), ((1, 2), true), ((2, 2), true)] {
            let memory = Memory::default();
            let (session, told, claim) = owner(&memory).await;
            assert_eq!(write(&session, 0..3).await, None);
            if is_whole {
                session.renew(LONG).await.expect("a base at LSN 3");
            }
            store(&memory, claim, span, is_whole);
            assert_eq!(write(&session, 3..3 + WRITES).await, None, "{span:?}");
            sleep(CHECK * 4).await;
            assert_eq!(lost(&told), 0, "{span:?}");
            session.close(LONG).await.expect("closes");
        }
    });
}
