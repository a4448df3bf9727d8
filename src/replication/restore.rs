//! Restoring a state from the store: load a chain, verify every link of it, and say how it ended.
//!
//! The result is one consistent cut of credentials and keys, verified end to end (I6), or an error; never a part of it and
//! never something older than what the store says it has (I17).

use std::collections::BTreeMap;

use futures::{FutureExt, StreamExt, TryStreamExt, stream};

use crate::error::{Cause, Error, Result, stale};
use crate::format::name::{ClaimName, DataName, Mark, Span};
use crate::format::object::{Link, Object};
use crate::id::{Claim, Digest};
use crate::journal::memtable::Memtable;
use crate::ownership::decide::{Survey, chain, chains, deleted};
use crate::ownership::tenancy::{Tenancy, corrupt};

/// Objects fetched at once.
const PARALLEL: usize = 8;

/// Bases that a collection keeps.
const KEPT: usize = 2;

/// A restored state.
pub struct RestoredState {
    /// The keys.
    pub state: Memtable,
    /// End of the chain.
    pub end: Link,
    /// True if its owner said that this is the end of it: nothing it ever resolved is missing.
    pub clean: bool,
    /// The damage that was gone around by taking an older base.
    pub damage: Option<Error>,
}

/// Loads the last state of `parent`.
pub async fn load(tenancy: &Tenancy, survey: &Survey, parent: Claim) -> Result<RestoredState> {
    if goes_on_from_buried(tenancy, survey, parent).await? {
        return Err(deleted());
    }
    let mut damage = Vec::new();
    for candidate in candidates(survey, parent) {
        let fetch = |name: DataName| async move { tenancy.data(&name).await };
        match walk(tenancy, &candidate?, parent, survey, fetch).await {
            Ok((state, end)) => {
                let restored = finish(tenancy, survey, state, end).await?;
                return Ok(RestoredState { damage: damage.into_iter().next(), ..restored });
            }
            // Only a loss makes an older base worth a try; it must then reach the same LSN, which `chains` sees to.
            Err(error) if error.cause.is_loss() => damage.push(error),
            Err(error) => return Err(error),
        }
    }
    Err(no_way(damage))
}

/// Objects that were read, each once, with what was wrong with some of them.
#[derive(Default)]
pub struct Holdings(BTreeMap<DataName, Result<Option<Object>>>);

impl Holdings {
    /// Reads the objects called `names`. Damage is kept in mind; an error is what keeps all from being read.
    pub async fn read(tenancy: &Tenancy, names: impl IntoIterator<Item = DataName>) -> Result<Holdings> {
        let names: Vec<DataName> = names.into_iter().collect();
        let fetch = |name: DataName| async move {
            match tenancy.data(&name).await {
                Err(error) if !error.cause.is_loss() => Err(error),
                answer => Ok((name, answer)),
            }
        };
        let read = stream::iter(names).map(fetch).buffer_unordered(PARALLEL).try_collect::<BTreeMap<_, _>>();
        Ok(Holdings(read.await?))
    }

    /// Objects that read.
    pub fn objects(&self) -> impl Iterator<Item = (&DataName, &Object)> {
        self.0.iter().filter_map(|(name, read)| Some((name, read.as_ref().ok()?.as_ref()?)))
    }

    /// Damage of the others.
    pub fn damage(&self) -> impl Iterator<Item = &Error> {
        self.0.values().filter_map(|read| read.as_ref().err())
    }

    fn get(&self, name: &DataName) -> Result<Option<Object>> {
        self.0.get(name).cloned().unwrap_or(Ok(None))
    }
}

/// Everything that the store holds of the last state of `parent`, read and checked, also what a restore would not need.
pub struct Audit {
    /// The state, by the best way that is whole.
    pub restored: RestoredState,
    /// Ways to restore it that are whole: more than one means that damage to an object can be survived.
    pub ways: usize,
    /// Objects in the best of them.
    pub objects: usize,
    /// Damage of the others.
    pub damage: Vec<Error>,
}

