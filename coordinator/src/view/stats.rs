//! How the cache does, in numbers.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fleet_worker_sdk::Result;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// How the cache did. Each answer is a hit, a miss, or stale; refusals of the store are misses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheStats {
    /// Answers asked for.
    pub requests: u64,
    /// Answers that were there.
    pub hits: u64,
    /// Answers waited for; many may wait for one computation.
    pub misses: u64,
    /// Answers past their time: served while they were computed anew, or while the store was away.
    pub stale: u64,
    /// Computations begun.
    pub loads: u64,
    /// Computations that failed.
    pub failures: u64,
}

/// What a computation was of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The fleet.
    Fleet,
    /// A session.
    Session,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 2] = [Self::Fleet, Self::Session];

    /// The word in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fleet => "fleet",
            Self::Session => "session",
        }
    }
}

/// Told of every computation and how long it took, whether it failed or not.
#[derive(Clone)]
pub struct OnLoad(Arc<dyn Fn(Scope, Duration) + Send + Sync>);

impl OnLoad {
    /// Calls `tell`, which must not block.
    pub fn new(tell: impl Fn(Scope, Duration) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }
}

impl Default for OnLoad {
    fn default() -> Self {
        Self::new(|_, _| {})
    }
}

impl fmt::Debug for OnLoad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnLoad(..)")
    }
}

/// What is counted while it happens.
#[derive(Debug)]
pub(super) struct Counters {
    hits: AtomicU64,
    misses: AtomicU64,
    stale: AtomicU64,
    loads: AtomicU64,
    failures: AtomicU64,
    on_load: OnLoad,
}

impl Counters {
    pub(super) fn new(on_load: OnLoad) -> Self {
        Self {
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            stale: AtomicU64::new(0),
            loads: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            on_load,
        }
    }

    /// An answer that was there, or that was after waiting.
    pub(super) fn served(&self, at_once: bool) {
        add(if at_once { &self.hits } else { &self.misses });
    }

    pub(super) fn waited(&self) {
        add(&self.misses);
    }

    pub(super) fn stale(&self) {
        add(&self.stale);
    }

    /// Counts and times a computation.
    pub(super) async fn time<T>(
        &self,
        scope: Scope,
        load: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        add(&self.loads);
        let begun = Instant::now();
        let loaded = load.await;
        (self.on_load.0)(scope, begun.elapsed());
        loaded.inspect_err(|_| add(&self.failures))
    }

    pub(super) fn stats(&self) -> CacheStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (hits, misses, stale) = (read(&self.hits), read(&self.misses), read(&self.stale));
        CacheStats {
            requests: hits + misses + stale,
            hits,
            misses,
            stale,
            loads: read(&self.loads),
            failures: read(&self.failures),
        }
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
