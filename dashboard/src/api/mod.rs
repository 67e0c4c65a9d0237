//! The HTTP API, under `/api/v1`: JSON in, JSON out, errors as problems (see [`problem`]).
//!
//! The map, in the order a session lives: [`bots`] and [`workers`] appear, [`sessions`] are opened,
//! [`push`] and [`ingest`] bring findings, which [`findings`], [`health`] and [`report`] show.
//! Each module's doc lists its endpoints. [`query`] and [`body`] read what comes in,
//! [`secure`] guards what goes out.

pub mod problem;

pub(crate) mod secure;

pub(crate) mod query;

pub(crate) mod body;

pub(crate) mod bots;

pub(crate) mod workers;

pub(crate) mod sessions;

pub(crate) mod push;

pub(crate) mod ingest;

pub(crate) mod filter;

pub(crate) mod findings;

pub(crate) mod health;

pub(crate) mod report;

pub(crate) mod observed;

pub(crate) mod alerts;
pub(crate) mod conservation;
pub(crate) mod dead;

use std::convert::Infallible;

use serde::Serialize;
use serde_json::json;
use warp::filters::BoxedFilter;
use warp::http::{Method, StatusCode};
use warp::reject::Rejection;
use warp::reply::{Reply, Response};
use warp::{Filter, path};

use crate::context::Context;
use problem::{Problem, WrongMethod};

/// What `GET /api/v1` answers: every endpoint with one line.
const ENDPOINTS: &[(&str, &str)] = &[
    ("GET /api/v1/bots", "registered bots"),
    ("POST /api/v1/bots", "registers a bot"),
    ("GET /api/v1/workers", "workers and whether they live"),
    (
        "POST /api/v1/beat",
        "a heartbeat; answers with a pending command",
    ),
    ("POST /api/v1/workers/{id}/command", "quiet or terminate"),
    ("GET /api/v1/sessions", "repository, limit, cursor"),
    ("POST /api/v1/sessions", "joins or creates a session"),
    ("GET /api/v1/sessions/{id}", "facts and health"),
    ("GET /api/v1/sessions/{id}/progress", "executions and bots"),
    (
        "GET /api/v1/sessions/{id}/changed",
        "known, wait_ms: waits for a change",
    ),
    (
        "GET /api/v1/sessions/{id}/producers/{producer}",
        "last sequence applied",
    ),
    (
        "POST /api/v1/transitions",
        "starts, completes, fails or skips an execution",
    ),
    ("POST /api/v1/push", "a batch of findings"),
    (
        "POST /api/v1/ingest",
        "SARIF or JSON lines; repository, ref, commit, run, bot, partial",
    ),
    (
        "GET /api/v1/sessions/{id}/findings",
        "bot, tier, severity, category, rule, file, text, suppression, sort, cursor, limit",
    ),
    (
        "GET /api/v1/sessions/{id}/findings/{fingerprint}",
        "one finding",
    ),
    (
        "GET /api/v1/alerts",
        "what pends, fires or was resolved within the hour, and what keeps it quiet",
    ),
    ("GET /api/v1/silences", "silences"),
    (
        "POST /api/v1/silences",
        "silences some alerts; matchers, author, comment, seconds",
    ),
    ("DELETE /api/v1/silences/{id}", "ends a silence; author"),
    (
        "GET /api/v1/undelivered",
        "deliveries of alerts that were given up",
    ),
    (
        "POST /api/v1/alerts/test",
        "sends a test through each channel; channel",
    ),
    (
        "POST /api/v1/alerts/undelivered/{id}",
        "puts one in line again; author",
    ),
    (
        "DELETE /api/v1/alerts/undelivered/{id}",
        "forgets one; author",
    ),
    ("GET /api/v1/audit", "who did any of this; limit"),
    (
        "GET /api/v1/conservation",
        "sessions whose numbers do not agree",
    ),
    ("GET /api/v1/dead", "dead letters; after, limit"),
    (
        "GET /api/v1/anomalies",
        "runs, bots and workers that are unlike what is usual; bot",
    ),
    (
        "GET /api/v1/health/history",
        "how a score went; scope, limit",
    ),
    (
        "GET /api/v1/trends",
        "success rate, durations and findings of runs; scope",
    ),
    ("GET /api/v1/health", "the fleet's health"),
    ("GET /api/v1/health/tiers/{tier}", "a tier's health"),
    ("GET /api/v1/health/bots/{bot}", "a bot's health"),
    (
        "GET /api/v1/health/repositories/{repository}",
        "a repository's health; each of these takes explain=1",
    ),
    ("GET /api/v1/sessions/{id}/health", "a session's health"),
    (
        "GET /api/v1/sessions/{id}/report",
        "format=markdown|json|html and the filters of findings",
    ),
];

