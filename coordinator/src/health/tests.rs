use std::collections::BTreeMap;

use fleet_worker_sdk::{
    BotId, Execution, ExecutionState, SessionId, Tier, WeightClass, WorkerState,
};
use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::model::{Counts, Rollup, Run, Tally, Worker};

pub(super) fn counts(rows: &[(WeightClass, &str, u64)]) -> Counts {
    let by_rule = rows
        .iter()
        .map(|(class, rule, n)| ((*class, (*rule).to_owned()), *n))
        .collect();
    Counts {
        by_rule,
        ..Counts::default()
    }
}

pub(super) fn bot_id(id: &str) -> BotId {
    BotId::new(id).unwrap()
}

pub(super) fn execution(bot: &str, state: ExecutionState) -> Execution {
    Execution {
        bot: bot_id(bot),
        state,
        attempt: 1,
        worker: None,
        started: None,
        ended: None,
        pushed: 0,
        partial: false,
        reason: None,
    }
}

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

pub(super) fn run(second: usize, outcome: ExecutionState) -> Run {
    Run {
        session: SessionId::new("p1-01a20714-b637-7054-9cfa-b65a4c1fd8f8").unwrap(),
        attempt: 1,
        outcome,
        partial: false,
        ended: at(i64::try_from(second).unwrap()),
        duration_ms: 10,
        findings: 0,
        tally: Tally::default(),
    }
}

pub(super) fn worker(last_beat: Timestamp) -> Worker {
    Worker {
        id: "hypatia:h:1:b".parse().unwrap(),
        bot: bot_id("hypatia"),
        version: String::new(),
        sdk: String::new(),
        host: String::new(),
        pid: 1,
        started: at(0),
        state: WorkerState::Running,
        sessions: Vec::new(),
        last_beat,
        last_progress: last_beat,
        command: None,
    }
}

pub(super) fn bot_facts<'a>(runs: &'a [Run], workers: &'a [Worker]) -> bot::BotFacts<'a> {
    bot::BotFacts {
        runs,
        pulse: bot::Pulse::of(workers),
        ..bot::BotFacts::default()
    }
}

#[track_caller]
pub(super) fn assert_explained(health: &Health) {
    if let Some(score) = health.score {
        let lost: f64 = health.breakdown.iter().map(|part| part.points_lost).sum();
        assert!((lost - (100.0 - score)).abs() < 0.01, "{health:?}");
        assert!((0.0..=100.0).contains(&score), "{health:?}");
    }
}

#[track_caller]
fn assert_quality(load: f64, expected: f64) {
    let score = quality::score(load, &Settings::default());
    assert!(
        (score - expected).abs() < 0.05,
        "load {load} makes {score}, not {expected}"
    );
}

#[test]
fn quality_follows_the_printed_figures() {
    for (load, expected) in [(0.0, 100.0), (10.0, 83.3), (50.0, 50.0), (1000.0, 4.8)] {
        assert_quality(load, expected);
    }
}

#[test]
fn ten_thousand_errors_are_worse_than_ten() {
    let settings = Settings::default();
    let few = quality::quality(&counts(&[(WeightClass::Error, "a", 10)]), None, &settings);
    let many = quality::quality(
        &counts(&[(WeightClass::Error, "a", 10_000)]),
        None,
        &settings,
    );
    assert!(many.score < few.score);
}

#[test]
fn a_quality_names_its_worst_rules_and_sums_the_rest() {
    let rows: Vec<(WeightClass, String, u64)> = (0..30)
        .map(|n| (WeightClass::Warning, format!("rule-{n:02}"), n + 1))
        .collect();
    let rows: Vec<_> = rows
        .iter()
        .map(|(class, rule, n)| (*class, rule.as_str(), *n))
        .collect();
    let health = quality::quality(&counts(&rows), None, &Settings::default());
    assert_eq!(health.breakdown.len(), 21);
    assert_eq!(health.breakdown[0].part, "rule-29");
    assert_eq!(health.breakdown[20].part, "other rules");
    assert_explained(&health);
}

#[test]
fn nothing_known_is_no_score() {
    let settings = Settings::default();
    let none = bot::bot(&bot_id("a"), &bot_facts(&[], &[]), None, at(0), &settings);
    assert_eq!((none.score, none.status), (None, Status::Unknown));
    let scores = rollup::session(&[], &Counts::default(), None, &settings);
    assert_eq!(scores.health.score, None);
    let fleet = rollup::fleet(
        &BTreeMap::new(),
        &BTreeMap::new(),
        &Rollup::default(),
        None,
        None,
        &settings,
    );
    assert_eq!(fleet.status, Status::Unknown);
}

