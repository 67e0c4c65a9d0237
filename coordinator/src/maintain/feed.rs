//! From the feed to results: entries are coalesced by session, each session computed once.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;
use std::time::Duration;

use fleet_worker_sdk::trace::TraceContext;
use fleet_worker_sdk::{Error, Result, SessionId};
use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use tokio::time::{Instant, sleep};
use tracing::field;

use super::Coordinator;
use crate::model::FeedEntry;
use crate::telemetry;

/// Sessions computed at once: enough to hide round trips, few enough to leave connections free.
pub(super) const AT_ONCE: usize = 8;
/// Longest rest between two looks at the feed: what people still take for at once.
const MAX_REST: Duration = Duration::from_millis(100);
/// Work that asks for no rest: a few sessions. Of a thousand changes a second each is followed then.
const GRACE: Duration = Duration::from_millis(3);
/// The lag is measured this often at most: each time asks the store for its time.
const LAG_EVERY: Duration = Duration::from_millis(250);
/// An entry handed out more often than this is a dead letter: what it says cannot be computed.
const DELIVERIES: u32 = 5;

impl Coordinator {
    /// Takes what the feed has, waiting up to `wait` for something; answers how many sessions
    /// that were.
    ///
    /// # Errors
    /// As the store's; entries not settled then are handed out again.
    pub async fn follow_feed(&self, wait: Duration) -> Result<usize> {
        let entries = self.store.changes(&self.consumer, wait).await?;
        self.follow_entries(entries).await
    }

    /// As [`follow_feed`](Self::follow_feed); then rests for as long as the work took, but for
    /// [`GRACE`]. A flood is met with fewer looks at more changes, and leaves the store half of its
    /// time; changes that come one by one are followed without a pause.
    pub(super) async fn follow_feed_at_leisure(&self, wait: Duration) -> Result<()> {
        let entries = self.store.changes(&self.consumer, wait).await?;
        let begun = Instant::now();
        self.follow_entries(entries).await?;
        sleep(begun.elapsed().saturating_sub(GRACE).min(MAX_REST)).await;
        Ok(())
    }

    async fn follow_entries(&self, entries: Vec<FeedEntry>) -> Result<usize> {
        if entries.is_empty() {
            return Ok(0);
        }
        let taken_over = entries.iter().filter(|entry| entry.redelivered > 0).count();
        self.counters.entries(entries.len(), taken_over);
        let mut sessions: BTreeMap<SessionId, Option<TraceContext>> = BTreeMap::new();
        for entry in &entries {
            // Of several changes, the first that is part of a trace: it has waited longest.
            let trace = sessions.entry(entry.session.clone()).or_default();
            *trace = trace.or(entry.trace);
        }
        let count = sessions.len();
        let (last, entries): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .partition(|entry| entry.redelivered >= DELIVERIES);
        self.give_up(&last).await?;
        let followed = self.follow_all(sessions).await;
        let entries = self.give_up_hopeless(entries, followed.hopeless).await?;
        let (settled, left): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .partition(|entry| !followed.to_retry.contains_key(&entry.session));
        self.store.settle(&settled).await?;
        self.dirty.store(true, Ordering::Relaxed);
        self.note_lag(followed.oldest).await?;
        let mut errors = followed.to_retry;
        match left.iter().find_map(|entry| errors.remove(&entry.session)) {
            Some(error) => Err(error),
            None => Ok(count),
        }
    }

    /// Moves entries to the dead letters *before* the last look at their sessions: should that look
    /// bring the process down, it is not the next one's to fall over.
    async fn give_up(&self, last: &[FeedEntry]) -> Result<()> {
        if last.is_empty() {
            return Ok(());
        }
        let reason = format!("it was handed out more than {DELIVERIES} times and never settled");
        self.store.give_up(last, &reason).await?;
        for entry in last {
            self.counters.given_up();
            tracing::error!(session = %entry.session, redelivered = entry.redelivered, "a change was handed out too often and is a dead letter; its session is looked at once more");
        }
        Ok(())
    }

    /// Moves one entry of each session that cannot be computed to the dead letters, where its reason
    /// can be read; answers the other entries.
    async fn give_up_hopeless(
        &self,
        mut entries: Vec<FeedEntry>,
        hopeless: Vec<(SessionId, String)>,
    ) -> Result<Vec<FeedEntry>> {
        for (session, why) in hopeless {
            let place = entries.iter().position(|entry| entry.session == session);
            if let Some(place) = place {
                let entry = entries.swap_remove(place);
                self.store.give_up(&[entry], &why).await?;
                tracing::error!(%session, why, "a session cannot be computed; its change is a dead letter");
                self.hopeless.told(session.as_str(), &why);
            }
        }
        Ok(entries)
    }

    async fn follow_all(&self, sessions: BTreeMap<SessionId, Option<TraceContext>>) -> Followed {
        let mut looks = stream::iter(sessions)
            .map(|(session, trace)| async move {
                let span = tracing::info_span!("recompute", %session, trace_id = field::Empty);
                let result = telemetry::within(span, trace, self.follow(&session)).await;
                (session, result)
            })
            .buffer_unordered(AT_ONCE);
        let mut followed = Followed::default();
        while let Some((session, result)) = looks.next().await {
            match result {
                Ok(changed) => followed.oldest = earlier(followed.oldest, changed),
                Err(error) if error.is_retryable() => {
                    followed.to_retry.insert(session, error);
                }
                Err(error) => {
                    self.counters.given_up();
                    let why = error.to_string();
                    if self.hopeless.is_news(session.as_str(), &why) {
                        followed.hopeless.push((session, why));
                    }
                }
            }
        }
        followed
    }

    /// Computes a session; answers when the change was that is computed now, if one is.
    pub(super) async fn follow(&self, session: &SessionId) -> Result<Option<Timestamp>> {
        let changed = match self.compute(session).await {
            // Dropped since: nothing is left to compute.
            Err(Error::NotFound { .. }) => None,
            computed => computed?,
        };
        self.hopeless.mended(session.as_str());
        Ok(changed)
    }

    async fn note_lag(&self, oldest: Option<Timestamp>) -> Result<()> {
        if let Some(oldest) = oldest
            && self.counters.lag_is_due(LAG_EVERY)
        {
            let lag = self.store.now().await?.duration_since(oldest);
            self.counters.lag(lag.as_millis().max(0) as u64);
        }
        Ok(())
    }
}

/// What came of the sessions that the feed named.
#[derive(Default)]
struct Followed {
    /// Those that failed for now: their entries stay on the feed.
    to_retry: HashMap<SessionId, Error>,
    /// Those that never will do better, and why, where it was not told yet.
    hopeless: Vec<(SessionId, String)>,
    /// The oldest change computed.
    oldest: Option<Timestamp>,
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}
