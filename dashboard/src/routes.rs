//! All routes, as one filter that answers every request.

use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::access::login;
use crate::context::Context;
use crate::{api, metrics, pages, probes};

/// Every route of the process but the WebSocket, which the server takes over before this; without
/// probes and metrics where those have a listener of their own.
pub fn all(context: &Context) -> BoxedFilter<(Response,)> {
    let people = api::routes(context)
        .or(pages::routes(context))
        .unify()
        .or(login::routes(context))
        .unify();
    if context.settings.ops_listen.is_some() {
        return answered(people.boxed());
    }
    answered(told(context).or(people).unify().boxed())
}

/// Probes and metrics alone.
pub fn ops(context: &Context) -> BoxedFilter<(Response,)> {
    answered(told(context))
}

fn told(context: &Context) -> BoxedFilter<(Response,)> {
    probes::routes(context)
        .or(metrics::routes(context))
        .unify()
        .boxed()
}

fn answered(routes: BoxedFilter<(Response,)>) -> BoxedFilter<(Response,)> {
    routes.recover(api::problem::recover).unify().boxed()
}
