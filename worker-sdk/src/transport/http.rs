//! A fleet behind its HTTP API: what bots use that have no Redis of their own.
//!
//! | call | request | answer |
//! |---|---|---|
//! | register | `POST /api/v1/bots`, a [`Bot`] | 204 |
//! | beat | `POST /api/v1/beat`, a [`Beat`] | [`BeatAnswer`] |
//! | open | `POST /api/v1/sessions`, an [`OpenSession`] | [`Opened`] |
//! | transition | `POST /api/v1/transitions`, a [`Transition`] | [`Execution`] |
//! | push | `POST /api/v1/push`, a [`Batch`] | [`PushAnswer`] |
//! | last sequence | `GET /api/v1/sessions/{id}/producers/{producer}` | `{"last": n}` |
//! | progress | `GET /api/v1/sessions/{id}/progress` | [`Progress`] |
//! | changed | `GET /api/v1/sessions/{id}/changed?known=V&wait_ms=N` | `{"version": V}` |
//!
//! Errors come as `application/problem+json` with the fields of [`Error`] among theirs.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::beat::{Beat, BeatAnswer};
use crate::bot::Bot;
use crate::error::{Error, Result};
use crate::ids::{ProducerId, SessionId};
use crate::push::{Batch, PushAnswer};
use crate::session::{Execution, OpenSession, Opened, Progress, Transition, Version};
use crate::trace;
use crate::write::Write;

/// Longest time to connect: a host that is up answers within one retransmission or two.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time for an answer, beyond the wait asked for: a store that takes longer to apply a
/// batch is in trouble, and the batch is safe to send again.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest wait for a change in one call: below the idle timeouts of common proxies (30 s and up).
pub const MAX_WAIT: Duration = Duration::from_secs(25);
/// Largest answer read, in bytes: the progress of a session with the most executions and as many
/// registered bots as a fleet is built for is far below.
const MAX_ANSWER: usize = 16 * 1024 * 1024;
/// Longest text quoted from an answer that is no problem document, in characters.
const MAX_QUOTE: usize = 200;

/// The client of a fleet's HTTP API.
#[derive(Clone, Debug)]
pub struct HttpWriter {
    client: Client,
    base: Url,
    /// The base without credentials, for people.
    shown: String,
    token: Option<Token>,
}

#[derive(Clone)]
struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

#[derive(Deserialize)]
struct Last {
    last: u64,
}

#[derive(Deserialize)]
struct Changed {
    version: Version,
}

impl HttpWriter {
    /// A client of the fleet at `address`, such as `http://dashboard:8080`; a path in it is kept.
    /// An access token may stand before the host, `http://TOKEN@dashboard:8080`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is no `http://` address.
    pub fn new(address: &str) -> Result<Self> {
        let mut base = parse(address)?;
        let token = match (base.username(), base.password()) {
            (_, Some(secret)) | (secret, None) if !secret.is_empty() => Some(decode(secret)),
            _ => None,
        };
        let hidden = |()| Error::invalid("store address", "it cannot hold credentials");
        base.set_username("").map_err(hidden)?;
        base.set_password(None).map_err(hidden)?;
        let path = format!("{}/", base.path().trim_end_matches('/'));
        base.set_path(&path);
        base.set_query(None);
        base.set_fragment(None);
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_keepalive(Duration::from_secs(15))
            // A redirect would repeat a POST as GET, or send the token to somebody else.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("fleet-worker-sdk/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(Error::protocol)?;
        let shown = base.as_str().trim_end_matches('/').to_owned();
        Ok(Self {
            client,
            base,
            shown,
            token: token.map(Token),
        })
    }

