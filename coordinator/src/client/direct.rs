//! A fleet read in its store.

use async_trait::async_trait;
use fleet_worker_sdk::{BotId, Command, Repository, Result, SessionId, Tier, WorkerId};
use futures_util::StreamExt;
use tokio::sync::Mutex;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::{MAX_FINDINGS, MAX_SESSIONS, Reader, ReportQuery, ReportStream};
use crate::alert::{self, Silence};
use crate::answer::{AlertList, AuditTrail, GivenUp, NewSilence, Silences};
use crate::answer::{AnomalyList, Bots, Explain, Explained, FindingsQuery, HealthOf};
use crate::answer::{Reporting, RepositoryHealth, SessionPage, SessionView, Workers};
use crate::conserve::Conservation;
use crate::health::{Explanation, Settings};
use crate::index::Page;
use crate::model::Update;
use crate::store::operate::{LetterId, Letters};
use crate::store::{SessionQuery, SharedStore};
use crate::view::{FleetExplanation, FleetHealth, SessionExplanation, SessionHealth};
use crate::view::{fleet_health, session_health};

/// Reads a store, and makes of it what a dashboard would.
pub struct DirectReader {
    store: SharedStore,
    settings: Settings,
    updates: Mutex<Receiver<Update>>,
}

impl DirectReader {
    /// A reader of `store`, with the scores that `settings` make. Hears its hints from now on.
    pub fn new(store: SharedStore, settings: Settings) -> Self {
        Self {
            updates: Mutex::new(store.updates()),
            store,
            settings,
        }
    }
}

#[async_trait]
impl Reader for DirectReader {
    fn address(&self) -> String {
        self.store.address()
    }

    async fn sessions(&self, query: &SessionQuery) -> Result<SessionPage> {
        let query = SessionQuery {
            limit: query.limit.clamp(1, MAX_SESSIONS),
            ..query.clone()
        };
        SessionPage::read(&*self.store, &query).await
    }

    async fn session(&self, session: &SessionId) -> Result<SessionView> {
        let facts = self.store.facts(session).await?;
        Ok(SessionView::of(facts, &self.settings))
    }

    async fn session_health(&self, session: &SessionId) -> Result<SessionHealth> {
        let facts = self.store.facts(session).await?;
        Ok(session_health(&facts, &self.settings))
    }

    async fn findings(&self, session: &SessionId, query: &FindingsQuery) -> Result<Page> {
        let mut query = query.clone();
        query.page.limit = query.page.limit.clamp(1, MAX_FINDINGS);
        query.read(&*self.store, session).await
    }

    async fn report(&self, session: &SessionId, query: &ReportQuery) -> Result<ReportStream> {
        let ReportQuery {
            format,
            findings,
            limit,
        } = query;
        let report = Reporting::begin(
            &*self.store,
            &self.settings,
            session,
            *format,
            findings,
            *limit,
        );
        let parts = futures_util::stream::try_unfold(report.await?, |mut report| async {
            let part = report.next().await?;
            Ok(part.map(|part| (part.into(), report)))
        });
        Ok(parts.boxed())
    }

    async fn health(&self) -> Result<FleetHealth> {
        fleet_health(&*self.store, &self.settings).await
    }

    async fn tier_health(&self, tier: Tier) -> Result<HealthOf> {
        let (fleet, bots) = tokio::try_join!(self.health(), self.store.bots())?;
        HealthOf::tier(&fleet, bots, tier)
    }

    async fn bot_health(&self, bot: &BotId) -> Result<HealthOf> {
        HealthOf::bot(&self.health().await?, bot)
    }

    async fn explained_health(&self) -> Result<Explained<FleetHealth, FleetExplanation>> {
        Ok(self.health().await?.explained(true, &self.settings))
    }

    async fn explained_tier(&self, tier: Tier) -> Result<Explained<HealthOf, Explanation>> {
        let health = self.tier_health(tier).await?;
        Ok(health.explained(true, &self.settings))
    }

    async fn explained_bot(&self, bot: &BotId) -> Result<Explained<HealthOf, Explanation>> {
        let health = self.bot_health(bot).await?;
        Ok(health.explained(true, &self.settings))
    }

    async fn explained_session(
        &self,
        session: &SessionId,
    ) -> Result<Explained<SessionHealth, SessionExplanation>> {
        let health = self.session_health(session).await?;
        Ok(health.explained(true, &self.settings))
    }

    async fn repository_health(
        &self,
        repository: &Repository,
        explain: bool,
    ) -> Result<Explained<RepositoryHealth, Explanation>> {
        let speaker = self.store.speaker(repository).await?;
        let speaker = speaker.ok_or_else(|| RepositoryHealth::missing(repository))?;
        let facts = self.store.facts(&speaker.session).await?;
        let (repository, settings) = (repository.clone(), &self.settings);
        let seen = session_health(&facts, settings);
        let git_ref = facts.session.git_ref;
        let health = RepositoryHealth::of(repository, speaker, git_ref, &seen, settings);
        Ok(health.explained(explain, settings))
    }

    async fn anomalies(&self, bot: Option<&BotId>) -> Result<AnomalyList> {
        AnomalyList::read(&*self.store, bot).await
    }

    async fn bots(&self) -> Result<Bots> {
        let bots = self.store.bots().await?;
        Ok(Bots { bots })
    }

    async fn workers(&self) -> Result<Workers> {
        Workers::read(&*self.store, &self.settings).await
    }

    async fn letters(&self, after: Option<&LetterId>, limit: usize) -> Result<Letters> {
        self.store.letters(after, limit).await
    }

    async fn conservation(&self) -> Result<Conservation> {
        Ok(Conservation::of(self.store.mismatches().await?))
    }

    async fn alerts(&self) -> Result<AlertList> {
        AlertList::read(&*self.store).await
    }

    async fn silences(&self) -> Result<Silences> {
        Silences::read(&*self.store).await
    }

    async fn silence(&self, new: &NewSilence) -> Result<Silence> {
        new.store(&*self.store).await
    }

    async fn unsilence(&self, id: &str, author: &str) -> Result<()> {
        self.store.unsilence(id, &alert::author(author)?).await
    }

    async fn undelivered(&self) -> Result<GivenUp> {
        let undelivered = self.store.undelivered().await?;
        Ok(GivenUp { undelivered })
    }

    async fn requeue_delivery(&self, id: &str, author: &str) -> Result<()> {
        self.store
            .requeue_delivery(id, &alert::author(author)?)
            .await
    }

    async fn discard_delivery(&self, id: &str, author: &str) -> Result<()> {
        self.store
            .discard_delivery(id, &alert::author(author)?)
            .await
    }

    async fn audit(&self, limit: usize) -> Result<AuditTrail> {
        let audit = self.store.audit(limit).await?;
        Ok(AuditTrail { audit })
    }

    async fn command(&self, worker: &WorkerId, command: Command) -> Result<()> {
        self.store.command(worker, command).await
    }

    async fn changed(&self) {
        let mut updates = self.updates.lock().await;
        if let Err(RecvError::Closed) = updates.recv().await {
            // No more hints will come; the caller looks again by its own clock.
            std::future::pending::<()>().await;
        }
        // All that came at once is one reason to look.
        while let Ok(_) | Err(TryRecvError::Lagged(_)) = updates.try_recv() {}
    }
}
