//! Sessions: analyses of a repository.
//!
//! - `GET sessions?repository=&limit=&cursor=`: `{"sessions": [Session], "next": cursor | null}`,
//!   latest change first.
//! - `POST sessions`: an `OpenSession`, joined or created; answers with `Opened`.
//! - `GET sessions/{id}`: `SessionFacts` with the session's `health`.
//! - `GET sessions/{id}/progress`: `Progress`.
//! - `GET sessions/{id}/changed?known=V&wait_ms=N`: `{"version": V}`, at once when the version is
//!   no longer `known`, else after at most `wait_ms` (up to [`MAX_WAIT_MS`]).
//! - `GET sessions/{id}/producers/{producer}`: `{"last": n}`.

use std::time::Duration;

use fleet_coordinator::answer::{SessionPage, SessionView};
use fleet_coordinator::store::SessionQuery;
use fleet_worker_sdk::{OpenSession, Opened, ProducerId, Progress, SessionId, Version};
use serde_json::{Value, json};
use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Filter, path};

use super::problem::Problem;
use super::query::{Query, id};
use super::{answer, body, method, raw_query, with, write};
use crate::context::Context;

/// Longest wait for a change in one request: below the idle timeouts of common proxies (30 s).
pub(crate) const MAX_WAIT_MS: u64 = 25_000;
/// Sessions on a page unless asked otherwise: what a person looks through.
pub(crate) const PAGE: usize = 50;
/// Most sessions on a page: their executions make an answer of about a megabyte.
pub(crate) const MAX_PAGE: usize = 500;

pub(crate) fn routes(context: &Context) -> BoxedFilter<(Response,)> {
    let list = path!("sessions")
        .and(method("GET, POST"))
        .and(with(context))
        .and(raw_query())
        .then(|context, query| async move { answer(list(context, query).await) });
    let open = path!("sessions")
        .and(write("POST, GET"))
        .and(with(context))
        .and(body::json::<OpenSession>(context.settings.max_body))
        .then(|context, open| async move { answer(opened(context, open).await) });
    let one = path!("sessions" / String)
        .and(method("GET"))
        .and(with(context))
        .then(|session, context| async move { answer(one(context, session).await) });
    list.or(open)
        .unify()
        .or(one)
        .unify()
        .or(waiting(context))
        .unify()
        .boxed()
}

/// What a bot asks to know when it may go on.
fn waiting(context: &Context) -> BoxedFilter<(Response,)> {
    let progress = path!("sessions" / String / "progress")
        .and(method("GET"))
        .and(with(context))
        .then(|session, context| async move { answer(progress(context, session).await) });
    let changed = path!("sessions" / String / "changed")
        .and(method("GET"))
        .and(with(context))
        .and(raw_query())
        .then(
            |session, context, query| async move { answer(changed(context, session, query).await) },
        );
    let last = path!("sessions" / String / "producers" / String)
        .and(method("GET"))
        .and(with(context))
        .then(|session, producer, context| async move {
            answer(last(context, session, producer).await)
        });
    progress.or(changed).unify().or(last).unify().boxed()
}

async fn list(context: Context, query: String) -> Result<SessionPage, Problem> {
    let query = Query::parse(&query, &["repository", "limit", "cursor"])?;
    page(&context, &query, PAGE).await
}

/// The page of sessions that `query` asks for, of `size` unless it says otherwise.
pub(crate) async fn page(
    context: &Context,
    query: &Query,
    size: usize,
) -> Result<SessionPage, Problem> {
    let asked = SessionQuery {
        repository: query.read("repository")?,
        after: query.read("cursor")?,
        limit: query.limit(size, MAX_PAGE)?,
    };
    Ok(SessionPage::read(&*context.store, &asked).await?)
}

async fn one(context: Context, session: String) -> Result<SessionView, Problem> {
    let facts = context.store.facts(&id(&session)?).await?;
    Ok(SessionView::of(facts, context.view.health_settings()))
}

async fn opened(context: Context, open: OpenSession) -> Result<Opened, Problem> {
    open.check()?;
    Ok(context.store.open(&open).await?)
}

async fn progress(context: Context, session: String) -> Result<Progress, Problem> {
    Ok(context.store.progress(&id(&session)?).await?)
}

async fn changed(context: Context, session: String, query: String) -> Result<Value, Problem> {
    let query = Query::parse(&query, &["known", "wait_ms"])?;
    let known = Version(query.read("known")?.unwrap_or_default());
    let wait: u64 = query.read("wait_ms")?.unwrap_or_default();
    if wait > MAX_WAIT_MS {
        let why = format!("{wait} is over the limit of {MAX_WAIT_MS}");
        return Err(Problem::invalid("query parameter `wait_ms`", why));
    }
    let wait = Duration::from_millis(wait);
    let version = context.store.changed(&id(&session)?, known, wait).await?;
    Ok(json!({ "version": version }))
}

async fn last(context: Context, session: String, producer: String) -> Result<Value, Problem> {
    let session: SessionId = id(&session)?;
    let producer: ProducerId = id(&producer)?;
    Ok(json!({"last": context.store.last_sequence(&session, &producer).await?}))
}
