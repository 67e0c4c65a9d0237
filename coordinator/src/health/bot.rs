//! A bot's health: is the analyser well, whatever it finds?
//!
//! The weighted mean of the known parts: success, an exponentially weighted mean of its runs
//! (weight 0.50), and the freshness of its heartbeats (0.20). Durations and output are weighed
//! when their series are kept.

use fleet_worker_sdk::{BotId, ExecutionState, WorkerState};
use jiff::Timestamp;

use super::parts::{Share, weigh};
use super::{Health, Settings, Status};
use crate::model::{Run, Worker};

/// The health of `bot` at `now`. Runs are taken in order of (time, session), however they come.
pub fn bot(
    bot: &BotId,
    runs: &[Run],
    workers: &[Worker],
    previous: Option<Status>,
    now: Timestamp,
    settings: &Settings,
) -> Health {
    let link = format!("/api/v1/health/bots/{bot}");
    let shares = vec![
        success(runs, settings).link(&link),
        freshness(workers, now, settings).link(&link),
    ];
    let mut health = weigh(shares, previous, settings);
    if health.score.is_none() {
        "it has neither run nor sent a heartbeat".clone_into(&mut health.reason);
    }
    health
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
    Share::new("success", average, settings.success, why)
}

/// 100 while its freshest worker beats, falling to 0 when that is dead; unknown for a bot none of
/// whose workers should be alive.
fn freshness(workers: &[Worker], now: Timestamp, settings: &Settings) -> Share {
    let live = workers
        .iter()
        .filter(|worker| worker.state != WorkerState::Stopped);
    let Some(last) = live.map(|worker| worker.last_beat).max() else {
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
