//! One connection: its deadlines, and its requests' way to the routes or the WebSocket.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use warp::filters::BoxedFilter;
use warp::reply::{Reply, Response};

use super::body::Patient;
use super::host;
use super::stall::Stalling;
use crate::access::guard;
use crate::config::Settings;
use crate::metrics::Metrics;
use crate::ws::{self, Sockets};

/// Buffer for a request's head, and so its largest size: 32 KiB, twice what browsers send at most.
const HEAD_BYTES: usize = 32 * 1024;
/// Streams of one HTTP/2 connection: 64, so that one client cannot take all of a process.
const STREAMS: u32 = 64;

/// What all connections share.
pub(crate) struct Connections {
    pub(crate) filter: BoxedFilter<(Response,)>,
    /// The WebSocket's door, where there is one.
    pub(crate) sockets: Option<Sockets>,
    /// Whether hosts and tokens are asked for: not where there is nothing but probes and metrics.
    pub(crate) guarded: bool,
    pub(crate) settings: Arc<Settings>,
    pub(crate) metrics: Metrics,
    pub(crate) builder: Builder<TokioExecutor>,
    pub(crate) drain: CancellationToken,
    pub(crate) cut: CancellationToken,
}

/// HTTP/1 and HTTP/2 with their limits.
pub(crate) fn builder(settings: &Settings) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header_timeout)
        .max_buf_size(HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(settings.ping_interval)
        .keep_alive_timeout(settings.header_timeout)
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD_BYTES as u32);
    builder
}

/// Serves a connection until it ends, misses a deadline, or is cut.
pub(crate) async fn run(connections: Arc<Connections>, stream: TcpStream, peer: SocketAddr) {
    let _counted = connections.metrics.connection();
    // Answers are written whole: waiting to fill a packet only delays them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection was gone before it began");
        return;
    }
    let io = TokioIo::new(Stalling::new(stream, connections.settings.body_timeout));
    let asked = AtomicBool::new(false);
    let service = service_fn(|request| {
        asked.store(true, Ordering::Relaxed);
        Arc::clone(&connections).answer(peer, request)
    });
    let mut serving = pin!(
        connections
            .builder
            .serve_connection_with_upgrades(io, service)
    );
    // hyper's header timeout begins once it knows the protocol; a client that sends nothing, or
    // half a preface, is cut by this one.
    let mut first = pin!(tokio::time::sleep(connections.settings.header_timeout));
    let (mut waiting, mut draining) = (true, false);
    loop {
        tokio::select! {
            ended = serving.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%peer, error = %chain(&*error), "a connection ended badly");
                }
                return;
            }
            () = first.as_mut(), if waiting => {
                if !asked.load(Ordering::Relaxed) {
                    return;
                }
                waiting = false;
            }
            () = connections.drain.cancelled(), if !draining => {
                draining = true;
                serving.as_mut().graceful_shutdown();
            }
            () = connections.cut.cancelled() => return,
        }
    }
}

impl Connections {
    async fn answer(
        self: Arc<Self>,
        peer: SocketAddr,
        request: Request<Incoming>,
    ) -> Result<Response, Infallible> {
        let began = Instant::now();
        let observed = self.metrics.request(request.method(), request.uri().path());
        let response = match (self.refusal(&request), &self.sockets) {
            (Some(refusal), _) => refusal,
            (None, Some(sockets)) if request.uri().path() == ws::PATH => {
                sockets.upgrade(peer.ip(), request)
            }
            (None, _) => {
                let patience = self.settings.body_timeout;
                let request = request.map(|body| Patient::new(body, patience));
                let routes = TowerToHyperService::new(warp::service(self.filter.clone()));
                routes.call(request).await?
            }
        };
        observed.answered(response.status(), began.elapsed());
        Ok(response)
    }

    /// What a request is answered that may not pass.
    fn refusal<B>(&self, request: &Request<B>) -> Option<Response> {
        if !self.guarded {
            return None;
        }
        if let Err(problem) = host::check(request, &self.settings.allowed_hosts) {
            return Some(problem.into_response());
        }
        let (why, response) = guard::refusal(self.settings.tokens.as_ref(), request)?;
        self.metrics.access_refused(why.as_str());
        Some(response)
    }
}

/// An error with its causes: hyper's own text is only the first of them.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