#[test]
fn a_dead_bot_loses_its_heartbeats_share() {
    let settings = Settings::default();
    let runs = [run(0, ExecutionState::Completed)];
    let alive = bot::bot(
        &bot_id("hypatia"),
        &bot_facts(&runs, &[worker(at(0))]),
        None,
        at(5),
        &settings,
    );
    assert_eq!(alive.score, Some(100.0));
    let dead = bot::bot(
        &bot_id("hypatia"),
        &bot_facts(&runs, &[worker(at(0))]),
        None,
        at(60),
        &settings,
    );
    assert!(
        (dead.score.unwrap() - 100.0 * 0.5 / 0.7).abs() < 0.01,
        "{dead:?}"
    );
    assert_explained(&dead);
}

#[test]
fn recent_failures_count_more() {
    let settings = Settings::default();
    let (ok, bad) = (ExecutionState::Completed, ExecutionState::Failed);
    let score = |outcomes: [ExecutionState; 3]| {
        let runs: Vec<Run> = outcomes
            .iter()
            .enumerate()
            .map(|(n, o)| run(n, *o))
            .collect();
        bot::bot(&bot_id("a"), &bot_facts(&runs, &[]), None, at(9), &settings)
            .score
            .unwrap()
    };
    assert!(score([bad, ok, ok]) > score([ok, ok, bad]));
}

#[test]
fn a_session_whose_bots_all_failed_is_critical() {
    let failed = [
        execution("a", ExecutionState::Failed),
        execution("b", ExecutionState::Skipped),
    ];
    let scores = rollup::session(&failed, &Counts::default(), None, &Settings::default());
    assert_eq!(scores.health.status, Status::Critical);
    assert_eq!(
        scores.quality.score, None,
        "a failed scan says nothing of the code"
    );
}

#[test]
fn an_all_failed_fleet_is_critical_even_with_good_code() {
    let settings = Settings::default();
    let runs = [run(0, ExecutionState::Failed)];
    let health = bot::bot(&bot_id("a"), &bot_facts(&runs, &[]), None, at(1), &settings);
    let bots: BTreeMap<BotId, Health> = [(bot_id("a"), health)].into();
    let references = bots
        .iter()
        .map(|(id, health)| (id.clone(), health))
        .collect();
    let tiers: BTreeMap<Tier, Health> = [(
        Tier::Engine,
        rollup::tier(&references, None, None, &settings),
    )]
    .into();
    let rollup = Rollup {
        repositories: 2,
        quality_milli: 200_000,
        ..Rollup::default()
    };
    let fleet = rollup::fleet(&bots, &tiers, &rollup, None, None, &settings);
    assert_eq!(fleet.status, Status::Critical);
    assert_explained(&fleet);
}

#[test]
fn a_bad_band_is_left_three_points_above_its_edge() {
    let settings = Settings::default();
    let of = |score, previous| Status::of(score, previous, &settings);
    assert_eq!(of(86.0, Some(Status::Degraded)), Status::Degraded);
    assert_eq!(of(88.0, Some(Status::Degraded)), Status::Healthy);
    assert_eq!(of(84.9, Some(Status::Healthy)), Status::Degraded);
    assert_eq!(of(86.0, Some(Status::Critical)), Status::Degraded);
    assert_eq!(of(86.0, None), Status::Healthy);
}

#[test]
fn settings_out_of_range_are_refused() {
    assert!(Settings::default().check().is_ok());
    let wrong = Settings {
        bands: [60.0, 85.0, 30.0],
        ..Settings::default()
    };
    assert!(wrong.check().unwrap_err().to_string().contains("bands"));
    let wrong = Settings {
        dead_after: SignedDuration::from_secs(1),
        ..Settings::default()
    };
    assert!(wrong.check().is_err());
    for classes in [[1.0, 5.0, 3.0, 1.0, 0.0], [f64::NAN; 5], [f64::INFINITY; 5]] {
        let wrong = Settings {
            classes,
            ..Settings::default()
        };
        assert!(wrong.check().unwrap_err().to_string().contains("classes"));
    }
    let wrong = Settings {
        success: f64::NAN,
        ..Settings::default()
    };
    assert!(wrong.check().is_err(), "what is no number is no weight");
}
