//! Pages for people: rendered here, complete without JavaScript, kept live by a small script.
//!
//! - `GET /`: the fleet (see [`fleet`]).
//! - `GET /sessions/{id}`: a session and its findings (see [`session`]).
//! - `GET /assets/{file}`: style, script and icon (see [`assets`]).
//!
//! A page is one template, one module here and nothing else. Templates escape whatever they show;
//! [`show`] turns values into the words they show.

pub(crate) mod show;

pub(crate) mod fleet;

pub(crate) mod session;

pub(crate) mod assets;

use askama::Template;
use fleet_worker_sdk::Error;
use jiff::Timestamp;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::{Reply, Response};

use crate::api::problem::Problem;
use crate::api::secure;
use crate::context::Context;

/// Every page and asset.
pub fn routes(context: &Context) -> BoxedFilter<(Response,)> {
    fleet::routes(context)
        .or(session::routes(context))
        .unify()
        .or(assets::routes())
        .unify()
        .boxed()
}

/// What went wrong, as a page.
#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    now: Timestamp,
    title: &'static str,
    detail: String,
}

/// What a handler came to, as a page.
fn page<T: Template>(result: Result<T, Problem>) -> Response {
    let html = result.and_then(|page| render(&page));
    secure::page(match html {
        Ok(html) => warp::reply::html(html).into_response(),
        Err(problem) => refused(problem),
    })
}

fn refused(problem: Problem) -> Response {
    let status = problem.status();
    let page = ProblemPage {
        now: now(),
        title: problem.title(),
        detail: problem.public_detail(),
    };
    match render(&page) {
        Ok(html) => warp::reply::with_status(warp::reply::html(html), status).into_response(),
        Err(worse) => worse.into_response(),
    }
}

fn render<T: Template>(page: &T) -> Result<String, Problem> {
    page.render().map_err(|error| Error::protocol(error).into())
}

/// The time a page is made at, in whole seconds.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}
