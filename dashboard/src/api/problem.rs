//! What a client is told when something goes wrong: RFC 9457 `application/problem+json`.
//!
//! Beside the standard's members a problem carries the members of the SDK's [`Error`], so that a
//! client reads the same error from HTTP as from any other store. What the log says is another
//! text: a fault of this software shows nothing of its inside to the client.

use std::convert::Infallible;

use fleet_worker_sdk::Error;
use serde_json::{Map, Value};
use warp::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use warp::http::{HeaderValue, StatusCode};
use warp::reject::{Reject, Rejection};
use warp::reply::{Reply, Response};

use super::secure;

/// Seconds a client is asked to wait when the store is full or away: its usual time to recover
/// is a failover of a few seconds, and the SDK adds jitter of its own.
const RETRY_SECONDS: &str = "2";

/// An error on its way to a client.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    title: &'static str,
    error: Error,
    allow: Option<&'static str>,
    more: Map<String, Value>,
}

impl Reject for Problem {}

/// The path is served, but not with this method; the methods that are.
#[derive(Debug)]
pub(crate) struct WrongMethod(pub(crate) &'static str);

impl Reject for WrongMethod {}

impl Problem {
    /// `error` under a status of its own, where the kind of error alone does not decide it.
    pub fn new(status: StatusCode, title: &'static str, error: Error) -> Self {
        Self {
            status,
            title,
            error,
            allow: None,
            more: Map::new(),
        }
    }

    /// 400: `what` of the request is wrong, and `why`.
    pub fn invalid(what: impl Into<String>, why: impl Into<String>) -> Self {
        Error::invalid(what, why).into()
    }

    /// 405: the path takes only the methods `allow`.
    pub fn method(allow: &'static str) -> Self {
        let error = Error::invalid("method", format!("this path takes {allow}"));
        Self {
            allow: Some(allow),
            ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed", error)
        }
    }

    /// 413: the body is over `limit` bytes; `size` is what was announced or read so far.
    pub fn too_large(size: u64, limit: u64) -> Self {
        let what = "body".to_owned();
        Error::TooLarge { what, size, limit }.into()
    }

    /// 415: the body is of a type that is not read here.
    pub fn media_type(why: impl Into<String>) -> Self {
        let error = Error::invalid("content-type", why);
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported media type",
            error,
        )
    }

    /// Another member of the problem, beside the standard's.
    #[must_use]
    pub fn with(mut self, member: &str, value: Value) -> Self {
        self.more.insert(member.to_owned(), value);
        self
    }

    /// The status it is answered with.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// One line for people.
    pub fn title(&self) -> &'static str {
        self.title
    }

    /// What was wrong, where, and what to do.
    pub fn detail(&self) -> String {
        self.error.to_string()
    }

    /// [`Self::detail`], logged and without the inside of a fault of ours.
    pub(crate) fn public_detail(self) -> String {
        self.without_internals().detail()
    }

    /// Writes it to the log where an operator has to know: the client's own mistakes are not logged.
    fn log(&self) {
        if self.status.is_server_error() {
            tracing::warn!(status = self.status.as_u16(), error = %self.error, "request failed");
        }
    }

    fn body(&self) -> Value {
        let mut members = match serde_json::to_value(&self.error) {
            Ok(Value::Object(members)) => members,
            _ => Map::new(),
        };
        let code = members.get("code").and_then(Value::as_str);
        let kind = format!("urn:fleet:problem:{}", code.unwrap_or("unknown"));
        members.extend(self.more.clone());
        members.insert("type".to_owned(), kind.into());
        members.insert("title".to_owned(), self.title.into());
        members.insert("status".to_owned(), self.status.as_u16().into());
        members.insert("detail".to_owned(), self.detail().into());
        Value::Object(members)
    }

    /// Logs the cause of a fault of ours and takes it out of what the client sees.
    fn without_internals(mut self) -> Self {
        self.log();
        if self.status == StatusCode::INTERNAL_SERVER_ERROR {
            self.error = Error::protocol("the cause is in the dashboard's log");
        }
        self
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (status, title) = match &error {
            Error::Invalid { .. } => (StatusCode::BAD_REQUEST, "invalid request"),
            Error::NotFound { .. } => (StatusCode::NOT_FOUND, "not found"),
            Error::Conflict { .. } => (StatusCode::CONFLICT, "conflict"),
            Error::Gap { .. } => (StatusCode::CONFLICT, "sequence gap"),
            Error::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too large"),
            Error::Full { .. } => (StatusCode::SERVICE_UNAVAILABLE, "store takes no writes"),
            Error::Unavailable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "store unreachable"),
            Error::Incompatible { .. } => (StatusCode::BAD_GATEWAY, "incompatible store"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "internal error"),
        };
        Self::new(status, title, error)
    }
}

