//! Health, each with the breakdown that explains it.
//!
//! - `GET sessions/{id}/health`: a session's `Health`.

use fleet_coordinator::health::{Health, Status};
use fleet_coordinator::model::SessionFacts;
use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Filter, path};

use super::problem::Problem;
use super::query::id;
use super::{answer, method, with};
use crate::context::Context;

pub(crate) fn routes(context: &Context) -> BoxedFilter<(Response,)> {
    path!("sessions" / String / "health")
        .and(method("GET"))
        .and(with(context))
        .then(|session, context| async move { answer(session_health(context, session).await) })
        .boxed()
}

async fn session_health(context: Context, session: String) -> Result<Health, Problem> {
    Ok(of_session(&context.store.facts(&id(&session)?).await?))
}

/// The health a coordinator stored, or that none has yet.
pub(crate) fn of_session(facts: &SessionFacts) -> Health {
    match &facts.session.derived {
        Some(derived) => derived.health.clone(),
        None => unknown("no coordinator has looked at this session yet"),
    }
}

/// The fleet's health.
pub(crate) fn of_fleet() -> Health {
    unknown("nothing is known of the fleet yet")
}

fn unknown(reason: &str) -> Health {
    Health {
        score: None,
        status: Status::Unknown,
        reason: reason.to_owned(),
        coverage: 0.0,
        breakdown: Vec::new(),
    }
}
