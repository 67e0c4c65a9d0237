//! `GET /?repository=&cursor=&limit=`: the fleet's health with its reason and breakdown, the
//! sessions, tiers and bots; and, while there is nothing yet, how to push a first report.

use askama::Template;
use fleet_coordinator::health::Health;
use fleet_coordinator::lifecycle::WorkerTally;
use fleet_coordinator::view::FleetHealth;
use fleet_worker_sdk::{Bot, BotId, Tier};
use jiff::Timestamp;
use warp::filters::BoxedFilter;
use warp::host::Authority;
use warp::reply::Response;
use warp::{Filter, path};

use super::show::{HealthShown, SessionShown};
use super::{now, page};
use crate::api::problem::Problem;
use crate::api::query::{Query, encode};
use crate::api::{method, raw_query, sessions, with};
use crate::context::Context;

/// Sessions on the first page: with them the page stays below 60 KB.
const SESSIONS: usize = 50;

pub(crate) fn routes(context: &Context) -> BoxedFilter<(Response,)> {
    path::end()
        .and(method("GET"))
        .and(with(context))
        .and(raw_query())
        .and(warp::host::optional())
        .then(|context, query, host| async move { page(fleet(context, query, host).await) })
        .boxed()
}

#[derive(Template)]
#[template(path = "fleet.html")]
struct FleetPage {
    now: Timestamp,
    health: HealthShown,
    workers: String,
    stale: bool,
    store: String,
    address: String,
    repository: Option<String>,
    paged: bool,
    sessions: Vec<SessionShown>,
    next: Option<String>,
    groups: Vec<Group>,
}

/// A tier and its bots.
struct Group {
    tier: Tier,
    health: HealthShown,
    bots: Vec<(BotId, HealthShown)>,
}

async fn fleet(
    context: Context,
    query: String,
    host: Option<Authority>,
) -> Result<FleetPage, Problem> {
    let query = Query::parse(&query, &["repository", "cursor", "limit"])?;
    let now = now();
    let listed = sessions::page(&context, &query, SESSIONS).await?;
    let seen = context.view.fleet().await?;
    let bots = context.store.bots().await?;
    let rows = listed.sessions.iter();
    Ok(FleetPage {
        now,
        health: HealthShown::from(&seen.health),
        stale: seen.stale,
        workers: in_words(&seen.workers),
        store: context.store.address(),
        address: address(host),
        repository: query.one("repository")?.map(str::to_owned),
        paged: query.one("cursor")?.is_some(),
        sessions: rows
            .map(|session| SessionShown::new(session, now))
            .collect(),
        groups: groups(&seen, &bots),
        next: listed.next.map(|next| {
            let kept = query.without(&["cursor"]);
            let kept = if kept.is_empty() {
                kept
            } else {
                format!("&{kept}")
            };
            format!("/?cursor={}{kept}", encode(&next.to_string()))
        }),
    })
}

/// Tiers in execution order, each with its bots.
fn groups(seen: &FleetHealth, bots: &[Bot]) -> Vec<Group> {
    let group = |(tier, health): (&Tier, &Health)| Group {
        tier: *tier,
        health: HealthShown::from(health),
        bots: bots
            .iter()
            .filter(|bot| bot.tier == *tier)
            .filter_map(|bot| Some((bot.id.clone(), HealthShown::from(seen.bots.get(&bot.id)?))))
            .collect(),
    };
    seen.tiers.iter().map(group).collect()
}

/// How many workers are what; what none is is left out.
fn in_words(workers: &WorkerTally) -> String {
    let counts = [
        (workers.alive, "alive"),
        (workers.stale, "stale"),
        (workers.dead, "dead"),
        (workers.stopped, "stopped"),
        (workers.stuck, "stuck"),
    ];
    let told = counts.iter().filter(|(count, _)| *count > 0);
    let told: Vec<_> = told
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    if told.is_empty() {
        "none".to_owned()
    } else {
        told.join(", ")
    }
}

/// The address that this page was asked at: one that certainly reaches this process.
fn address(host: Option<Authority>) -> String {
    let host = host.as_ref().map_or("127.0.0.1:8080", Authority::as_str);
    format!("http://{host}")
}
