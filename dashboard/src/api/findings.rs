//! Findings of a session.
//!
//! - `GET sessions/{id}/findings?`[filters]`&sort=&cursor=&limit=`:
//!   `{"findings": [FindingView], "total": n, "next": cursor | null}`. Repeated parameters mean
//!   any of; a parameter that is not known is refused.
//! - `GET sessions/{id}/findings/{fingerprint}`: one `FindingView`.
//!
//! [filters]: super::filter

use fleet_coordinator::index::{FindingView, Page};
use fleet_worker_sdk::{Error, Fingerprint, SessionId};
use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Filter, path};

use super::filter::{self, MAX_PAGE, PAGE, PAGING};
use super::problem::Problem;
use super::query::{Query, id};
use super::{answer, method, raw_query, with};
use crate::context::Context;

pub(crate) fn routes(context: &Context) -> BoxedFilter<(Response,)> {
    let list = path!("sessions" / String / "findings")
        .and(method("GET"))
        .and(with(context))
        .and(raw_query())
        .then(|session, context, query| async move { answer(list(context, session, query).await) });
    let one = path!("sessions" / String / "findings" / String)
        .and(method("GET"))
        .and(with(context))
        .then(
            |session, finding, context| async move { answer(one(context, session, finding).await) },
        );
    list.or(one).unify().boxed()
}

async fn list(context: Context, session: String, query: String) -> Result<Page, Problem> {
    let query = Query::parse(&query, &PAGING)?;
    page(&context, &id(&session)?, &query, PAGE).await
}

/// The page of findings that `query` asks for, of `size` unless it says otherwise.
pub(crate) async fn page(
    context: &Context,
    session: &SessionId,
    query: &Query,
    size: usize,
) -> Result<Page, Problem> {
    let asked = filter::asked(query, size, MAX_PAGE)?;
    Ok(asked.read(&*context.store, session).await?)
}

async fn one(context: Context, session: String, finding: String) -> Result<FindingView, Problem> {
    let session: SessionId = id(&session)?;
    let fingerprint: Fingerprint = id(&finding)?;
    let findings = context.store.findings(&session).await?;
    let found = findings.read().await.get(&fingerprint);
    Ok(found.ok_or_else(|| Error::not_found("finding", fingerprint))?)
}
