//! Sessions that nobody works at any more are rewritten into what takes less memory.

use fleet_worker_sdk::{Error, Result};
use jiff::{SignedDuration, Timestamp};

use super::Coordinator;
use crate::model::Session;
use crate::store::{Compacted, SessionCursor};

/// Sessions read by one step of it.
const PAGE: usize = 100;
/// Pages looked at in one go, so that other work gets its turn: most sessions need no more than a look.
const PAGES: usize = 10;
/// Findings rewritten in one go, a second's work of a core at most; a larger session is one go.
const FINDINGS: u64 = 100_000;
/// A walk begins anew after this, for what could not be compacted when it was passed.
const ANEW: SignedDuration = SignedDuration::from_hours(1);

/// How far compaction has come, in the order of last changes: a session that changes moves to the end,
/// and is met again there.
#[derive(Debug, Default)]
pub(super) struct Walk {
    begun: Option<Timestamp>,
    after: Option<SessionCursor>,
}

impl Coordinator {
    /// Compacts what has been quiet for long enough, up to the bounds of one go; answers how many
    /// sessions. Any number of coordinators may do so: of two that rewrite the same one wins.
    ///
    /// # Errors
    /// As the store's; the next go begins with the session that it failed at.
    pub async fn compact(&self) -> Result<usize> {
        if self.settings.keep.compact_after.is_none() {
            return Ok(0);
        }
        let now = self.store.now().await?;
        let mut walk = self.compaction.lock().await;
        if walk
            .begun
            .is_none_or(|begun| now.duration_since(begun) > ANEW)
        {
            *walk = Walk {
                begun: Some(now),
                after: None,
            };
        }
        let (mut compacted, mut findings) = (0, 0);
        for _ in 0..PAGES {
            let page = self.store.oldest(walk.after.as_ref(), PAGE).await?;
            for session in &page {
                // What follows changed later still.
                if findings > FINDINGS || !self.settings.keep.is_quiet(session, now) {
                    return Ok(compacted);
                }
                if self.compact_one(session, now).await? {
                    compacted += 1;
                    findings += session.total;
                }
                walk.after = Some(SessionCursor::from(session));
            }
            if page.len() < PAGE {
                break;
            }
        }
        Ok(compacted)
    }

    /// Whether it was rewritten. One that cannot be is told of and passed; a store that is away is an
    /// error.
    async fn compact_one(&self, session: &Session, now: Timestamp) -> Result<bool> {
        if self.settings.keep.is_at_work(session, now) {
            return Ok(false);
        }
        let id = &session.id;
        match self.store.compact_session(id, session.version).await {
            Ok(Compacted::Done { before, after }) => {
                self.counters.compacted(before.saturating_sub(after));
                tracing::debug!(session = %id, before, after, "a session was compacted");
                Ok(true)
            }
            Ok(Compacted::Left | Compacted::Moved) | Err(Error::NotFound { .. }) => Ok(false),
            Err(error) if error.is_retryable() => Err(error),
            Err(error) => {
                tracing::warn!(session = %id, %error, "a session could not be compacted");
                Ok(false)
            }
        }
    }
}
