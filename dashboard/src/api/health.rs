//! Health, each with the breakdown that explains it. Computed at most once in five seconds for
//! however many ask, and marked `stale` when the store is away. With `explain=1` each has an
//! `explanation`: the formula in words, what went in, and the sum with its numbers.
//!
//! - `GET health`: the fleet's, with each tier's and bot's: `FleetHealth`.
//! - `GET health/tiers/{tier}`: a tier's `Health` and that of its bots.
//! - `GET health/bots/{bot}`: a bot's `Health`.
//! - `GET health/repositories/{repository}`: the quality of the repository's latest-opened session
//!   of which one is known: `RepositoryHealth`. The name has slashes, escaped or not.
//! - `GET sessions/{id}/health`: a session's and its two halves: `SessionHealth`.

use std::sync::Arc;

use fleet_coordinator::answer::{Explain, Explained, HealthOf, RepositoryHealth};
use fleet_coordinator::health::Explanation;
use fleet_coordinator::view::{FleetExplanation, FleetHealth, SessionExplanation, SessionHealth};
use fleet_worker_sdk::{BotId, Repository, SessionId, Tier};
use warp::filters::BoxedFilter;
use warp::path::Tail;
use warp::reply::Response;
use warp::{Filter, path};

use super::problem::Problem;
use super::query::{Query, id};
use super::{answer, method, raw_query, with};
use crate::context::Context;

/// A health and its explanation.
type Answer<T, E> = Result<Explained<T, E>, Problem>;

pub(crate) fn routes(context: &Context) -> BoxedFilter<(Response,)> {
    let asked = || method("GET").and(raw_query()).and(with(context));
    let fleet = path!("health")
        .and(asked())
        .then(|query: String, context| async move { answer(fleet(context, &query).await) });
    let tier = path!("health" / "tiers" / String).and(asked()).then(
        |tier: String, query: String, context| async move {
            answer(tier_health(context, &tier, &query).await)
        },
    );
    let bot = path!("health" / "bots" / String).and(asked()).then(
        |bot: String, query: String, context| async move {
            answer(bot_health(context, &bot, &query).await)
        },
    );
    let repository = path!("health" / "repositories" / ..)
        .and(path::tail())
        .and(asked())
        .then(|name: Tail, query: String, context| async move {
            answer(repository_health(context, name.as_str(), &query).await)
        });
    let session = path!("sessions" / String / "health").and(asked()).then(
        |session: String, query: String, context| async move {
            answer(session_health(context, &session, &query).await)
        },
    );
    fleet
        .or(tier)
        .unify()
        .or(bot)
        .unify()
        .or(repository)
        .unify()
        .or(session)
        .unify()
        .boxed()
}

/// Whether an explanation is asked for.
fn wanted(query: &str) -> Result<bool, Problem> {
    match Query::parse(query, &["explain"])?.one("explain")? {
        None | Some("0") => Ok(false),
        Some("1") => Ok(true),
        Some(_) => Err(Problem::invalid(
            "query parameter `explain`",
            "it is neither 0 nor 1",
        )),
    }
}

async fn fleet(context: Context, query: &str) -> Answer<Arc<FleetHealth>, FleetExplanation> {
    let wanted = wanted(query)?;
    let health = context.view.fleet().await?;
    Ok(health.explained(wanted, context.view.health_settings()))
}

async fn tier_health(context: Context, tier: &str, query: &str) -> Answer<HealthOf, Explanation> {
    let wanted = wanted(query)?;
    let tier: Tier = id(tier)?;
    let seen = context.view.fleet().await?;
    let registered = context.store.bots().await?;
    let health = HealthOf::tier(&seen, registered, tier)?;
    Ok(health.explained(wanted, context.view.health_settings()))
}

async fn bot_health(context: Context, bot: &str, query: &str) -> Answer<HealthOf, Explanation> {
    let wanted = wanted(query)?;
    let bot: BotId = id(bot)?;
    let health = HealthOf::bot(&*context.view.fleet().await?, &bot)?;
    Ok(health.explained(wanted, context.view.health_settings()))
}

async fn repository_health(
    context: Context,
    name: &str,
    query: &str,
) -> Answer<RepositoryHealth, Explanation> {
    let wanted = wanted(query)?;
    let health = of_repository(&context, id(name)?).await?;
    Ok(health.explained(wanted, context.view.health_settings()))
}

/// The health of `repository`, from the view.
pub(crate) async fn of_repository(
    context: &Context,
    repository: Repository,
) -> Result<RepositoryHealth, Problem> {
    let speaker = context.store.speaker(&repository).await?;
    let speaker = speaker.ok_or_else(|| RepositoryHealth::missing(&repository))?;
    let (seen, facts) = tokio::try_join!(
        context.view.session(&speaker.session),
        context.store.facts(&speaker.session)
    )?;
    let git_ref = facts.session.git_ref;
    let settings = context.view.health_settings();
    Ok(RepositoryHealth::of(
        repository, speaker, git_ref, &seen, settings,
    ))
}

async fn session_health(
    context: Context,
    session: &str,
    query: &str,
) -> Answer<Arc<SessionHealth>, SessionExplanation> {
    let wanted = wanted(query)?;
    let session: SessionId = id(session)?;
    let health = context.view.session(&session).await?;
    Ok(health.explained(wanted, context.view.health_settings()))
}
