//! A bot's series: its runs, folded in order of (time, session, attempt), each once.

use fleet_worker_sdk::{ExecutionState, SessionId};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Kind, Level, Series, Verdict, WARM_UP, WARNING, normality};
use crate::model::Run;

/// The longest gap between runs counts half after this long: one weekend is remembered until the
/// next, a holiday is not remembered for ever.
const GAP_HALF_LIFE: f64 = 7.0 * 86_400.0;
/// No bot is silent sooner than this: in a burst of runs a second apart, a minute is nothing.
const LEAST_SILENCE: f64 = 600.0;
/// Times the longest gap known that a silence must last: twice as long as it ever was quiet.
const LONGER: f64 = 2.0;

/// Where a fold has got to: the last run applied.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Marker {
    /// When it ended (the store's clock).
    pub ended: Timestamp,
    /// In which session.
    pub session: SessionId,
    /// Which attempt.
    pub attempt: u32,
}

impl Marker {
    /// The place of a run in the order in which runs are folded.
    pub fn of(run: &Run) -> Self {
        Self {
            ended: run.ended,
            session: run.session.clone(),
            attempt: run.attempt,
        }
    }
}

/// What a bot usually does, learned from its runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BotSeries {
    /// Runs applied.
    pub runs: u64,
    /// The last run applied; none before the first.
    pub last: Option<Marker>,
    duration: Series,
    findings: Series,
    error_share: Series,
    interval: Series,
    failures: Series,
    /// Runs that failed since the last one that did not.
    failed_in_row: u32,
    /// The longest gap between runs in seconds, fading.
    longest_gap: f64,
    /// The latest complete run's duration, if there was something to compare it with.
    latest_duration: Option<Judged>,
    /// The same of its findings.
    latest_findings: Option<Judged>,
}

/// One value of a run, judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// What was judged.
    pub kind: Kind,
    /// Its value, in original units: seconds, findings, a share, runs.
    pub observed: f64,
    /// The verdict, in the same units.
    pub verdict: Verdict,
}

impl Judged {
    /// It in words, with what was expected.
    pub fn text(&self) -> String {
        self.kind.text(self.observed, &self.verdict)
    }

    /// Spreads from what was expected; 0 for zero findings alone, which are no anomaly.
    fn distance(&self) -> f64 {
        let clean = self.kind == Kind::Findings && self.observed <= 0.0;
        if clean && self.verdict.level == Level::None {
            0.0
        } else {
            self.verdict.z
        }
    }

    /// How normal it was, 0-100: see [`normality`].
    pub fn normality(&self) -> f64 {
        normality(self.distance())
    }
}

impl BotSeries {
    /// Applies those of `runs` that come after the last one applied and ended before `until`, in
    /// order, and gives each with what is unusual about it.
    ///
    /// `until` is the store's time from before the runs were read: of what ended before then,
    /// nothing can turn up later on a single Redis, however partitions are read. A run that does
    /// turn up behind the marker all the same (the clocks of a cluster's masters differ, or one
    /// failed over to a slower clock) is left out: a sample less changes little, one applied twice
    /// or out of order would make coordinators disagree.
    pub fn fold(&mut self, runs: &[Run], until: Timestamp) -> Vec<(Run, Vec<Judged>)> {
        let mut fresh: Vec<&Run> = runs
            .iter()
            .filter(|run| run.ended < until && is_run(run))
            .filter(|run| {
                self.last
                    .as_ref()
                    .is_none_or(|last| Marker::of(run) > *last)
            })
            .collect();
        fresh.sort_by_cached_key(|run| Marker::of(run));
        fresh.dedup_by_key(|run| Marker::of(run));
        fresh
            .into_iter()
            .map(|run| (run.clone(), self.apply(run)))
            .collect()
    }

    /// Applies the next run, in constant time; answers what is unusual about it.
    fn apply(&mut self, run: &Run) -> Vec<Judged> {
        self.note_gap(run);
        self.runs = self.runs.saturating_add(1);
        self.last = Some(Marker::of(run));
        let failed = run.outcome == ExecutionState::Failed;
        self.failed_in_row = if failed {
            self.failed_in_row.saturating_add(1)
        } else {
            0
        };
        let in_row = f64::from(self.failed_in_row);
        let failures = observe(&mut self.failures, Kind::Failures, in_row, 0.0);
        // What was cut short or broke off says nothing about how long a run takes or finds.
        let mut judged = if failed || run.partial {
            Vec::new()
        } else {
            self.apply_complete(run)
        };
        judged.extend(failed.then_some(failures));
        judged.retain(|judged| judged.verdict.level > Level::None);
        judged
    }

