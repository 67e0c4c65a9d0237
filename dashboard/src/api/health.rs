//! Health, each with the breakdown that explains it. Computed at most once in five seconds for
//! however many ask, and marked `stale` when the store is away.
//!
//! - `GET health`: the fleet's, with each tier's and bot's: `FleetHealth`.
//! - `GET health/tiers/{tier}`: a tier's `Health` and that of its bots.
//! - `GET health/bots/{bot}`: a bot's `Health`.
//! - `GET sessions/{id}/health`: a session's and its two halves: `SessionHealth`.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleet_coordinator::health::Health;
use fleet_coordinator::view::{FleetHealth, SessionHealth};
use fleet_worker_sdk::{BotId, Error, SessionId, Tier};
use serde::Serialize;
use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Filter, path};

use super::problem::Problem;
use super::query::id;
use super::{answer, method, with};
use crate::context::Context;

pub(crate) fn routes(context: &Context) -> BoxedFilter<(Response,)> {
    let fleet = path!("health")
        .and(method("GET"))
        .and(with(context))
        .then(|context| async move { answer(fleet(context).await) });
    let tier = path!("health" / "tiers" / String)
        .and(method("GET"))
        .and(with(context))
        .then(|tier, context| async move { answer(tier_health(context, tier).await) });
    let bot = path!("health" / "bots" / String)
        .and(method("GET"))
        .and(with(context))
        .then(|bot, context| async move { answer(bot_health(context, bot).await) });
    let session = path!("sessions" / String / "health")
        .and(method("GET"))
        .and(with(context))
        .then(|session, context| async move { answer(session_health(context, session).await) });
    fleet
        .or(tier)
        .unify()
        .or(bot)
        .unify()
        .or(session)
        .unify()
        .boxed()
}

/// A bot, or a tier with its bots.
#[derive(Serialize)]
struct Of {
    #[serde(flatten)]
    health: Health,
    /// The tier's bots; none for a bot.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    bots: BTreeMap<BotId, Health>,
    /// The store is away: this is what was known last.
    stale: bool,
}

async fn fleet(context: Context) -> Result<Arc<FleetHealth>, Problem> {
    Ok(context.view.fleet().await?)
}

async fn tier_health(context: Context, tier: String) -> Result<Of, Problem> {
    let tier: Tier = id(&tier)?;
    let seen = context.view.fleet().await?;
    let health = seen.tiers.get(&tier).cloned();
    let health = health.ok_or_else(|| Error::not_found("bot in tier", tier))?;
    let registered = context.store.bots().await?;
    let members = registered.into_iter().filter(|bot| bot.tier == tier);
    let bots = members.filter_map(|bot| {
        let health = seen.bots.get(&bot.id).cloned()?;
        Some((bot.id, health))
    });
    Ok(Of {
        health,
        bots: bots.collect(),
        stale: seen.stale,
    })
}

async fn bot_health(context: Context, bot: String) -> Result<Of, Problem> {
    let bot: BotId = id(&bot)?;
    let seen = context.view.fleet().await?;
    let health = seen.bots.get(&bot).cloned();
    Ok(Of {
        health: health.ok_or_else(|| Error::not_found("bot", bot))?,
        bots: BTreeMap::new(),
        stale: seen.stale,
    })
}

async fn session_health(context: Context, session: String) -> Result<Arc<SessionHealth>, Problem> {
    let session: SessionId = id(&session)?;
    Ok(context.view.session(&session).await?)
}
