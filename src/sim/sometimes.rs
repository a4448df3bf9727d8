//! Events that have to happen now and then if schedules are to prove anything, counted wherever they happen.
//!
//! A schedule runs on one thread: counts are that thread's, until they are taken.

use std::cell::RefCell;

use crate::error::Code;

macro_rules! moments {
    ($($(#[$($about:tt)*])* $name:ident = $text:literal,)*) => {
        /// Something worth happening.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Moment { $($(#[$($about)*])* $name,)* }

        /// All of them, with what they are called.
        pub const MOMENTS: &[(Moment, &str)] = &[$((Moment::$name, $text),)*];
    };
}

moments! {
    Started = "a process was started",
    Opened = "a session was opened",
    ClaimDuringUpload = "a claim was made while an upload was under way",
    LaterQuestionFirst = "a later question was answered before an earlier one",
    SharedListing = "one listing for the whole folder of claims",
    PartialRemoval = "a removal was done in part",
    Leaving = "an owner said that it was leaving",
    CleanAfterLeaving = "a successor was clean after its predecessor had said that it was leaving",
    CleanHandover = "a handover was clean",
    UncleanHandover = "a successor went on without all that its predecessor had",
    FencedWithUnsent = "an owner was fenced with writes that were not stored",
    UnsentTail = "a restart on its own disk had more than the store",
    Degraded = "a session was told that the store fails",
    Recovered = "a session was told that the store answers again",
    Repaired = "a log was repaired or set aside",
    ReleaseLost = "a release did not reach the store",
    LogoutBelowAnew = "a logout came to its end after the session was paired anew",
    TombstoneOverLive = "a tombstone came while another owner was live",
    StoredAnew = "what had not changed was stored again",
    SealedAnew = "a session was sealed anew",
    RefusedOwned = "an open was refused: owned elsewhere",
    RefusedAway = "an open was refused: the store is away",
    RefusedDeleted = "an open was refused: deleted",
    RefusedCloud = "an open without a log was refused: a log has more",
    CutByPower = "the power was cut",
    SpaceRanOut = "a disk was full",
    LeaseLost = "a lease was lost",
    Killed = "a process was killed",
    Stopped = "a process was stopped",
    Wiped = "a machine was replaced",
    ToolLooked = "a tool looked, and found all that was promised",
    DrillCompared = "a drill was held against a log",
    ToolWithdrew = "a tool withdrew: somebody was there",
    ToolPruned = "a tool deleted what it had judged",
    ToolRekeyed = "a tool sealed a session anew",
    ToolDeleted = "a tool logged a session out",
    ToolDied = "a tool died at its work",
    ClockTurned = "a clock jumped, or ran at another speed",
    Suspended = "a machine was suspended, and its clock stood",
    Overlap = "an owner accepted a write after a later one had opened",
    Rotted = "a bit of a log rotted",
    RotOutlived = "an open had everything in spite of a bit that rotted",
    RotHadMore = "an open was refused: a rotten log has more than the store",
    RotRefused = "an open was refused: a log rotted",
    Torn = "the end of a log was torn in a power cut",
    PutBack = "an old image of a disk was put back",
    Cloned = "the folders of one machine came to another",
    ObjectLost = "the store lost objects",
    RolledBack = "the store went back to an older moment",
    ServerChanged = "an owner was told that another server answers",
    Folded = "an object was stored and claims were listed in one exchange",
    HalfFolded = "an object was stored, and the listing in the same exchange failed",
    LockFree = "the lock of an owner was free: its process had gone",
    Emptied = "another, empty bucket took the place of the store",
    CameBack = "a bucket that was away came back",
    ShownStale = "the store showed data as it was",
    OpenedOverHarm = "an open had all that a damaged store still showed",
    RefusedOverHarm = "an open was refused: history is missing from the store",
    Reseeded = "a damaged store was seeded from a disk that has more",
    HealedLoss = "an owner stored anew what the store had lost",
    Healed = "a blank machine had all that an owner had acknowledged over a damaged store",
    OpenedAlone = "a session was opened without a store",
    LeftStore = "a session that was in a store went on without it, as it was told to",
    RefusedLeaving = "an open without a store was refused: the session was in one",
    CameToStore = "a session that had no store came to one",
    GaveWay = "a session that had no store gave way to one that had",
    Imported = "a folder of another kind was imported",
    ImportLeft = "a folder of another kind was left alone: a session was there",
    Throttled = "a store asked to be left alone",
    Dragged = "work on a log took its time",
    HandoverDuringRewrite = "a handover went out while a log was being rewritten",
    KeptWrite = "a write resolved because the store has it",
}

pub type Counts = Vec<u64>;

thread_local! {
    static SEEN: RefCell<Counts> = RefCell::new(vec![0; MOMENTS.len()]);
}

/// Counts a moment.
pub fn saw(moment: Moment) {
    SEEN.with_borrow_mut(|seen| seen[moment as usize] += 1);
}

/// An open was refused.
pub fn saw_refusal(code: Code) {
    match code {
        Code::OwnedElsewhere => saw(Moment::RefusedOwned),
        Code::RemoteUnavailable => saw(Moment::RefusedAway),
        Code::Deleted => saw(Moment::RefusedDeleted),
        Code::InvalidOption => saw(Moment::RefusedCloud),
        Code::RemoteCorrupt => saw(Moment::RefusedOverHarm),
        _ => {}
    }
}

/// Takes the counts of this thread since the last time.
pub fn take() -> Counts {
    SEEN.with_borrow_mut(|seen| std::mem::replace(seen, vec![0; MOMENTS.len()]))
}
