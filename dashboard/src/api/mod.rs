//! The HTTP API, under `/api/v1`.

pub mod problem;

use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::context::Context;

/// Every route of the API.
pub fn routes(_context: &Context) -> BoxedFilter<(Response,)> {
    warp::any()
        .and_then(|| async { Err::<Response, _>(warp::reject::not_found()) })
        .boxed()
}
