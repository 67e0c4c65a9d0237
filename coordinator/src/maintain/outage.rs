//! Says once that the store is away, and once that it is back, however many loops notice.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleet_worker_sdk::Error;
use tokio::time::Instant;

/// Which loops the store fails, and since when it fails any.
#[derive(Debug)]
pub(super) struct Outage {
    store: String,
    failing: Mutex<Failing>,
}

#[derive(Debug, Default)]
struct Failing {
    since: Option<Instant>,
    /// Since when no loop can reach it.
    unreachable: Option<Instant>,
    loops: BTreeSet<&'static str>,
}

impl Outage {
    pub(super) fn new(store: String) -> Self {
        Self {
            store,
            failing: Mutex::default(),
        }
    }

    /// The store failed `name`. Says so if nobody has; the others would only repeat it.
    pub(super) fn failed(&self, name: &'static str, error: &Error) {
        let mut failing = self.lock();
        failing.loops.insert(name);
        if matches!(error, Error::Unavailable { .. }) {
            failing.unreachable.get_or_insert_with(Instant::now);
        }
        if failing.since.is_none() {
            failing.since = Some(Instant::now());
            tracing::warn!(store = %self.store, during = name, %error, "the store fails since now; retrying until it answers");
        } else {
            tracing::debug!(store = %self.store, during = name, %error, "the store still fails");
        }
    }

    /// The store served `name`. The outage is over when it serves every loop it failed: one
    /// that takes reads but no writes is not back.
    pub(super) fn served(&self, name: &'static str) {
        let mut failing = self.lock();
        failing.unreachable = None;
        if failing.loops.remove(name)
            && failing.loops.is_empty()
            && let Some(since) = failing.since.take()
        {
            let seconds = since.elapsed().as_secs_f64();
            tracing::info!(store = %self.store, seconds, "the store is back");
        }
    }

    /// For how long no loop could reach it.
    pub(super) fn unreachable(&self) -> Option<Duration> {
        self.lock().unreachable.map(|since| since.elapsed())
    }

    /// Whether it fails any loop.
    pub(super) fn lasts(&self) -> bool {
        self.lock().since.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Failing> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_ends_when_every_loop_is_served_again() {
        let outage = Outage::new("memory".to_owned());
        let error = Error::Full {
            why: "test".to_owned(),
        };
        outage.served("feed");
        assert!(!outage.lasts());
        outage.failed("feed", &error);
        outage.failed("workers", &error);
        outage.served("feed");
        assert!(outage.lasts(), "the workers' loop is still failed");
        outage.served("workers");
        assert!(!outage.lasts());
    }
}
