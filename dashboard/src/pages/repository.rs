//! `GET /repositories/{name}`: a repository's quality with the breakdown and how it went, the trends of
//! its scans, and its latest sessions. The name has slashes.

use askama::Template;
use fleet_coordinator::answer::of_sessions;
use fleet_coordinator::health::Health;
use fleet_coordinator::history::Scope;
use fleet_coordinator::store::SessionQuery;
use fleet_worker_sdk::{Error, Repository};
use warp::filters::BoxedFilter;
use warp::path::Tail;
use warp::reply::Response;
use warp::{Filter, path};

use super::frame::{Frame, Place};
use super::page;
use super::show::{HealthShown, SessionShown};
use super::spark::Spark;
use super::trends::TrendsShown;
use crate::api::health::of_repository;
use crate::api::problem::Problem;
use crate::api::query::{Query, id};
use crate::api::{method, raw_query, with};
use crate::context::Context;

/// Sessions listed; the page of sessions has all.
const SESSIONS: usize = 25;

pub(crate) fn routes(context: &Context) -> BoxedFilter<(Response,)> {
    path!("repositories" / ..)
        .and(path::tail())
        .and(method("GET"))
        .and(with(context))
        .and(raw_query())
        .then(|name: Tail, context, query| async move {
            page(one(context, name.as_str(), query).await)
        })
        .boxed()
}

#[derive(Template)]
#[template(path = "repository.html")]
struct RepositoryPage {
    frame: Frame,
    name: String,
    health: HealthShown,
    /// The session that its quality is that of, and its ref.
    speaker: Option<(String, String)>,
    stale: bool,
    spark: Option<Spark>,
    trends: Option<TrendsShown>,
    sessions: Vec<SessionShown>,
    more: bool,
}

async fn one(context: Context, name: &str, query: String) -> Result<RepositoryPage, Problem> {
    let repository: Repository = id(name)?;
    Query::parse(&query, &[])?;
    let asked = SessionQuery {
        repository: Some(repository.clone()),
        after: None,
        limit: fleet_coordinator::answer::SESSIONS_OF_TRENDS,
    };
    let sessions = context.store.sessions(&asked).await?;
    if sessions.is_empty() {
        let error = Error::not_found("repository", &repository);
        return Err(error.into());
    }
    let speaker = context.store.speaker(&repository).await?;
    let quality = match speaker {
        Some(_) => Some(of_repository(&context, repository.clone()).await?),
        None => None,
    };
    let spark = Spark::read(&context, &Scope::Repository(repository.clone())).await?;
    let frame = Frame::new(Place::Sessions, false).hearing("session:");
    let unknown = || Health::unknown("no scan of it has ended yet");
    let health = quality
        .as_ref()
        .map_or_else(unknown, |of| of.health.clone());
    let rows = sessions.iter().take(SESSIONS);
    Ok(RepositoryPage {
        name: repository.to_string(),
        health: HealthShown::from(&health),
        stale: quality.as_ref().is_some_and(|of| of.stale),
        speaker: quality.map(|of| (of.session.to_string(), of.git_ref)),
        spark,
        trends: TrendsShown::of(&of_sessions(&sessions), frame.now),
        sessions: rows
            .map(|session| SessionShown::new(session, frame.now))
            .collect(),
        more: sessions.len() > SESSIONS,
        frame,
    })
}
