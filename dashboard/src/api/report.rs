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
use fleet_coordinator::index::{Cursor, Page, PageQuery};
use fleet_coordinator::report::{Format, Report, ReportHead};
use fleet_coordinator::store::Findings;
use fleet_worker_sdk::SessionId;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use warp::filters::BoxedFilter;
use warp::http::HeaderValue;
use warp::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use warp::reply::{Reply, Response};
use warp::{Filter, path};

use super::filter::{self, Asked, FILTERS};
use super::problem::Problem;
use super::query::{Query, id};
use super::{method, raw_query, secure, with};
use crate::context::Context;

/// Findings read under one lock of the index: about a millisecond, and half a megabyte of text.
const STEP: usize = 500;
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

/// A report under way: what is still to be read and written.
struct Writing {
    report: Report,
    findings: Findings,
    query: PageQuery,
    /// Findings still to be written; none for all.
    left: Option<usize>,
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
    let facts = context.store.facts(&session).await?;
    let left = match query.one("limit")? {
        Some(_) => Some(query.limit(STEP, MAX_LIMIT)?),
        None => None,
    };
    let asked = filter::page(&context, &query, STEP, MAX_LIMIT).await?;
    let findings = context.store.findings(&session).await?;
    let repository = facts.session.repository.as_str().replace('/', "-");
    let mut head = ReportHead {
        health: Some(context.view.of_facts(&facts).health),
        facts,
        filter: in_words(&query),
        total: 0,
        generated: Timestamp::now(),
    };
    let response = match asked {
        Asked::Nothing => {
            let report = Report::new(format, head);
            Response::new((report.begin() + &report.end(None)).into())
        }
        Asked::Page(mut query) => {
            query.limit = step(left);
            let first = findings.read().await.query(&query)?;
            head.total = first.total;
            let report = Report::new(format, head);
            stream(
                Writing {
                    report,
                    findings,
                    query,
                    left,
                },
                first,
            )
        }
    };
    Ok(named(response, format, &repository))
}

/// The filters in words, for the head of the report.
fn in_words(query: &Query) -> String {
    let words = FILTERS
        .iter()
        .flat_map(|name| query.all(name).map(move |value| format!("{name} {value}")));
    words.collect::<Vec<_>>().join(", ")
}

fn step(left: Option<usize>) -> usize {
    left.map_or(STEP, |left| left.min(STEP))
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
fn stream(writing: Writing, first: Page) -> Response {
    let (to, from) = mpsc::channel(AHEAD);
    tokio::spawn(write(writing, first, to));
    warp::reply::stream(ReceiverStream::new(from)).into_response()
}

/// Writes page after page. A client that went away ends it; an index that refuses its own cursor
/// breaks the body off, which the client sees as an incomplete transfer.
async fn write(
    mut writing: Writing,
    mut page: Page,
    to: mpsc::Sender<Result<Bytes, fleet_worker_sdk::Error>>,
) {
    if to.send(Ok(writing.report.begin().into())).await.is_err() {
        return;
    }
    loop {
        let rows = writing.report.rows(&page.findings);
        if to.send(Ok(rows.into())).await.is_err() {
            return;
        }
        let next = page.next.take();
        let Some(cursor) = writing.goes_on(next.as_ref(), page.findings.len()) else {
            let _gone = to.send(Ok(writing.report.end(next.as_ref()).into())).await;
            return;
        };
        writing.query.after = Some(cursor);
        let read = writing.findings.read().await.query(&writing.query);
        page = match read {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(%error, "report broke off");
                let _gone = to.send(Err(error)).await;
                return;
            }
        };
    }
}

impl Writing {
    /// Where to read on, after `written` more findings; none when the report is whole.
    fn goes_on(&mut self, next: Option<&Cursor>, written: usize) -> Option<Cursor> {
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(written);
            self.query.limit = step(Some(*left));
            if *left == 0 {
                return None;
            }
        }
        next.cloned()
    }
}
