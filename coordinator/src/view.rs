//! The cached view that dashboards read: health, computed once for however many ask.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use fleet_worker_sdk::{BotId, Error, Result, SessionId, Tier, Version};
use futures_util::future::try_join_all;
use jiff::Timestamp;
use moka::future::Cache;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::health::{Health, Settings, bot, rollup};
use crate::lifecycle::WorkerTally;
use crate::model::{Rollup, Run, SessionFacts, Update, Worker};
use crate::store::{Read, SharedStore};

/// What the view is made with.
#[derive(Clone, Debug)]
pub struct ViewSettings {
    /// How scores are made.
    pub health: Settings,
    /// How long a computed health is served: what a hint that was lost costs at most.
    pub ttl: Duration,
    /// Sessions whose health is kept.
    pub sessions: u64,
}

impl Default for ViewSettings {
    fn default() -> Self {
        Self {
            health: Settings::default(),
            ttl: Duration::from_secs(5),
            sessions: 10_000,
        }
    }
}

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
    /// The store is away: this is what was known last.
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
    /// The store is away: this is what was known last.
    pub stale: bool,
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
    counters: Counters,
}

impl View {
    /// A view of `store`; hears its updates for as long as a clone of it lives.
    pub fn new(store: SharedStore, settings: ViewSettings) -> Self {
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
            fleet: Cache::builder()
                .max_capacity(1)
                .time_to_live(settings.ttl)
                .build(),
            sessions: sessions(Some(settings.ttl)),
            last_fleet: RwLock::default(),
            last_sessions: sessions(None),
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

    /// The fleet's health: at most as old as the TTL, or marked stale.
    ///
    /// # Errors
    /// As the store's, when nothing was known before.
    pub async fn fleet(&self) -> Result<Arc<FleetHealth>> {
        let inner = &self.inner;
        add(&inner.counters.requests);
        match inner.fleet.try_get_with((), inner.load_fleet()).await {
            Ok(health) => Ok(health),
            Err(error) => {
                let last = inner.last_fleet.read().ok().and_then(|last| last.clone());
                inner.fall_back(&error, last, |health| FleetHealth {
                    stale: true,
                    ..health
                })
            }
        }
    }

    /// A session's health: at most as old as the TTL, or marked stale.
    ///
    /// # Errors
    /// As the store's, when nothing was known before; `Error::NotFound`.
    pub async fn session(&self, session: &SessionId) -> Result<Arc<SessionHealth>> {
        let inner = &self.inner;
        add(&inner.counters.requests);
        match inner
            .sessions
            .try_get_with_by_ref(session, inner.load_session(session))
            .await
        {
            Ok(health) => Ok(health),
            Err(error) => {
                let last = inner.last_sessions.get(session).await;
                inner.fall_back(&error, last, |health| SessionHealth {
                    stale: true,
                    ..health
                })
            }
        }
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
    async fn load_fleet(&self) -> Result<Arc<FleetHealth>> {
        add(&self.counters.loads);
        let health = Arc::new(fleet_health(&*self.store, &self.settings.health).await?);
        if let Ok(mut last) = self.last_fleet.write() {
            *last = Some(Arc::clone(&health));
        }
        Ok(health)
    }

    async fn load_session(&self, session: &SessionId) -> Result<Arc<SessionHealth>> {
        add(&self.counters.loads);
        let facts = self.store.facts(session).await?;
        let health = Arc::new(session_health(&facts, &self.settings.health));
        self.last_sessions
            .insert(session.clone(), Arc::clone(&health))
            .await;
        Ok(health)
    }

    /// What was known last, marked so, when the store is away.
    fn fall_back<T: Clone>(
        &self,
        error: &Arc<Error>,
        last: Option<Arc<T>>,
        mark: impl Fn(T) -> T,
    ) -> Result<Arc<T>> {
        add(&self.counters.failures);
        match last {
            Some(last) if error.is_retryable() => {
                add(&self.counters.stale);
                Ok(Arc::new(mark(T::clone(&last))))
            }
            _ => Err(Error::clone(error)),
        }
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

/// A session's health, from its facts alone.
pub fn session_health(facts: &SessionFacts, settings: &Settings) -> SessionHealth {
    let session = &facts.session;
    let previous = session
        .derived
        .as_ref()
        .map(|derived| derived.health.status);
    let scores = rollup::session(&session.executions, &facts.counts, previous, settings);
    SessionHealth {
        session: session.id.clone(),
        version: session.version,
        health: scores.health,
        executions: scores.executions,
        quality: scores.quality,
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
        healths.insert(
            registered.id.clone(),
            bot::bot(&registered.id, runs, workers, None, now, settings),
        );
    }
    let mut tiers = BTreeMap::new();
    for &tier in Tier::ALL {
        let members = bots.iter().filter(|bot| bot.tier == tier);
        let members: BTreeMap<BotId, &Health> = members
            .filter_map(|bot| Some((bot.id.clone(), healths.get(&bot.id)?)))
            .collect();
        if !members.is_empty() {
            tiers.insert(tier, rollup::tier(&members, None, settings));
        }
    }
    Ok(FleetHealth {
        health: rollup::fleet(&healths, &tiers, &rollup, None, settings),
        tiers,
        bots: healths,
        rollup,
        workers: WorkerTally::of(&workers, now, settings),
        computed_at: now,
        stale: false,
    })
}

#[cfg(test)]
mod tests;
