//! All routes, as one filter that answers every request.

use std::convert::Infallible;

use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::context::Context;
use crate::{api, metrics, pages, probes};

/// Every route of the process but the WebSocket, which the server takes over before this.
pub fn all(
    context: &Context,
) -> impl Filter<Extract = (Response,), Error = Infallible> + Clone + use<> {
    let routes: BoxedFilter<(Response,)> = probes::routes(context)
        .or(metrics::routes(context))
        .unify()
        .or(api::routes(context))
        .unify()
        .or(pages::routes(context))
        .unify()
        .boxed();
    routes.recover(api::problem::recover).unify()
}
