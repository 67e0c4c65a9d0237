//! What was unusual, how scores went and how runs went, as they are asked for.

use fleet_worker_sdk::{Bot, BotId, Error, Result};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};

use crate::anomaly::Anomaly;
use crate::history::{Point, Scope};
use crate::model::Session;
use crate::store::{Observe, Read, SessionQuery};
use crate::trend::{Sample, Trends};

/// Sessions that a repository's trends are made of: what two hundred scans take to read is what one
/// page of sessions takes.
pub const SESSIONS_OF_TRENDS: usize = 200;

/// Anomalies, latest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnomalyList {
    /// They.
    pub anomalies: Vec<Anomaly>,
}

impl AnomalyList {
    /// Those that `store` keeps, of `bot` alone where one is named.
    ///
    /// # Errors
    /// As the store's.
    pub async fn read<S: Observe + ?Sized>(store: &S, bot: Option<&BotId>) -> Result<Self> {
        let mut anomalies = store.anomalies().await?;
        anomalies.retain(|anomaly| bot.is_none_or(|bot| anomaly.bot == *bot));
        Ok(Self { anomalies })
    }
}

/// How a score went, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryOf {
    /// Whose, as it is asked for: `fleet`, `bot:ID` or `repository:NAME`.
    pub scope: String,
    /// Its points.
    pub points: Vec<Point>,
}

impl HistoryOf {
    /// The latest `limit` points of `scope`.
    ///
    /// # Errors
    /// As the store's.
    pub async fn read<S: Observe + ?Sized>(store: &S, scope: &Scope, limit: usize) -> Result<Self> {
        Ok(Self {
            scope: scope.to_string(),
            points: store.history(scope, limit).await?,
        })
    }
}

/// How runs went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrendsOf {
    /// Whose, as it is asked for: `fleet`, `bot:ID` or `repository:NAME`.
    pub scope: String,
    /// How they went.
    #[serde(flatten)]
    pub trends: Trends,
}

impl TrendsOf {
    /// The trends of a bot's kept runs, of all bots' together, or of the executions in a
    /// repository's latest sessions.
    ///
    /// # Errors
    /// As the store's; `Error::NotFound` for a bot that is not registered.
    pub async fn read<S: Read + ?Sized>(store: &S, scope: &Scope) -> Result<Self> {
        let trends = match scope {
            Scope::Fleet => of_bots(store, &store.bots().await?).await?,
            Scope::Bot(bot) => {
                let bots = store.bots().await?;
                let known = bots.into_iter().find(|known| known.id == *bot);
                let known = known.ok_or_else(|| Error::not_found("bot", bot))?;
                of_bots(store, &[known]).await?
            }
            Scope::Repository(repository) => {
                let query = SessionQuery {
                    repository: Some(repository.clone()),
                    after: None,
                    limit: SESSIONS_OF_TRENDS,
                };
                of_sessions(&store.sessions(&query).await?)
            }
        };
        Ok(Self {
            scope: scope.to_string(),
            trends,
        })
    }
}

async fn of_bots<S: Read + ?Sized>(store: &S, bots: &[Bot]) -> Result<Trends> {
    let runs = try_join_all(bots.iter().map(|bot| store.runs(&bot.id))).await?;
    Ok(Trends::of(runs.iter().flatten().filter_map(Sample::of_run)))
}

/// The trends of what was executed in `sessions`.
pub fn of_sessions(sessions: &[Session]) -> Trends {
    let executions = sessions.iter().flat_map(|session| &session.executions);
    Trends::of(executions.filter_map(Sample::of_execution))
}
