//! Deliveries over HTTP. An address is in no error and no log line: it may be a secret.

use std::error::Error as _;
use std::time::Duration;

use fleet_worker_sdk::{Error, Result};
use futures_util::StreamExt;
use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};

use super::payload::body;
use super::sign::{IDEMPOTENCY, SIGNATURE, TIMESTAMP, signature};
use super::{Kind, Target};
use crate::alert::{Channel, Delivery};

/// Time for a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// Time for all of a delivery: well within the lease that a coordinator has of it.
const TOTAL: Duration = Duration::from_secs(10);
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

/// Sends to all channels of a process.
#[derive(Clone, Debug, Default)]
pub struct Sender {
    /// None without channels: making one reads the system's certificates.
    client: Option<Client>,
    targets: Vec<(Target, Url)>,
}

impl Sender {
    /// A sender to `targets`.
    ///
    /// # Errors
    /// `Error::Invalid` where an address is none, or the system has no certificates for https.
    pub fn new(targets: Vec<Target>) -> Result<Self> {
        // rustls panics where nobody has said which cryptography it works with; that the program
        // has already said so is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let checked = targets.into_iter().map(|target| {
            let url = target.endpoint()?;
            Ok((target, url))
        });
        let targets: Vec<(Target, Url)> = checked.collect::<Result<_>>()?;
        if targets.is_empty() {
            return Ok(Self::default());
        }
        let mut client = Client::builder();
        if targets.iter().all(|(_, url)| url.scheme() == "http") {
            // An image without certificates will do.
            client = client.tls_certs_only([]);
        }
        let client = client
            .connect_timeout(CONNECT)
            .timeout(TOTAL)
            // A redirect would send what is secret to another host.
            .redirect(Policy::none())
            .referer(false)
            .user_agent(concat!("fleet-coordinator/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Error::invalid("alerts", reason(error)))?;
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

    /// Tells a channel, once.
    pub async fn send(&self, delivery: &Delivery, now: Timestamp) -> Sent {
        let named = |(target, _): &&(Target, Url)| target.channel.name == delivery.channel;
        let (Some(client), Some((target, url))) = (&self.client, self.targets.iter().find(named))
        else {
            return Sent::Refused("this process has no such channel".to_owned());
        };
        let request = match request(client, target, url.clone(), delivery, now) {
            Ok(request) => request,
            Err(error) => return Sent::Refused(error.to_string()),
        };
        match client.execute(request).await {
            Ok(response) => judge(response).await,
            Err(error) => Sent::Later {
                why: reason(error),
                pause: None,
            },
        }
    }
}

fn request(
    client: &Client,
    target: &Target,
    url: Url,
    delivery: &Delivery,
    now: Timestamp,
) -> Result<reqwest::Request> {
    let json = serde_json::to_vec(&body(target, delivery, now)).map_err(Error::protocol)?;
    let seconds = now.as_second();
    let mut request = client
        .post(url)
        .header(CONTENT_TYPE, "application/json")
        .header(IDEMPOTENCY, &delivery.id);
    if let Some(secret) = &target.secret {
        request = if target.kind == Kind::Webhook {
            let signed = signature(secret.reveal(), seconds, &json)?;
            request.header(TIMESTAMP, seconds).header(SIGNATURE, signed)
        } else {
            request.header(AUTHORIZATION, bearer(secret.reveal())?)
        };
    }
    request
        .body(json)
        .build()
        .map_err(|error| Error::protocol(error.without_url()))
}

fn bearer(token: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|_| Error::invalid("secret", "it cannot be sent as a token"))?;
    value.set_sensitive(true);
    Ok(value)
}

async fn judge(response: Response) -> Sent {
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
fn pause(response: &Response) -> Option<Duration> {
    let asked = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    let seconds = asked.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_PAUSE))
}

/// The beginning of an answer, on one line.
async fn beginning(response: Response) -> String {
    let mut read = Vec::new();
    let mut body = response.bytes_stream();
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

/// What went wrong on the way, down to its cause, without the address.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
