//! The coordinator: what changed is recomputed, and the dead are noticed.
//!
//! Nothing here is owned: every result is a pure function of what is stored and is written only if
//! the session is still the one it was computed from. So any number of coordinators may run; one
//! that dies leaves nothing but feed entries, which another takes over.

mod feed;

mod resync;

mod fleet;

mod workers;

mod retain;

mod reap;

mod compact;

mod conserve;

mod observe;

mod alerts;

mod loops;

mod outage;

mod counters;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use fleet_worker_sdk::{Result, SessionId, WorkerId};
use jiff::Timestamp;
use tokio::sync::Mutex;

pub use alerts::Retries;
pub use counters::{Counters, Totals};

use crate::alert::AlertSettings;
use crate::channel::Sender;
use crate::health::{Alarms, Settings, Status};
use crate::lifecycle::Liveness;
use crate::model::{Derived, Worker};
use crate::retention::Keep;
use crate::store::{Basis, SessionCursor, SharedStore};
use crate::told::Told;
use crate::view::session_summary;
use outage::Outage;

/// What a coordinator is run with.
#[derive(Clone, Debug)]
pub struct CoordinatorSettings {
    /// How scores are made.
    pub health: Settings,
    /// Longest wait for a change; a shutdown is noticed within it.
    pub wait: Duration,
    /// How often all recent sessions are looked at, whatever the feed said.
    pub resync: Duration,
    /// Sessions looked at by one resync: the hundred that changed last, and older ones in turn.
    pub resync_sessions: usize,
    /// How often workers are looked at.
    pub workers: Duration,
    /// How often the fleet's health is computed while something changes: people see a change
    /// within a quarter of a second, and a busy fleet costs ten looks a second.
    pub fleet: Duration,
    /// How often it is computed anyway, since heartbeats age.
    pub fleet_idle: Duration,
    /// How often finished runs are taken into their bots' series, and scores into their histories.
    pub observe: Duration,
    /// How alerts are raised.
    pub alerts: AlertSettings,
    /// Who is told of them.
    pub sender: Sender,
    /// How often a delivery is tried.
    pub retries: Retries,
    /// How often is looked for alerts.
    pub alert: Duration,
    /// How often is looked for deliveries.
    pub deliver: Duration,
    /// How often some sessions are counted to see whether they add up.
    pub conserve: Duration,
    /// What is kept.
    pub keep: Keep,
    /// How often what is not kept is removed.
    pub retention: Duration,
    /// A consumer of the feeds that was not heard of for so long, and holds nothing, is forgotten.
    pub reap_idle: Duration,
    /// How often such consumers are looked for.
    pub reap: Duration,
    /// How often sessions are looked for that can be compacted.
    pub compaction: Duration,
}

impl Default for CoordinatorSettings {
    fn default() -> Self {
        Self {
            health: Settings::default(),
            wait: Duration::from_secs(1),
            resync: Duration::from_secs(5),
            resync_sessions: 1_000,
            workers: Duration::from_secs(2),
            fleet: Duration::from_millis(100),
            fleet_idle: Duration::from_secs(5),
            observe: Duration::from_secs(5),
            alerts: AlertSettings::default(),
            sender: Sender::default(),
            retries: Retries::default(),
            // Holds and waits are tens of seconds.
            alert: Duration::from_secs(5),
            deliver: Duration::from_secs(1),
            // At most 200,000 findings a round: half a hundredth of Redis's time. A hundred of all
            // sessions in turn each time pass 10,000 of them in a quarter of an hour.
            conserve: Duration::from_secs(10),
            keep: Keep::default(),
            // Memory fills up in minutes at the earliest.
            retention: Duration::from_secs(30),
            // A coordinator at work is heard of every ten seconds, one that was stopped by a debugger
            // or moved with its machine is back within minutes. One forgotten too early loses
            // nothing: its next read brings it back.
            reap_idle: Duration::from_hours(1),
            // Names come with restarts: a hundred an hour at worst.
            reap: Duration::from_mins(5),
            // 100,000 findings a step, so that twenty thousand a second can be kept up with.
            compaction: Duration::from_secs(5),
        }
    }
}

