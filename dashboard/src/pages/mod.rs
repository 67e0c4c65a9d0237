//! Pages for people.

use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::context::Context;

/// Every page and asset.
pub fn routes(_context: &Context) -> BoxedFilter<(Response,)> {
    warp::any()
        .and_then(|| async { Err::<Response, _>(warp::reject::not_found()) })
        .boxed()
}
