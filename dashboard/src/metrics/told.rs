//! What the store tells of itself at a scrape.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleet_coordinator::conserve::Conservation;
use fleet_coordinator::health::Settings;
use fleet_coordinator::lifecycle::{Liveness, WorkerTally};
use fleet_coordinator::model::Worker;
use fleet_coordinator::store::Backlog;
use fleet_coordinator::store::alerts::Alerts;
use fleet_coordinator::store::retain::Memory;
use fleet_coordinator::view::FleetHealth;
use fleet_worker_sdk::{BotId, Error, Result};
use jiff::Timestamp;
use prometheus::{GaugeVec, Opts, Registry};

use super::encode;
use super::page::Page;
use crate::context::Context;

/// The fleet's health as the view has it; an answer of the past is none.
async fn read(context: &Context) -> Result<Arc<FleetHealth>> {
    let fleet = context.view.fleet().await?;
    if fleet.stale {
        context.store.check().await?;
    }
    Ok(fleet)
}

/// What the store told of itself. What it may not or cannot tell is left out.
pub(super) struct Told {
    fleet: Arc<FleetHealth>,
    writable: bool,
    backlog: Option<Backlog>,
    memory: Option<Memory>,
    conservation: Option<Conservation>,
    alerts: Option<Alerts>,
    now: Timestamp,
    /// Workers of each bot.
    bots: BTreeMap<String, WorkerTally>,
    dead_letters: Option<u64>,
}

impl Told {
    pub(super) async fn ask(context: &Context) -> Result<Self> {
        let fleet = read(context).await?;
        let store = &context.store;
        let now = context.metrics.latency().ask(&**store).await?;
        let (writable, backlog, memory, mismatches, alerts, workers, letters) = tokio::join!(
            store.check(),
            store.backlog(),
            store.memory(),
            store.mismatches(),
            store.alerts(),
            store.workers(),
            store.letters(None, 1)
        );
        let settings = context.view.health_settings();
        let bots = by_bot(&workers?, &fleet, settings);
        Ok(Self {
            fleet,
            writable: writable.is_ok(),
            backlog: backlog.inspect_err(untold).ok(),
            memory: memory.inspect_err(untold).ok().flatten(),
            conservation: mismatches.inspect_err(untold).ok().map(Conservation::of),
            alerts: alerts.inspect_err(untold).ok(),
            now,
            bots,
            dead_letters: letters
                .inspect_err(untold)
                .ok()
                .map(|letters| letters.total),
        })
    }

    pub(super) fn text(&self) -> prometheus::Result<String> {
        let mut text = text(&self.fleet)?;
        let page = Page(Registry::new());
        page.gauge(
            "fleet_store_writable",
            "Whether the store takes writes.",
            f64::from(u8::from(self.writable)),
        )?;
        if let Some(backlog) = self.backlog {
            page.gauge(
                "fleet_feed_backlog_entries",
                "Changes that wait for a coordinator.",
                backlog.entries as f64,
            )?;
            page.gauge(
                "fleet_feed_oldest_seconds",
                "Age of the oldest change that waits; 0 when none does.",
                backlog.oldest.as_secs_f64(),
            )?;
        }
        if let Some(memory) = self.memory {
            page.gauge(
                "fleet_store_memory_bytes",
                "Memory that the store uses; of several servers, the fullest.",
                memory.used as f64,
            )?;
            page.gauge(
                "fleet_store_memory_limit_bytes",
                "Memory that it may use; 0 without a limit.",
                memory.limit as f64,
            )?;
        }
        if let Some(conservation) = &self.conservation {
            page.gauge(
                "fleet_conservation_mismatched_sessions",
                "Sessions that coordinators found not to add up.",
                conservation.mismatched as f64,
            )?;
            page.gauge(
                "fleet_conservation_difference_findings",
                "Findings by which the numbers of these sessions are apart.",
                conservation.difference as f64,
            )?;
        }
        if let Some(alerts) = &self.alerts {
            page.alerts(alerts, self.now)?;
        }
        if let Some(letters) = self.dead_letters {
            page.gauge(
                "fleet_dead_letters",
                "Batches and changes that could not be read or computed, and lie aside.",
                letters as f64,
            )?;
        }
        page.add(workers(&self.bots)?)?;
        text.push_str(&encode(&page.0));
        Ok(text)
    }
}

