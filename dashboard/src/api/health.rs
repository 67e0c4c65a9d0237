//! Health, each with the breakdown that explains it. Computed at most once in five seconds for
//! however many ask, and marked `stale` when the store is away.
//!
//! - `GET health`: the fleet's, with each tier's and bot's: `FleetHealth`.
//! - `GET health/tiers/{tier}`: a tier's `Health` and that of its bots.
//! - `GET health/bots/{bot}`: a bot's `Health`.
//! - `GET sessions/{id}/health`: a session's and its two halves: `SessionHealth`.

use std::sync::Arc;

use fleet_coordinator::answer::HealthOf;
use fleet_coordinator::view::{FleetHealth, SessionHealth};
use fleet_worker_sdk::{BotId, SessionId, Tier};
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

async fn fleet(context: Context) -> Result<Arc<FleetHealth>, Problem> {
    Ok(context.view.fleet().await?)
}

async fn tier_health(context: Context, tier: String) -> Result<HealthOf, Problem> {
    let tier: Tier = id(&tier)?;
    let seen = context.view.fleet().await?;
    let registered = context.store.bots().await?;
    Ok(HealthOf::tier(&seen, registered, tier)?)
}

async fn bot_health(context: Context, bot: String) -> Result<HealthOf, Problem> {
    let bot: BotId = id(&bot)?;
    Ok(HealthOf::bot(&*context.view.fleet().await?, &bot)?)
}

async fn session_health(context: Context, session: String) -> Result<Arc<SessionHealth>, Problem> {
    let session: SessionId = id(&session)?;
    Ok(context.view.session(&session).await?)
}
