//! What the store knows, asked when scraped.
//!
//! Asked at most once a second however many scrape: a fleet of 5,000 workers costs a few
//! milliseconds to read.

use std::sync::Arc;
use std::time::Duration;

use fleet_coordinator::alert::Severity;
use fleet_coordinator::conserve::Conservation;
use fleet_coordinator::lifecycle::Liveness;
use fleet_coordinator::ops;
use fleet_coordinator::store::alerts::Alerts;
use fleet_coordinator::store::retain::Memory;
use fleet_coordinator::store::{Backlog, SharedStore};
use fleet_coordinator::view::{CacheStats, FleetHealth};
use fleet_worker_sdk::{Error, Result};
use jiff::Timestamp;
use prometheus::core::{AtomicU64, Collector, GenericCounter, GenericCounterVec};
use prometheus::{Gauge, GaugeVec, Opts, Registry};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::encode;
use crate::context::Context;

/// Age up to which an answer of the store is repeated.
const FRESH: Duration = Duration::from_secs(1);
/// Time the store has: well below the 10 s in which Prometheus gives up.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the store said, and when.
type Answer = (Instant, Arc<str>);

/// Writes all metrics; cheap to clone.
#[derive(Clone)]
pub(crate) struct Scraper {
    context: Context,
    /// Held while the store is asked, so that it is asked once.
    last: Arc<Mutex<Option<Answer>>>,
}

impl Scraper {
    pub(crate) fn new(context: &Context) -> Self {
        Self {
            context: context.clone(),
            last: Arc::default(),
        }
    }

    /// The metrics of this process and of the store.
    pub(crate) async fn text(&self) -> String {
        let store = self.store().await;
        let mut text = self.context.metrics.text();
        text.push_str(&store);
        match cache(self.context.view.cache_stats()) {
            Ok(cache) => text.push_str(&cache),
            Err(error) => tracing::error!(%error, "metrics of the cache cannot be written"),
        }
        if let Some(coordinator) = &self.context.coordinator {
            match ops::metrics::of_totals(&coordinator.totals()) {
                Ok(totals) => text.push_str(&totals),
                Err(error) => {
                    tracing::error!(%error, "metrics of the coordinator cannot be written");
                }
            }
        }
        text
    }

    async fn store(&self) -> Arc<str> {
        let mut last = self.last.lock().await;
        if let Some((at, text)) = &*last
            && at.elapsed() < FRESH
        {
            return Arc::clone(text);
        }
        let asked = timeout(PATIENCE, Told::ask(&self.context)).await;
        let asked = asked.unwrap_or_else(|_| Err(hung(&self.context.store)));
        let text: Arc<str> = match asked.map(|told| told.text()) {
            Ok(Ok(text)) => text.into(),
            Ok(Err(error)) => {
                tracing::error!(%error, "metrics of the store cannot be written");
                DOWN.into()
            }
            Err(error) => {
                tracing::warn!(%error, "metrics of the store cannot be read");
                DOWN.into()
            }
        };
        *last = Some((Instant::now(), Arc::clone(&text)));
        text
    }
}

/// What is left to say of a store that does not answer. Its other metrics are absent: a stale
/// number looks like a true one.
const DOWN: &str = "# HELP fleet_store_up Whether the store answered this scrape.\n\
                    # TYPE fleet_store_up gauge\nfleet_store_up 0\n";

fn hung(store: &SharedStore) -> Error {
    Error::Unavailable {
        store: store.address(),
        why: format!("it has not answered within {} s", PATIENCE.as_secs()),
    }
}

/// The fleet's health as the view has it; an answer of the past is none.
async fn read(context: &Context) -> Result<Arc<FleetHealth>> {
    let fleet = context.view.fleet().await?;
    if fleet.stale {
        context.store.check().await?;
    }
    Ok(fleet)
}

/// What the store told of itself. What it may not or cannot tell is left out.
struct Told {
    fleet: Arc<FleetHealth>,
    writable: bool,
    backlog: Option<Backlog>,
    memory: Option<Memory>,
    conservation: Option<Conservation>,
    alerts: Option<Alerts>,
    now: Timestamp,
}

