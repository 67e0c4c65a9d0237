//! How runs went: how many ended well, how long they took, what they found, and whether that is
//! changing. All of it comes from runs that were, none from a setting.

use fleet_worker_sdk::{Execution, ExecutionState};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::Run;

/// Complete runs from which on a change is told: halves of fewer than four say nothing.
const LEAST_COMPARED: usize = 8;

/// A run, as far as trends go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When it ended (the store's clock).
    pub ended: Timestamp,
    /// It ended well.
    pub well: bool,
    /// It ended well and looked at everything, so that its duration and findings can be compared.
    pub complete: bool,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// What it found.
    pub findings: u64,
}

impl Sample {
    /// A run of a bot; none for one that was skipped, which is no run.
    pub fn of_run(run: &Run) -> Option<Self> {
        let well = run.outcome == ExecutionState::Completed;
        crate::store::is_run(run.outcome).then_some(Self {
            ended: run.ended,
            well,
            complete: well && !run.partial,
            duration_ms: run.duration_ms,
            findings: run.findings,
        })
    }

    /// An execution of a session; none while it has not ended, or was skipped.
    pub fn of_execution(execution: &Execution) -> Option<Self> {
        let ended = execution.ended?;
        let took = ended.duration_since(execution.started?).as_millis();
        let well = execution.state == ExecutionState::Completed;
        crate::store::is_run(execution.state).then_some(Self {
            ended,
            well,
            complete: well && !execution.partial,
            duration_ms: u64::try_from(took).unwrap_or(0),
            findings: execution.pushed,
        })
    }
}

/// How runs went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trends {
    /// Runs looked at: completed and failed ones.
    pub runs: u64,
    /// Of which failed.
    pub failed: u64,
    /// Share of them that ended well, 0-1; none without runs.
    pub success_rate: Option<f64>,
    /// When the oldest of them ended.
    pub since: Option<Timestamp>,
    /// Seconds that the complete ones took.
    pub duration_s: Option<Spread>,
    /// Findings of the complete ones.
    pub findings: Option<Spread>,
}

/// Where values lie, and whether they move.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Half are at most this.
    pub median: f64,
    /// 19 of 20 are at most this.
    pub p95: f64,
    /// The latest.
    pub latest: f64,
    /// The median of the later half over that of the earlier, less 1: 0.5 is half as much again.
    /// None for fewer than eight, or where the earlier one is 0.
    pub change: Option<f64>,
}

impl Trends {
    /// The trends of runs, in any order.
    pub fn of(samples: impl IntoIterator<Item = Sample>) -> Self {
        let mut samples: Vec<Sample> = samples.into_iter().collect();
        samples.sort_by_key(|sample| (sample.ended, sample.duration_ms, sample.findings));
        let failed = samples.iter().filter(|sample| !sample.well).count();
        let complete = || samples.iter().filter(|sample| sample.complete);
        let seconds = |sample: &Sample| sample.duration_ms as f64 / 1_000.0;
        Self {
            runs: samples.len() as u64,
            failed: failed as u64,
            success_rate: (!samples.is_empty())
                .then(|| (samples.len() - failed) as f64 / samples.len() as f64),
            since: samples.first().map(|sample| sample.ended),
            duration_s: Spread::of(&complete().map(seconds).collect::<Vec<_>>()),
            findings: Spread::of(&complete().map(|s| s.findings as f64).collect::<Vec<_>>()),
        }
    }
}

impl Spread {
    /// Of values, oldest first; none without any.
    pub fn of(values: &[f64]) -> Option<Self> {
        let latest = *values.last()?;
        Some(Self {
            median: quantile(values, 0.5)?,
            p95: quantile(values, 0.95)?,
            latest,
            change: change(values),
        })
    }
}

fn change(values: &[f64]) -> Option<f64> {
    if values.len() < LEAST_COMPARED {
        return None;
    }
    let (earlier, later) = values.split_at(values.len() / 2);
    let (before, after) = (quantile(earlier, 0.5)?, quantile(later, 0.5)?);
    (before > 0.0).then(|| after / before - 1.0)
}

/// The least value that a `share` of them does not pass (nearest rank).
fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(minute: i64, seconds: u64) -> Sample {
        Sample {
            ended: Timestamp::from_second(1_700_000_000 + minute * 60).unwrap(),
            well: true,
            complete: true,
            duration_ms: seconds * 1_000,
            findings: seconds,
        }
    }

    #[test]
    fn without_runs_nothing_is_claimed() {
        let trends = Trends::of([]);
        assert_eq!(trends, Trends::default());
        assert_eq!(trends.success_rate, None);
    }

    #[test]
    fn rates_and_quantiles_are_those_of_the_runs() {
        let mut samples: Vec<Sample> = (0..20).map(|n| sample(n, 1 + n as u64)).collect();
        for failed in &mut samples[..5] {
            (failed.well, failed.complete) = (false, false);
        }
        samples[5].complete = false;
        samples.reverse();
        let trends = Trends::of(samples);
        assert_eq!((trends.runs, trends.failed), (20, 5));
        assert_eq!(trends.success_rate, Some(0.75));
        assert_eq!(trends.since, Some(sample(0, 0).ended));
        let took = trends.duration_s.unwrap();
        // Complete are those of 7 to 20 s: the seventh and the last of fourteen.
        assert_eq!((took.median, took.p95, took.latest), (13.0, 20.0, 20.0));
    }

    #[test]
    fn a_change_is_told_from_eight_runs_on() {
        let spread = |values: &[f64]| Spread::of(values).unwrap().change;
        assert_eq!(spread(&[1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0]), None);
        let grown = [2.0, 2.0, 2.0, 2.0, 3.0, 3.0, 3.0, 3.0];
        assert_eq!(spread(&grown), Some(0.5));
        let from_none = [0.0, 0.0, 0.0, 0.0, 3.0, 3.0, 3.0, 3.0];
        assert_eq!(spread(&from_none), None);
        assert_eq!(Spread::of(&[]), None);
    }

    proptest! {
        #[test]
        fn the_order_of_runs_never_matters_and_quantiles_are_runs(
            runs in proptest::collection::vec((0_i64..50, 0_u64..1_000, any::<bool>()), 1..60),
            seed in any::<u64>(),
        ) {
            let samples: Vec<Sample> = runs
                .iter()
                .map(|(minute, seconds, well)| Sample { well: *well, complete: *well, ..sample(*minute, *seconds) })
                .collect();
            let mut shuffled = samples.clone();
            fastrand::Rng::with_seed(seed).shuffle(&mut shuffled);
            let trends = Trends::of(samples.clone());
            prop_assert_eq!(&trends, &Trends::of(shuffled));
            let rate = trends.success_rate.unwrap();
            prop_assert!((0.0..=1.0).contains(&rate));
            if let Some(took) = trends.duration_s {
                let is_one = |value: f64| samples.iter().any(|s| s.complete && (s.duration_ms as f64 / 1e3 - value).abs() < 1e-9);
                prop_assert!(is_one(took.median) && is_one(took.p95) && is_one(took.latest));
                prop_assert!(took.median <= took.p95);
            }
        }
    }
}
