//! A fleet as a person asks about it: through a dashboard, or in its store. Both answer the same.

mod direct;

mod http;

use async_trait::async_trait;
use bytes::Bytes;
use fleet_worker_sdk::{BotId, Command, Repository, Result, SessionId, Tier, WorkerId};
use futures_util::stream::BoxStream;

pub use direct::DirectReader;
pub use http::HttpReader;

use crate::alert::Silence;
use crate::answer::{AlertList, AuditTrail, GivenUp, NewSilence, Silences};
use crate::answer::{AnomalyList, Bots, Explained, FindingsQuery, HealthOf, RepositoryHealth};
use crate::answer::{SessionPage, SessionView, Workers};
use crate::conserve::Conservation;
use crate::health::Explanation;
use crate::index::Page;
use crate::report::Format;
use crate::store::SessionQuery;
use crate::store::operate::{LetterId, Letters};
use crate::view::{FleetExplanation, FleetHealth, SessionExplanation, SessionHealth};

/// Most findings on one page: with the largest findings an answer stays below 13 MiB, which the
/// client of the HTTP API reads.
pub const MAX_FINDINGS: usize = 200;
/// Most sessions on one page: with the most executions an answer stays below 16 MiB.
pub const MAX_SESSIONS: usize = 200;

/// What a report is written of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportQuery {
    /// The form.
    pub format: Format,
    /// Which findings; its `limit` is not looked at.
    pub findings: FindingsQuery,
    /// At most so many findings; all when none.
    pub limit: Option<usize>,
}

/// A report as it arrives.
pub type ReportStream = BoxStream<'static, Result<Bytes>>;

/// What a person asks of a fleet. Every method fails as the store does, and with
/// `Error::NotFound` where what is named is not there.
#[async_trait]
pub trait Reader: Send + Sync {
    /// Where it reads, without secrets.
    fn address(&self) -> String;
    /// Sessions, latest change first; a limit over [`MAX_SESSIONS`] is brought down to it.
    async fn sessions(&self, query: &SessionQuery) -> Result<SessionPage>;
    /// A session's facts and the health they make.
    async fn session(&self, session: &SessionId) -> Result<SessionView>;
    /// A session's health and its halves.
    async fn session_health(&self, session: &SessionId) -> Result<SessionHealth>;
    /// A page of findings; a limit over [`MAX_FINDINGS`] is brought down to it.
    async fn findings(&self, session: &SessionId, query: &FindingsQuery) -> Result<Page>;
    /// A report, as it is written.
    async fn report(&self, session: &SessionId, query: &ReportQuery) -> Result<ReportStream>;
    /// The fleet's health, with that of tiers and bots.
    async fn health(&self) -> Result<FleetHealth>;
    /// A tier's health, with that of its bots.
    async fn tier_health(&self, tier: Tier) -> Result<HealthOf>;
    /// A bot's health.
    async fn bot_health(&self, bot: &BotId) -> Result<HealthOf>;
    /// The fleet's health, and how its scores were made.
    async fn explained_health(&self) -> Result<Explained<FleetHealth, FleetExplanation>>;
    /// A tier's health, and how it was made.
    async fn explained_tier(&self, tier: Tier) -> Result<Explained<HealthOf, Explanation>>;
    /// A bot's health, and how it was made.
    async fn explained_bot(&self, bot: &BotId) -> Result<Explained<HealthOf, Explanation>>;
    /// A session's health, and how it and its halves were made.
    async fn explained_session(
        &self,
        session: &SessionId,
    ) -> Result<Explained<SessionHealth, SessionExplanation>>;
    /// A repository's health, and where that is wanted how it was made.
    async fn repository_health(
        &self,
        repository: &Repository,
        explain: bool,
    ) -> Result<Explained<RepositoryHealth, Explanation>>;
    /// What was unusual, latest first; about one bot where one is named.
    async fn anomalies(&self, bot: Option<&BotId>) -> Result<AnomalyList>;
    /// Registered bots.
    async fn bots(&self) -> Result<Bots>;
    /// Workers, and whether they live.
    async fn workers(&self) -> Result<Workers>;
    /// Dead letters before `after`, latest first.
    async fn letters(&self, after: Option<&LetterId>, limit: usize) -> Result<Letters>;
    /// Sessions that coordinators found not to add up.
    async fn conservation(&self) -> Result<Conservation>;
    /// Alerts, most urgent first.
    async fn alerts(&self) -> Result<AlertList>;
    /// Silences, those that last longest first.
    async fn silences(&self) -> Result<Silences>;
    /// Silences some alerts from now on.
    async fn silence(&self, new: &NewSilence) -> Result<Silence>;
    /// Ends a silence.
    async fn unsilence(&self, id: &str, author: &str) -> Result<()>;
    /// Deliveries that were given up.
    async fn undelivered(&self) -> Result<GivenUp>;
    /// Puts one of them in line again.
    async fn requeue_delivery(&self, id: &str, author: &str) -> Result<()>;
    /// Forgets one of them.
    async fn discard_delivery(&self, id: &str, author: &str) -> Result<()>;
    /// Who did what of this, latest first.
    async fn audit(&self, limit: usize) -> Result<AuditTrail>;
    /// Gives a worker a command, delivered with its next beat.
    async fn command(&self, worker: &WorkerId, command: Command) -> Result<()>;
    /// Waits until something may have changed: at the next hint of a store, after a second where
    /// hints are not heard. Hints between two calls are kept.
    async fn changed(&self);
}