/// Reads and checks all that [`load`] could come to read.
pub async fn audit(tenancy: &Tenancy, survey: &Survey, parent: Claim) -> Result<Audit> {
    let chains = candidates(survey, parent);
    let mut names: Vec<DataName> = chains.iter().flatten().flatten().copied().collect();
    names.sort_unstable();
    names.dedup();
    audit_of(tenancy, survey, parent, &Holdings::read(tenancy, names).await?).await
}

/// The same over objects that were read already.
pub async fn audit_of(
    tenancy: &Tenancy,
    survey: &Survey,
    parent: Claim,
    holdings: &Holdings,
) -> Result<Audit> {
    let fetch = |name: DataName| std::future::ready(holdings.get(&name));
    let (mut best, mut ways, mut damage) = (None, 0, Vec::new());
    for candidate in candidates(survey, parent) {
        let is_gap = matches!(&candidate, Err(error) if error.cause == Cause::Hole);
        let walked = match candidate {
            Ok(chain) => walk(tenancy, &chain, parent, survey, fetch).await.map(|found| (found, chain.len())),
            Err(error) => Err(error),
        };
        match walked {
            Ok((found, objects)) => {
                ways += 1;
                best = best.or(Some((found, objects)));
            }
            // Two bases are kept. An older one from which nothing leads on was left by a removal that failed in the middle, or came
            // late, after it was removed; the next collection removes it.
            Err(_) if is_gap && ways >= KEPT => {}
            Err(error) if error.cause.is_loss() => damage.push(error),
            Err(error) => return Err(error),
        }
    }
    let Some(((state, end), objects)) = best else {
        return Err(no_way(damage));
    };
    let restored = finish(tenancy, survey, state, end).await?;
    Ok(Audit { restored, ways, objects, damage })
}

/// The error for a state to which no way is whole. The first damage is told; but a way that only lacks something decides: a newer
/// listing may show that one whole, whatever is wrong with the others.
fn no_way(damage: Vec<Error>) -> Error {
    let lacking = damage.iter().map(|error| error.cause).find(|cause| cause.is_stale());
    match damage.into_iter().next() {
        Some(first) => {
            let cause = lacking.unwrap_or(first.cause);
            first.with_cause(cause)
        }
        None => corrupt(&"the store", "it has no base of the last owner").with_cause(Cause::Vanished),
    }
}

/// The chains to try, best first: each base of `parent`, then the history that its oldest base was restored from.
fn candidates(survey: &Survey, parent: Claim) -> Vec<Result<Vec<DataName>>> {
    let mut all = chains(&survey.data, parent);
    let opening = opening_base(&survey.data, parent);
    let grandparent = survey.data.iter().map(|name| name.claim).filter(|claim| *claim < parent).max();
    if let (Some(opening), Some(grandparent), Some(Ok(longest))) = (opening, grandparent, all.last())
        && let Ok(mut before) = chain(&survey.data, grandparent)
        && before.last().is_some_and(|name| name.span.last() == opening.span.last())
    {
        before.extend(longest.iter().skip(1));
        all.push(Ok(before));
    }
    all
}

