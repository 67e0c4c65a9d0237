//! What is served, and how it is made from what the store knows.

use fleet_worker_sdk::{Result, SessionId, Version};
use futures_util::future::try_join_all;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::alert::alarms;
use crate::health::fleet::{FleetFacts, Remembered, fleet};
use crate::health::rollup::{self, SessionScores};
use crate::health::{
    Alarms, Explanation, FleetHealth, Health, Settings, Subject, Weights, explain,
};
use crate::model::{Session, SessionFacts, Worker};
use crate::store::{Alerting, Observe, Standing};

/// A session's health and its two halves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionHealth {
    /// Which session.
    pub session: SessionId,
    /// The version it was computed from.
    pub version: Version,
    /// The session's.
    pub health: Health,
    /// The mean of its executions.
    pub executions: Health,
    /// Quality of its findings.
    pub quality: Health,
    /// The store is away: this is what was known last.
    pub stale: bool,
}

/// How a session's scores were made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionExplanation {
    /// The session's.
    pub health: Explanation,
    /// The mean of its executions.
    pub executions: Explanation,
    /// Quality of its findings.
    pub quality: Explanation,
}

impl SessionHealth {
    /// How its scores were made; `settings` are those that made them.
    pub fn explain(&self, settings: &Settings) -> SessionExplanation {
        SessionExplanation {
            health: explain(&self.health, Subject::Session, settings),
            executions: explain(&self.executions, Subject::Executions, settings),
            quality: explain(&self.quality, Subject::Quality, settings),
        }
    }
}

/// A session's health, from its facts alone.
pub fn session_health(facts: &SessionFacts, settings: &Settings) -> SessionHealth {
    let session = &facts.session;
    let previous = session.derived.as_ref().map(|derived| derived.health.band);
    let scores = rollup::session(&session.executions, &facts.counts, previous, settings);
    health_of(session, scores)
}

/// A session's health as it is stored: without the breakdown of its quality, and in all else the same.
pub fn session_summary(session: &Session, weights: &Weights, settings: &Settings) -> SessionHealth {
    let previous = session.derived.as_ref().map(|derived| derived.health.band);
    let scores = rollup::session_summary(&session.executions, weights, previous, settings);
    health_of(session, scores)
}

fn health_of(session: &Session, scores: SessionScores) -> SessionHealth {
    SessionHealth {
        session: session.id.clone(),
        version: session.version,
        health: scores.health,
        executions: scores.executions,
        quality: scores.quality,
        stale: false,
    }
}

/// The fleet's health: as a coordinator stored it, so that all who look see the same, or computed
/// here where none is current.
///
/// # Errors
/// As the store's.
pub async fn fleet_health<S: Standing + Alerting + Observe + ?Sized>(
    store: &S,
    settings: &Settings,
) -> Result<FleetHealth> {
    let (now, kept) = tokio::try_join!(store.now(), store.kept())?;
    match kept.and_then(|kept| kept.fleet) {
        Some(fleet) if fleet.is_current(now) => Ok(fleet),
        before => compute_fleet(store, before.as_ref(), settings).await,
    }
}

/// The fleet's health from all that the store knows of it, and the one `before`.
///
/// # Errors
/// As the store's.
pub async fn compute_fleet<S: Standing + Alerting + Observe + ?Sized>(
    store: &S,
    before: Option<&FleetHealth>,
    settings: &Settings,
) -> Result<FleetHealth> {
    // Before the rest: what is read is no older.
    let now = store.now().await?;
    let workers = store.workers().await?;
    let alarms = alarms(&store.alerts().await?.board);
    fleet_with(store, &workers, &alarms, now, before, settings).await
}

/// As [`compute_fleet`], with the store's time of now, and its workers and alerts as they were a
/// moment ago.
pub(crate) async fn fleet_with<S: Observe + ?Sized>(
    store: &S,
    workers: &[Worker],
    alarms: &Alarms,
    now: Timestamp,
    before: Option<&FleetHealth>,
    settings: &Settings,
) -> Result<FleetHealth> {
    let (bots, rollup, mut series) =
        tokio::try_join!(store.bots(), store.rollup(), store.series())?;
    let runs = try_join_all(bots.iter().map(|bot| store.runs(&bot.id))).await?;
    let remembered = bots.iter().zip(runs).map(|(bot, runs)| {
        let series = series.remove(&bot.id).unwrap_or_default();
        (bot.id.clone(), Remembered::with(series, runs, now))
    });
    let facts = FleetFacts {
        bots: &bots,
        remembered: &remembered.collect(),
        workers,
        rollup,
        alarms,
        now,
    };
    Ok(fleet(&facts, before, settings))
}
