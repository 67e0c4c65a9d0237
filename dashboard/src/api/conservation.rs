//! Sessions that do not add up.
//!
//! - `GET conservation`: `{"mismatched": n, "difference": findings, "sessions": [Mismatch]}`, longest
//!   known first. They are looked at closer, and repaired, in the store, by `fleet conserve`.

use fleet_coordinator::conserve::Conservation;
use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Filter, path};

use super::problem::Problem;
use super::{answer, method, with};
use crate::context::Context;

pub(crate) fn routes(context: &Context) -> BoxedFilter<(Response,)> {
    path!("conservation")
        .and(method("GET"))
        .and(with(context))
        .then(|context| async move { answer(known(context).await) })
        .boxed()
}

async fn known(context: Context) -> Result<Conservation, Problem> {
    Ok(Conservation::of(context.store.mismatches().await?))
}
