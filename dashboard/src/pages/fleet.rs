//! `GET /?repository=&state=`: the fleet's health with its reason and breakdown, open findings,
//! workers, tiers with their bots, and the latest sessions; while there is nothing yet, how to push a
//! first report.

use std::collections::BTreeMap;

use askama::Template;
use fleet_coordinator::answer::AlertList;
use fleet_coordinator::health::Health;
use fleet_coordinator::history::Scope;
use fleet_coordinator::lifecycle::WorkerTally;
use fleet_coordinator::model::Session;
use fleet_coordinator::view::FleetHealth;
use fleet_worker_sdk::{Bot, SessionState, Tier};
use jiff::Timestamp;
use warp::filters::BoxedFilter;
use warp::host::Authority;
use warp::reply::Response;
use warp::{Filter, path};

use super::alerts::{AlertShown, loud};
use super::frame::{Frame, Place};
use super::listing::{self, Asked};
use super::page;
use super::show::{HealthShown, SessionShown, SeverityShown, severities, sum};
use super::spark::Spark;
use super::words::{Count, exact};
use crate::api::problem::Problem;
use crate::api::query::Query;
use crate::api::{method, raw_query, with};
use crate::context::Context;

/// Sessions on the first page: a screen of them; the rest is a link away.
const SESSIONS: usize = 25;

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
    frame: Frame,
    health: HealthShown,
    /// How its score went.
    spark: Option<Spark>,
    /// When what is shown was known, where the store is away.
    stale: Option<String>,
    /// Alerts that fire and that nothing keeps quiet.
    alerts: Vec<AlertShown>,
    /// Sessions that do not add up.
    mismatched: u64,
    store: String,
    address: String,
    filter: SessionFilter,
    sessions: Vec<SessionShown>,
    more: bool,
    /// Open findings of each repository listed, in its latest complete session.
    open: Vec<SeverityShown>,
    suppressed: Count,
    repositories: Count,
    /// How many of them have no complete session yet.
    first_scans: Count,
    totals: [(&'static str, Count); 3],
    workers: Vec<WorkersShown>,
    tiers: Vec<TierShown>,
}

/// The filter of a list of sessions, filled in as the address says.
pub(crate) struct SessionFilter {
    pub(crate) repository: String,
    pub(crate) states: Vec<(&'static str, bool)>,
    pub(crate) in_force: bool,
    pub(crate) query: String,
}

impl SessionFilter {
    pub(crate) fn new(asked: &Asked, query: &Query) -> Self {
        let states = SessionState::ALL.iter();
        let repository = asked.repository.as_ref();
        Self {
            repository: repository.map_or_else(String::new, ToString::to_string),
            states: states
                .map(|state| (state.as_str(), asked.state == Some(*state)))
                .collect(),
            in_force: asked.is_filtered(),
            query: query.without(&["cursor", "limit"]),
        }
    }
}

/// Workers in one condition.
struct WorkersShown {
    word: &'static str,
    count: Count,
}

/// A tier and its bots.
struct TierShown {
    tier: Tier,
    health: HealthShown,
    bots: Vec<BotShown>,
}

/// A bot in its tier.
struct BotShown {
    id: String,
    health: HealthShown,
    external: bool,
}

async fn fleet(
    context: Context,
    query: String,
    host: Option<Authority>,
) -> Result<FleetPage, Problem> {
    let query = Query::parse(&query, &["repository", "state"])?;
    let asked = Asked::read(&query)?;
    let frame = Frame::new(Place::Fleet, true);
    let (listed, seen, bots, mismatches, alerts, spark) = tokio::try_join!(
        listing::list(&context, &query, &asked, SESSIONS),
        async { Ok(context.view.fleet().await?) },
        async { Ok(context.store.bots().await?) },
        async { Ok(context.store.mismatches().await?) },
        async { Ok(AlertList::read(&*context.store).await?) },
        Spark::read(&context, &Scope::Fleet),
    )?;
    let latest = latest(&listed.sessions);
    let tally = sum(latest.iter().map(|session| &session.tally));
    let now = frame.now;
    Ok(FleetPage {
        health: HealthShown::from(&seen.health),
        spark,
        stale: seen.stale.then(|| exact(seen.computed_at)),
        alerts: loud(&alerts),
        mismatched: mismatches.len() as u64,
        store: context.store.address(),
        address: address(host),
        filter: SessionFilter::new(&asked, &query),
        more: listed.next.is_some(),
        open: severities(&tally),
        suppressed: Count(tally.suppressed),
        repositories: Count::of(latest.len()),
        first_scans: Count::of(latest.iter().filter(|one| !is_complete(one)).count()),
        totals: [
            ("Sessions", Count(seen.rollup.sessions)),
            ("Repositories scored", Count(seen.rollup.repositories)),
            ("Findings received", Count(seen.rollup.findings)),
        ],
        workers: workers(&seen.workers),
        tiers: tiers(&seen, &bots),
        sessions: rows(&listed.sessions, now),
        frame,
    })
}

fn rows(sessions: &[Session], now: Timestamp) -> Vec<SessionShown> {
    let rows = sessions.iter();
    rows.map(|session| SessionShown::new(session, now))
        .collect()
}

/// A session of each repository: the latest that is complete, for one that has just begun says little; or
/// else the latest. The list has the latest change first.
fn latest(sessions: &[Session]) -> Vec<&Session> {
    let mut latest: BTreeMap<_, &Session> = BTreeMap::new();
    for session in sessions {
        let known = latest.entry(&session.repository).or_insert(session);
        if !is_complete(known) && is_complete(session) {
            *known = session;
        }
    }
    latest.into_values().collect()
}

fn is_complete(session: &Session) -> bool {
    session.state == SessionState::Complete
}

/// Tiers in execution order, each with its bots.
fn tiers(seen: &FleetHealth, bots: &[Bot]) -> Vec<TierShown> {
    let shown = |(tier, health): (&Tier, &Health)| TierShown {
        tier: *tier,
        health: HealthShown::from(health),
        bots: bots
            .iter()
            .filter(|bot| bot.tier == *tier)
            .filter_map(|bot| {
                Some(BotShown {
                    id: bot.id.to_string(),
                    health: HealthShown::from(seen.bots.get(&bot.id)?),
                    external: bot.external,
                })
            })
            .collect(),
    };
    seen.tiers.iter().map(shown).collect()
}

/// How many workers are what.
fn workers(workers: &WorkerTally) -> Vec<WorkersShown> {
    [
        ("alive", workers.alive),
        ("stale", workers.stale),
        ("dead", workers.dead),
        ("stuck", workers.stuck),
        ("stopped", workers.stopped),
    ]
    .map(|(word, count)| WorkersShown {
        word,
        count: Count(count),
    })
    .into()
}

/// The address that this page was asked at: one that certainly reaches this process.
fn address(host: Option<Authority>) -> String {
    let host = host.as_ref().map_or("127.0.0.1:8080", Authority::as_str);
    format!("http://{host}")
}