impl Told {
    async fn ask(context: &Context) -> Result<Self> {
        let fleet = read(context).await?;
        let store = &context.store;
        let (writable, backlog, memory, mismatches, alerts, now) = tokio::join!(
            store.check(),
            store.backlog(),
            store.memory(),
            store.mismatches(),
            store.alerts(),
            store.now()
        );
        Ok(Self {
            fleet,
            writable: writable.is_ok(),
            backlog: backlog.inspect_err(untold).ok(),
            memory: memory.inspect_err(untold).ok().flatten(),
            conservation: mismatches.inspect_err(untold).ok().map(Conservation::of),
            alerts: alerts.inspect_err(untold).ok(),
            now: now?,
        })
    }

    fn text(&self) -> prometheus::Result<String> {
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
        text.push_str(&encode(&page.0));
        Ok(text)
    }
}

fn untold(error: &Error) {
    tracing::debug!(%error, "the store does not tell of its feed or memory");
}

/// Metrics made for one scrape.
struct Page(Registry);

impl Page {
    fn add(&self, metric: impl Collector + 'static) -> prometheus::Result<()> {
        self.0.register(Box::new(metric))
    }

    fn gauge(&self, name: &str, help: &str, value: f64) -> prometheus::Result<()> {
        let gauge = Gauge::new(name, help)?;
        gauge.set(value);
        self.add(gauge)
    }

    fn alerts(&self, alerts: &Alerts, now: Timestamp) -> prometheus::Result<()> {
        let firing = |severity: Severity| {
            let all = alerts.board.firing();
            all.filter(|alert| alert.labels.severity == severity)
                .count() as f64
        };
        let severities = Severity::ALL.iter();
        self.gauges(
            "fleet_alerts_firing",
            "Alerts that fire, by severity.",
            "severity",
            severities.map(|severity| (severity.as_str(), firing(*severity))),
        )?;
        self.gauge(
            "fleet_alerts_waiting_deliveries",
            "Notices of alerts on their way to a channel.",
            alerts.waiting.len() as f64,
        )?;
        self.gauge(
            "fleet_alerts_undelivered",
            "Notices of alerts that no channel took.",
            alerts.undelivered as f64,
        )?;
        let silences = alerts.silences.iter();
        self.gauge(
            "fleet_silences",
            "Silences in force.",
            silences.filter(|silence| silence.is_active(now)).count() as f64,
        )
    }

    fn counter(&self, name: &str, help: &str, value: u64) -> prometheus::Result<()> {
        let counter = GenericCounter::<AtomicU64>::new(name, help)?;
        counter.inc_by(value);
        self.add(counter)
    }

    fn gauges<'a>(
        &self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'a str, f64)>,
    ) -> prometheus::Result<()> {
        let gauges = GaugeVec::new(Opts::new(name, help), &[label])?;
        for (word, value) in values {
            gauges.with_label_values(&[word]).set(value);
        }
        self.add(gauges)
    }
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
        [
            (Liveness::Alive.as_str(), tally.alive as f64),
            (Liveness::Stale.as_str(), tally.stale as f64),
            (Liveness::Dead.as_str(), tally.dead as f64),
            (Liveness::Stopped.as_str(), tally.stopped as f64),
        ],
    )?;
    page.gauge(
        "fleet_workers_stuck",
        "Workers that beat, have sessions and get nothing done.",
        tally.stuck as f64,
    )?;
    Ok(encode(&page.0))
}

fn cache(stats: CacheStats) -> prometheus::Result<String> {
    let page = Page(Registry::new());
    let requests = GenericCounterVec::<AtomicU64>::new(
        Opts::new(
            "fleet_cache_requests_total",
            "Health asked for: there, waited for, or served past its time.",
        ),
        &["result"],
    )?;
    for (result, count) in [
        ("hit", stats.hits),
        ("miss", stats.misses),
        ("stale", stats.stale),
    ] {
        requests.with_label_values(&[result]).inc_by(count);
    }
    page.add(requests)?;
    page.counter(
        "fleet_cache_loads_total",
        "Computations of health.",
        stats.loads,
    )?;
    page.counter(
        "fleet_cache_failures_total",
        "Computations of health that failed.",
        stats.failures,
    )?;
    Ok(encode(&page.0))
}
