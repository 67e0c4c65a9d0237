//! Probes for whoever runs the process.
//!
//! - `GET /livez`: 200 as long as the process serves; never asks the store.

use warp::filters::BoxedFilter;
use warp::reply::{Reply, Response};
use warp::{Filter, path};

use crate::context::Context;

/// The probes.
pub fn routes(_context: &Context) -> BoxedFilter<(Response,)> {
    path!("livez")
        .and(warp::get())
        .map(|| "live\n".into_response())
        .boxed()
}
