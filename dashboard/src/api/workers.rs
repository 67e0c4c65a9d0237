//! Workers: running processes of bots.
//!
//! - `GET workers`: `{"workers": [Worker]}` with `liveness` (alive, stale, dead,
//!   stopped) and `stuck`, by id.
//! - `POST beat`: a `Beat`; answers with a `BeatAnswer`, which carries a pending command.
//! - `POST workers/{id}/command`: `{"command": "quiet" | "terminate"}`, delivered with the
//!   worker's next beat; 204.

use fleet_coordinator::answer::Workers;
use fleet_worker_sdk::{Beat, BeatAnswer, Command, WorkerId};
use serde::Deserialize;
use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Filter, path};

use super::problem::Problem;
use super::query::id;
use super::{answer, body, done, method, with, write};
use crate::context::Context;

pub(crate) fn routes(context: &Context) -> BoxedFilter<(Response,)> {
    let limit = context.settings.max_body;
    let list = path!("workers")
        .and(method("GET"))
        .and(with(context))
        .then(|context| async move { answer(list(context).await) });
    let beat = path!("beat")
        .and(write("POST"))
        .and(with(context))
        .and(body::json::<Beat>(limit))
        .then(|context, beat| async move { answer(heard(context, beat).await) });
    let command = path!("workers" / String / "command")
        .and(write("POST"))
        .and(with(context))
        .and(body::json::<Order>(limit))
        .then(|worker, context, order| async move { done(command(context, worker, order).await) });
    list.or(beat).unify().or(command).unify().boxed()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    command: Command,
}

async fn list(context: Context) -> Result<Workers, Problem> {
    Ok(Workers::read(&*context.store, context.view.health_settings()).await?)
}

async fn heard(context: Context, beat: Beat) -> Result<BeatAnswer, Problem> {
    Ok(context.store.beat(&beat).await?)
}

async fn command(context: Context, worker: String, order: Order) -> Result<(), Problem> {
    let worker: WorkerId = id(&worker)?;
    Ok(context.store.command(&worker, order.command).await?)
}
