//! A bot's latest runs, as rows and as a small chart of durations.

use fleet_coordinator::model::Run;
use fleet_worker_sdk::ExecutionState;
use jiff::Timestamp;

use super::words::{Count, Moment, duration};

/// Runs in a chart, and in a table: what can be told apart on a small screen.
pub(crate) const RUNS: usize = 40;
/// Height of the tallest bar of a chart, in its own units.
const TALL: f64 = 28.0;
/// Height of the lowest bar, so that every run is seen.
const LOW: f64 = 2.0;
/// Distance of two bars.
const STEP: usize = 5;

/// A chart: a bar a run, oldest first, as tall as it took long.
pub(crate) struct Chart {
    pub(crate) width: usize,
    pub(crate) bars: Vec<Bar>,
    /// What the chart says, for those who do not see it.
    pub(crate) label: String,
}

/// A run in a chart.
pub(crate) struct Bar {
    pub(crate) x: usize,
    pub(crate) y: String,
    pub(crate) height: String,
    pub(crate) outcome: &'static str,
}

/// A run as a row.
pub(crate) struct RunShown {
    pub(crate) session: String,
    pub(crate) attempt: u32,
    pub(crate) outcome: &'static str,
    pub(crate) partial: bool,
    pub(crate) ended: Moment,
    pub(crate) took: String,
    pub(crate) findings: Count,
}

/// The latest [`RUNS`] of `runs`, which come oldest first.
pub(crate) fn latest(runs: &[Run]) -> &[Run] {
    runs.get(runs.len().saturating_sub(RUNS)..).unwrap_or(runs)
}

impl Chart {
    /// A chart of `runs`, oldest first; none without runs.
    pub(crate) fn of(runs: &[Run]) -> Option<Self> {
        let runs = latest(runs);
        let longest = runs.iter().map(|run| run.duration_ms).max()?.max(1);
        let bar = |(at, run): (usize, &Run)| {
            let share = run.duration_ms as f64 / longest as f64;
            let height = LOW + (TALL - LOW) * share;
            Bar {
                x: at * STEP,
                y: format!("{:.1}", TALL - height),
                height: format!("{height:.1}"),
                outcome: run.outcome.as_str(),
            }
        };
        Some(Self {
            width: runs.len() * STEP - 1,
            bars: runs.iter().enumerate().map(bar).collect(),
            label: label(runs, longest),
        })
    }
}

fn label(runs: &[Run], longest: u64) -> String {
    let failed = runs.iter();
    let failed = failed.filter(|run| run.outcome == ExecutionState::Failed);
    let failed = failed.count();
    let (count, plural) = (runs.len(), Count::of(runs.len()).plural());
    let longest = duration(longest);
    format!("Last {count} run{plural}: {failed} failed, the longest took {longest}")
}

impl RunShown {
    /// `run` as seen at `now`.
    pub(crate) fn new(run: &Run, now: Timestamp) -> Self {
        Self {
            session: run.session.to_string(),
            attempt: run.attempt,
            outcome: run.outcome.as_str(),
            partial: run.partial,
            ended: Moment::ago(run.ended, now),
            took: duration(run.duration_ms),
            findings: Count(run.findings),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(duration_ms: u64, outcome: ExecutionState) -> Run {
        Run {
            session: "p1-01a20714-b637-7054-9cfa-b65a4c1fd8f8".parse().unwrap(),
            attempt: 1,
            outcome,
            partial: false,
            ended: Timestamp::UNIX_EPOCH,
            duration_ms,
            findings: 0,
            tally: fleet_coordinator::model::Tally::default(),
        }
    }

    #[test]
    fn the_longest_run_has_the_tallest_bar_and_none_vanishes() {
        let runs = [
            run(1_000, ExecutionState::Completed),
            run(0, ExecutionState::Failed),
        ];
        let chart = Chart::of(&runs).unwrap();
        let heights: Vec<_> = chart.bars.iter().map(|bar| bar.height.as_str()).collect();
        assert_eq!(heights, ["28.0", "2.0"]);
        assert_eq!(chart.label, "Last 2 runs: 1 failed, the longest took 1.0 s");
        assert!(Chart::of(&[]).is_none());
    }

    #[test]
    fn a_chart_of_instant_runs_divides_by_nothing() {
        let chart = Chart::of(&[run(0, ExecutionState::Completed)]).unwrap();
        assert_eq!(chart.bars[0].height, "2.0");
    }

    #[test]
    fn only_the_latest_runs_are_drawn() {
        let runs: Vec<_> = (0..100)
            .map(|ms| run(ms, ExecutionState::Completed))
            .collect();
        assert_eq!(latest(&runs).len(), RUNS);
        assert_eq!(latest(&runs)[RUNS - 1].duration_ms, 99);
    }
}