impl Reply for Problem {
    fn into_response(self) -> Response {
        let problem = self.without_internals();
        let mut response = Response::new(problem.body().to_string().into());
        *response.status_mut() = problem.status;
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(allow) = problem.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if problem.error.is_retryable() {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_SECONDS));
        }
        secure::api(response)
    }
}

/// Turns whatever no route took into a problem. Wrong methods come last: every other route of the
/// same path has refused the method too, and would hide a 400 or 413.
///
/// # Errors
/// None: every rejection becomes an answer.
#[allow(
    clippy::unused_async,
    reason = "`Filter::recover` takes an async function"
)]
pub async fn recover(rejection: Rejection) -> Result<Response, Infallible> {
    Ok(problem_of(&rejection).into_response())
}

fn problem_of(rejection: &Rejection) -> Problem {
    use warp::reject as cause;
    if let Some(problem) = rejection.find::<Problem>() {
        problem.clone()
    } else if rejection.find::<cause::PayloadTooLarge>().is_some() {
        let error = Error::invalid("body", "it is over the limit of this path");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too large", error)
    } else if rejection.find::<cause::LengthRequired>().is_some() {
        let error = Error::invalid("content-length", "it is missing");
        Problem::new(StatusCode::LENGTH_REQUIRED, "length required", error)
    } else if rejection.find::<cause::UnsupportedMediaType>().is_some() {
        Problem::media_type("this path reads application/json")
    } else if let Some(header) = rejection.find::<cause::InvalidHeader>() {
        Problem::invalid(header.name(), "the header cannot be read")
    } else if let Some(header) = rejection.find::<cause::MissingHeader>() {
        Problem::invalid(header.name(), "the header is missing")
    } else if rejection.find::<cause::InvalidQuery>().is_some() {
        Problem::invalid("query", "it cannot be read")
    } else if let Some(WrongMethod(allow)) = rejection.find::<WrongMethod>() {
        Problem::method(allow)
    } else if rejection.find::<cause::MethodNotAllowed>().is_some() {
        Problem::method("GET")
    } else if rejection.is_not_found() {
        nothing_there()
    } else {
        Error::protocol(format!("unhandled rejection {rejection:?}")).into()
    }
}

fn nothing_there() -> Problem {
    let why = "nothing is served here; GET /api/v1 lists what is";
    let error = Error::invalid("path", why);
    Problem::new(StatusCode::NOT_FOUND, "not found", error).with("see", "/api/v1".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_error() -> Vec<(Error, u16)> {
        let text = String::from;
        vec![
            (Error::invalid("id", "why"), 400),
            (Error::not_found("session", "x"), 404),
            (Error::conflict("twice"), 409),
            (Error::Gap { last: 7 }, 409),
            (
                Error::TooLarge {
                    what: text("body"),
                    size: 2,
                    limit: 1,
                },
                413,
            ),
            (Error::Full { why: text("oom") }, 503),
            (
                Error::Unavailable {
                    store: text("redis://x"),
                    why: text("refused"),
                },
                503,
            ),
            (Error::Incompatible { why: text("old") }, 502),
        ]
    }

    #[test]
    fn a_client_reads_back_the_error_the_store_gave() {
        for (error, status) in every_error() {
            let problem = Problem::from(error.clone());
            let body = problem.body();
            assert_eq!(problem.status().as_u16(), status, "{error}");
            assert_eq!(body["status"], status);
            assert_eq!(body["detail"], error.to_string());
            assert_eq!(serde_json::from_value::<Error>(body).unwrap(), error);
        }
    }

    #[test]
    fn retryable_errors_say_when_to_come_back() {
        for (error, _) in every_error() {
            let retryable = error.is_retryable();
            let response = Problem::from(error).into_response();
            assert_eq!(response.headers().contains_key(RETRY_AFTER), retryable);
        }
    }

    #[test]
    fn a_fault_of_ours_shows_nothing_of_its_inside() {
        let problem = Problem::from(Error::protocol("secret at 0xdead")).without_internals();
        assert_eq!(problem.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!problem.body().to_string().contains("secret"));
    }
}
