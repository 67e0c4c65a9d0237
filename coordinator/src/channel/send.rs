//! Deliveries over HTTP. An address is in no error and no log line: it may be a secret.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fleet_worker_sdk::{Error, Result};
use futures_util::StreamExt;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use jiff::Timestamp;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;

use super::payload::body;
use super::sign::{IDEMPOTENCY, SIGNATURE, TIMESTAMP, signature};
use super::{Kind, Target};
use crate::alert::{Channel, Delivery};

/// Time for a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// Time for all of a delivery: well within the lease that a coordinator has of it.
const TOTAL: Duration = Duration::from_secs(10);
/// How long a connection is kept for the next delivery: an Alertmanager is told every minute.
const IDLE: Duration = Duration::from_secs(90);
/// Bytes of an answer that are read, for the reason in it.
const ANSWER: usize = 512;
/// Longest pause that a channel may ask for.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The channel took it.
    Arrived,
    /// It may be taken later.
    Later {
        /// What the channel, or the way to it, said.
        why: String,
        /// How long the channel wants to be left alone at least.
        pause: Option<Duration>,
    },
    /// It will never be taken as it is.
    Refused(String),
}

type HttpsClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Sends to all channels of a process.
#[derive(Clone, Debug, Default)]
pub struct Sender {
    /// None without channels: making one reads the system's certificates.
    client: Option<HttpsClient>,
    targets: Vec<(Target, Uri)>,
}

impl Sender {
    /// A sender to `targets`.
    ///
    /// # Errors
    /// `Error::Invalid` where an address is none, or the system has no certificates for https.
    pub fn new(targets: Vec<Target>) -> Result<Self> {
        let checked = targets.into_iter().map(|target| {
            let uri = target.endpoint()?.as_str().parse::<Uri>();
            let uri = uri.map_err(|_| Error::invalid("url", "it cannot be asked"))?;
            Ok((target, uri))
        });
        let targets: Vec<(Target, Uri)> = checked.collect::<Result<_>>()?;
        if targets.is_empty() {
            return Ok(Self::default());
        }
        let secure = targets
            .iter()
            .any(|(_, uri)| uri.scheme_str() == Some("https"));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector(secure)?);
        Ok(Self {
            client: Some(client),
            targets,
        })
    }

    /// The channels it sends to.
    pub fn channels(&self) -> Vec<Channel> {
        let targets = self.targets.iter();
        targets.map(|(target, _)| target.channel.clone()).collect()
    }

    /// Tells a channel, once. A redirect is not followed: it would send what is secret elsewhere.
    pub async fn send(&self, delivery: &Delivery, now: Timestamp) -> Sent {
        let named = |(target, _): &&(Target, Uri)| target.channel.name == delivery.channel;
        let (Some(client), Some((target, uri))) = (&self.client, self.targets.iter().find(named))
        else {
            return Sent::Refused("this process has no such channel".to_owned());
        };
        let request = match request(target, uri.clone(), delivery, now) {
            Ok(request) => request,
            Err(error) => return Sent::Refused(error.to_string()),
        };
        let answered = timeout(TOTAL, async {
            match client.request(request).await {
                Ok(response) => judge(response).await,
                Err(error) => later(reason(&error)),
            }
        });
        let slow = || later(format!("it did not answer within {} s", TOTAL.as_secs()));
        answered.await.unwrap_or_else(|_| slow())
    }
}

fn later(why: String) -> Sent {
    Sent::Later { why, pause: None }
}

/// What opens connections; trusts the system's certificates, which an image may do without as long
/// as no channel is `secure`.
fn connector(secure: bool) -> Result<HttpsConnector<HttpConnector>> {
    let provider = rustls::crypto::ring::default_provider();
    let unusable =
        |error: String| Error::invalid("alerts", format!("https cannot be spoken: {error}"));
    let builder = HttpsConnectorBuilder::new();
    let builder = if secure {
        let trusting = builder.with_provider_and_native_roots(provider);
        trusting.map_err(|error| unusable(error.to_string()))?
    } else {
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(error.to_string()))?;
        let nobody = config.with_root_certificates(RootCertStore::empty());
        builder.with_tls_config(nobody.with_no_client_auth())
    };
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_connect_timeout(Some(CONNECT));
    Ok(builder.https_or_http().enable_http1().wrap_connector(http))
}

fn request(
    target: &Target,
    uri: Uri,
    delivery: &Delivery,
    now: Timestamp,
) -> Result<Request<Full<Bytes>>> {
    let json = serde_json::to_vec(&body(target, delivery, now)).map_err(Error::protocol)?;
    let seconds = now.as_second();
    let agent = concat!("fleet-coordinator/", env!("CARGO_PKG_VERSION"));
    let mut request = Request::post(uri)
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, agent)
        .header(IDEMPOTENCY, &delivery.id);
    if let Some(secret) = &target.secret {
        request = if target.kind == Kind::Webhook {
            let signed = signature(secret.reveal(), seconds, &json)?;
            request.header(TIMESTAMP, seconds).header(SIGNATURE, signed)
        } else {
            request.header(AUTHORIZATION, bearer(secret.reveal())?)
        };
    }
    request.body(Full::from(json)).map_err(Error::protocol)
}

fn bearer(token: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|_| Error::invalid("secret", "it cannot be sent as a token"))?;
    value.set_sensitive(true);
    Ok(value)
}

async fn judge(response: Response<Incoming>) -> Sent {
    let status = response.status();
    if status.is_success() {
        return Sent::Arrived;
    }
    let pause = pause(&response);
    let why = format!("it answered {status}: {}", beginning(response).await);
    let passing = [
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::TOO_EARLY,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    if status.is_server_error() || passing.contains(&status) {
        Sent::Later { why, pause }
    } else if status.is_redirection() {
        Sent::Refused(format!(
            "{status}: it is elsewhere, and redirects are not followed; name its present address"
        ))
    } else {
        Sent::Refused(why)
    }
}

/// How long the channel asks to be left alone.
fn pause(response: &Response<Incoming>) -> Option<Duration> {
    let asked = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    let seconds = asked.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_PAUSE))
}

/// The beginning of an answer, on one line.
async fn beginning(response: Response<Incoming>) -> String {
    let mut read = Vec::new();
    let mut body = response.into_body().into_data_stream();
    while let Some(Ok(chunk)) = body.next().await {
        read.extend(chunk.iter().take(ANSWER - read.len()));
        if read.len() == ANSWER {
            break;
        }
    }
    let text = String::from_utf8_lossy(&read);
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.collect::<String>().trim().to_owned()
}

/// What went wrong on the way, down to its cause. None of these errors names the address.
fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
