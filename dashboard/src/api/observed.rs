//! What was observed over time.
//!
//! - `GET anomalies?bot=`: `{"anomalies": [Anomaly]}`, latest first: runs far from what their bot
//!   usually does, bots that went silent, workers that are stuck, versions that run side by side; with
//!   observed and expected values.
//! - `GET health/history?scope=&limit=`: `{"scope": …, "points": [Point]}`, oldest first. A scope is
//!   `fleet` (unless given), `bot:ID` or `repository:OWNER/NAME`, whose points are its quality.
//! - `GET trends?scope=`: `TrendsOf`: success rate, durations and findings over the runs that are kept.

use fleet_coordinator::answer::{AnomalyList, HistoryOf, TrendsOf};
use fleet_coordinator::history::Scope;
use fleet_worker_sdk::BotId;
use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Filter, path};

use super::problem::Problem;
use super::query::Query;
use super::{answer, method, raw_query, with};
use crate::context::Context;

/// Points of a history unless asked otherwise: a sparkline has no more pixels.
const POINTS: usize = 128;
/// Most points of one answer: all that a store keeps.
const MAX_POINTS: usize = 512;

pub(crate) fn routes(context: &Context) -> BoxedFilter<(Response,)> {
    let anomalies = path!("anomalies")
        .and(method("GET"))
        .and(with(context))
        .and(raw_query())
        .then(|context, query| async move { answer(anomalies(context, query).await) });
    let history = path!("health" / "history")
        .and(method("GET"))
        .and(with(context))
        .and(raw_query())
        .then(|context, query| async move { answer(history(context, query).await) });
    let trends = path!("trends")
        .and(method("GET"))
        .and(with(context))
        .and(raw_query())
        .then(|context, query| async move { answer(trends(context, query).await) });
    anomalies.or(history).unify().or(trends).unify().boxed()
}

async fn anomalies(context: Context, query: String) -> Result<AnomalyList, Problem> {
    let query = Query::parse(&query, &["bot"])?;
    let bot: Option<BotId> = query.read("bot")?;
    Ok(AnomalyList::read(&*context.store, bot.as_ref()).await?)
}

async fn history(context: Context, query: String) -> Result<HistoryOf, Problem> {
    let query = Query::parse(&query, &["scope", "limit"])?;
    let scope: Scope = query.read("scope")?.unwrap_or(Scope::Fleet);
    let limit = query.limit(POINTS, MAX_POINTS)?;
    Ok(HistoryOf::read(&*context.store, &scope, limit).await?)
}

async fn trends(context: Context, query: String) -> Result<TrendsOf, Problem> {
    let query = Query::parse(&query, &["scope"])?;
    let scope: Scope = query.read("scope")?.unwrap_or(Scope::Fleet);
    Ok(TrendsOf::read(&*context.store, &scope).await?)
}
