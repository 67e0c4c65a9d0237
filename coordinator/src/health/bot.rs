//! A bot's health: is the analyser well, whatever it finds?
//!
//! B = the weighted mean of the known parts: success, an exponentially weighted mean of its runs
//! (weight 0.50); the freshness of its heartbeats (0.20); how usual the duration (0.15) and the
//! output (0.15) of its latest complete run were.

use fleet_worker_sdk::{BotId, ExecutionState, WorkerState};
use jiff::Timestamp;

use super::parts::{Share, weigh};
use super::{Firing, Health, Settings, Status};
use crate::model::{Run, Worker};

/// The part that says how its runs ended.
pub const SUCCESS: &str = "success";

/// How usual the latest value of a bot's series was.
#[derive(Clone, Debug, PartialEq)]
pub struct Normality {
    /// 0-100: 100 up to |z| = 2, 0 from |z| = 6 on.
    pub value: f64,
    /// It in words: `findings 146, expected 102 +- 5 (z = 8.8, 121 samples)`.
    pub text: String,
}

/// All that a bot's health is made of.
#[derive(Clone, Copy, Debug, Default)]
pub struct BotFacts<'a> {
    /// Its finished executions, in any order.
    pub runs: &'a [Run],
    /// Its workers: the liveliest decides, so several processes of a bot are as good as one.
    pub pulse: Pulse,
    /// How usual the duration of its latest complete run was; none while that is being learned.
    pub duration: Option<&'a Normality>,
    /// The same of the number of its findings.
    pub output: Option<&'a Normality>,
    /// The worst alert that fires about it.
    pub firing: Option<&'a Firing>,
}

/// When a bot was heard last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    /// The latest heartbeat among its workers that have not stopped; none when there are none.
    pub last_beat: Option<Timestamp>,
}

impl Pulse {
    /// The pulse that `workers` make.
    pub fn of<'a>(workers: impl IntoIterator<Item = &'a Worker>) -> Self {
        let mut pulse = Self::default();
        for worker in workers {
            pulse.hear(worker);
        }
        pulse
    }

    /// Counts a worker in.
    pub fn hear(&mut self, worker: &Worker) {
        if worker.state != WorkerState::Stopped {
            self.last_beat = self.last_beat.max(Some(worker.last_beat));
        }
    }
}

/// The health of `bot` at `now`. Runs are taken in order of (time, session), however they come.
pub fn bot(
    bot: &BotId,
    facts: &BotFacts<'_>,
    previous: Option<Status>,
    now: Timestamp,
    settings: &Settings,
) -> Health {
    let link = format!("/api/v1/health/bots/{bot}");
    let shares = [
        success(facts.runs, settings),
        freshness(facts.pulse, now, settings),
        normality("duration", facts.duration, settings.duration),
        normality("output", facts.output, settings.output),
    ];
    let shares = shares.map(|share| share.link(&link)).into();
    let mut health = weigh(shares, previous, settings);
    if health.score.is_none() {
        "it has neither run nor sent a heartbeat".clone_into(&mut health.reason);
    }
    health.alerted(facts.firing)
}

/// 100 for a run that ended well, 0 for one that failed; the mean of the runs, each weighing
/// (1 - alpha) times what the one after it weighs. Started from the first run's value instead, the
/// oldest run would count most as long as there are few.
fn success(runs: &[Run], settings: &Settings) -> Share {
    let mut ordered: Vec<&Run> = runs.iter().collect();
    ordered.sort_by(|a, b| (a.ended, &a.session, a.attempt).cmp(&(b.ended, &b.session, b.attempt)));
    let (mut sum, mut weights) = (0.0, 0.0);
    for run in &ordered {
        let value = if run.outcome == ExecutionState::Completed {
            100.0
        } else {
            0.0
        };
        sum = sum * (1.0 - settings.alpha) + value;
        weights = weights * (1.0 - settings.alpha) + 1.0;
    }
    let average = (!ordered.is_empty()).then(|| sum / weights);
    let failed = ordered
        .iter()
        .filter(|run| run.outcome == ExecutionState::Failed)
        .count();
    let why = match ordered.len() {
        0 => "it has not run yet".to_owned(),
        n => format!("{failed} of the last {n} runs failed, recent ones counting more"),
    };
    Share::new(SUCCESS, average, settings.success, why)
}

/// 100 while its freshest worker beats, falling to 0 when that is dead; unknown for a bot none of
/// whose workers should be alive.
fn freshness(pulse: Pulse, now: Timestamp, settings: &Settings) -> Share {
    let Some(last) = pulse.last_beat else {
        return Share::new(
            "heartbeats",
            None,
            settings.freshness,
            "no worker of it is expected to be alive",
        );
    };
    let age = now.duration_since(last).as_secs_f64().max(0.0);
    let (stale, dead) = (
        settings.stale_after.as_secs_f64(),
        settings.dead_after.as_secs_f64(),
    );
    let value = 100.0 * (1.0 - (age - stale) / (dead - stale)).clamp(0.0, 1.0);
    Share::new(
        "heartbeats",
        Some(value),
        settings.freshness,
        format!("the last heartbeat is {age:.0} s old"),
    )
}

/// How usual the latest value was; unknown while that is being learned.
fn normality(part: &str, known: Option<&Normality>, weight: f64) -> Share {
    match known {
        Some(known) => Share::new(part, Some(known.value), weight, known.text.clone()),
        None => Share::new(part, None, weight, "what is usual is still being learned"),
    }
}
