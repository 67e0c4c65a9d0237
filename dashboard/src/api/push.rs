//! What a bot writes in the course of an execution.
//!
//! - `POST transitions`: a `Transition` (start, complete, fail, skip ...); answers with the
//!   `Execution` as it stands then.
//! - `POST push`: a `Batch` of findings; answers with a `PushAnswer`. Repeating one is harmless.

use std::convert::Infallible;

use fleet_coordinator::telemetry;
use fleet_worker_sdk::trace::{self, TraceContext};
use fleet_worker_sdk::{Batch, Execution, PushAnswer, Transition, Write as _};
use tracing::field;
use warp::filters::BoxedFilter;
use warp::http::HeaderMap;
use warp::reply::Response;
use warp::{Filter, path};

use super::problem::Problem;
use super::{answer, body, with, write};
use crate::context::Context;
use crate::metrics::pushes::Counted;

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
        .and(traced())
        .and(body::json::<Batch>(limit))
        .then(|context, trace, batch| async move { answer(push(context, trace, batch).await) });
    transition.or(push).unify().boxed()
}

async fn transition(context: Context, change: Transition) -> Result<Execution, Problem> {
    Ok(context.store.transition(&change).await?)
}

/// The trace that a request is part of; one that is not well-formed is of none, as the standard says.
fn traced() -> impl Filter<Extract = (Option<TraceContext>,), Error = Infallible> + Clone {
    warp::header::headers_cloned().map(|headers: HeaderMap| {
        let header = headers.get(trace::HEADER)?;
        header.to_str().ok()?.parse().ok()
    })
}

async fn push(
    context: Context,
    trace: Option<TraceContext>,
    batch: Batch,
) -> Result<PushAnswer, Problem> {
    let pushes = context.metrics.pushes();
    batch.check().inspect_err(|_| pushes.refused())?;
    let span = tracing::info_span!("take", session = %batch.session, bot = %batch.bot,
        findings = batch.findings.len(), trace_id = field::Empty);
    let counted = Counted::new(&*context.store, pushes);
    let taking = async {
        let taken = counted.push(&batch).await;
        if let Ok(taken) = &taken {
            tracing::debug!(
                version = taken.version.0,
                new = taken.new,
                duplicate = taken.duplicate,
                "took a batch"
            );
        }
        taken
    };
    Ok(telemetry::within(span, trace, taking).await?)
}
