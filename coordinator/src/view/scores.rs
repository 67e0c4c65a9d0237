//! What is served, and how it is made from what the store knows.

use std::collections::BTreeMap;

use fleet_worker_sdk::{BotId, Result, SessionId, Tier, Version};
use futures_util::future::try_join_all;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::health::{Explanation, Health, Settings, Subject, bot, explain, rollup};
use crate::lifecycle::WorkerTally;
use crate::model::{Rollup, Run, SessionFacts, Worker};
use crate::store::Read;

/// The fleet's health, with that of its tiers and bots.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FleetHealth {
    /// The fleet's.
    pub health: Health,
    /// Of each tier that has bots.
    pub tiers: BTreeMap<Tier, Health>,
    /// Of each registered bot.
    pub bots: BTreeMap<BotId, Health>,
    /// The sums it was made from.
    pub rollup: Rollup,
    /// Workers by what they are.
    pub workers: WorkerTally,
    /// When it was computed, by the store's clock.
    pub computed_at: Timestamp,
    /// It is past its time: it is being computed anew, or the store is away.
    pub stale: bool,
}

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
    /// When it was computed, by the store's clock; none where only facts were at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub computed_at: Option<Timestamp>,
    /// It is past its time: it is being computed anew, or the store is away.
    pub stale: bool,
}

/// How the fleet's scores were made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FleetExplanation {
    /// The fleet's.
    pub fleet: Explanation,
    /// Each tier's.
    pub tiers: BTreeMap<Tier, Explanation>,
    /// Each bot's.
    pub bots: BTreeMap<BotId, Explanation>,
}

impl FleetHealth {
    /// How its scores were made; `settings` are those that made them.
    pub fn explain(&self, settings: &Settings) -> FleetExplanation {
        let tiers = self.tiers.iter();
        let bots = self.bots.iter();
        FleetExplanation {
            fleet: explain(&self.health, Subject::Fleet, settings),
            tiers: tiers
                .map(|(tier, health)| (*tier, explain(health, Subject::Tier, settings)))
                .collect(),
            bots: bots
                .map(|(bot, health)| (bot.clone(), explain(health, Subject::Bot, settings)))
                .collect(),
        }
    }
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
    SessionHealth {
        session: session.id.clone(),
        version: session.version,
        health: scores.health,
        executions: scores.executions,
        quality: scores.quality,
        computed_at: None,
        stale: false,
    }
}

/// The fleet's health, from all that the store knows of it.
///
/// # Errors
/// As the store's.
pub async fn fleet_health<S: Read + ?Sized>(store: &S, settings: &Settings) -> Result<FleetHealth> {
    let (now, bots, workers, rollup) =
        tokio::try_join!(store.now(), store.bots(), store.workers(), store.rollup())?;
    let runs: Vec<Vec<Run>> = try_join_all(bots.iter().map(|bot| store.runs(&bot.id))).await?;
    let mut by_bot: BTreeMap<&BotId, Vec<Worker>> = BTreeMap::new();
    for worker in &workers {
        by_bot.entry(&worker.bot).or_default().push(worker.clone());
    }
    let mut healths = BTreeMap::new();
    for (registered, runs) in bots.iter().zip(&runs) {
        let workers = by_bot
            .get(&registered.id)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let facts = bot::BotFacts {
            runs,
            pulse: bot::Pulse::of(workers),
            ..bot::BotFacts::default()
        };
        healths.insert(
            registered.id.clone(),
            bot::bot(&registered.id, &facts, None, now, settings),
        );
    }
    let mut tiers = BTreeMap::new();
    for &tier in Tier::ALL {
        let members = bots.iter().filter(|bot| bot.tier == tier);
        let members: BTreeMap<BotId, &Health> = members
            .filter_map(|bot| Some((bot.id.clone(), healths.get(&bot.id)?)))
            .collect();
        if !members.is_empty() {
            tiers.insert(tier, rollup::tier(&members, None, None, settings));
        }
    }
    Ok(FleetHealth {
        health: rollup::fleet(&healths, &tiers, &rollup, None, None, settings),
        tiers,
        bots: healths,
        rollup,
        workers: WorkerTally::of(&workers, now, settings),
        computed_at: now,
        stale: false,
    })
}
