//! The one task that watches the store for all clients.
//!
//! It hears hints, reads what changed, once, and publishes the new [`State`] in a watch channel,
//! which holds only the latest: that is the one slot a client has, and why a slow client costs
//! nobody anything. Without clients the hub sleeps and the store is left alone.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fleet_coordinator::model::{Session, Update};
use fleet_coordinator::store::SessionQuery;
use fleet_coordinator::telemetry;
use fleet_coordinator::view::fleet_health;
use fleet_worker_sdk::trace::TraceContext;
use fleet_worker_sdk::{Error, Result, SessionId, Version};
use futures_util::future::join_all;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::field;

use super::row::{FleetRow, SessionRow, StoreRow, WorkersRow};
use super::seats::Seats;
use super::state::{Fresh, Object, SESSIONS, Shown, State};
use crate::context::Context;

/// Everything is looked at again this often: hints are hints, and may be lost.
const RESYNC: Duration = Duration::from_secs(5);
/// Most time for one look at the store. The store's own timeouts are shorter; this is the last.
const PATIENCE: Duration = Duration::from_secs(10);
/// Changed sessions read one by one. Of more the list is read: one call, and no longer than this many.
const SINGLE_READS: usize = 8;
/// Shortest pause between two frames: one viewer sees a change at once, and never a thousand a second.
const MIN_PAUSE: Duration = Duration::from_millis(1);
/// Shortest pause between two looks at the whole fleet: every bot's runs of every partition are read
/// for it, a few milliseconds of Redis.
const FLEET_PAUSE: Duration = Duration::from_millis(250);
/// What the pause grows by a client: about what sending a frame to it costs, so that frames
/// take no more than a core. 5,000 clients reach the longest pause, 100 ms unless set.
const PAUSE_PER_CLIENT: Duration = Duration::from_micros(20);

/// Watches the store while there are clients.
pub(crate) struct Hub {
    context: Context,
    publish: watch::Sender<Arc<State>>,
    seats: Seats,
}

/// What has to be looked at again.
#[derive(Debug, Default, PartialEq, Eq)]
struct Dirty {
    sessions: BTreeSet<SessionId>,
    list: bool,
    workers: bool,
    fleet: bool,
    /// The trace of the first change among them that is part of one.
    trace: Option<TraceContext>,
    /// The oldest change of a session among them.
    oldest: Option<Version>,
}

impl Dirty {
    fn everything() -> Self {
        Self {
            sessions: BTreeSet::new(),
            list: true,
            workers: true,
            fleet: true,
            trace: None,
            oldest: None,
        }
    }

    fn any(&self) -> bool {
        *self != Self::default()
    }

    /// When there is something to do: the fleet alone waits for its own time.
    fn due(&self, next: Instant, next_fleet: Instant) -> Instant {
        if self.list || self.workers || !self.sessions.is_empty() {
            next
        } else {
            next.max(next_fleet)
        }
    }

    /// Takes all there is to do, the fleet only when it is its time.
    fn take(&mut self, fleet: bool) -> Self {
        let keep = Self {
            fleet: self.fleet && !fleet,
            ..Self::default()
        };
        let mut taken = std::mem::replace(self, keep);
        taken.fleet &= fleet;
        taken
    }

    fn note(&mut self, update: Update) {
        match update {
            Update::Session {
                session,
                version,
                trace,
            } => {
                self.trace = self.trace.or(trace);
                self.oldest = Some(
                    self.oldest
                        .map_or(version, |oldest| earlier(oldest, version)),
                );
                if !self.list {
                    self.sessions.insert(session);
                }
                if self.sessions.len() > SINGLE_READS {
                    self.list = true;
                    self.sessions.clear();
                }
            }
            Update::Workers => {
                self.workers = true;
                self.fleet = true;
            }
            Update::Fleet => self.fleet = true,
            Update::Resync => *self = Self::everything(),
        }
    }
}

impl Hub {
    pub(crate) fn new(context: Context, publish: watch::Sender<Arc<State>>, seats: Seats) -> Self {
        Self {
            context,
            publish,
            seats,
        }
    }

