//! Alerts are raised from what is stored, and carried to their channels.
//!
//! Any number of coordinators look; the board is stored only over the one it was made from, and what
//! is to be delivered with it, so that each alert is raised once. [`deliver`] carries it; [`own`] says
//! that the store itself is away, which nobody can coordinate.

mod deliver;

mod own;

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use fleet_worker_sdk::{Bot, BotId, Result};
use futures_util::future::try_join_all;
use jiff::Timestamp;

pub use deliver::Retries;
pub(super) use own::Own;

use super::Coordinator;
use crate::alert::rules::{self, Facts};
use crate::alert::{Board, Delivery, Known, Labels, Observation, Phase, alarms, step};
use crate::model::{Run, Update};
use crate::store::alerts::Alerts;

impl Coordinator {
    /// Looks at what is wrong once, and stores what follows from it; answers how many deliveries
    /// that makes. Where another coordinator was faster, what it stored stands, and this one looks
    /// again at its next turn.
    ///
    /// # Errors
    /// As the store's.
    pub async fn watch_alerts(&self) -> Result<usize> {
        let alerts = self.store.alerts().await?;
        let now = self.store.now().await?;
        let observed = self.observed(&alerts, now).await?;
        let (board, deliveries) = self.stepped(&alerts, &observed, now).await;
        self.take_alarms(&board);
        self.own.lock().await.silences.clone_from(&alerts.silences);
        if board == alerts.board {
            return Ok(0);
        }
        if !self
            .store
            .raise(alerts.version, &board, &deliveries)
            .await?
        {
            return Ok(0);
        }
        if picture(&board) != picture(&alerts.board) {
            self.dirty.store(true, Ordering::Relaxed);
            self.store.announce(Update::Fleet).await?;
        }
        say(&alerts.board, &board);
        Ok(deliveries.len())
    }

    async fn stepped(
        &self,
        alerts: &Alerts,
        observed: &[Observation],
        now: Timestamp,
    ) -> (Board, Vec<Delivery>) {
        let beside: Vec<Labels> = self.own.lock().await.firing();
        let known = Known {
            observed,
            silences: &alerts.silences,
            beside: &beside,
            waiting: &alerts.waiting,
            now,
        };
        let channels = self.settings.sender.channels();
        step(&alerts.board, &known, &self.settings.alerts, &channels)
    }

    /// What is wrong now.
    async fn observed(&self, alerts: &Alerts, now: Timestamp) -> Result<Vec<Observation>> {
        let store = &self.store;
        let (bots, series, anomalies, mismatches) = tokio::try_join!(
            store.bots(),
            store.series(),
            store.anomalies(),
            store.mismatches()
        )?;
        let runs = self.runs_of(&bots).await?;
        let workers = self.workers(now).await?;
        let letters = if_allowed(store.letters(None, 1).await)?;
        let facts = Facts {
            bots: &bots,
            runs: &runs,
            series: &series,
            workers: &workers,
            anomalies: &anomalies,
            backlog: if_allowed(store.backlog().await)?.unwrap_or_default(),
            memory: if_allowed(store.memory().await)?.flatten(),
            dead: alerts.undelivered + letters.map_or(0, |letters| letters.total),
            mismatched: mismatches.len() as u64,
            now,
            health: &self.settings.health,
        };
        Ok(rules::observe(&facts, &self.settings.alerts))
    }

    async fn runs_of(&self, bots: &[Bot]) -> Result<HashMap<BotId, Vec<Run>>> {
        let runs = try_join_all(bots.iter().map(|bot| self.store.runs(&bot.id))).await?;
        Ok(bots.iter().map(|bot| bot.id.clone()).zip(runs).collect())
    }

    /// What the fleet's health takes of the alerts.
    fn take_alarms(&self, board: &Board) {
        *self
            .alarms
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = alarms(board);
    }
}

/// What a Redis user may not ask is left out; a store that is away is an error.
fn if_allowed<T>(asked: Result<T>) -> Result<Option<T>> {
    match asked {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.is_retryable() => Err(error),
        Err(error) => {
            tracing::debug!(%error, "a number that alerts are made of cannot be read");
            Ok(None)
        }
    }
}

/// What people would see of a board.
fn picture(board: &Board) -> Vec<(&Labels, Phase, bool)> {
    let alerts = board.alerts();
    alerts
        .map(|alert| (&alert.labels, alert.phase, alert.lasts()))
        .collect()
}

/// Logs what began and what ended.
fn say(before: &Board, after: &Board) {
    for alert in after.alerts() {
        let was = before.get(&alert.labels).map(|alert| alert.phase);
        if was == Some(alert.phase) {
            continue;
        }
        let (labels, summary) = (&alert.labels, &alert.summary);
        match alert.phase {
            Phase::Firing => tracing::warn!(alert = %labels, %summary, "an alert fires"),
            Phase::Resolved => tracing::info!(alert = %labels, %summary, "an alert is over"),
            Phase::Pending => tracing::debug!(alert = %labels, %summary, "an alert pends"),
        }
    }
}
