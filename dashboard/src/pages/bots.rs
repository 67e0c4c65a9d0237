//! `GET /bots`: every registered bot, by tier in execution order, with its health and latest runs.

use askama::Template;
use fleet_coordinator::history::Scope;
use fleet_coordinator::model::{Run, Worker};
use fleet_coordinator::view::FleetHealth;
use fleet_worker_sdk::{Bot, Tier, WorkerState};
use futures_util::future::try_join_all;
use jiff::Timestamp;
use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Filter, path};

use super::frame::{Frame, Place};
use super::page;
use super::runs::{Chart, RunShown};
use super::show::{reason, status};
use super::spark::Spark;
use super::words::{Count, cut, number};
use crate::api::problem::Problem;
use crate::api::query::Query;
use crate::api::{method, raw_query, with};
use crate::context::Context;

/// Bots listed: a roster is a few dozen, and the runs of each are read.
const BOTS: usize = 200;
/// Longest version or description shown, in characters.
const TEXT: usize = 200;

pub(crate) fn routes(context: &Context) -> BoxedFilter<(Response,)> {
    path!("bots")
        .and(method("GET"))
        .and(with(context))
        .and(raw_query())
        .then(|context, query| async move { page(list(context, query).await) })
        .boxed()
}

#[derive(Template)]
#[template(path = "bots.html")]
struct BotsPage {
    frame: Frame,
    tiers: Vec<TierBots>,
    total: Count,
    further: usize,
    stale: bool,
}

/// The bots of a tier.
struct TierBots {
    tier: Tier,
    bots: Vec<BotRow>,
}

/// A bot as a row.
struct BotRow {
    id: String,
    version: String,
    description: String,
    external: bool,
    score: String,
    status: &'static str,
    reason: String,
    workers: Count,
    /// How its score went.
    spark: Option<Spark>,
    chart: Option<Chart>,
    last: Option<RunShown>,
}

async fn list(context: Context, query: String) -> Result<BotsPage, Problem> {
    Query::parse(&query, &[])?;
    let seen = context.view.fleet().await?;
    let mut bots = context.store.bots().await?;
    let workers = context.store.workers().await?;
    let total = bots.len();
    bots.truncate(BOTS);
    let runs = try_join_all(bots.iter().map(|bot| context.store.runs(&bot.id))).await?;
    let scopes: Vec<Scope> = bots.iter().map(|bot| Scope::Bot(bot.id.clone())).collect();
    let sparks = try_join_all(scopes.iter().map(|scope| Spark::read(&context, scope))).await?;
    let frame = Frame::new(Place::Bots, true).hearing("fleet workers");
    let rows: Vec<(Tier, BotRow)> = bots
        .iter()
        .zip(&runs)
        .zip(sparks)
        .map(|((bot, runs), spark)| {
            let row = row(bot, runs, &workers, &seen, frame.now);
            (bot.tier, BotRow { spark, ..row })
        })
        .collect();
    Ok(BotsPage {
        tiers: by_tier(rows),
        total: Count::of(total),
        further: total.saturating_sub(BOTS),
        stale: seen.stale,
        frame,
    })
}

fn row(bot: &Bot, runs: &[Run], workers: &[Worker], seen: &FleetHealth, now: Timestamp) -> BotRow {
    let health = seen.bots.get(&bot.id);
    let at_work = workers
        .iter()
        .filter(|worker| worker.bot == bot.id && worker.state != WorkerState::Stopped);
    BotRow {
        id: bot.id.to_string(),
        version: cut(&bot.version, TEXT),
        description: cut(&bot.description, TEXT),
        external: bot.external,
        score: number(health.and_then(|health| health.score)),
        status: health.map_or("unknown", |health| status(health.status)),
        reason: health
            .map(|health| reason(health).to_owned())
            .unwrap_or_default(),
        workers: Count::of(at_work.count()),
        spark: None,
        chart: Chart::of(runs),
        last: runs.last().map(|run| RunShown::new(run, now)),
    }
}

fn by_tier(rows: Vec<(Tier, BotRow)>) -> Vec<TierBots> {
    let mut tiers: Vec<TierBots> = Tier::ALL
        .iter()
        .map(|tier| TierBots {
            tier: *tier,
            bots: Vec::new(),
        })
        .collect();
    for (tier, row) in rows {
        if let Some(of) = tiers.iter_mut().find(|of| of.tier == tier) {
            of.bots.push(row);
        }
    }
    tiers.retain(|of| !of.bots.is_empty());
    tiers
}
