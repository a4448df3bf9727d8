//! Stories of what is believed before it is opened: headers that anybody can write, names that lead nowhere, and objects that are not
//! encrypted where keys are configured and that is taken.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::*;
use crate::error::Code;
use crate::format::name::{CLAIMS, TenantName};
use crate::format::object::Object;
use crate::id::ShortDigest;
use crate::journal::Life;
use crate::session::open::Settings;
use crate::store::{Failure, Store};

/// A base that says it was restored from `previous`, made with a key of the forger's own.
fn base(cluster: &Cluster, claim: Claim, lsn: u64, previous: Link) -> String {
    let ring = Ring::new(&[0xee; 32]).expect("a key");
    let mut sealer = Sealer::new(&ring, visible_tag(TENANT), claim);
    let sealed = sealer.seal(ObjectKind::Base, (lsn, lsn), previous, 1, &[]).expect("seals");
    let name = DataName { claim, span: Span::Base(lsn), digest: sealed.digest.short() };
    let name = name.object(cluster.oracle().tenant());
    cluster.store.objects().insert(name.clone(), sealed.bytes);
    name
}

#[test]
fn a_base_that_nobody_with_a_key_made_does_not_tell_where_a_session_comes_from() {
    run(async {
        let cluster = guarded();
        let mut first = opened(&cluster, Opening::default()).await;
        assert!(goes_on(&first).await);
        let buried = first.session().claim().expect("a claim");
        first.session().delete().await.expect("deletes");
        first.kill();
        let mut anew = opened(&cluster, Opening { fresh: true, ..Opening::default() }).await;
        assert!(goes_on(&anew).await);
        let claim = anew.session().claim().expect("a claim");
        for _ in 0..2 {
            assert!(goes_on(&anew).await);
            anew.session().renew(CHECK * 4).await.expect("is stored anew");
        }
        base(&cluster, claim, 0, Link { claim: buried, lsn: 0, ..Link::default() });
        sleep(CHECK * 4).await;
        assert!(goes_on(&anew).await);
        let lsn = anew.session().journal().lsn();
        anew.kill();
        let last = opened(&cluster, Opening { takeover: true, ..Opening::default() }).await;
        assert_eq!(last.process().refused(), None);
        assert_eq!(last.session().journal().lsn(), lsn);
    });
}

#[test]
fn nothing_is_handed_over_to_an_owner_that_nobody_with_a_key_made() {
    run(async {
        let cluster = guarded();
        cluster.strange.store(true, Ordering::Relaxed);
        let machine = opened(&cluster, Opening::default()).await;
        assert!(goes_on(&machine).await);
        let session = machine.session();
        let claim = session.claim().expect("a claim");
        let next = Claim { epoch: claim.epoch + 1, owner: OwnerId([9; 16]) };
        forge(&cluster, ClaimName { claim: next, mark: Mark::Claimed }, Fake::OwnKey);
        write(&machine, 2);
        let released = ClaimName { claim, mark: Mark::Released }.object(cluster.oracle().tenant());
        while !cluster.store.objects().contains_key(&released) {
            sleep(CHECK / 50).await;
        }
        let said = cluster.store.objects()[&released].clone();
        let end = Object::read(said).expect("whole").meta.previous;
        assert_eq!((end.claim, end.lsn, session.journal().lsn()), (claim, 5, 5));
        base(&cluster, next, 5, end);
        sleep(CHECK * 8).await;
        assert_eq!(session.journal().progress().stored, 3);
        let told = session.close(CHECK).await.map_err(|error| error.code());
        assert_eq!(told, Err(Code::Fenced));
    });
}

/// A store whose listings show a name with nothing behind it.
struct Haunted {
    inner: Memory,
    ghost: Mutex<Option<String>>,
}

#[async_trait]
impl Store for Haunted {
    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), Failure> {
        self.inner.put(name, bytes).await
    }

    async fn get(&self, name: &str) -> Result<Option<Bytes>, Failure> {
        self.inner.get(name).await
    }

    async fn list(&self, folder: &str, prefix: &str) -> Result<Vec<String>, Failure> {
        let mut names = self.inner.list(folder, prefix).await?;
        let ghost = hold(&self.ghost).clone();
        names.extend(ghost.filter(|ghost| folder == CLAIMS && ghost.starts_with(prefix)));
        Ok(names)
    }

    async fn delete(&self, names: Vec<String>) -> Result<(), Failure> {
        self.inner.delete(names).await
    }
}

