//! `GET /sessions?repository=&state=&cursor=&limit=`: all sessions, latest change first, a page at a
//! time.

use askama::Template;
use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Filter, path};

use super::fleet::SessionFilter;
use super::frame::{Frame, Place};
use super::listing::{self, Asked, PARAMETERS};
use super::page;
use super::show::SessionShown;
use crate::api::problem::Problem;
use crate::api::query::Query;
use crate::api::{method, raw_query, with};
use crate::context::Context;

/// Sessions on a page: with them it stays below 80 KB.
const SESSIONS: usize = 50;

pub(crate) fn routes(context: &Context) -> BoxedFilter<(Response,)> {
    path!("sessions")
        .and(method("GET"))
        .and(with(context))
        .and(raw_query())
        .then(|context, query| async move { page(list(context, query).await) })
        .boxed()
}

#[derive(Template)]
#[template(path = "sessions.html")]
struct SessionsPage {
    frame: Frame,
    filter: SessionFilter,
    sessions: Vec<SessionShown>,
    paged: bool,
    next: Option<String>,
}

async fn list(context: Context, query: String) -> Result<SessionsPage, Problem> {
    let query = Query::parse(&query, &PARAMETERS)?;
    let asked = Asked::read(&query)?;
    let frame = Frame::new(Place::Sessions, true).hearing("session:");
    let listed = listing::list(&context, &query, &asked, SESSIONS).await?;
    let rows = listed.sessions.iter();
    Ok(SessionsPage {
        filter: SessionFilter::new(&asked, &query),
        sessions: rows
            .map(|session| SessionShown::new(session, frame.now))
            .collect(),
        paged: asked.paged,
        next: listed.next,
        frame,
    })
}