/// One coordinator.
pub struct Coordinator {
    store: SharedStore,
    settings: CoordinatorSettings,
    /// Its name in the consumer group: never used twice.
    consumer: String,
    counters: Counters,
    /// Something changed since the fleet's health was computed.
    dirty: AtomicBool,
    watch: Mutex<Watch>,
    /// Workers and when they were listed, for the fleet's health.
    listed: Mutex<Option<(Timestamp, Arc<Vec<Worker>>)>>,
    /// Where the next resync goes on; after the latest sessions when there is none.
    resumed: std::sync::Mutex<Option<SessionCursor>>,
    rounds: Mutex<conserve::Rounds>,
    /// The last points of scores that this one has written.
    recorded: Mutex<observe::Recorded>,
    outage: Outage,
    /// Sessions that cannot be computed, and will not be by trying again.
    hopeless: Told,
    /// Where compaction goes on.
    compaction: Mutex<compact::Walk>,
    /// What alerts make of the fleet's health, as last looked at.
    alarms: std::sync::Mutex<Alarms>,
    /// Alerts that this process raises by itself.
    own: Mutex<alerts::Own>,
}

/// What is remembered about workers between two looks at them.
#[derive(Debug, Default)]
struct Watch {
    /// Since when the store has taken writes without a break.
    heard_since: Option<Timestamp>,
    seen: BTreeMap<WorkerId, Liveness>,
    /// Workers that have left, and whose executions have been failed.
    buried: HashSet<WorkerId>,
}

/// A session that keeps changing while it is computed is left to its next feed entry after this
/// many tries.
const TRIES: usize = 3;

impl Coordinator {
    /// A coordinator of `store`.
    pub fn new(store: SharedStore, settings: CoordinatorSettings) -> Self {
        Self {
            outage: Outage::new(store.address()),
            store,
            settings,
            hopeless: Told::default(),
            consumer: format!("coordinator-{}", uuid::Uuid::now_v7()),
            counters: Counters::default(),
            dirty: AtomicBool::new(true),
            watch: Mutex::default(),
            listed: Mutex::default(),
            rounds: Mutex::default(),
            recorded: Mutex::default(),
            resumed: std::sync::Mutex::default(),
            compaction: Mutex::default(),
            alarms: std::sync::Mutex::default(),
            own: Mutex::default(),
        }
    }

    /// What it has done so far.
    pub fn totals(&self) -> Totals {
        self.counters.totals()
    }

    /// Computes a session's health and stores it, unless it is stored already; says whether a
    /// result for the present version is stored now.
    ///
    /// # Errors
    /// As the store's.
    pub async fn recompute(&self, session: &SessionId) -> Result<bool> {
        Ok(self.compute(session).await?.is_some())
    }

    /// Whether the store served every loop that it was asked by when it was last asked.
    pub fn reaches_store(&self) -> bool {
        !self.outage.lasts()
    }

    /// When the change was that a stored result now is of; none when the session kept changing.
    async fn compute(&self, session: &SessionId) -> Result<Option<Timestamp>> {
        for _ in 0..TRIES {
            let Basis {
                session: read,
                weights,
                speaker,
            } = self.store.basis(session).await?;
            let version = read.version;
            let stored = read.derived.as_ref();
            if stored.is_some_and(|derived| derived.version == version) {
                return Ok(Some(read.changed));
            }
            let scores = session_summary(&read, &weights, &self.settings.health);
            // Two sessions of a repository computed at the same time may start from the same band
            // before; the one that speaks for it decides.
            let before = speaker.and_then(|speaker| speaker.band);
            let band = scores.quality.score;
            let band = band.map(|quality| Status::of(quality, before, &self.settings.health));
            let derived = Derived {
                version,
                health: scores.health.clone(),
                quality: scores.quality.score,
                band,
            };
            if self.store.derive(session, &derived).await? {
                self.counters.recomputed();
                tracing::debug!(
                    version = version.0,
                    quality = scores.quality.score,
                    "computed a session"
                );
                self.record_quality(&read, &scores).await?;
                return Ok(Some(read.changed));
            }
            self.counters.refused();
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