    /// Runs until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let watching = async {
            loop {
                self.seats.occupied().await;
                self.watch().await;
                let asleep = self.publish.borrow().asleep();
                self.publish.send_replace(Arc::new(asleep));
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = watching => {}
        }
    }

    /// Publishes changes until nobody is left to see them.
    async fn watch(&self) {
        let mut updates = self.context.store.updates();
        let mut dirty = Dirty::everything();
        let mut resync = interval(RESYNC);
        resync.set_missed_tick_behavior(MissedTickBehavior::Delay);
        resync.reset();
        let (mut next, mut next_fleet) = (Instant::now(), Instant::now());
        loop {
            tokio::select! {
                biased;
                update = hint(&mut updates) => dirty.note(update),
                // Nothing waits on an idle system: the time of the next frame has then passed.
                () = sleep_until(dirty.due(next, next_fleet)), if dirty.any() => {
                    let now = Instant::now();
                    let looked = dirty.take(now >= next_fleet);
                    if looked.fleet {
                        next_fleet = now + FLEET_PAUSE;
                    }
                    self.look(looked).await;
                    next = Instant::now() + self.pause();
                }
                _ = resync.tick() => {
                    if self.seats.count() == 0 {
                        return;
                    }
                    dirty = Dirty::everything();
                }
            }
        }
    }

    fn pause(&self) -> Duration {
        let clients = u32::try_from(self.seats.count()).unwrap_or(u32::MAX);
        let pause = PAUSE_PER_CLIENT.saturating_mul(clients).max(MIN_PAUSE);
        pause.min(self.context.settings.frame_interval)
    }

    /// Reads what is dirty and publishes what is different.
    async fn look(&self, dirty: Dirty) {
        let span = tracing::info_span!("show", trace_id = field::Empty);
        telemetry::within(span, dirty.trace, self.show(&dirty)).await;
    }

    async fn show(&self, dirty: &Dirty) {
        let read = timeout(PATIENCE, self.read(dirty)).await;
        let fresh = match read.unwrap_or_else(|_| Err(self.hung())) {
            Ok(fresh) => fresh,
            Err(error) => trouble(&error),
        };
        let next = self.publish.borrow().after(fresh);
        if let Some(next) = next {
            tracing::debug!(clients = self.seats.count(), "showed what changed");
            self.publish.send_replace(Arc::new(next));
            if let Some(oldest) = dirty.oldest {
                self.context.metrics.latency().shown(oldest);
            }
        }
    }

    fn hung(&self) -> Error {
        Error::Unavailable {
            store: self.context.store.address(),
            why: format!("it has not answered within {} s", PATIENCE.as_secs()),
        }
    }

    async fn read(&self, dirty: &Dirty) -> Result<Fresh> {
        let (sessions, workers, fleet) =
            tokio::try_join!(self.sessions(dirty), self.workers(dirty), self.fleet(dirty))?;
        let mut fresh = sessions;
        let store = StoreRow {
            reachable: true,
            why: None,
        };
        fresh.parts.extend(part("store", &store));
        fresh.parts.extend(workers);
        fresh.parts.extend(fleet);
        Ok(fresh)
    }

    async fn sessions(&self, dirty: &Dirty) -> Result<Fresh> {
        let mut fresh = Fresh::default();
        if dirty.list {
            let query = SessionQuery {
                limit: SESSIONS,
                ..SessionQuery::default()
            };
            let sessions = self.context.store.sessions(&query).await?;
            fresh.sessions = sessions.iter().filter_map(shown).collect();
            fresh.whole = true;
            return Ok(fresh);
        }
        let store = &self.context.store;
        let read = dirty
            .sessions
            .iter()
            .map(|id| async move { (id, store.session(id).await) });
        for (id, session) in join_all(read).await {
            match session {
                Ok(session) => fresh.sessions.extend(shown(&session)),
                Err(Error::NotFound { .. }) => fresh.dropped.push(id.clone()),
                Err(error) => return Err(error),
            }
        }
        Ok(fresh)
    }

    async fn workers(&self, dirty: &Dirty) -> Result<Option<(&'static str, Object)>> {
        if !dirty.workers {
            return Ok(None);
        }
        let store = &self.context.store;
        let (workers, now) = tokio::try_join!(store.workers(), store.now())?;
        let settings = self.context.view.health_settings();
        Ok(part("workers", &WorkersRow::new(&workers, now, settings)))
    }

    async fn fleet(&self, dirty: &Dirty) -> Result<Option<(&'static str, Object)>> {
        if !dirty.fleet {
            return Ok(None);
        }
        // Not through the cache: its own ear for hints may be behind ours, and then it would
        // answer with what was, for as long as nothing else changes.
        let settings = self.context.view.health_settings();
        let fleet = fleet_health(&*self.context.store, settings).await?;
        Ok(part("fleet", &FleetRow::from(&fleet)))
    }
}