    /// Sends this access token with every request.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(Token(token.into()));
        self
    }

    /// The address without credentials, for people.
    pub fn address(&self) -> &str {
        &self.shown
    }

    /// A request to `path` (without a leading `/`) under the base address, with the token and
    /// this client's timeout extended by `wait`. For endpoints beyond those of [`Write`].
    ///
    /// # Errors
    /// [`Error::Invalid`] when the path makes no URL.
    pub fn request(&self, method: Method, path: &str, wait: Duration) -> Result<RequestBuilder> {
        let url = self
            .base
            .join(path)
            .map_err(|error| Error::invalid("path", error.to_string()))?;
        let request = self
            .client
            .request(method, url)
            .timeout(RESPONSE_TIMEOUT + wait);
        Ok(match &self.token {
            Some(Token(token)) => request.bearer_auth(token),
            None => request,
        })
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when there is none, what the API says when it refuses, and
    /// [`Error::Protocol`] when the answer is not of the type asked for.
    pub async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        let body = self.answer(request).await?;
        serde_json::from_slice(&body).map_err(|error| {
            Error::protocol(format!(
                "{} answered `{}`: {error}",
                self.shown,
                quote(&body)
            ))
        })
    }

    /// Sends a request and answers with the response, its body unread: for answers that are
    /// streamed, or empty.
    ///
    /// # Errors
    /// As [`Self::send`], but for the body.
    pub async fn respond(&self, request: RequestBuilder) -> Result<Response> {
        let response = request.send().await.map_err(|e| self.unreachable(e))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = self.body(response).await?;
        Err(self.refusal(status, &body))
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Vec<u8>> {
        let response = self.respond(request).await?;
        self.body(response).await
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.unreachable(e))? {
            if body.len() + chunk.len() > MAX_ANSWER {
                let why = format!("{} answered more than {MAX_ANSWER} bytes", self.shown);
                return Err(Error::protocol(why));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    async fn post<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T> {
        let mut request = self.request(Method::POST, path, Duration::ZERO)?;
        if let Some(place) = trace::current() {
            request = request.header(trace::HEADER, place.to_string());
        }
        self.send(request.json(body)).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, wait: Duration) -> Result<T> {
        self.send(self.request(Method::GET, path, wait)?).await
    }

    fn unreachable(&self, error: reqwest::Error) -> Error {
        let advice = if error.is_timeout() {
            "no answer in time; check that the fleet's dashboard is up and not overloaded"
        } else if error.is_connect() {
            "cannot connect; check the address and that the fleet's dashboard listens there"
        } else {
            "the connection broke"
        };
        Error::Unavailable {
            store: self.shown.clone(),
            why: format!("{advice} ({})", root_cause(&error.without_url())),
        }
    }

    /// What the API said, or, where something in between answered, what its status means.
    fn refusal(&self, status: StatusCode, body: &[u8]) -> Error {
        if let Ok(error) = serde_json::from_slice::<Error>(body) {
            return error;
        }
        let said = format!("{} answered {status}: {}", self.shown, quote(body));
        match status.as_u16() {
            401 | 403 => Error::Incompatible {
                why: format!("{said}; give an access token that may push"),
            },
            404 | 405 | 300..=399 => Error::Incompatible {
                why: format!("{said}; this is not a fleet's API, or it is older than this client"),
            },
            409 => Error::conflict(said),
            429 => Error::Full { why: said },
            400..=499 => Error::invalid("request", said),
            502..=504 => Error::Unavailable {
                store: self.shown.clone(),
                why: said,
            },
            _ => Error::protocol(said),
        }
    }
}

fn parse(address: &str) -> Result<Url> {
    let refuse = |why: String| Error::invalid("store address", why);
    let base = Url::parse(address).map_err(|error| refuse(format!("it is no URL: {error}")))?;
    match base.scheme() {
        "http" if base.has_host() => Ok(base),
        "http" => Err(refuse("it names no host".to_owned())),
        "https" => Err(refuse(
            "this client is built without TLS; use http:// to a proxy on this host or in this \
             cluster that speaks TLS for it"
                .to_owned(),
        )),
        other => Err(refuse(format!("`{other}` is not http"))),
    }
}

fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}

fn quote(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    text.chars()
        .take(MAX_QUOTE)
        .flat_map(char::escape_debug)
        .collect()
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[async_trait]
impl Write for HttpWriter {
    async fn register(&self, bot: &Bot) -> Result<()> {
        let request = self.request(Method::POST, "api/v1/bots", Duration::ZERO)?;
        self.answer(request.json(bot)).await.map(drop)
    }

    async fn beat(&self, beat: &Beat) -> Result<BeatAnswer> {
        self.post("api/v1/beat", beat).await
    }

    async fn open(&self, open: &OpenSession) -> Result<Opened> {
        self.post("api/v1/sessions", open).await
    }

    async fn transition(&self, transition: &Transition) -> Result<Execution> {
        self.post("api/v1/transitions", transition).await
    }

    async fn push(&self, batch: &Batch) -> Result<PushAnswer> {
        self.post("api/v1/push", batch).await
    }

    async fn last_sequence(&self, session: &SessionId, producer: &ProducerId) -> Result<u64> {
        let path = format!("api/v1/sessions/{session}/producers/{producer}");
        Ok(self.get::<Last>(&path, Duration::ZERO).await?.last)
    }

    async fn progress(&self, session: &SessionId) -> Result<Progress> {
        let path = format!("api/v1/sessions/{session}/progress");
        self.get(&path, Duration::ZERO).await
    }

    async fn changed(
        &self,
        session: &SessionId,
        known: Version,
        wait: Duration,
    ) -> Result<Version> {
        let wait = wait.min(MAX_WAIT);
        let path = format!(
            "api/v1/sessions/{session}/changed?known={}&wait_ms={}",
            known.0,
            wait.as_millis()
        );
        Ok(self.get::<Changed>(&path, wait).await?.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer() -> HttpWriter {
        HttpWriter::new("http://s3cret@fleet.example:8080/base").unwrap()
    }

    #[test]
    fn the_token_is_taken_from_the_address_and_never_shown() {
        let writer = writer();
        assert_eq!(writer.address(), "http://fleet.example:8080/base");
        assert!(!format!("{writer:?}").contains("s3cret"));
        let request = writer
            .request(Method::GET, "api/v1/x", Duration::ZERO)
            .unwrap()
            .build()
            .unwrap();
        assert_eq!(
            request.url().as_str(),
            "http://fleet.example:8080/base/api/v1/x"
        );
        assert_eq!(request.headers()["authorization"], "Bearer s3cret");
        let other = HttpWriter::new("http://user:p%40ss@h").unwrap();
        assert_eq!(other.token.unwrap().0, "p@ss");
        assert!(HttpWriter::new("http://h").unwrap().token.is_none());
    }

    #[test]
    fn a_problem_document_becomes_the_error_it_was() {
        let body = br#"{"type":"about:blank","title":"Gap","status":409,"code":"gap","last":7}"#;
        let error = writer().refusal(StatusCode::CONFLICT, body);
        assert_eq!(error, Error::Gap { last: 7 });
    }

    #[test]
    fn an_answer_of_something_in_between_is_told_by_its_status() {
        let writer = writer();
        let refusal =
            |code: u16| writer.refusal(StatusCode::from_u16(code).unwrap(), b"<html>\x1b[31m");
        for retryable in [429, 502, 503, 504] {
            assert!(refusal(retryable).is_retryable(), "{retryable}");
        }
        for lasting in [302, 400, 401, 404, 409, 413, 500] {
            assert!(!refusal(lasting).is_retryable(), "{lasting}");
        }
        let text = refusal(404).to_string();
        assert!(
            text.contains("not a fleet's API") && !text.contains('\x1b'),
            "{text}"
        );
    }

    #[tokio::test]
    async fn a_refused_connection_names_the_address_and_what_to_check() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let writer = HttpWriter::new(&format!("http://s3cret@127.0.0.1:{port}")).unwrap();
        let bot = Bot::new("b").unwrap();
        let error = writer.register(&bot).await.unwrap_err();
        assert!(error.is_retryable());
        let text = error.to_string();
        assert!(text.contains(&format!("127.0.0.1:{port}")), "{text}");
        assert!(
            text.contains("check the address") && !text.contains("s3cret"),
            "{text}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_never_answers_is_given_up() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let writer = HttpWriter::new(&address).unwrap();
        let error = writer.register(&Bot::new("b").unwrap()).await.unwrap_err();
        assert!(error.to_string().contains("no answer in time"), "{error}");
    }
}
