//! What those who run a coordinator ask it: probes and metrics, on a listener of their own.
//!
//! - `GET /livez`: 200 as long as the process runs; never asks the store, whose absence no restart
//!   would cure.
//! - `GET /readyz`: 200 when the store takes writes; else 503 with the reason.
//! - `GET /metrics`: see [`metrics`].
//!
//! Nothing here tells of findings, so the listener may be reached by whoever scrapes. [`probe`] asks
//! another process's.

pub mod metrics;

pub mod probe;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fleet_worker_sdk::{Error, Result};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::config::ConfigError;
use crate::maintain::Coordinator;
use crate::store::SharedStore;

/// Connections at once: a prober, a scraper, and people who look. More wait in the kernel's queue.
const CONNECTIONS: usize = 32;
/// Time for a request's head, and idle between two: above the usual period of probes.
const HEAD: Duration = Duration::from_secs(30);
/// Time the store has to say that it takes writes: below the 1 s that Kubernetes gives a probe.
const PATIENCE: Duration = Duration::from_millis(800);
/// Pause after the process ran out of something, until a connection has ended.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// An address for probes and metrics. Any address may be listened on.
///
/// # Errors
/// [`ConfigError::Invalid`] when it is none.
pub fn address(text: &str) -> std::result::Result<SocketAddr, ConfigError> {
    text.parse().map_err(|_| {
        let why = format!("{text:?} is not an address and a port; write it as 0.0.0.0:9090");
        ConfigError::invalid("ops-listen", why)
    })
}

/// Listens on `address`.
///
/// # Errors
/// [`Error::Invalid`] when that cannot be listened on.
pub async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .map_err(|error| Error::invalid("ops-listen", format!("{address}: {error}")))
}

/// Answers until `ended`.
pub async fn serve(
    listener: TcpListener,
    coordinator: Arc<Coordinator>,
    store: SharedStore,
    ended: CancellationToken,
) {
    let asked = Arc::new(Asked { coordinator, store });
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = ended.cancelled() => return,
            accepted = next(&listener, &slots) => accepted,
        };
        let (stream, slot) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a probe's connection cannot be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (asked, ended) = (Arc::clone(&asked), ended.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = ended.cancelled() => {}
                () = connection(stream, asked) => {}
            }
            drop(slot);
        });
    }
}

async fn next(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, Option<tokio::sync::OwnedSemaphorePermit>)> {
    // Never closed, so there is always one in the end.
    let slot = Arc::clone(slots).acquire_owned().await.ok();
    Ok((listener.accept().await?.0, slot))
}

async fn connection(stream: TcpStream, asked: Arc<Asked>) {
    let service = service_fn(|request| Arc::clone(&asked).answer(request));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a probe's connection ended badly");
    }
}

/// What is asked.
struct Asked {
    coordinator: Arc<Coordinator>,
    store: SharedStore,
}

impl Asked {
    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> std::result::Result<Response<Full<Bytes>>, Infallible> {
        let looks = matches!(*request.method(), Method::GET | Method::HEAD);
        Ok(match request.uri().path() {
            _ if !looks => text(StatusCode::METHOD_NOT_ALLOWED, "ask with GET\n"),
            "/livez" => text(StatusCode::OK, "live\n"),
            "/readyz" => self.ready().await,
            "/metrics" => match metrics::of_coordinator(&self.coordinator.totals()) {
                Ok(written) => text(StatusCode::OK, written),
                Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
            },
            _ => text(
                StatusCode::NOT_FOUND,
                "here are /livez, /readyz and /metrics\n",
            ),
        })
    }

    async fn ready(&self) -> Response<Full<Bytes>> {
        let checked = timeout(PATIENCE, self.store.check()).await;
        match checked {
            Ok(Ok(())) => text(StatusCode::OK, "ready\n"),
            Ok(Err(error)) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
            Err(_) => {
                let (store, ms) = (self.store.address(), PATIENCE.as_millis());
                let why = format!("{store} has not answered within {ms} ms\n");
                text(StatusCode::SERVICE_UNAVAILABLE, why)
            }
        }
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(metrics::TYPE));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
