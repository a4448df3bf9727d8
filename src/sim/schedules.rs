//! Seeded random schedules: machines come and go, stop and die, the network fails in every way, and the oracle watches.
//!
//! A failure prints its seed, the fewest steps found that fail, and the command that repeats it; `SIM_SCHEDULES=<n>` sets how many
//! are played, and `SIM_FIRST=<n>` where they begin. In one kind of schedule all processes keep a log; in another some of them, or
//! all, keep none, and a machine may change from one to the other at each start; in a third, keys are turned over, and sessions
//! sealed anew, all the while; in a fourth, storms pass, disks fail, and each process has a pace of its own.

use super::campaign::{campaign, seeds};
use super::schedule::{Failure, Kind, Schedule, play, shrink};
use super::sometimes::Moment;

const SCHEDULES: u64 = 8_000;
const CLOUD_SCHEDULES: u64 = 5_000;
const KEY_SCHEDULES: u64 = 300;
const ROUGH_SCHEDULES: u64 = 1_000;
const CLOCK_SCHEDULES: u64 = 600;
const DISK_SCHEDULES: u64 = 600;
const HARM_SCHEDULES: u64 = 600;
const LOCAL_SCHEDULES: u64 = 600;
const LOGOUT_SCHEDULES: u64 = 600;
const KINDS: u64 = 200;

/// Damage to disks in some schedules.
const DAMAGE: &[Moment] = &[
    Moment::Rotted,
    Moment::RotOutlived,
    Moment::RotRefused,
    Moment::RotHadMore,
    Moment::Torn,
    Moment::PutBack,
    Moment::Cloned,
];

/// Damage to the store in some schedules.
const HARM: &[Moment] = &[
    Moment::ObjectLost,
    Moment::RolledBack,
    Moment::ServerChanged,
    Moment::Emptied,
    Moment::CameBack,
    Moment::ShownStale,
    Moment::OpenedOverHarm,
    Moment::RefusedOverHarm,
    Moment::Reseeded,
    Moment::HealedLoss,
    Moment::Healed,
];

/// Sessions without a store, and imports, in some schedules.
const LOCAL: &[Moment] = &[
    Moment::OpenedAlone,
    Moment::LeftStore,
    Moment::RefusedLeaving,
    Moment::CameToStore,
    Moment::GaveWay,
    Moment::Imported,
    Moment::ImportLeft,
];

#[test]
fn seeded_schedules_keep_every_invariant() {
    let total = campaign(seeds(SCHEDULES), |_| Kind::default(), "seeded_schedules_keep");
    total.assert_many(total.opens, "schedules in which nothing happens prove nothing");
    total.assert_many(total.promises, "schedules in which nothing is promised prove nothing");
}

#[test]
fn seeded_schedules_of_machines_without_disks_lose_no_write_that_resolved() {
    // In every third one nobody keeps a log; in the others machines change from start to start.
    let kind = |seed: u64| Kind { clouds: if seed.is_multiple_of(3) { 100 } else { 50 }, ..Kind::default() };
    let total = campaign(seeds(CLOUD_SCHEDULES), kind, "seeded_schedules_of_machines");
    total.assert_many(total.kept, "schedules in which no write resolves prove nothing");
}

#[test]
fn seeded_schedules_that_turn_keys_over_need_no_key_that_was_dropped() {
    let kind = |seed: u64| Kind {
        clouds: if seed.is_multiple_of(3) { 40 } else { 0 },
        keys: true,
        ..Kind::default()
    };
    let total = campaign(seeds(KEY_SCHEDULES), kind, "seeded_schedules_that");
    total.assert_many(total.complete, "schedules in which no key can go prove nothing");
}

/// A kind with everything, by its seed.
fn rough(seed: u64) -> Kind {
    Kind {
        clouds: if seed.is_multiple_of(4) { 40 } else { 0 },
        keys: seed % 10 == 7,
        rough: true,
        tools: seed % 3 == 1,
        ..Kind::default()
    }
}

#[test]
fn seeded_schedules_in_rough_weather_keep_every_invariant() {
    let total = campaign(seeds(ROUGH_SCHEDULES), rough, "seeded_schedules_in");
    // A logout that races with a takeover is too rare for so few.
    let others = [Moment::TombstoneOverLive, Moment::LogoutBelowAnew, Moment::ClockTurned, Moment::Suspended];
    let others = others.iter().chain(DAMAGE).chain(HARM).chain(LOCAL);
    total.assert_seen(|moment| !others.clone().any(|other| *other == moment));
}

