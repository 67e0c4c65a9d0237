//! Whether every session adds up, looked at all the time.
//!
//! A round looks at the sessions that are known not to add up, at those that changed since they were
//! last looked at, and at the next of all the others in turn; so a fault is found within seconds where
//! somebody works, and within one walk anywhere. A mismatch is seen twice before it is told of, and
//! told of once, by the coordinator that stored it.

use std::collections::{HashMap, HashSet};

use fleet_worker_sdk::{Error, Result, SessionId, Version};
use jiff::Timestamp;

use super::Coordinator;
use crate::conserve::{Conservation, Mismatch};
use crate::model::Session;
use crate::store::{SessionCursor, SessionQuery};

/// Sessions of one page of a walk.
const PAGE: usize = 100;
/// Findings counted by each half of a round, the sessions that changed and the others: their batches
/// lie in Redis's hands meanwhile, 25 MB, which takes it some 25 ms. What is left is the next round's.
const FINDINGS: u64 = 100_000;
/// Mismatches looked at again by one round; all take eight.
const KNOWN: usize = 32;
/// Sessions remembered as looked at, those that changed last: 1 MB. Beyond, all are forgotten and
/// looked at once more.
const REMEMBERED: usize = 10_000;

/// What is remembered between rounds.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    /// The version at which a session was looked at last.
    seen: HashMap<SessionId, Version>,
    /// Where the walk over all sessions goes on.
    after: Option<SessionCursor>,
}

impl Coordinator {
    /// One round; answers what does not add up now.
    ///
    /// # Errors
    /// As the store's when it is away. A session that cannot be counted holds up no other.
    pub async fn conserve(&self) -> Result<Conservation> {
        let mut rounds = self.rounds.lock().await;
        let mut known = self.store.mismatches().await?;
        fastrand::shuffle(&mut known);
        let since: HashMap<SessionId, Timestamp> = known
            .iter()
            .map(|mismatch| (mismatch.account.session.clone(), mismatch.since))
            .collect();
        let mut looked: HashSet<SessionId> = HashSet::new();
        for mismatch in known.iter().take(KNOWN) {
            let session = &mismatch.account.session;
            self.look_at(session, &since).await?;
            looked.insert(session.clone());
        }
        self.look_at_changed(&mut rounds, &mut looked, &since)
            .await?;
        self.walk_on(&mut rounds, &mut looked, &since).await?;
        let conservation = Conservation::of(self.store.mismatches().await?);
        self.counters.mismatched(conservation.mismatched);
        Ok(conservation)
    }

    /// The sessions that changed last, as far as they have since they were looked at.
    async fn look_at_changed(
        &self,
        rounds: &mut Rounds,
        looked: &mut HashSet<SessionId>,
        since: &HashMap<SessionId, Timestamp>,
    ) -> Result<()> {
        let sessions = self.conserve_page(None).await?;
        let changed = sessions
            .iter()
            .filter(|session| rounds.seen.get(&session.id) != Some(&session.version));
        let changed: Vec<&Session> = changed.collect();
        let mut findings = 0;
        for session in changed {
            findings += session.total;
            self.look_once(session, looked, since).await?;
            rounds.remember(session);
            if findings > FINDINGS {
                break;
            }
        }
        Ok(())
    }

    /// The next of all sessions, latest change first, over and over.
    async fn walk_on(
        &self,
        rounds: &mut Rounds,
        looked: &mut HashSet<SessionId>,
        since: &HashMap<SessionId, Timestamp>,
    ) -> Result<()> {
        let sessions = self.conserve_page(rounds.after.clone()).await?;
        let mut findings = 0;
        for session in &sessions {
            findings += session.total;
            self.look_once(session, looked, since).await?;
            rounds.remember(session);
            rounds.after = Some(SessionCursor::from(session));
            if findings > FINDINGS {
                return Ok(());
            }
        }
        if sessions.len() < PAGE {
            rounds.after = None;
        }
        Ok(())
    }

    async fn conserve_page(&self, after: Option<SessionCursor>) -> Result<Vec<Session>> {
        let query = SessionQuery {
            repository: None,
            after,
            limit: PAGE,
        };
        self.store.sessions(&query).await
    }

    async fn look_once(
        &self,
        session: &Session,
        looked: &mut HashSet<SessionId>,
        since: &HashMap<SessionId, Timestamp>,
    ) -> Result<()> {
        if looked.insert(session.id.clone()) {
            self.look_at(&session.id, since).await?;
        }
        Ok(())
    }

    /// Looks at one session, and keeps or forgets what is wrong with it.
    async fn look_at(
        &self,
        session: &SessionId,
        since: &HashMap<SessionId, Timestamp>,
    ) -> Result<()> {
        let known = since.get(session).copied();
        match self.mismatch(session, known).await {
            Ok(Some(mismatch)) => self.tell(&mismatch).await,
            Ok(None) if known.is_some() => {
                tracing::info!(%session, "a session adds up again");
                self.store.forget_mismatch(session).await
            }
            Err(Error::NotFound { .. }) if known.is_some() => {
                self.store.forget_mismatch(session).await
            }
            Ok(None) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) if error.is_retryable() => Err(error),
            Err(error) => {
                self.counters.failed();
                tracing::warn!(%session, %error, "a session could not be counted");
                Ok(())
            }
        }
    }

    /// What is wrong with a session when it is looked at twice.
    async fn mismatch(
        &self,
        session: &SessionId,
        known: Option<Timestamp>,
    ) -> Result<Option<Mismatch>> {
        let account = self.store.account(session).await?;
        self.counters.conserved();
        if account.faults().is_empty() {
            return Ok(None);
        }
        let again = self.store.account(session).await?;
        let since = match known {
            Some(since) => since,
            None => self.store.now().await?,
        };
        Ok(Mismatch::of(again, since))
    }

    async fn tell(&self, mismatch: &Mismatch) -> Result<()> {
        let new = self.store.note_mismatch(mismatch).await?;
        if new {
            let account = &mismatch.account;
            tracing::error!(
                session = %account.session,
                repository = %account.repository,
                numbers = %account.text(),
                faults = %mismatch.text(),
                repair = %format!("fleet conserve repair {}", account.session),
                "a session does not add up: findings were lost, counted twice or made up"
            );
        }
        Ok(())
    }
}

impl Rounds {
    fn remember(&mut self, session: &Session) {
        if self.seen.len() >= REMEMBERED {
            self.seen.clear();
        }
        self.seen.insert(session.id.clone(), session.version);
    }
}
