use fleet_worker_sdk::ExecutionState;
use proptest::prelude::*;

use super::*;
use crate::model::Tally;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_735_689_600 + second).unwrap()
}

fn end() -> Timestamp {
    at(1_000_000_000)
}

/// Runs every ten minutes, a minute long, of a hundred findings of which twenty are errors.
fn run(number: i64) -> Run {
    Run {
        session: "p1-01a20714-b637-7054-9cfa-b65a4c1fd8f8".parse().unwrap(),
        attempt: 1,
        outcome: ExecutionState::Completed,
        partial: false,
        ended: at(number * 600),
        duration_ms: 60_000,
        findings: 100,
        tally: Tally {
            error: 20,
            warning: 80,
            ..Tally::default()
        },
    }
}

fn taught() -> BotSeries {
    let mut series = BotSeries::default();
    let runs: Vec<Run> = (0..30).map(run).collect();
    let unusual = series.fold(&runs, end());
    assert!(unusual.iter().all(|(_, judged)| judged.is_empty()));
    series
}

/// What is unusual about `next` after thirty runs alike.
fn unusual(next: Run) -> Vec<(Kind, Level)> {
    let folded = taught().fold(&[next], end());
    let judged = folded.into_iter().flat_map(|(_, judged)| judged);
    judged.map(|j| (j.kind, j.verdict.level)).collect()
}

#[test]
fn a_run_like_the_others_is_usual() {
    assert_eq!(unusual(run(30)), []);
}

#[test]
fn spikes_and_collapses_are_unusual() {
    let findings = |findings| {
        unusual(Run {
            findings,
            ..run(30)
        })
    };
    assert_eq!(findings(128), [(Kind::Findings, Level::Warning)]);
    assert_eq!(findings(146), [(Kind::Findings, Level::Error)]);
    assert_eq!(findings(50), [(Kind::Findings, Level::Error)]);
    let duration_ms = 300_000;
    assert_eq!(
        unusual(Run {
            duration_ms,
            ..run(30)
        }),
        [(Kind::Duration, Level::Error)]
    );
    let tally = Tally {
        error: 60,
        warning: 40,
        ..Tally::default()
    };
    assert_eq!(
        unusual(Run { tally, ..run(30) }),
        [(Kind::ErrorShare, Level::Error)]
    );
}

#[test]
fn zero_findings_are_unusual_only_with_something_else() {
    let empty = Run {
        findings: 0,
        tally: Tally::default(),
        ..run(30)
    };
    assert_eq!(unusual(empty.clone()), []);
    let quick = Run {
        duration_ms: 1_000,
        ..empty.clone()
    };
    assert_eq!(
        unusual(quick),
        [
            (Kind::Duration, Level::Error),
            (Kind::Findings, Level::Error)
        ]
    );
    let mut series = taught();
    series.fold(&[empty], end());
    assert_eq!(series.findings().map(Judged::normality), Some(100.0));
}

#[test]
fn failures_are_unusual_from_the_third_in_a_row() {
    let failed = |number| Run {
        outcome: ExecutionState::Failed,
        duration_ms: 5,
        findings: 0,
        tally: Tally::default(),
        ..run(number)
    };
    let mut series = taught();
    let runs: Vec<Run> = (30..34).map(failed).collect();
    let levels: Vec<_> = series
        .fold(&runs, end())
        .into_iter()
        .map(|(_, judged)| judged)
        .collect();
    let levels: Vec<Option<Level>> = levels
        .iter()
        .map(|judged| judged.first().map(|j| j.verdict.level))
        .collect();
    assert_eq!(
        levels,
        [None, None, Some(Level::Warning), Some(Level::Error)]
    );
    assert_eq!(
        series.duration().map(Judged::normality),
        Some(100.0),
        "of the last complete run"
    );
}

#[test]
fn silence_is_unusual_once_it_is_longer_than_any_before() {
    let series = taught();
    let last = 29 * 600;
    assert_eq!(series.silence(at(last + 1_190)), None);
    let silent = series.silence(at(last + 12 * 3_600)).unwrap();
    assert_eq!(silent.verdict.level, Level::Error);
    assert!(
        silent.text().starts_with("time between runs 12 h"),
        "{}",
        silent.text()
    );
    assert_eq!(BotSeries::default().silence(end()), None, "it never ran");
}