async fn walk<F: Future<Output = Result<Option<Object>>>>(
    tenancy: &Tenancy,
    chain: &[DataName],
    parent: Claim,
    survey: &Survey,
    read: impl Fn(DataName) -> F,
) -> Result<(Memtable, Link)> {
    let data = &survey.data;
    let fetch = |name: DataName| read(name).map(move |object| object.map(|object| (name, object)));
    let mut objects = stream::iter(chain.to_vec()).map(fetch).buffered(PARALLEL);
    let mut state = Memtable::default();
    let mut head = Link::default();
    while let Some((name, object)) = objects.try_next().await? {
        let object = object.ok_or_else(stale)?;
        if matches!(name.span, Span::Segment(..)) && !continues(&object, &name, &head, data) {
            // The one that it does continue may not be listed yet.
            return Err(corrupt(&name, "it does not continue the object before it").with_cause(Cause::Hole));
        }
        if matches!(name.span, Span::Base(_)) && tenancy.descends_from_buried(&object, &survey.claims).await?
        {
            return Err(deleted());
        }
        head = Link { claim: name.claim, lsn: name.span.last(), digest: head_after(&object, &name) };
        let before = std::mem::take(&mut state);
        let absorb = move |body: Result<Vec<u8>>| {
            let mut state = before;
            state.absorb(&body?).map_err(|_| corrupt(&name, "it contains no batch"))?;
            Ok::<_, Error>(state)
        };
        state = tenancy.with_body(object, absorb).await?;
    }
    Ok((state, Link { claim: parent, ..head }))
}

/// True if the history of `claim` goes on from one that a tombstone covers, as far as its oldest base tells.
pub async fn goes_on_from_buried(tenancy: &Tenancy, survey: &Survey, claim: Claim) -> Result<bool> {
    if survey.claims.cover().is_none() {
        return Ok(false);
    }
    for name in opening_bases(&survey.data, claim) {
        match tenancy.data(name).await {
            Ok(Some(base)) if tenancy.descends_from_buried(&base, &survey.claims).await? => return Ok(true),
            // What is damaged is for the restore to judge.
            Err(error) if !error.cause.is_loss() => return Err(error),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(false)
}

/// The digest that the next segment must name: a base in mid-chain passes on the one it stands at.
fn head_after(object: &Object, name: &DataName) -> Digest {
    match name.span {
        Span::Base(_) if object.meta.previous.claim == name.claim => object.meta.previous.digest,
        Span::Base(_) | Span::Segment(..) => object.digest,
    }
}

fn continues(object: &Object, name: &DataName, head: &Link, data: &[DataName]) -> bool {
    let previous = &object.meta.previous;
    let digest_matches = if head.claim == name.claim {
        previous.digest == head.digest
    } else {
        // The opening base of this claim did not read; its name still tells the start of its digest.
        opening_bases(data, name.claim).any(|base| base.digest == previous.digest.short())
    };
    digest_matches && previous.claim == name.claim && previous.lsn == head.lsn
}

/// The base that `claim` opened with, or the oldest one of it that is still there. Of several at one LSN any may be given.
fn opening_base(data: &[DataName], claim: Claim) -> Option<&DataName> {
    opening_bases(data, claim).next()
}

/// The bases of `claim` at the lowest LSN that it has one of, the one that it opened with among them: a state that is stored anew
/// while nothing is written gives another base of the same LSN, and names do not tell which came first.
pub fn opening_bases(data: &[DataName], claim: Claim) -> impl Iterator<Item = &DataName> {
    let bases =
        move || data.iter().filter(move |name| name.claim == claim && matches!(name.span, Span::Base(_)));
    let lowest = bases().map(|name| name.span.last()).min();
    bases().filter(move |name| Some(name.span.last()) == lowest)
}

/// Holds the end of the chain against what its owner said when it released.
async fn finish(tenancy: &Tenancy, survey: &Survey, state: Memtable, end: Link) -> Result<RestoredState> {
    let mut clean = false;
    let name = ClaimName { claim: end.claim, mark: Mark::Released };
    if survey.claims.marks(&end.claim).released && tenancy.is_said(name).await? {
        let object = tenancy.mark(&name).await?.ok_or_else(stale)?;
        tenancy.open(&object)?;
        let said = object.meta.previous;
        if said.lsn > end.lsn {
            let message = format!(
                "the last owner ended at LSN {}, but the store has only up to LSN {}; see the runbook",
                said.lsn, end.lsn
            );
            return Err(Error::new(Cause::Hole, message));
        }
        clean = said.lsn == end.lsn && said.digest == end.digest;
    }
    Ok(RestoredState { state, end, clean, damage: None })
}
