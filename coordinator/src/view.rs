//! The cached view that dashboards read: health, computed once for however many ask.

mod scores;

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use fleet_worker_sdk::{Error, Result, SessionId};
use moka::future::Cache;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use scores::{FleetHealth, SessionHealth, fleet_health, session_health};

use crate::health::Settings;
use crate::model::{SessionFacts, Update};
use crate::store::SharedStore;

/// What the view is made with.
#[derive(Clone, Debug)]
pub struct ViewSettings {
    /// How scores are made.
    pub health: Settings,
    /// How long a computed health is served: what a hint that was lost costs at most.
    pub ttl: Duration,
    /// Sessions whose health is kept.
    pub sessions: u64,
    /// Where something is known already, how long the store has to answer before that is served;
    /// and how long a store that did not is left alone.
    pub patience: Duration,
}

impl Default for ViewSettings {
    fn default() -> Self {
        Self {
            health: Settings::default(),
            ttl: Duration::from_secs(5),
            // A few kilobytes each: tens of megabytes, and more than anybody looks at.
            sessions: 10_000,
            // A call of the store gives up after 5 s, in which a page would not load.
            patience: Duration::from_secs(1),
        }
    }
}

/// How the cache did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheStats {
    /// Answers asked for.
    pub requests: u64,
    /// Answers computed; the others were served from the cache or by waiting for one of these.
    pub loads: u64,
    /// Computations that failed.
    pub failures: u64,
    /// Answers served stale because the store was away.
    pub stale: u64,
}

#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    loads: AtomicU64,
    failures: AtomicU64,
    stale: AtomicU64,
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
    fleet: Cache<(), Arc<FleetHealth>>,
    sessions: Cache<SessionId, Arc<SessionHealth>>,
    last_fleet: RwLock<Option<Arc<FleetHealth>>>,
    last_sessions: Cache<SessionId, Arc<SessionHealth>>,
    /// Until when the store is left alone, since it did not answer.
    rests_until: Mutex<Option<Instant>>,
    counters: Counters,
}

