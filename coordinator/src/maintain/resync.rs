//! Sessions without a present result are found, whatever the feed said of them.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use fleet_worker_sdk::Result;
use futures_util::stream::{self, StreamExt};

use super::Coordinator;
use super::feed::AT_ONCE;
use crate::model::Session;
use crate::store::{SessionCursor, SessionQuery};

/// Sessions read by one step of a resync.
const PAGE: usize = 100;

impl Coordinator {
    /// Looks at the sessions that changed last, then at older ones from where the resync before
    /// stopped, and computes those without a present result; answers how many it repaired.
    ///
    /// Looking at the latest only would never find one that was missed in a busy hour; looking at
    /// all every few seconds would read a large fleet for nothing. A thousand every 5 s pass
    /// 100,000 sessions in nine minutes.
    ///
    /// # Errors
    /// As the store's when it is away. A session that cannot be computed holds up no other.
    pub async fn resync(&self) -> Result<usize> {
        let (mut repaired, older) = self.resync_page(None).await?;
        let mut at = self.resumed().or(older);
        let mut seen = PAGE;
        while seen < self.settings.resync_sessions
            && let Some(after) = at.take()
        {
            let (found, next) = self.resync_page(Some(after)).await?;
            repaired += found;
            seen += PAGE;
            at = next;
        }
        *self.resumed.lock().unwrap_or_else(PoisonError::into_inner) = at;
        if repaired > 0 {
            self.dirty.store(true, Ordering::Relaxed);
        }
        Ok(repaired)
    }

    fn resumed(&self) -> Option<SessionCursor> {
        let resumed = self.resumed.lock();
        resumed.unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn resync_page(
        &self,
        after: Option<SessionCursor>,
    ) -> Result<(usize, Option<SessionCursor>)> {
        let query = SessionQuery {
            repository: None,
            after,
            limit: PAGE,
        };
        let sessions = self.store.sessions(&query).await?;
        let next = sessions.last().filter(|_| sessions.len() == PAGE);
        let next = next.map(SessionCursor::from);
        let outdated: Vec<_> = sessions
            .iter()
            .filter(|session| !is_current(session))
            .map(|session| self.repair(session))
            .collect();
        let mut repairs = stream::iter(outdated).buffer_unordered(AT_ONCE);
        let mut repaired = 0;
        while let Some(done) = repairs.next().await {
            repaired += usize::from(done?);
        }
        Ok((repaired, next))
    }

    async fn repair(&self, session: &Session) -> Result<bool> {
        match self.follow(&session.id).await {
            Ok(changed) => {
                if changed.is_some() {
                    self.counters.repaired();
                }
                Ok(changed.is_some())
            }
            Err(error) if error.is_retryable() => Err(error),
            Err(error) => {
                // Its feed entry has said so aloud; here it would be said every few seconds.
                self.counters.failed();
                tracing::debug!(session = %session.id, %error, "a session still cannot be computed");
                Ok(false)
            }
        }
    }
}

fn is_current(session: &Session) -> bool {
    let derived = session.derived.as_ref();
    derived.is_some_and(|derived| derived.version == session.version)
}
