//! `GET /bots/{id}`: a bot's registration, its health with the breakdown, its latest runs and its
//! workers.

use askama::Template;
use fleet_coordinator::health::Health;
use fleet_coordinator::history::Scope;
use fleet_coordinator::trend::{Sample, Trends};
use fleet_worker_sdk::{Bot, BotId, Error};
use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Filter, path};

use super::frame::{Frame, Place};
use super::page;
use super::runs::{self, Chart, RunShown};
use super::show::HealthShown;
use super::spark::Spark;
use super::trends::TrendsShown;
use super::words::{Count, cut};
use super::workers::{self, WorkerShown};
use crate::api::problem::Problem;
use crate::api::query::{Query, id};
use crate::api::{method, raw_query, with};
use crate::context::Context;

/// Workers listed; the page of workers has all.
const WORKERS: usize = 50;
/// Longest version, category or description shown, in characters: the store takes 512 bytes.
const TEXT: usize = 512;

pub(crate) fn routes(context: &Context) -> BoxedFilter<(Response,)> {
    path!("bots" / String)
        .and(method("GET"))
        .and(with(context))
        .and(raw_query())
        .then(|bot, context, query| async move { page(one(context, bot, query).await) })
        .boxed()
}

#[derive(Template)]
#[template(path = "bot.html")]
struct BotPage {
    frame: Frame,
    id: String,
    version: String,
    tier: &'static str,
    description: String,
    categories: Vec<String>,
    can_fix: bool,
    external: bool,
    after: Vec<String>,
    before: Vec<String>,
    health: HealthShown,
    stale: bool,
    spark: Option<Spark>,
    trends: Option<TrendsShown>,
    chart: Option<Chart>,
    runs: Vec<RunShown>,
    workers: Vec<WorkerShown>,
    all_workers: Count,
}

async fn one(context: Context, bot: String, query: String) -> Result<BotPage, Problem> {
    let asked: BotId = id(&bot)?;
    Query::parse(&query, &[])?;
    let bots = context.store.bots().await?;
    let bot = bots.iter().find(|bot| bot.id == asked);
    let bot = bot.ok_or_else(|| Error::not_found("bot", &asked))?;
    let seen = context.view.fleet().await?;
    let now = context.store.now().await?;
    let runs = context.store.runs(&asked).await?;
    let all = context.store.workers().await?;
    let own = all.iter().filter(|worker| worker.bot == asked);
    let mut rows = workers::rows(own, now, context.view.health_settings());
    let all_workers = Count::of(rows.len());
    rows.truncate(WORKERS);
    let frame = Frame::new(Place::Bots, false)
        .hearing("fleet workers")
        .beating();
    let unknown = || Health::unknown("its health has not been computed yet");
    let latest = runs::latest(&runs).iter().rev();
    let trends = Trends::of(runs.iter().filter_map(Sample::of_run));
    Ok(BotPage {
        id: asked.to_string(),
        version: cut(&bot.version, TEXT),
        tier: bot.tier.as_str(),
        description: cut(&bot.description, TEXT),
        categories: bot.categories.iter().map(|name| cut(name, TEXT)).collect(),
        can_fix: bot.can_fix,
        external: bot.external,
        after: bot.depends_on.iter().map(ToString::to_string).collect(),
        before: dependants(&asked, &bots),
        health: HealthShown::from(&seen.bots.get(&asked).cloned().unwrap_or_else(unknown)),
        stale: seen.stale,
        spark: Spark::read(&context, &Scope::Bot(asked.clone())).await?,
        trends: TrendsShown::of(&trends, frame.now),
        chart: Chart::of(&runs),
        runs: latest.map(|run| RunShown::new(run, frame.now)).collect(),
        workers: rows.into_iter().map(|(_, worker)| worker).collect(),
        all_workers,
        frame,
    })
}

/// The bots that wait for `bot`.
fn dependants(bot: &BotId, bots: &[Bot]) -> Vec<String> {
    let waiting = bots.iter().filter(|other| other.depends_on.contains(bot));
    waiting.map(|other| other.id.to_string()).collect()
}
