//! What a bot writes in the course of an execution.
//!
//! - `POST transitions`: a `Transition` (start, complete, fail, skip ...); answers with the
//!   `Execution` as it stands then.
//! - `POST push`: a `Batch` of findings; answers with a `PushAnswer`. Repeating one is harmless.

use fleet_worker_sdk::{Batch, Execution, PushAnswer, Transition};
use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Filter, path};

use super::problem::Problem;
use super::{answer, body, with, write};
use crate::context::Context;

pub(crate) fn routes(context: &Context) -> BoxedFilter<(Response,)> {
    let limit = context.settings.max_body;
    let transition = path!("transitions")
        .and(write("POST"))
        .and(with(context))
        .and(body::json::<Transition>(limit))
        .then(|context, change| async move { answer(transition(context, change).await) });
    let push = path!("push")
        .and(write("POST"))
        .and(with(context))
        .and(body::json::<Batch>(limit))
        .then(|context, batch| async move { answer(push(context, batch).await) });
    transition.or(push).unify().boxed()
}

async fn transition(context: Context, change: Transition) -> Result<Execution, Problem> {
    Ok(context.store.transition(&change).await?)
}

async fn push(context: Context, batch: Batch) -> Result<PushAnswer, Problem> {
    batch.check()?;
    Ok(context.store.push(&batch).await?)
}
