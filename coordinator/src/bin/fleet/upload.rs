//! A report on its way to a fleet's HTTP API, streamed: memory does not grow with the file.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fleet_worker_sdk::import::Continued;
use fleet_worker_sdk::transport::http::HttpWriter;
use fleet_worker_sdk::{BotId, Error, OpenSession, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use reqwest::{Body, Method, Url};
use serde_json::Value;
use tempfile::NamedTempFile;
use tokio::io::AsyncReadExt;

/// Longest time for one report, the store's work included: 128 MiB over 2 Mbit/s.
const UPLOAD_TIMEOUT: Duration = Duration::from_mins(10);
/// How often a report is sent while the store is away: the same report twice adds nothing.
const ATTEMPTS: u32 = 4;
/// Wait before the second attempt, doubled before each one after.
const PAUSE: Duration = Duration::from_secs(1);
/// Bytes read from a file at once.
const CHUNK: usize = 64 * 1024;
/// Most bytes of a stream kept in a file: above any report a store accepts, below a full disk.
pub(crate) const MAX_INPUT: u64 = 1 << 30;

/// What goes with a report.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) open: OpenSession,
    pub(crate) bot: Option<BotId>,
    pub(crate) partial: bool,
    /// The running execution that it goes into.
    pub(crate) continued: Option<Continued>,
}

/// Standard input, kept in a temporary file: it can be sent again, and its size is known.
pub(crate) fn spool() -> Result<NamedTempFile> {
    let failed = |error: std::io::Error| Error::invalid("standard input", error.to_string());
    let mut file = NamedTempFile::new().map_err(failed)?;
    let mut input = std::io::stdin().lock().take(MAX_INPUT + 1);
    let size = std::io::copy(&mut input, &mut file).map_err(failed)?;
    if size > MAX_INPUT {
        return Err(Error::TooLarge {
            what: "standard input".to_owned(),
            size,
            limit: MAX_INPUT,
        });
    }
    Ok(file)
}

/// Sends the report at `path`; answers with the store's summary.
pub(crate) async fn send(
    store: &HttpWriter,
    terms: &Terms,
    path: &Path,
    bar: bool,
) -> Result<Value> {
    let mut pause = PAUSE;
    for _ in 1..ATTEMPTS {
        match attempt(store, terms, path, bar).await {
            Err(error) if error.is_retryable() => tokio::time::sleep(pause).await,
            done => return done,
        }
        pause *= 2;
    }
    attempt(store, terms, path, bar).await
}

async fn attempt(store: &HttpWriter, terms: &Terms, path: &Path, bar: bool) -> Result<Value> {
    let unreadable = |error: std::io::Error| Error::invalid("file", error.to_string());
    let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    let metadata = file.metadata().await.map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(Error::invalid("file", "it is a folder"));
    }
    let bar = progress(metadata.len(), bar);
    let request = store
        .request(Method::POST, &target(terms)?, UPLOAD_TIMEOUT)?
        .header("content-type", "application/octet-stream")
        .body(body(file, Arc::clone(&bar)));
    let answer = store.send(request).await;
    bar.finish_and_clear();
    answer
}

fn target(terms: &Terms) -> Result<String> {
    let open = &terms.open;
    let mut parameters = vec![
        ("repository", open.repository.as_str()),
        ("ref", &open.git_ref),
        ("commit", &open.commit),
        ("run", &open.run),
    ];
    parameters.extend(terms.bot.as_ref().map(|bot| ("bot", bot.as_str())));
    if terms.partial {
        parameters.push(("partial", "true"));
    }
    let (attempt, sequence);
    if let Some(Continued { ongoing, ended }) = &terms.continued {
        (attempt, sequence) = (ongoing.attempt.to_string(), ongoing.sequence.to_string());
        parameters.extend([
            ("producer", ongoing.producer.as_str()),
            ("attempt", &attempt),
            ("sequence", &sequence),
            ("ended", ended.as_str()),
        ]);
    }
    parameters.retain(|(_, value)| !value.is_empty());
    let url = Url::parse_with_params("http://unused/", parameters).map_err(Error::protocol)?;
    Ok(format!("api/v1/ingest?{}", url.query().unwrap_or_default()))
}

fn body(file: tokio::fs::File, bar: Arc<ProgressBar>) -> Body {
    let chunks = futures_util::stream::try_unfold((file, bar), |(mut file, bar)| async {
        let mut chunk = vec![0; CHUNK];
        let read = file.read(&mut chunk).await?;
        bar.inc(read as u64);
        chunk.truncate(read);
        Ok::<_, std::io::Error>((read > 0).then_some((chunk, (file, bar))))
    });
    Body::wrap_stream(chunks)
}

fn progress(size: u64, visible: bool) -> Arc<ProgressBar> {
    let bar = ProgressBar::new(size);
    if !visible {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {bytes_per_sec}");
    Arc::new(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_escaped_in_the_query() {
        let open = OpenSession::new("acme/shop").unwrap().git_ref("a&b=c d");
        let terms = Terms {
            open,
            bot: Some(BotId::new("b").unwrap()),
            partial: true,
            continued: None,
        };
        assert_eq!(
            target(&terms).unwrap(),
            "api/v1/ingest?repository=acme%2Fshop&ref=a%26b%3Dc+d&run=0&bot=b&partial=true"
        );
    }
}