/// Every route of the API.
pub fn routes(context: &Context) -> BoxedFilter<(Response,)> {
    let families = bots::routes(context)
        .or(workers::routes(context))
        .unify()
        .or(sessions::routes(context))
        .unify()
        .or(push::routes(context))
        .unify()
        .or(ingest::routes(context))
        .unify()
        .or(findings::routes(context))
        .unify()
        .or(observed::routes(context))
        .unify()
        .or(conservation::routes(context))
        .unify()
        .or(alerts::routes(context))
        .unify()
        .or(dead::routes(context))
        .unify()
        .or(health::routes(context))
        .unify()
        .or(report::routes(context))
        .unify()
        .or(overview())
        .unify();
    path!("api" / "v1" / ..)
        .and(families)
        .map(secure::api)
        .boxed()
}

fn overview() -> BoxedFilter<(Response,)> {
    path::end()
        .and(method("GET"))
        .map(|| {
            let rows = ENDPOINTS.iter();
            let list: Vec<_> = rows
                .map(|(endpoint, what)| json!({"endpoint": endpoint, "what": what}))
                .collect();
            answer(Ok(json!({"endpoints": list})))
        })
        .boxed()
}

/// Hands the context to a handler.
pub(crate) fn with(
    context: &Context,
) -> impl Filter<Extract = (Context,), Error = Infallible> + Clone + use<> {
    let context = context.clone();
    warp::any().map(move || context.clone())
}

/// Takes one method of a path; refused ones are told all that the path takes: its `allow`,
/// of which this route serves the first. GET serves HEAD, whose body the server leaves out.
pub(crate) fn method(allow: &'static str) -> impl Filter<Extract = (), Error = Rejection> + Clone {
    let mine = allow.split(',').next().unwrap_or(allow);
    warp::method()
        .and_then(move |method: Method| async move {
            let asked = if method == Method::HEAD {
                "GET"
            } else {
                method.as_str()
            };
            if asked == mine {
                Ok(())
            } else {
                Err(warp::reject::custom(WrongMethod(sorted(allow))))
            }
        })
        .untuple_one()
}

fn sorted(allow: &'static str) -> &'static str {
    if allow == "POST, GET" {
        "GET, POST"
    } else {
        allow
    }
}

/// A write: POST, and not asked for by another site's page.
pub(crate) fn write(allow: &'static str) -> impl Filter<Extract = (), Error = Rejection> + Clone {
    method(allow).and(secure::same_origin())
}

/// The raw query string, empty when there is none.
pub(crate) fn raw_query() -> impl Filter<Extract = (String,), Error = Infallible> + Clone {
    warp::query::raw().or(warp::any().map(String::new)).unify()
}

/// What a handler came to, as an answer.
pub(crate) fn answer<T: Serialize>(result: Result<T, Problem>) -> Response {
    match result {
        Ok(value) => warp::reply::json(&value).into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// 204 where there is nothing to say.
pub(crate) fn done(result: Result<(), Problem>) -> Response {
    match result {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(problem) => problem.into_response(),
    }
}
