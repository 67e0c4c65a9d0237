//! A session's findings as a document.
//!
//! - `GET sessions/{id}/report?format=markdown|json|html&`[filters]`&sort=&cursor=&limit=`:
//!   streamed, a page of the index at a time. With `limit` it ends after so many findings and
//!   names the cursor of the next; without, it has all.
//!
//! The index is locked for one page only, never while a client reads: a slow client holds back
//! its own report and nobody's pushes.
//!
//! [filters]: super::filter

use bytes::Bytes;
use fleet_coordinator::answer::{Reporting, STEP};
use fleet_coordinator::report::Format;
use fleet_worker_sdk::SessionId;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use warp::filters::BoxedFilter;
use warp::http::HeaderValue;
use warp::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use warp::reply::{Reply, Response};
use warp::{Filter, path};

use super::filter::{self, FILTERS};
use super::problem::Problem;
use super::query::{Query, id};
use super::{method, raw_query, secure, with};
use crate::context::Context;

/// Steps made ahead of the client: one is on its way while the next is made.
const AHEAD: usize = 1;
/// Most findings of a report with a `limit`; without one it has all.
const MAX_LIMIT: usize = 1_000_000;

pub(crate) fn routes(context: &Context) -> BoxedFilter<(Response,)> {
    path!("sessions" / String / "report")
        .and(method("GET"))
        .and(with(context))
        .and(raw_query())
        .then(|session, context, query| async move {
            let made = report(context, session, query).await;
            made.unwrap_or_else(Reply::into_response)
        })
        .boxed()
}

async fn report(context: Context, session: String, query: String) -> Result<Response, Problem> {
    let session: SessionId = id(&session)?;
    let known: Vec<_> = FILTERS
        .iter()
        .copied()
        .chain(["format", "sort", "cursor", "limit"])
        .collect();
    let query = Query::parse(&query, &known)?;
    let format = query.read("format")?.unwrap_or(Format::Markdown);
    let limit = match query.one("limit")? {
        Some(_) => Some(query.limit(STEP, MAX_LIMIT)?),
        None => None,
    };
    let asked = filter::asked(&query, STEP, MAX_LIMIT)?;
    let (metrics, began) = (context.metrics.clone(), Instant::now());
    let settings = context.view.health_settings();
    let report = Reporting::begin(&*context.store, settings, &session, format, &asked, limit);
    let report = report.await?;
    let repository = report.facts().session.repository.as_str().replace('/', "-");
    let written = move || metrics.reported(format.extension(), began.elapsed());
    Ok(named(stream(report, written), format, &repository))
}

fn named(mut response: Response, format: Format, repository: &str) -> Response {
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static(format.content_type()),
    );
    let name = format!(
        "attachment; filename=\"{repository}-findings.{}\"",
        format.extension()
    );
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(CONTENT_DISPOSITION, name);
    }
    secure::report(response)
}

/// The report as a body: written by a task of its own, as fast as the client reads.
fn stream(report: Reporting, written: impl FnOnce() + Send + 'static) -> Response {
    let (to, from) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        if write(report, to).await {
            written();
        }
    });
    warp::reply::stream(ReceiverStream::new(from)).into_response()
}

/// Writes part after part. A client that went away ends it; an index that refuses its own cursor
/// breaks the body off, which the client sees as an incomplete transfer. Says whether it is whole.
async fn write(
    mut report: Reporting,
    to: mpsc::Sender<Result<Bytes, fleet_worker_sdk::Error>>,
) -> bool {
    while let Some(part) = report.next().await.transpose() {
        let broken = part.is_err();
        if let Err(error) = &part {
            tracing::warn!(%error, "report broke off");
        }
        if to.send(part.map(Bytes::from)).await.is_err() || broken {
            return false;
        }
    }
    true
}
