//! What bots and repositories make of sessions, tiers and the fleet.

use std::collections::BTreeMap;

use fleet_worker_sdk::{BotId, Execution, ExecutionState, Tier};

use super::bot::SUCCESS;
use super::parts::{Share, weigh};
use super::quality::{quality, summary};
use super::weights::Weights;
use super::{Firing, Health, Settings, Status};
use crate::model::{Counts, Rollup};

/// A session's health and its two halves.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionScores {
    /// Half executions, half quality.
    pub health: Health,
    /// The mean of the executions.
    pub executions: Health,
    /// Quality of the findings; unknown until an execution has completed.
    pub quality: Health,
}

/// What an execution is worth within its session: none while it is not finished.
fn value(execution: &Execution) -> (Option<f64>, &'static str) {
    match execution.state {
        ExecutionState::Completed if execution.partial => {
            (Some(75.0), "ended well, without looking at everything")
        }
        ExecutionState::Completed => (Some(100.0), "ended well"),
        ExecutionState::Failed => (Some(0.0), "failed"),
        ExecutionState::Running => (None, "is running"),
        ExecutionState::Pending => (None, "has not begun"),
        ExecutionState::Skipped => (None, "was skipped"),
    }
}

/// A session: half the mean of its bots' executions, half the quality of what they found.
///
/// Within a session a bot is judged by its execution there, so that a session's health is a pure
/// function of the session's version.
pub fn session(
    executions: &[Execution],
    counts: &Counts,
    previous: Option<Status>,
    settings: &Settings,
) -> SessionScores {
    let quality = || quality(counts, None, settings);
    halves(executions, quality, previous, settings)
}

/// As [`session`], with the quality not broken down: what a coordinator stores, at a cost that grows
/// with bots only.
pub fn session_summary(
    executions: &[Execution],
    weights: &Weights,
    previous: Option<Status>,
    settings: &Settings,
) -> SessionScores {
    let quality = || summary(weights, None, settings);
    halves(executions, quality, previous, settings)
}

fn halves(
    executions: &[Execution],
    quality: impl FnOnce() -> Health,
    previous: Option<Status>,
    settings: &Settings,
) -> SessionScores {
    let share = |execution: &Execution| {
        let (value, why) = value(execution);
        let reason = execution
            .reason
            .as_deref()
            .map(|r| format!(": {r}"))
            .unwrap_or_default();
        Share::new(execution.bot.as_str(), value, 1.0, format!("{why}{reason}"))
    };
    let ran = weigh(executions.iter().map(share).collect(), None, settings);
    let quality = if analysed(executions) {
        quality()
    } else {
        Health::unknown("no bot has completed its analysis")
    };
    let halves = vec![
        Share::new("executions", ran.score, 1.0, ran.reason.clone()),
        Share::new("quality", quality.score, 1.0, quality.reason.clone()),
    ];
    let health = all_failed(
        weigh(halves, previous, settings),
        executions_failed(executions),
    );
    SessionScores {
        health,
        executions: ran,
        quality,
    }
}

/// Whether one of them has completed: before that nothing is known of the repository's quality, whatever
/// was found.
pub fn analysed(executions: &[Execution]) -> bool {
    let completed = |execution: &Execution| execution.state == ExecutionState::Completed;
    executions.iter().any(completed)
}

fn executions_failed(executions: &[Execution]) -> bool {
    let mut ran = executions
        .iter()
        .filter(|e| e.state.is_finished() && e.state != ExecutionState::Skipped);
    let any = ran.clone().next().is_some();
    any && ran.all(|e| e.state == ExecutionState::Failed)
}

/// A tier: the mean of its bots. One whose bots all fail is critical whatever the number says.
pub fn tier(
    bots: &BTreeMap<BotId, &Health>,
    firing: Option<&Firing>,
    previous: Option<Status>,
    settings: &Settings,
) -> Health {
    let share = |(bot, health): (&BotId, &&Health)| {
        Share::new(bot.as_str(), health.score, 1.0, health.reason.clone())
            .link(format!("/api/v1/health/bots/{bot}"))
    };
    let health = weigh(bots.iter().map(share).collect(), previous, settings);
    let mut known = bots.values().filter(|health| health.score.is_some());
    let any = known.clone().next().is_some();
    let failed = any && known.all(|health| has_failed(health, settings));
    all_failed(health, failed).alerted(firing)
}

/// The fleet: half the mean of its bots, half the mean quality of its repositories.
pub fn fleet(
    bots: &BTreeMap<BotId, Health>,
    tiers: &BTreeMap<Tier, Health>,
    rollup: &Rollup,
    firing: Option<&Firing>,
    previous: Option<Status>,
    settings: &Settings,
) -> Health {
    let scores: Vec<f64> = bots.values().filter_map(|health| health.score).collect();
    let mean = (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64);
    let quality = (rollup.repositories > 0)
        .then(|| rollup.quality_milli as f64 / 1000.0 / rollup.repositories as f64);
    let halves = vec![
        Share::new(
            "bots",
            mean,
            1.0,
            format!("mean of {} of {} bots", scores.len(), bots.len()),
        )
        .link("/api/v1/bots"),
        Share::new(
            "quality",
            quality,
            1.0,
            match rollup.repositories {
                1 => "of the one repository".to_owned(),
                n => format!("mean of {n} repositories"),
            },
        )
        .link("/api/v1/sessions"),
    ];
    let health = weigh(halves, previous, settings);
    let mut known = tiers.values().filter(|tier| tier.score.is_some());
    let any = known.clone().next().is_some();
    let failed = any && known.all(|tier| tier.status == Status::Critical);
    all_failed(health, failed).alerted(firing)
}

/// Whether a bot has failed: its status is critical, or its success alone would be. Heartbeats
/// save nobody: a process that lives, and fails whatever it is given, has failed.
fn has_failed(health: &Health, settings: &Settings) -> bool {
    let success = health.breakdown.iter().find(|part| part.part == SUCCESS);
    let value = success.and_then(|part| part.value);
    let fails = value.is_some_and(|value| Status::of(value, None, settings) == Status::Critical);
    fails || health.status == Status::Critical
}

fn all_failed(mut health: Health, failed: bool) -> Health {
    if failed && health.status != Status::Critical {
        health.status = Status::Critical;
        health.reason = format!(
            "critical because everything that ran failed; by the number, {}",
            health.reason
        );
    }
    health
}