/// Bots that have series of their own, by id: as many as a frame of the live view lists. Bots are the
/// registered ones; workers of any other are counted as of the bot `other`.
const MAX_BOTS: usize = 100;

/// What workers of bots without series of their own are counted as.
const OTHER: &str = "other";

/// Workers by bot, with every bot that has a label even where it has no workers.
fn by_bot(
    workers: &[Worker],
    fleet: &FleetHealth,
    settings: &Settings,
) -> BTreeMap<String, WorkerTally> {
    let labels: BTreeSet<&str> = fleet
        .bots
        .keys()
        .take(MAX_BOTS)
        .map(BotId::as_str)
        .collect();
    let mut of: BTreeMap<String, Vec<Worker>> = labels
        .iter()
        .map(|label| ((*label).to_owned(), Vec::new()))
        .collect();
    for worker in workers {
        let label = labels.get(worker.bot.as_str()).copied().unwrap_or(OTHER);
        of.entry(label.to_owned()).or_default().push(worker.clone());
    }
    let now = fleet.computed_at;
    of.into_iter()
        .map(|(bot, workers)| (bot, WorkerTally::of(&workers, now, settings)))
        .collect()
}

fn workers(bots: &BTreeMap<String, WorkerTally>) -> prometheus::Result<GaugeVec> {
    let gauges = GaugeVec::new(
        Opts::new(
            "fleet_bot_workers",
            "Workers heard of within a day, by bot and liveness.",
        ),
        &["bot", "liveness"],
    )?;
    for (bot, tally) in bots {
        for (liveness, count) in states(tally) {
            gauges
                .with_label_values(&[bot.as_str(), liveness])
                .set(count);
        }
    }
    Ok(gauges)
}

fn states(tally: &WorkerTally) -> [(&'static str, f64); 4] {
    [
        (Liveness::Alive.as_str(), tally.alive as f64),
        (Liveness::Stale.as_str(), tally.stale as f64),
        (Liveness::Dead.as_str(), tally.dead as f64),
        (Liveness::Stopped.as_str(), tally.stopped as f64),
    ]
}

fn untold(error: &Error) {
    tracing::debug!(%error, "the store does not tell of its feed or memory");
}

fn text(fleet: &FleetHealth) -> prometheus::Result<String> {
    let page = Page(Registry::new());
    let (sums, tally) = (&fleet.rollup, &fleet.workers);
    page.gauge(
        "fleet_store_up",
        "Whether the store answered this scrape.",
        1.0,
    )?;
    page.gauge("fleet_sessions", "Sessions stored.", sums.sessions as f64)?;
    page.gauge(
        "fleet_repositories",
        "Repositories whose quality is known.",
        sums.repositories as f64,
    )?;
    page.gauge(
        "fleet_findings",
        "Findings accepted since the fleet was created.",
        sums.findings as f64,
    )?;
    if let Some(score) = fleet.health.score {
        page.gauge(
            "fleet_health_score",
            "Health of the fleet, 0-100; absent when unknown.",
            score,
        )?;
    }
    page.gauge(
        "fleet_health_coverage_ratio",
        "Share of the fleet's health that is known, 0-1.",
        fleet.health.coverage,
    )?;
    let tiers = fleet.tiers.iter();
    page.gauges(
        "fleet_tier_health_score",
        "Health of each tier, 0-100; absent when unknown.",
        "tier",
        tiers.filter_map(|(tier, health)| Some((tier.as_str(), health.score?))),
    )?;
    page.gauges(
        "fleet_workers",
        "Workers heard of within a day, by liveness.",
        "liveness",
        states(tally),
    )?;
    page.gauge(
        "fleet_workers_stuck",
        "Workers that beat, have sessions and get nothing done.",
        tally.stuck as f64,
    )?;
    Ok(encode(&page.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bots_without_a_label_are_counted_together() {
        let tally = |alive| WorkerTally {
            alive,
            ..WorkerTally::default()
        };
        let bots = BTreeMap::from([("ruff".to_owned(), tally(2)), (OTHER.to_owned(), tally(7))]);
        let page = Page(Registry::new());
        page.add(workers(&bots).unwrap()).unwrap();
        let text = encode(&page.0);
        for line in [
            r#"fleet_bot_workers{bot="other",liveness="alive"} 7"#,
            r#"fleet_bot_workers{bot="ruff",liveness="alive"} 2"#,
            r#"fleet_bot_workers{bot="ruff",liveness="dead"} 0"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{text}");
        }
    }
}
