//! Probes for whoever runs the process.
//!
//! - `GET /livez`: 200 as long as the process serves; never asks the store, whose absence no
//!   restart would cure.
//! - `GET /readyz`: 200 when the store takes writes; else 503 with the reason.

use std::time::Duration;

use fleet_coordinator::store::SharedStore;
use fleet_worker_sdk::Error;
use serde_json::json;
use warp::filters::BoxedFilter;
use warp::http::StatusCode;
use warp::reply::{Reply, Response};
use warp::{Filter, path};

use crate::api::problem::Problem;
use crate::api::{method, secure, with};
use crate::context::Context;

/// Time the store has: below the 1 s that Kubernetes gives a probe.
const PATIENCE: Duration = Duration::from_millis(800);

/// The probes.
pub fn routes(context: &Context) -> BoxedFilter<(Response,)> {
    let live = path!("livez")
        .and(method("GET"))
        .map(|| secure::api("live\n".into_response()));
    let ready = path!("readyz")
        .and(method("GET"))
        .and(with(context))
        .then(|context: Context| async move { secure::api(readiness(&context.store).await) });
    live.or(ready).unify().boxed()
}

async fn readiness(store: &SharedStore) -> Response {
    let checked = tokio::time::timeout(PATIENCE, store.check()).await;
    match checked.unwrap_or_else(|_| Err(hung(store))) {
        Ok(()) => {
            warp::reply::json(&json!({"ready": true, "store": store.address()})).into_response()
        }
        Err(error) => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not ready", error).into_response()
        }
    }
}

fn hung(store: &SharedStore) -> Error {
    Error::Unavailable {
        store: store.address(),
        why: format!("it has not answered within {} ms", PATIENCE.as_millis()),
    }
}
