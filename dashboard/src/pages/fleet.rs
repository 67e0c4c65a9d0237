//! `GET /?repository=&cursor=&limit=`: the fleet's health with its reason and breakdown, the
//! sessions, tiers and bots; and, while there is nothing yet, how to push a first report.

use askama::Template;
use jiff::Timestamp;
use warp::filters::BoxedFilter;
use warp::host::Authority;
use warp::reply::Response;
use warp::{Filter, path};

use super::show::{HealthShown, SessionShown};
use super::{now, page};
use crate::api::problem::Problem;
use crate::api::query::{Query, encode};
use crate::api::{health, method, raw_query, sessions, with};
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
    workers: usize,
    store: String,
    address: String,
    repository: Option<String>,
    paged: bool,
    sessions: Vec<SessionShown>,
    next: Option<String>,
}

async fn fleet(
    context: Context,
    query: String,
    host: Option<Authority>,
) -> Result<FleetPage, Problem> {
    let query = Query::parse(&query, &["repository", "cursor", "limit"])?;
    let now = now();
    let listed = sessions::page(&context, &query, SESSIONS).await?;
    let seen = health::of_fleet();
    let rows = listed.sessions.iter();
    Ok(FleetPage {
        now,
        health: HealthShown::from(&seen),
        workers: context.store.workers().await?.len(),
        store: context.store.address(),
        address: address(host),
        repository: query.one("repository")?.map(str::to_owned),
        paged: query.one("cursor")?.is_some(),
        sessions: rows
            .map(|session| SessionShown::new(session, now))
            .collect(),
        next: listed.next.map(|next| {
            let kept = query.without(&["cursor"]);
            let kept = if kept.is_empty() {
                kept
            } else {
                format!("&{kept}")
            };
            format!("/?cursor={}{kept}", encode(&next))
        }),
    })
}

/// The address that this page was asked at: one that certainly reaches this process.
fn address(host: Option<Authority>) -> String {
    let host = host.as_ref().map_or("127.0.0.1:8080", Authority::as_str);
    format!("http://{host}")
}
