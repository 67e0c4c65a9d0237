//! Pages for people: rendered here, complete without JavaScript, kept live by small scripts.
//!
//! - `GET /`: the fleet (see [`fleet`]).
//! - `GET /sessions`: all sessions (see [`sessions`]).
//! - `GET /sessions/{id}`: a session, its findings and each of them (see [`session`]).
//! - `GET /repositories/{name}`: a repository's quality and trends (see [`repository`]).
//! - `GET /bots`, `GET /bots/{id}`: bots with their runs (see [`bots`], [`bot`]).
//! - `GET /workers`: workers with their life signs (see [`workers`]).
//! - `GET /alerts`: alerts, silences and what was not delivered (see [`alerts`], [`silence`]).
//! - `GET /assets/{file}`: style, scripts and icon (see [`assets`]).
//!
//! A page is one template, one module here and, where it does more than show, one script. Templates
//! escape whatever they show; [`words`] and [`show`] turn values into what they show; [`frame`] is
//! what is around it. A part of a page that changes is an element with an id and `data-live`: the
//! scripts fetch the page again and bring these parts up to date.

pub(crate) mod words;

pub(crate) mod show;

pub(crate) mod frame;

pub(crate) mod listing;

pub(crate) mod runs;

pub(crate) mod spark;

pub(crate) mod trends;

pub(crate) mod fleet;

pub(crate) mod sessions;

pub(crate) mod session;

pub(crate) mod repository;

pub(crate) mod workers;

pub(crate) mod alerts;

pub(crate) mod silence;

pub(crate) mod bots;

pub(crate) mod bot;

pub(crate) mod assets;

use askama::Template;
use fleet_worker_sdk::Error;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::StatusCode;
use warp::reply::{Reply, Response};

use crate::api::problem::Problem;
use crate::api::secure;
use crate::context::Context;
use frame::{Frame, Place};

/// Every page and asset.
pub fn routes(context: &Context) -> BoxedFilter<(Response,)> {
    fleet::routes(context)
        .or(sessions::routes(context))
        .unify()
        .or(session::routes(context))
        .unify()
        .or(repository::routes(context))
        .unify()
        .or(workers::routes(context))
        .unify()
        .or(alerts::routes(context))
        .unify()
        .or(silence::routes(context))
        .unify()
        .or(bots::routes(context))
        .unify()
        .or(bot::routes(context))
        .unify()
        .or(assets::routes())
        .unify()
        .boxed()
}

/// What went wrong, as a page.
#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    frame: Frame,
    title: &'static str,
    detail: String,
    /// The store is away, and with its return the page that was asked for comes by itself.
    passing: bool,
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
        frame: Frame::new(Place::Nowhere, true),
        title: problem.title(),
        passing: status == StatusCode::SERVICE_UNAVAILABLE,
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
