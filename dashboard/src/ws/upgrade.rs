//! The door: who may become a client, and how a connection turns into a socket.
//!
//! The upgrade is taken over here and not left to warp, whose socket keeps 130 KiB of buffers
//! a client; this one keeps 8 KiB.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use fleet_worker_sdk::Error;
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::downcast;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use warp::host::Authority;
use warp::http::{Method, StatusCode, Version};
use warp::reply::{Reply, Response};

use super::client::Client;
use super::said;
use super::seats::{Refused, Seat, Seats};
use super::state::State;
use crate::api::problem::Problem;
use crate::api::secure::is_own;
use crate::config::Settings;
use crate::metrics::Metrics;
use crate::server::stall::Stalling;

/// Time for a resume unasked: a browser sends it with the first packet, others wait no longer.
const RESUME: Duration = Duration::from_millis(200);
/// Time for a resume that was promised in the query.
const PROMISED_RESUME: Duration = Duration::from_secs(5);

/// Lets clients in; cheap to clone.
#[derive(Clone)]
pub(crate) struct Sockets {
    pub(crate) states: watch::Receiver<Arc<State>>,
    pub(crate) seats: Seats,
    pub(crate) settings: Arc<Settings>,
    pub(crate) metrics: Metrics,
    pub(crate) tasks: TaskTracker,
    pub(crate) drain: CancellationToken,
}

impl Sockets {
    /// Answers a request for the WebSocket: 101 and a client more, or why not.
    pub(crate) fn upgrade(&self, address: IpAddr, mut request: Request<Incoming>) -> Response {
        let admitted = admit(&request).and_then(|accept| {
            let seat = self.seats.take(address).map_err(no_seat)?;
            Ok((accept, seat))
        });
        let (accept, seat) = match admitted {
            Ok(admitted) => admitted,
            Err(problem) => {
                self.metrics.client_refused();
                return refuse(problem);
            }
        };
        let wait = match request.uri().query() {
            Some(query) if query.split('&').any(|pair| pair == "resume=1") => PROMISED_RESUME,
            _ => RESUME,
        };
        let upgrading = hyper::upgrade::on(&mut request);
        let door = self.clone();
        self.tasks.spawn(async move {
            match upgrading.await {
                Ok(upgraded) => door.welcome(upgraded, seat, wait).await,
                Err(error) => tracing::debug!(%error, "a WebSocket client left at the door"),
            }
        });
        switching(accept)
    }

    async fn welcome(self, upgraded: hyper::upgrade::Upgraded, seat: Seat, wait: Duration) {
        let Ok(parts) = downcast::<TokioIo<Stalling<TcpStream>>>(upgraded) else {
            tracing::error!("a connection is of a kind the server does not make");
            return;
        };
        let stream = parts.io.into_inner().into_inner();
        let config = Some(said::config());
        let early = parts.read_buf.to_vec();
        let socket =
            WebSocketStream::from_partially_read(stream, early, Role::Server, config).await;
        let counted = self.metrics.client_came();
        Client {
            socket,
            states: self.states,
            settings: self.settings,
            metrics: self.metrics,
            drain: self.drain,
            wait,
            _seat: seat,
        }
        .run()
        .await;
        drop(counted);
    }
}

/// The key to accept with, or what the request lacks.
fn admit(request: &Request<Incoming>) -> Result<HeaderValue, Problem> {
    if request.method() != Method::GET {
        return Err(Problem::method("GET"));
    }
    let headers = request.headers();
    same_host(headers)?;
    let asks = request.version() == Version::HTTP_11
        && has_token(headers, &CONNECTION, "upgrade")
        && has_token(headers, &UPGRADE, "websocket")
        && has_token(headers, &SEC_WEBSOCKET_VERSION, "13");
    if !asks {
        let why = "this path is a WebSocket (HTTP/1.1, version 13); /api/v1 has the same as JSON";
        let error = Error::invalid("upgrade", why);
        let status = StatusCode::UPGRADE_REQUIRED;
        return Err(Problem::new(status, "upgrade required", error));
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
    let key = key
        .filter(|key| key.len() == KEY_LENGTH)
        .ok_or_else(|| Problem::invalid("sec-websocket-key", "it is not 16 bytes in base64"))?;
    HeaderValue::from_str(&derive_accept_key(key)).map_err(|error| Error::protocol(error).into())
}

/// Length of 16 bytes in base64.
const KEY_LENGTH: usize = 24;

/// Browsers let any page open a socket anywhere, and say which page it was; others say nothing.
fn same_host(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(origin) = headers.get(ORIGIN) else {
        return Ok(());
    };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host: Option<Authority> = host.and_then(|host| host.parse().ok());
    match origin.to_str() {
        Ok(origin) if is_own(origin, host.as_ref()) => Ok(()),
        _ => Err(Problem::new(
            StatusCode::FORBIDDEN,
            "foreign origin",
            Error::invalid("origin", "only pages of this host may open the WebSocket"),
        )),
    }
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .any(|part| part.trim().eq_ignore_ascii_case(token))
}

fn no_seat(refused: Refused) -> Problem {
    let (status, title, why) = match refused {
        Refused::Full(seats) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "too many clients",
            format!("all {seats} places are taken; retry later"),
        ),
        Refused::TooManyOfAddress(seats) => (
            StatusCode::TOO_MANY_REQUESTS,
            "too many clients",
            format!("this address has all {seats} places it may have; close some"),
        ),
    };
    Problem::new(status, title, Error::Full { why })
}

fn refuse(problem: Problem) -> Response {
    let mut response = problem.into_response();
    if response.status() == StatusCode::UPGRADE_REQUIRED {
        let headers = response.headers_mut();
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    }
    response
}

fn switching(accept: HeaderValue) -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    response
}