#[test]
fn seeded_schedules_with_clocks_that_go_wrong_keep_every_invariant() {
    let kind = |seed: u64| Kind { clocks: true, ..rough(seed) };
    let total = campaign(seeds(CLOCK_SCHEDULES), kind, "seeded_schedules_with_clocks");
    total.assert_happened(&[Moment::ClockTurned, Moment::Suspended, Moment::Overlap, Moment::LeaseLost]);
}

#[test]
fn seeded_schedules_over_disks_that_rot_and_are_copied_keep_every_invariant() {
    let kind = |seed: u64| Kind { disks: true, ..rough(seed) };
    let total = campaign(seeds(DISK_SCHEDULES), kind, "seeded_schedules_over_disks");
    total.assert_happened(DAMAGE);
}

#[test]
fn seeded_schedules_over_a_store_that_loses_and_goes_back_lose_nothing_in_silence() {
    let kind = |seed: u64| Kind { harm: true, keys: false, tools: false, ..rough(seed) };
    let total = campaign(seeds(HARM_SCHEDULES), kind, "seeded_schedules_over_a_store");
    total.assert_happened(HARM);
}

#[test]
fn seeded_schedules_of_sessions_that_come_to_a_store_and_leave_it_lose_no_write_of_the_disk() {
    let kind = |seed: u64| Kind { locals: true, keys: false, tools: false, ..rough(seed) };
    let total = campaign(seeds(LOCAL_SCHEDULES), kind, "seeded_schedules_of_sessions");
    total.assert_happened(LOCAL);
}

#[test]
fn seeded_schedules_of_logouts_end_no_session_that_was_paired_anew_since() {
    let kind = |seed: u64| Kind { logouts: true, keys: false, tools: false, ..rough(seed) };
    let total = campaign(seeds(LOGOUT_SCHEDULES), kind, "seeded_schedules_of_logouts");
    total.assert_happened(&[Moment::LogoutBelowAnew, Moment::TombstoneOverLive]);
}

/// Schedules of `npm run simulate`: all kinds by turns.
#[test]
fn seeded_schedules_of_every_kind_keep_every_invariant() {
    let kind = |seed: u64| match seed % 4 {
        0 => rough(seed / 4),
        1 => Kind { clocks: seed % 8 == 1, disks: seed % 16 > 8, ..rough(seed / 4) },
        2 => Kind { clouds: [0, 50, 0, 100][usize::try_from(seed / 4 % 4).unwrap_or(0)], ..Kind::default() },
        _ => Kind {
            clouds: if seed.is_multiple_of(3) { 40 } else { 0 },
            keys: seed % 20 == 3,
            tools: seed % 16 == 7,
            clocks: seed % 16 == 11,
            disks: seed % 16 == 15,
            harm: seed % 16 == 3 && seed % 20 != 3,
            locals: seed % 32 == 11 && seed % 20 != 3,
            logouts: seed % 32 == 27 && seed % 20 != 3,
            ..Kind::default()
        },
    };
    let total = campaign(seeds(KINDS), kind, "seeded_schedules_of_every_kind");
    total.assert_many(total.promises, "schedules in which nothing is promised prove nothing");
}

#[test]
fn a_seed_replays_with_the_same_requests_at_the_same_instants() {
    let kinds = [
        Kind::default(),
        Kind { clouds: 50, ..Kind::default() },
        Kind { clouds: 40, keys: true, ..Kind::default() },
        Kind { clouds: 20, rough: true, ..Kind::default() },
        Kind { tools: true, clocks: true, disks: true, ..Kind::default() },
        Kind { rough: true, harm: true, ..Kind::default() },
        Kind { rough: true, locals: true, ..Kind::default() },
    ];
    for kind in kinds {
        let digests = |_| -> Vec<u64> {
            (0..20).map(|seed| play(&Schedule::draw(seed, kind)).expect("holds").digest).collect()
        };
        let [once, again] = [0, 1].map(digests);
        assert_eq!(once, again);
        let others: std::collections::BTreeSet<u64> = once.iter().copied().collect();
        assert_eq!(others.len(), once.len(), "a digest that all seeds share proves nothing");
    }
}

#[test]
fn a_failing_schedule_is_shrunk_to_the_steps_that_matter() {
    let schedule = Schedule::draw(3, Kind::default());
    let number = schedule.steps[17].number;
    let fails = |schedule: &Schedule| -> Result<(), Failure> {
        let there = schedule.steps.iter().any(|step| step.number == number);
        if there { Err(Failure { why: "x: it is there".into(), steps: Vec::new() }) } else { Ok(()) }
    };
    let failure = fails(&schedule).expect_err("fails");
    let (small, failure) = shrink(&schedule, failure, |schedule| fails(schedule));
    assert_eq!(small.steps.iter().map(|step| step.number).collect::<Vec<_>>(), [number]);
    assert_eq!(failure.sort(), "it is there");
}
