//! All routes, as one filter that answers every request.

use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::context::Context;
use crate::{api, metrics, pages, probes};

/// Every route of the process but the WebSocket, which the server takes over before this.
pub fn all(context: &Context) -> BoxedFilter<(Response,)> {
    probes::routes(context)
        .or(metrics::routes(context))
        .unify()
        .or(api::routes(context))
        .unify()
        .or(pages::routes(context))
        .unify()
        .recover(api::problem::recover)
        .unify()
        .boxed()
}