/// What clients are told when the store cannot be read: they keep what they have.
fn trouble(error: &Error) -> Fresh {
    tracing::warn!(%error, "the live view cannot be brought up to date");
    let why = error.to_string();
    let store = StoreRow {
        reachable: false,
        why: Some(&why),
    };
    let mut fresh = Fresh::default();
    fresh.parts.extend(part("store", &store));
    fresh
}

/// The version of the earlier change: a version is the time of its change.
fn earlier(one: Version, other: Version) -> Version {
    if one.0 < other.0 { one } else { other }
}

/// The next hint. Lost hints ask for a look at everything; a store that has ended gives no more.
async fn hint(updates: &mut broadcast::Receiver<Update>) -> Update {
    match updates.recv().await {
        Ok(update) => update,
        Err(broadcast::error::RecvError::Lagged(_)) => Update::Resync,
        Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
    }
}

fn part(name: &'static str, value: &impl serde::Serialize) -> Option<(&'static str, Object)> {
    Some((name, object(name, value)?))
}

fn shown(session: &Session) -> Option<Shown> {
    Some(Shown {
        id: session.id.clone(),
        changed_ms: session.changed.as_millisecond(),
        object: object("session", &SessionRow::from(session))?,
    })
}

fn object(name: &str, value: &impl serde::Serialize) -> Option<Object> {
    let object = Object::new(value);
    object
        .inspect_err(
            |error| tracing::error!(%error, name, "a part of the live view cannot be written"),
        )
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet_worker_sdk::{Partition, Version};

    fn session() -> Update {
        Update::Session {
            session: SessionId::fresh(Partition(1)),
            version: Version(1),
            trace: None,
        }
    }

    #[test]
    fn many_changed_sessions_become_one_list() {
        let mut dirty = Dirty::default();
        assert!(!dirty.any());
        for _ in 0..SINGLE_READS {
            dirty.note(session());
        }
        assert_eq!(dirty.sessions.len(), SINGLE_READS);
        assert!(!dirty.list);
        for _ in 0..100 {
            dirty.note(session());
        }
        assert!(dirty.list && dirty.sessions.is_empty());
    }

    #[test]
    fn the_fleet_alone_waits_for_its_own_time() {
        let next = Instant::now();
        let next_fleet = next + FLEET_PAUSE;
        let mut dirty = Dirty::default();
        dirty.note(Update::Fleet);
        assert_eq!(dirty.due(next, next_fleet), next_fleet);
        dirty.note(session());
        assert_eq!(dirty.due(next, next_fleet), next);
        let taken = dirty.take(false);
        assert!(!taken.fleet && taken.sessions.len() == 1);
        assert!(dirty.fleet && dirty.sessions.is_empty());
        assert!(dirty.take(true).fleet && !dirty.any());
    }

    #[tokio::test]
    async fn lost_hints_ask_for_everything() {
        let (sender, mut updates) = broadcast::channel(1);
        sender.send(Update::Workers).unwrap();
        sender.send(Update::Workers).unwrap();
        let mut dirty = Dirty::default();
        dirty.note(hint(&mut updates).await);
        assert_eq!(dirty, Dirty::everything());
    }
}