    fn apply_complete(&mut self, run: &Run) -> Vec<Judged> {
        let took = run.duration_ms as f64 / 1000.0;
        let duration = observe(&mut self.duration, Kind::Duration, took, 0.0);
        let mut findings = observe(&mut self.findings, Kind::Findings, run.findings as f64, 0.0);
        if run.findings == 0 && duration.verdict.level == Level::None {
            // Clean code is no anomaly. None found in an unusual time is: rules that did not
            // load look like that.
            findings.verdict.level = Level::None;
        }
        self.latest_duration = warm(&duration);
        self.latest_findings = warm(&findings);
        let mut judged = vec![duration, findings];
        let open = run.tally.total() - run.tally.suppressed;
        if open > 0 {
            let share = run.tally.error as f64 / open as f64;
            let series = &mut self.error_share;
            judged.push(observe(series, Kind::ErrorShare, share, open as f64));
        }
        judged
    }

    fn note_gap(&mut self, run: &Run) {
        let Some(last) = &self.last else { return };
        let gap = seconds_between(last.ended, run.ended);
        observe(&mut self.interval, Kind::Interval, gap, 0.0);
        self.longest_gap = self.remembered_gap(gap).max(gap);
    }

    /// The longest gap, faded by `seconds` more.
    fn remembered_gap(&self, seconds: f64) -> f64 {
        self.longest_gap * (-seconds / GAP_HALF_LIFE).exp2()
    }

    /// What is unusual about there being no run since the last, if anything is: it lasts for much
    /// longer than the gaps so far suggest, twice as long as any remembered, and ten minutes.
    pub fn silence(&self, now: Timestamp) -> Option<Judged> {
        let last = self.last.as_ref()?;
        let observed = seconds_between(last.ended, now);
        if observed < LEAST_SILENCE || observed < LONGER * self.longest_gap {
            return None;
        }
        let judged = judge(&self.interval, Kind::Interval, observed, 0.0);
        (judged.verdict.level > Level::None && judged.verdict.z > 0.0).then_some(judged)
    }

    /// The latest complete run's duration, judged; none while what is usual is being learned.
    pub fn duration(&self) -> Option<&Judged> {
        self.latest_duration.as_ref()
    }

    /// The number of its findings, judged; none while what is usual is being learned. Zero findings
    /// alone are normal.
    pub fn findings(&self) -> Option<&Judged> {
        self.latest_findings.as_ref()
    }

    /// z of the latest complete run's duration; none while that is being learned.
    pub fn duration_z(&self) -> Option<f64> {
        self.duration().map(Judged::distance)
    }

    /// When a silence since the last run becomes unusual, if no run follows: what
    /// [`silence`](Self::silence) has to be after. None before the first run and while gaps are
    /// being learned.
    pub fn silent_from(&self) -> Option<Timestamp> {
        let last = self.last.as_ref()?;
        if self.interval.samples() < WARM_UP {
            return None;
        }
        let floor = Kind::Interval.floor(self.interval.level(), 0.0);
        let unusual = self.interval.level() + WARNING * self.interval.spread(floor);
        let seconds = unusual
            .exp()
            .max(LEAST_SILENCE)
            .max(LONGER * self.longest_gap);
        let wait = SignedDuration::try_from_secs_f64(seconds).ok()?;
        last.ended.checked_add(wait).ok()
    }

    /// Runs that failed since the last one that did not.
    pub fn failed_in_row(&self) -> u32 {
        self.failed_in_row
    }
}

fn is_run(run: &Run) -> bool {
    crate::store::is_run(run.outcome)
}

fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from)
        .max(SignedDuration::ZERO)
        .as_secs_f64()
}

fn warm(judged: &Judged) -> Option<Judged> {
    (judged.verdict.samples >= WARM_UP).then(|| judged.clone())
}

fn observe(series: &mut Series, kind: Kind, observed: f64, parts: f64) -> Judged {
    let judged = judge(series, kind, observed, parts);
    series.observe(kind.scaled(observed), kind.floor(series.level(), parts));
    judged
}

fn judge(series: &Series, kind: Kind, observed: f64, parts: f64) -> Judged {
    let floor = kind.floor(series.level(), parts);
    let verdict = series.judge(kind.scaled(observed), floor);
    Judged {
        kind,
        observed,
        verdict: kind.unscale(verdict),
    }
}

#[cfg(test)]
mod tests;
