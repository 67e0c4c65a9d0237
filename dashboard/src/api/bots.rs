//! Bots: kinds of analysers.
//!
//! - `GET bots`: `{"bots": [Bot]}`, by id.
//! - `POST bots`: registers or updates a `Bot`; 204.

use fleet_coordinator::answer::Bots;
use fleet_worker_sdk::Bot;
use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Filter, path};

use super::problem::Problem;
use super::{answer, body, done, method, with, write};
use crate::context::Context;

pub(crate) fn routes(context: &Context) -> BoxedFilter<(Response,)> {
    let list = path!("bots")
        .and(method("GET, POST"))
        .and(with(context))
        .then(|context| async move { answer(list(context).await) });
    let register = path!("bots")
        .and(write("POST, GET"))
        .and(with(context))
        .and(body::json::<Bot>(context.settings.max_body))
        .then(|context, bot| async move { done(register(context, bot).await) });
    list.or(register).unify().boxed()
}

async fn list(context: Context) -> Result<Bots, Problem> {
    let bots = context.store.bots().await?;
    Ok(Bots { bots })
}

async fn register(context: Context, bot: Bot) -> Result<(), Problem> {
    bot.check()?;
    Ok(context.store.register(&bot).await?)
}
