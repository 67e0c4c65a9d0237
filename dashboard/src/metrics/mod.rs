//! Metrics in Prometheus' text format.

use std::sync::Arc;

use prometheus::Registry;
use warp::filters::BoxedFilter;
use warp::reply::{Reply, Response};
use warp::{Filter, path};

use crate::context::Context;

/// Counters of this process; cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        Self {
            registry: Arc::new(Registry::new()),
        }
    }

    /// The state of all counters as text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let encoder = prometheus::TextEncoder::new();
        if let Err(error) = encoder.encode_utf8(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics cannot be encoded");
        }
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// `GET /metrics`.
pub fn routes(context: &Context) -> BoxedFilter<(Response,)> {
    let metrics = context.metrics.clone();
    path!("metrics")
        .and(warp::get())
        .map(move || metrics.text().into_response())
        .boxed()
}
