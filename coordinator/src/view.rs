//! The cached view that dashboards read: health, computed once for however many ask.

mod entry;

mod stats;

mod scores;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fleet_worker_sdk::{Result, SessionId};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use moka::future::Cache;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use crate::health::{FleetExplanation, FleetHealth};
pub(crate) use scores::fleet_with;
pub use scores::{
    SessionExplanation, SessionHealth, compute_fleet, fleet_health, session_health, session_summary,
};
pub use stats::{CacheStats, OnLoad, Scope};

use crate::health::Settings;
use crate::model::{SessionFacts, Update};
use crate::store::SharedStore;
use entry::{Ages, Entry, Found};
use stats::Counters;

/// What the view is made with.
#[derive(Clone, Debug)]
pub struct ViewSettings {
    /// How scores are made.
    pub health: Settings,
    /// How long a computed health is served: what a hint that was lost costs at most.
    pub ttl: Duration,
    /// For how long after that it is still served while it is computed anew: the fleet's
    /// `computed_at` tells its age, a session's `version` whether it is that of now.
    pub grace: Duration,
    /// Sessions whose health is kept.
    pub sessions: u64,
    /// Where something is known already, how long the store has to answer before that is served;
    /// and how long a store that did not is left alone.
    pub patience: Duration,
    /// Told of every computation.
    pub on_load: OnLoad,
}

impl Default for ViewSettings {
    fn default() -> Self {
        Self {
            health: Settings::default(),
            ttl: Duration::from_secs(5),
            // As long again: whoever looks regularly never waits, and who comes back after a pause
            // waits once instead of reading the past.
            grace: Duration::from_secs(5),
            // A few kilobytes each: tens of megabytes, and more than anybody looks at.
            sessions: 10_000,
            // A call of the store gives up after 5 s, in which a page would not load.
            patience: Duration::from_secs(1),
            on_load: OnLoad::default(),
        }
    }
}

/// Health, cached and coalesced.
#[derive(Clone)]
pub struct View {
    inner: Arc<Inner>,
    _listener: Arc<DropGuard>,
}

struct Inner {
    store: SharedStore,
    settings: ViewSettings,
    ages: Ages,
    fleet: Arc<Entry<FleetHealth>>,
    /// Bounded by number; ages are the entries' own, for what is too old to be fresh is still what
    /// is known while the store is away.
    sessions: Cache<SessionId, Arc<Entry<SessionHealth>>>,
    /// Until when the store is left alone, since it did not answer.
    rests_until: Mutex<Option<Instant>>,
    counters: Arc<Counters>,
}

/// Rounds of waiting: a value that changed while it was computed is computed once more, and then
/// served however it is.
const ROUNDS: usize = 2;

impl View {
    /// A view of `store`; hears its updates for as long as a clone of it lives.
    pub fn new(store: SharedStore, settings: ViewSettings) -> Self {
        // A tenth more or less, so that processes started together do not ask together.
        let ages = Ages {
            ttl: settings.ttl.mul_f64(0.9 + 0.2 * fastrand::f64()),
            grace: settings.grace,
        };
        let inner = Arc::new(Inner {
            fleet: Arc::default(),
            sessions: Cache::builder().max_capacity(settings.sessions).build(),
            rests_until: Mutex::default(),
            counters: Arc::new(Counters::new(settings.on_load.clone())),
            ages,
            store,
            settings,
        });
        let stop = CancellationToken::new();
        tokio::spawn(listen(Arc::clone(&inner), stop.clone()));
        Self {
            inner,
            _listener: Arc::new(stop.drop_guard()),
        }
    }

    /// The store behind it.
    pub fn store(&self) -> &SharedStore {
        &self.inner.store
    }

    /// How scores are made.
    pub fn health_settings(&self) -> &Settings {
        &self.inner.settings.health
    }

    /// The fleet's health: no older than TTL and grace, or marked stale.
    ///
    /// # Errors
    /// As the store's, when nothing was known before.
    pub async fn fleet(&self) -> Result<Arc<FleetHealth>> {
        let inner = &self.inner;
        let load = || inner.load_fleet();
        let stale = |health: &FleetHealth| FleetHealth {
            stale: true,
            ..health.clone()
        };
        inner.serve(&inner.fleet, load, stale).await
    }

