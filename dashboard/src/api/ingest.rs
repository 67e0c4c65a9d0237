//! Other tools' reports, as files.
//!
//! - `POST ingest?repository=&ref=&commit=&run=&bot=&partial=`: a body of SARIF 2.1.0 or JSON
//!   lines, plain or gzip, told apart by its content. Answers with the import's summary and links
//!   to the session. A report that cannot be read is refused with the position and the reason and
//!   nothing of it is applied; with `partial=true` its good results are, and the bad ones listed.
//! - With `producer=&attempt=&sequence=&ended=`, and `bot`, the report goes into the execution that
//!   this producer runs, and ends it: `well`, `unsure` (whole only if the report itself says that
//!   the tool was successful) or `cut` (partial).
//!
//! The body goes to an unnamed temporary file: an import reads it several times, and memory must
//! not grow with it.

use std::fs::File;
use std::sync::Arc;

use bytes::Buf;
use fleet_coordinator::import::import_through;
use fleet_worker_sdk::import::{Continued, Ended, ImportOptions, ImportSummary, Source};
use fleet_worker_sdk::{BotId, Error, Ongoing, OpenSession, ProducerId, Repository};
use futures_util::{Stream, StreamExt};
use serde::Serialize;
use tokio::io::AsyncWriteExt;
use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Filter, path};

use super::problem::Problem;
use super::query::Query;
use super::{answer, body, raw_query, with, write};
use crate::context::Context;
use crate::metrics::pushes::Counted;

/// Time a report may take to arrive, as long as the command line waits; the server also ends
/// a body that stalls.
const INGEST_TIMEOUT: std::time::Duration = std::time::Duration::from_mins(10);

/// The parameters of an import.
const PARAMETERS: [&str; 10] = [
    "repository",
    "ref",
    "commit",
    "run",
    "bot",
    "partial",
    "producer",
    "attempt",
    "sequence",
    "ended",
];

pub(crate) fn routes(context: &Context) -> BoxedFilter<(Response,)> {
    path!("ingest")
        .and(write("POST"))
        .and(with(context))
        .and(raw_query())
        .and(warp::header::optional::<u64>("content-length"))
        .and(warp::body::stream())
        .then(|context, query, length, body| async move {
            answer(ingest(context, query, length, body).await)
        })
        .boxed()
}

/// An import's summary, and where to read on.
#[derive(Serialize)]
struct Ingested {
    #[serde(flatten)]
    summary: ImportSummary,
    links: Links,
}

#[derive(Serialize)]
struct Links {
    session: String,
    findings: String,
    page: String,
}

async fn ingest<B: Buf>(
    context: Context,
    query: String,
    length: Option<u64>,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Result<Ingested, Problem> {
    let query = Query::parse(&query, &PARAMETERS)?;
    let (options, continued) = (options(&query)?, continued(&query)?);
    let file = spool(&context, length, body).await?;
    // Unpacking a report is work for a thread that may block.
    let source = tokio::task::spawn_blocking(|| Source::of(file, "report")).await;
    let source = Arc::new(source.map_err(Error::protocol)??);
    let store = &*context.store;
    let counted = Counted::new(store, context.metrics.pushes());
    let into = continued.as_ref();
    let summary = import_through(store, &counted, source, options, into, &|_, _| {}).await?;
    let session = summary.session.clone();
    let links = Links {
        session: format!("/api/v1/sessions/{session}"),
        findings: format!("/api/v1/sessions/{session}/findings"),
        page: format!("/sessions/{session}"),
    };
    Ok(Ingested { summary, links })
}

fn options(query: &Query) -> Result<ImportOptions, Problem> {
    let Some(repository) = query.read::<Repository>("repository")? else {
        let why = "it is missing; name the repository, such as ?repository=acme/shop";
        return Err(Problem::invalid("query parameter `repository`", why));
    };
    let text = |name| Ok::<_, Problem>(query.one(name)?.unwrap_or_default().to_owned());
    let mut open = OpenSession::new(repository.as_str())?
        .git_ref(text("ref")?)
        .commit(text("commit")?);
    if let Some(run) = query.one("run")? {
        open = open.run(run);
    }
    Ok(ImportOptions {
        open,
        bot: query.read::<BotId>("bot")?,
        partial: query.read::<bool>("partial")?.unwrap_or(false),
        worker: None,
    })
}

/// The running execution that the report goes into, if one is named.
fn continued(query: &Query) -> Result<Option<Continued>, Problem> {
    let Some(producer) = query.read::<ProducerId>("producer")? else {
        return Ok(None);
    };
    let missing = |name: &str| {
        let why = "it is missing: `producer` goes with `attempt` and `sequence`";
        Problem::invalid(format!("query parameter `{name}`"), why)
    };
    let ongoing = Ongoing {
        producer,
        attempt: query.read("attempt")?.ok_or_else(|| missing("attempt"))?,
        sequence: query.read("sequence")?.ok_or_else(|| missing("sequence"))?,
    };
    let ended = query.read::<Ended>("ended")?.unwrap_or(Ended::Well);
    Ok(Some(Continued { ongoing, ended }))
}

/// The body on disk, from its beginning; refused when it is over the limit or too slow.
async fn spool<B: Buf>(
    context: &Context,
    length: Option<u64>,
    body: impl Stream<Item = Result<B, warp::Error>>,
) -> Result<File, Problem> {
    let settings = &context.settings;
    body::refuse_over(length.unwrap_or(0), settings.max_ingest)?;
    let copied = tokio::time::timeout(INGEST_TIMEOUT, copy(body, settings.max_ingest));
    copied
        .await
        .unwrap_or_else(|_| Err(body::too_slow(INGEST_TIMEOUT)))
}

async fn copy<B: Buf>(
    body: impl Stream<Item = Result<B, warp::Error>>,
    limit: u64,
) -> Result<File, Problem> {
    let mut body = std::pin::pin!(body);
    let mut file = tokio::fs::File::from_std(tempfile::tempfile().map_err(no_room)?);
    let mut size = 0;
    while let Some(chunk) = body.next().await {
        let mut chunk = chunk.map_err(|error| body::broken_off(&error))?;
        size += chunk.remaining() as u64;
        body::refuse_over(size, limit)?;
        while chunk.has_remaining() {
            file.write_all_buf(&mut chunk).await.map_err(no_room)?;
        }
    }
    file.flush().await.map_err(no_room)?;
    Ok(file.into_std().await)
}

/// A full or missing temporary directory passes: the client may try again.
fn no_room(error: std::io::Error) -> Problem {
    let why = format!("the report cannot be spooled to disk: {error}");
    Error::Full { why }.into()
}
