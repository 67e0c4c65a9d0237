//! What is remembered beyond single sessions: series, anomalies, histories of scores.

use std::collections::BTreeMap;

use async_trait::async_trait;
use fleet_worker_sdk::{BotId, Result, SessionId};
use jiff::Timestamp;

use super::Read;
use crate::anomaly::Anomaly;
use crate::history::{Point, Scope};
use crate::model::Run;
use crate::series::{BotSeries, Marker};

/// Anomalies kept of the fleet: what people can still look through, some 200 KB.
pub const MAX_ANOMALIES: usize = 256;

/// What is read and written about how bots and scores went.
#[async_trait]
pub trait Observe: Read {
    /// What every bot usually does, as far as its runs have been folded.
    async fn series(&self) -> Result<BTreeMap<BotId, BotSeries>>;
    /// Finished executions of a bot that ended at `since` or later, of all that are kept, in order
    /// of (time, session, attempt).
    async fn runs_since(&self, bot: &BotId, since: Timestamp) -> Result<Vec<Run>>;
    /// Stores a bot's series and the anomalies found on the way (the latest [`MAX_ANOMALIES`] of
    /// them), all or nothing, if the last run applied still is `from`; says whether it was stored.
    async fn advance(
        &self,
        bot: &BotId,
        from: Option<&Marker>,
        to: &BotSeries,
        found: &[Anomaly],
    ) -> Result<bool>;
    /// Stores anomalies, each identity once; answers how many were not there yet.
    async fn note(&self, found: &[Anomaly]) -> Result<u64>;
    /// Stores anomalies in the place of those with their identities, where those still are kept;
    /// answers how many are not as they were.
    async fn amend(&self, changed: &[Anomaly]) -> Result<u64>;
    /// The latest anomalies, latest first.
    async fn anomalies(&self) -> Result<Vec<Anomaly>>;
    /// Takes a point of a score into its history, as [`Point::after`] says. A repository's is
    /// taken only while `of` is the session that speaks for it. Says whether it was taken.
    async fn record(&self, scope: &Scope, point: &Point, of: Option<&SessionId>) -> Result<bool>;
    /// The latest `limit` points of a score, oldest first.
    async fn history(&self, scope: &Scope, limit: usize) -> Result<Vec<Point>>;
}