fn keyed(accepts_plain: bool) -> Settings {
    let ring = Ring::new(&[1; 32]).expect("a key").accepting_plain(accepts_plain);
    Cluster::settings_for_tests().with_keys(Arc::new(ring)).taking_over()
}

fn tenant() -> TenantName {
    TenantName::visible(TENANT).expect("a good id")
}

fn is_buried(memory: &Memory, claim: Claim) -> bool {
    memory.objects().contains_key(&ClaimName { claim, mark: Mark::Deleted }.object(&tenant()))
}

#[test]
fn a_tombstone_that_is_listed_and_cannot_be_read_ends_no_session() {
    run(async {
        let memory = Memory::default();
        let haunted = Arc::new(Haunted { inner: memory.clone(), ghost: Mutex::default() });
        let (session, _) = outages::session_with(haunted.clone(), keyed(false)).await.expect("opens");
        let claim = session.claim().expect("a claim");
        let name = ClaimName { claim, mark: Mark::Deleted }.object(&tenant());
        *hold(&haunted.ghost) = name.strip_prefix("v1/claims/").map(str::to_owned);
        sleep(CHECK * 6).await;
        outages::set(&session, 1);
        session.flush(CHECK * 4).await.expect("is stored");
        assert_eq!(session.journal().life(), Life::Live);
        assert!(!is_buried(&memory, claim));
    });
}

#[test]
fn a_tombstone_that_is_not_encrypted_deletes_nothing_that_is_also_where_such_things_are_taken() {
    run(async {
        let memory = Memory::default();
        let (first, _) = outages::session_with(Arc::new(memory.clone()), keyed(true)).await.expect("opens");
        let parent = first.claim().expect("a claim");
        first.close(CHECK).await.expect("closes");
        let (session, told) =
            outages::session_with(Arc::new(memory.clone()), keyed(true)).await.expect("opens");
        outages::set(&session, 1);
        let name = ClaimName { claim: Claim { owner: OwnerId([0xff; 16]), ..parent }, mark: Mark::Deleted };
        let forged = name.object(&tenant());
        memory.objects().insert(forged.clone(), sealed_by(&Ring::default(), name).into());
        sleep(CHECK * 6).await;
        outages::set(&session, 2);
        session.flush(CHECK * 4).await.expect("is stored");
        assert!(!is_buried(&memory, session.claim().expect("a claim")));
        let failures = hold(&told).iter().filter(|(_, event)| matches!(event, Event::Failed(_))).count();
        assert_eq!(failures, 1);
        session.close(CHECK).await.expect("closes");
        let refused = outages::session_with(Arc::new(memory.clone()), keyed(true)).await.map(drop);
        assert_eq!(refused.map_err(|error| error.code()), Err(Code::KeyUnavailable));
        memory.objects().remove(&forged);
        let (last, _) = outages::session_with(Arc::new(memory), keyed(true)).await.expect("opens");
        assert_eq!(last.journal().lsn(), 2);
    });
}

#[test]
fn a_session_that_was_deleted_before_there_were_keys_stays_deleted() {
    run(async {
        for finished in [false, true] {
            let memory = Memory::default();
            let plain = Cluster::settings_for_tests();
            let (first, _) = outages::session_with(Arc::new(memory.clone()), plain).await.expect("opens");
            outages::set(&first, 1);
            first.flush(CHECK * 4).await.expect("is stored");
            let before = memory.objects().clone();
            first.delete().await.expect("deletes");
            if !finished {
                memory.objects().extend(before);
            }
            let refused = |accepts: bool| {
                let memory = memory.clone();
                async move {
                    let opened = outages::session_with(Arc::new(memory), keyed(accepts)).await;
                    opened.map(drop).map_err(|error| error.code())
                }
            };
            assert_eq!(refused(true).await, Err(Code::Deleted), "{finished}");
            let unknown = if finished { Code::Deleted } else { Code::KeyUnavailable };
            assert_eq!(refused(false).await, Err(unknown), "{finished}");
        }
    });
}
