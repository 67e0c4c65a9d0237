//! What the store knows, asked when scraped.
//!
//! Asked at most once a second however many scrape: a fleet of 5,000 workers costs a few
//! milliseconds to read.

use std::sync::Arc;
use std::time::Duration;

use fleet_coordinator::store::SharedStore;
use fleet_worker_sdk::{Error, Result};
use prometheus::{Gauge, Registry};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::{Metrics, encode};
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
        text
    }

    async fn store(&self) -> Arc<str> {
        let mut last = self.last.lock().await;
        if let Some((at, text)) = &*last
            && at.elapsed() < FRESH
        {
            return Arc::clone(text);
        }
        let asked = timeout(PATIENCE, read(&self.context)).await;
        let asked = asked.unwrap_or_else(|_| Err(hung(&self.context.store)));
        let text: Arc<str> = match asked.map(|known| known.text(&self.context.metrics)) {
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

/// What a scrape shows of the store.
struct Known {
    sessions: u64,
    repositories: u64,
    findings: u64,
    workers: u64,
}

async fn read(context: &Context) -> Result<Known> {
    let store = &context.store;
    let (rollup, workers) = tokio::try_join!(store.rollup(), store.workers())?;
    Ok(Known {
        sessions: rollup.sessions,
        repositories: rollup.repositories,
        findings: rollup.findings,
        workers: workers.len() as u64,
    })
}

impl Known {
    fn text(&self, _metrics: &Metrics) -> prometheus::Result<String> {
        let registry = Registry::new();
        let gauge = |name: &str, help: &str, value: f64| {
            let gauge = Gauge::new(name, help)?;
            gauge.set(value);
            registry.register(Box::new(gauge))
        };
        gauge(
            "fleet_store_up",
            "Whether the store answered this scrape.",
            1.0,
        )?;
        gauge("fleet_sessions", "Sessions stored.", self.sessions as f64)?;
        gauge(
            "fleet_repositories",
            "Repositories whose quality is known.",
            self.repositories as f64,
        )?;
        gauge(
            "fleet_findings",
            "Findings accepted since the fleet was created.",
            self.findings as f64,
        )?;
        gauge("fleet_workers", "Workers.", self.workers as f64)?;
        Ok(encode(&registry))
    }
}
