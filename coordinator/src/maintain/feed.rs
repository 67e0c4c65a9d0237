//! From the feed to results: entries are coalesced by session, each session computed once.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fleet_worker_sdk::{Error, Result, SessionId};
use futures_util::stream::{self, StreamExt};

use super::Coordinator;
use crate::model::FeedEntry;
use crate::store::{SessionCursor, SessionQuery};

/// Sessions computed at once: enough to hide round trips, few enough to leave connections free.
const AT_ONCE: usize = 8;
/// An entry handed out more often than this is given up: what it says cannot be computed.
const DELIVERIES: u32 = 5;
/// Sessions read by one step of a resync.
const PAGE: usize = 100;

impl Coordinator {
    /// Takes what the feed has, waiting up to `wait` for something; answers how many sessions
    /// that were.
    ///
    /// # Errors
    /// As the store's; entries not settled then are handed out again.
    pub async fn follow_feed(&self, wait: Duration) -> Result<usize> {
        let entries = self.store.changes(&self.consumer, wait).await?;
        if entries.is_empty() {
            return Ok(0);
        }
        let taken_over = entries.iter().filter(|entry| entry.redelivered > 0).count();
        self.counters.entries(entries.len(), taken_over);
        let sessions: BTreeSet<SessionId> = entries.iter().map(|e| e.session.clone()).collect();
        let count = sessions.len();
        let results: Vec<(SessionId, Result<()>)> = stream::iter(sessions)
            .map(|session| async move {
                let result = self.follow(&session).await;
                (session, result)
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let failed: Vec<(SessionId, Error)> = results
            .into_iter()
            .filter_map(|(session, result)| Some((session, result.err()?)))
            .collect();
        let (settled, left): (Vec<FeedEntry>, Vec<FeedEntry>) = entries
            .into_iter()
            .partition(|entry| settles(entry, &failed));
        self.store.settle(&settled).await?;
        self.dirty.store(true, Ordering::Relaxed);
        match failed
            .into_iter()
            .find(|(session, _)| left.iter().any(|e| e.session == *session))
        {
            Some((_, error)) => Err(error),
            None => Ok(count),
        }
    }

    async fn follow(&self, session: &SessionId) -> Result<()> {
        match self.recompute(session).await {
            // Dropped since: nothing is left to compute.
            Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Looks at the sessions that changed last, and computes those without a present result;
    /// answers how many those were. Repairs whatever the feed lost.
    ///
    /// # Errors
    /// As the store's.
    pub async fn resync(&self) -> Result<usize> {
        let mut after: Option<SessionCursor> = None;
        let (mut seen, mut repaired) = (0, 0);
        while seen < self.settings.resync_sessions {
            let query = SessionQuery {
                repository: None,
                after,
                limit: PAGE,
            };
            let sessions = self.store.sessions(&query).await?;
            for session in &sessions {
                let derived = session.derived.as_ref();
                if derived.is_none_or(|derived| derived.version != session.version) {
                    self.follow(&session.id).await?;
                    self.counters.repaired();
                    repaired += 1;
                }
            }
            seen += sessions.len();
            let Some(last) = sessions.last().filter(|_| sessions.len() == PAGE) else {
                break;
            };
            let changed_ms = last.changed.as_millisecond();
            after = Some(SessionCursor {
                changed_ms,
                session: last.id.clone(),
            });
        }
        if repaired > 0 {
            self.dirty.store(true, Ordering::Relaxed);
        }
        Ok(repaired)
    }
}

/// Whether an entry is done with: its session was computed, or cannot be.
fn settles(entry: &FeedEntry, failed: &[(SessionId, Error)]) -> bool {
    let Some((session, error)) = failed.iter().find(|(session, _)| *session == entry.session)
    else {
        return true;
    };
    let given_up = !error.is_retryable() || entry.redelivered >= DELIVERIES;
    if given_up {
        tracing::error!(%session, %error, redelivered = entry.redelivered, "a session cannot be computed");
    }
    given_up
}
