//! What the store knows, asked when scraped.
//!
//! Asked at most once a second however many scrape: a fleet of 5,000 workers costs a few
//! milliseconds to read.

use std::sync::Arc;
use std::time::Duration;

use fleet_coordinator::ops;
use fleet_coordinator::store::SharedStore;
use fleet_coordinator::store::retain::Memory;
use fleet_coordinator::view::CacheStats;
use fleet_worker_sdk::Error;
use prometheus::core::{AtomicU64, GenericCounterVec};
use prometheus::{Opts, Registry};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::encode;
use super::page::Page;
use super::told::Told;
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
        if let Some(memory) = self.context.store.folded().await {
            match folded(memory) {
                Ok(folded) => text.push_str(&folded),
                Err(error) => tracing::error!(%error, "metrics of folds cannot be written"),
            }
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

fn folded(memory: Memory) -> prometheus::Result<String> {
    let page = Page(Registry::new());
    page.gauge(
        "fleet_folded_bytes",
        "Memory of folded sessions in this process.",
        memory.used as f64,
    )?;
    page.gauge(
        "fleet_folded_limit_bytes",
        "Memory that folded sessions may take in this process.",
        memory.limit as f64,
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