impl View {
    /// A view of `store`; hears its updates for as long as a clone of it lives.
    pub fn new(store: SharedStore, settings: ViewSettings) -> Self {
        // A tenth more or less, so that processes started together do not ask together.
        let ttl = settings.ttl.mul_f64(0.9 + 0.2 * fastrand::f64());
        let sessions = |ttl| {
            let cache = Cache::builder().max_capacity(settings.sessions);
            if let Some(ttl) = ttl {
                cache.time_to_live(ttl)
            } else {
                cache
            }
            .build()
        };
        let inner = Arc::new(Inner {
            fleet: Cache::builder().max_capacity(1).time_to_live(ttl).build(),
            sessions: sessions(Some(ttl)),
            last_fleet: RwLock::default(),
            last_sessions: sessions(None),
            rests_until: Mutex::default(),
            counters: Counters::default(),
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

    /// The fleet's health: about as old as the TTL at most, or marked stale.
    ///
    /// # Errors
    /// As the store's, when nothing was known before.
    pub async fn fleet(&self) -> Result<Arc<FleetHealth>> {
        let inner = &self.inner;
        add(&inner.counters.requests);
        if let Some(hit) = inner.fleet.get(&()).await {
            return Ok(hit);
        }
        let last = inner.last_fleet.read();
        let last = last.unwrap_or_else(PoisonError::into_inner).clone();
        // Boxed, as below: a hit, which is the rule, needs no room for a load.
        let load = inner.load_fleet(last.is_some());
        let load = Box::pin(inner.fleet.try_get_with((), load));
        let stale = |health: &FleetHealth| FleetHealth {
            stale: true,
            ..health.clone()
        };
        inner.serve(load, last, stale).await
    }

    /// A session's health: about as old as the TTL at most, or marked stale.
    ///
    /// # Errors
    /// As the store's, when nothing was known before; `Error::NotFound`.
    pub async fn session(&self, session: &SessionId) -> Result<Arc<SessionHealth>> {
        let inner = &self.inner;
        add(&inner.counters.requests);
        if let Some(hit) = inner.sessions.get(session).await {
            return Ok(hit);
        }
        let last = inner.last_sessions.get(session).await;
        let load = inner.load_session(session, last.is_some());
        let load = Box::pin(inner.sessions.try_get_with_by_ref(session, load));
        let stale = |health: &SessionHealth| SessionHealth {
            stale: true,
            ..health.clone()
        };
        inner.serve(load, last, stale).await
    }

    /// The health that `facts` make, whatever is cached.
    pub fn of_facts(&self, facts: &SessionFacts) -> SessionHealth {
        session_health(facts, &self.inner.settings.health)
    }

    /// How the cache did so far.
    pub fn cache_stats(&self) -> CacheStats {
        let counters = &self.inner.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CacheStats {
            requests: read(&counters.requests),
            loads: read(&counters.loads),
            failures: read(&counters.failures),
            stale: read(&counters.stale),
        }
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Inner {
    async fn load_fleet(&self, known: bool) -> Result<Arc<FleetHealth>> {
        self.may_ask(known)?;
        add(&self.counters.loads);
        let health = fleet_health(&*self.store, &self.settings.health).await;
        let health = Arc::new(health.inspect_err(|_| add(&self.counters.failures))?);
        if let Ok(mut last) = self.last_fleet.write() {
            *last = Some(Arc::clone(&health));
        }
        Ok(health)
    }

    async fn load_session(&self, session: &SessionId, known: bool) -> Result<Arc<SessionHealth>> {
        self.may_ask(known)?;
        add(&self.counters.loads);
        let facts = self.store.facts(session).await;
        let facts = facts.inspect_err(|_| add(&self.counters.failures))?;
        let health = Arc::new(session_health(&facts, &self.settings.health));
        self.last_sessions
            .insert(session.clone(), Arc::clone(&health))
            .await;
        Ok(health)
    }

    /// What `load` gives; or where the store does not answer in time what was known `last`, marked.
    /// A store that failed is left alone for a while, so that readers wait for it once.
    async fn serve<T>(
        &self,
        load: impl Future<Output = Result<Arc<T>, Arc<Error>>>,
        last: Option<Arc<T>>,
        stale: impl Fn(&T) -> T,
    ) -> Result<Arc<T>> {
        let Some(last) = last else {
            return load.await.map_err(|error| Error::clone(&error));
        };
        if !self.rests() {
            // Pinned here, to be dropped after the rest has begun: a load that is dropped goes on
            // with the next reader, and each would ask the store again.
            let mut load = pin!(load);
            match timeout(self.settings.patience, load.as_mut()).await {
                Ok(Ok(health)) => return Ok(health),
                Ok(Err(error)) if !error.is_retryable() => return Err(Error::clone(&error)),
                Ok(Err(_)) | Err(_) => self.rest(),
            }
        }
        add(&self.counters.stale);
        Ok(Arc::new(stale(&last)))
    }

    /// Whether a load may begin: not where the store rests and something is known to serve instead.
    fn may_ask(&self, known: bool) -> Result<()> {
        if known && self.rests() {
            return Err(Error::Unavailable {
                store: self.store.address(),
                why: "it did not answer just now".to_owned(),
            });
        }
        Ok(())
    }

    fn rests(&self) -> bool {
        let until = self.rests_until.lock();
        let until = *until.unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    fn rest(&self) {
        let mut until = self
            .rests_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *until = Some(Instant::now() + self.settings.patience);
    }

    async fn hear(&self, update: Update) {
        match update {
            Update::Session { session, .. } => self.sessions.invalidate(&session).await,
            Update::Workers | Update::Fleet => self.fleet.invalidate(&()).await,
            Update::Resync => {
                self.fleet.invalidate_all();
                self.sessions.invalidate_all();
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