    /// A session's health: no older than TTL and grace, or marked stale.
    ///
    /// # Errors
    /// As the store's, when nothing was known before; `Error::NotFound`.
    pub async fn session(&self, session: &SessionId) -> Result<Arc<SessionHealth>> {
        let inner = &self.inner;
        let entry = inner
            .sessions
            .get_with_by_ref(session, async { Arc::default() });
        let entry = entry.await;
        let load = || inner.load_session(session.clone());
        let stale = |health: &SessionHealth| SessionHealth {
            stale: true,
            ..health.clone()
        };
        let served = inner.serve(&entry, load, stale).await;
        if served.as_ref().is_err_and(|error| !error.is_retryable()) {
            // What is not there takes no room from what is.
            inner.sessions.invalidate(session).await;
        }
        served
    }

    /// The health that `facts` make, whatever is cached.
    pub fn of_facts(&self, facts: &SessionFacts) -> SessionHealth {
        session_health(facts, &self.inner.settings.health)
    }

    /// How the cache did so far.
    pub fn cache_stats(&self) -> CacheStats {
        self.inner.counters.stats()
    }
}

impl Inner {
    fn load_fleet(&self) -> BoxFuture<'static, Result<FleetHealth>> {
        let (store, settings) = (Arc::clone(&self.store), self.settings.health.clone());
        let counters = Arc::clone(&self.counters);
        let load = async move { fleet_health(&*store, &settings).await };
        async move { counters.time(Scope::Fleet, load).await }.boxed()
    }

    fn load_session(&self, session: SessionId) -> BoxFuture<'static, Result<SessionHealth>> {
        let (store, settings) = (Arc::clone(&self.store), self.settings.health.clone());
        let counters = Arc::clone(&self.counters);
        let load = async move {
            let facts = store.facts(&session).await?;
            Ok(session_health(&facts, &settings))
        };
        async move { counters.time(Scope::Session, load).await }.boxed()
    }

    /// What `entry` has, or what `load` gives; or where the store does not answer in time what was
    /// known last, marked. A store that failed is left alone for a while, so that readers wait for
    /// it once.
    async fn serve<V, F>(
        &self,
        entry: &Arc<Entry<V>>,
        load: F,
        stale: impl Fn(&V) -> V,
    ) -> Result<Arc<V>>
    where
        V: Send + Sync + 'static,
        F: Fn() -> BoxFuture<'static, Result<V>>,
    {
        let mut waited = None;
        for _ in 0..ROUNDS {
            let rests = self.rests();
            let (flight, last) = match entry.find(self.ages, rests, &load) {
                Found::Fresh(value) => {
                    self.counters.served(waited.is_none());
                    return Ok(value);
                }
                Found::Old(value) if rests => return Ok(self.old(&value, stale)),
                Found::Old(value) => {
                    self.counters.stale();
                    return Ok(value);
                }
                Found::Wait(flight, last) => (flight, last),
            };
            let Some(last) = last else {
                let value = flight.await;
                self.counters.waited();
                return value;
            };
            match timeout(self.settings.patience, flight).await {
                Ok(Ok(value)) => waited = Some(value),
                Ok(Err(error)) if !error.is_retryable() => return Err(error),
                Ok(Err(_)) | Err(_) => {
                    self.rest();
                    return Ok(self.old(&last, stale));
                }
            }
        }
        self.counters.waited();
        // It changed while it was computed, each time: what came of it is younger than the request.
        waited.ok_or_else(|| fleet_worker_sdk::Error::protocol("a value was computed and lost"))
    }

    fn old<V>(&self, value: &V, stale: impl Fn(&V) -> V) -> Arc<V> {
        self.counters.stale();
        Arc::new(stale(value))
    }

    fn rests(&self) -> bool {
        let until = self.rests_until.lock();
        let until = *until.unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    fn rest(&self) {
        let until = self.rests_until.lock();
        let mut until = until.unwrap_or_else(PoisonError::into_inner);
        *until = Some(Instant::now() + self.settings.patience);
    }

    async fn hear(&self, update: Update) {
        match update {
            Update::Session {
                session, version, ..
            } => {
                if let Some(entry) = self.sessions.get(&session).await {
                    entry.change(|known| known.version == version);
                }
            }
            Update::Workers | Update::Fleet => self.fleet.change(|_| false),
            Update::Resync => {
                self.fleet.change(|_| false);
                for (_, entry) in &self.sessions {
                    entry.change(|_| false);
                }
            }
        }
    }
}

async fn listen(inner: Arc<Inner>, stop: CancellationToken) {
    let mut updates = inner.store.updates();
    loop {
        let heard = tokio::select! {
            () = stop.cancelled() => return,
            heard = updates.recv() => heard,
        };
        match heard {
            Ok(update) => inner.hear(update).await,
            Err(RecvError::Lagged(_)) => inner.hear(Update::Resync).await,
            Err(RecvError::Closed) => return,
        }
    }
}

#[cfg(test)]
mod tests;
