//! Request bodies: bounded in size and time, read as JSON with the position of what is wrong.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use fleet_worker_sdk::Error;
use futures_util::{Stream, StreamExt};
use serde::de::DeserializeOwned;
use warp::Filter;
use warp::http::StatusCode;
use warp::reject::Rejection;

use super::problem::Problem;

/// Time a JSON body may take to arrive: 1 MiB over a line of 30 KiB/s.
pub(crate) const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A JSON body of at most `limit` bytes.
pub(crate) fn json<T>(limit: u64) -> impl Filter<Extract = (T,), Error = Rejection> + Clone
where
    T: DeserializeOwned + Send,
{
    warp::header::optional::<String>("content-type")
        .and(warp::header::optional::<u64>("content-length"))
        .and(warp::body::stream())
        .and_then(
            move |kind: Option<String>, length: Option<u64>, body| async move {
                read(kind.as_deref(), length, body, limit)
                    .await
                    .map_err(warp::reject::custom)
            },
        )
}

async fn read<T, S, B>(
    kind: Option<&str>,
    length: Option<u64>,
    body: S,
    limit: u64,
) -> Result<T, Problem>
where
    T: DeserializeOwned,
    S: Stream<Item = Result<B, warp::Error>>,
    B: Buf,
{
    if !kind.is_some_and(is_json) {
        let given = kind.map_or_else(|| "none".to_owned(), |kind| format!("{kind:?}"));
        return Err(Problem::media_type(format!(
            "this path reads application/json, the request says {given}"
        )));
    }
    refuse_over(length.unwrap_or(0), limit)?;
    let collected = tokio::time::timeout(BODY_TIMEOUT, collect(body, limit)).await;
    let bytes = collected.unwrap_or_else(|_| Err(too_slow(BODY_TIMEOUT)))?;
    serde_json::from_slice(&bytes).map_err(|error| Problem::invalid("body", error.to_string()))
}

fn is_json(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

async fn collect<B: Buf>(
    body: impl Stream<Item = Result<B, warp::Error>>,
    limit: u64,
) -> Result<Bytes, Problem> {
    let mut body = std::pin::pin!(body);
    let mut all = BytesMut::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| broken_off(&error))?;
        refuse_over((all.len() + chunk.remaining()) as u64, limit)?;
        bytes::BufMut::put(&mut all, chunk);
    }
    Ok(all.freeze())
}

/// 413 when `size` is over `limit`.
pub(crate) fn refuse_over(size: u64, limit: u64) -> Result<(), Problem> {
    if size > limit {
        return Err(Problem::too_large(size, limit));
    }
    Ok(())
}

/// 400 when the client went away amid its body.
pub(crate) fn broken_off(error: &warp::Error) -> Problem {
    Problem::invalid("body", format!("it broke off: {error}"))
}

/// 408 when the body did not arrive in time; to the client an error worth a retry.
pub(crate) fn too_slow(limit: Duration) -> Problem {
    let error = Error::Unavailable {
        store: "the dashboard".to_owned(),
        why: format!(
            "the request's body did not arrive within {} s",
            limit.as_secs()
        ),
    };
    Problem::new(StatusCode::REQUEST_TIMEOUT, "body too slow", error)
}