#[test]
fn silence_begins_when_it_was_said_to() {
    let series = taught();
    let from = series.silent_from().unwrap();
    let moment = SignedDuration::from_secs(1);
    assert_eq!(series.silence(from - moment), None);
    assert!(series.silence(from + moment).is_some());
    let mut young = BotSeries::default();
    young.fold(&(0..5).map(run).collect::<Vec<_>>(), end());
    assert_eq!(young.silent_from(), None, "gaps are being learned");
    assert_eq!(BotSeries::default().silent_from(), None);
}

#[test]
fn a_bot_that_sleeps_at_night_is_not_silent_at_night() {
    let mut series = BotSeries::default();
    // Forty runs each day, a night of sixteen hours, for two weeks.
    let runs: Vec<Run> = (0..14)
        .flat_map(|day| {
            (0..40).map(move |n| Run {
                ended: at(day * 86_400 + n * 720),
                ..run(0)
            })
        })
        .collect();
    series.fold(&runs, end());
    let evening = 13 * 86_400 + 39 * 720;
    assert_eq!(series.silence(at(evening + 16 * 3_600)), None);
    assert!(series.silence(at(evening + 40 * 3_600)).is_some());
}

#[test]
fn runs_not_yet_surely_complete_wait() {
    let mut series = BotSeries::default();
    let runs = [run(0), run(1)];
    assert_eq!(series.fold(&runs, run(1).ended).len(), 1);
    assert_eq!(series.fold(&runs, end()).len(), 1);
    assert_eq!(series.runs, 2);
}

#[test]
fn skipped_runs_are_none() {
    let mut series = BotSeries::default();
    let skipped = Run {
        outcome: ExecutionState::Skipped,
        ..run(0)
    };
    assert_eq!(series.fold(&[skipped], end()), []);
    assert_eq!(series, BotSeries::default());
}

fn some_runs() -> impl Strategy<Value = Vec<Run>> {
    let one = (
        0..50_i64,
        1..4_u32,
        0..100_000_u64,
        0..300_u64,
        prop::bool::weighted(0.2),
    );
    prop::collection::vec(one, 0..60).prop_map(|rows| {
        rows.into_iter()
            .map(|(number, attempt, duration_ms, findings, failed)| Run {
                attempt,
                duration_ms,
                findings,
                outcome: if failed {
                    ExecutionState::Failed
                } else {
                    ExecutionState::Completed
                },
                ..run(number)
            })
            .collect()
    })
}

proptest! {
    /// Redelivery, order of arrival and how runs are cut into looks change nothing.
    #[test]
    fn each_run_is_applied_once_in_order(mut runs in some_runs(), cut in 0..50_i64) {
        runs.sort_by_key(Marker::of);
        runs.dedup_by_key(|run| Marker::of(run));
        let mut at_once = BotSeries::default();
        let all = at_once.fold(&runs, end());
        let mut in_parts = BotSeries::default();
        let mut shuffled = runs.clone();
        shuffled.reverse();
        shuffled.extend(runs.clone());
        let mut parts = in_parts.fold(&shuffled, at(cut * 600));
        parts.extend(in_parts.fold(&shuffled, end()));
        parts.extend(in_parts.fold(&shuffled, end()));
        prop_assert_eq!(&in_parts, &at_once);
        prop_assert_eq!(parts, all);
        prop_assert_eq!(at_once.runs, runs.len() as u64);
    }

    #[test]
    fn a_late_run_is_left_out(runs in some_runs(), late in some_runs()) {
        let mut series = BotSeries::default();
        series.fold(&runs, end());
        let before = series.clone();
        let last = before.last.clone();
        let late: Vec<Run> = late.into_iter().filter(|run| last.as_ref().is_some_and(|l| Marker::of(run) <= *l)).collect();
        prop_assert_eq!(series.fold(&late, end()), vec![]);
        prop_assert_eq!(series, before);
    }
}
