//! The door of every request, before any route sees it.

use fleet_coordinator::access::{Identity, Role};
use fleet_worker_sdk::Error;
use hyper::Request;
use hyper::header::{ACCEPT, AUTHORIZATION, COOKIE, HOST, HeaderMap, HeaderValue, ORIGIN};
use warp::host::Authority;
use warp::http::header::{LOCATION, WWW_AUTHENTICATE};
use warp::http::{Method, StatusCode};
use warp::reply::{Reply, Response};

use super::needed::needed;
use super::{TokensFile, login};
use crate::api::problem::Problem;
use crate::api::secure;

/// Why a request is refused, as metrics say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It has no token.
    Missing,
    /// Its token is none of ours.
    Unknown,
    /// Its token is for something else.
    Role,
    /// Another site's page asks in the name of somebody who is signed in.
    Origin,
}

impl Refusal {
    /// Its word in metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unknown => "unknown",
            Self::Role => "role",
            Self::Origin => "origin",
        }
    }
}

/// Why a request may not pass and what it is answered; none when it may.
pub(crate) fn refusal<B>(
    tokens: Option<&TokensFile>,
    request: &Request<B>,
) -> Option<(Refusal, Response)> {
    let roles = needed(request.method(), request.uri().path());
    if roles.is_empty() {
        return None;
    }
    let tokens = tokens?.current();
    let sent = sent(request.headers());
    let known = sent.as_ref().and_then(|sent| tokens.identify(sent.text()));
    let (why, answer) = match (&sent, known) {
        (None, _) => {
            let answer = unknown(request, "this needs a token");
            (Refusal::Missing, answer)
        }
        (Some(_), None) => {
            let why = "the token is not, or no longer, one of this fleet";
            (Refusal::Unknown, unknown(request, why))
        }
        (_, Some(identity)) if !may(identity, roles) => {
            (Refusal::Role, refused(identity, roles).into_response())
        }
        (Some(Sent::Cookie(_)), _) if !is_own(request) => {
            let why = "it asks for a change, but does not come from a page of this host";
            (Refusal::Origin, forbidden("origin", why).into_response())
        }
        _ => return None,
    };
    Some((why, answer))
}

fn may(identity: &Identity, roles: &[Role]) -> bool {
    roles.iter().any(|role| identity.role.covers(*role))
}

/// A token, and how it came.
pub(super) enum Sent {
    /// In a header that only a program sets.
    Bearer(String),
    /// By itself, with whatever a browser asks of this host.
    Cookie(String),
}

impl Sent {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Bearer(text) | Self::Cookie(text) => text,
        }
    }
}

/// The token of a request: what is sent on purpose wins.
pub(super) fn sent(headers: &HeaderMap) -> Option<Sent> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        let token = token.trim();
        (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| token.to_owned())
    });
    let cookie = || {
        let values = headers.get_all(COOKIE).iter();
        let pairs = values.filter_map(|value| value.to_str().ok());
        pairs.flat_map(|pairs| pairs.split(';')).find_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == login::COOKIE_NAME && !value.is_empty()).then(|| value.to_owned())
        })
    };
    bearer
        .map(Sent::Bearer)
        .or_else(|| cookie().map(Sent::Cookie))
}

/// Whose token a request has; none where it has none of ours, or where nobody needs one.
pub(crate) fn asking(tokens: Option<&TokensFile>, headers: &HeaderMap) -> Option<Identity> {
    let sent = sent(headers)?;
    tokens?.current().identify(sent.text()).cloned()
}

/// Whether a page of this host asks, as far as it has to be one: looking changes nothing.
fn is_own<B>(request: &Request<B>) -> bool {
    if [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method()) {
        return true;
    }
    let text = |name| request.headers().get(name)?.to_str().ok();
    let host: Option<Authority> = text(HOST).and_then(|host| host.parse().ok());
    let host = request.uri().authority().cloned().or(host);
    text(ORIGIN).is_some_and(|origin| secure::is_own(origin, host.as_ref()))
}

/// 401; or for somebody who looks at pages, the way to the login page.
fn unknown<B>(request: &Request<B>, why: &str) -> Response {
    let path = request.uri().path();
    let accepts = request.headers().get(ACCEPT);
    let page = accepts.is_some_and(|kinds| kinds.to_str().is_ok_and(|k| k.contains("text/html")));
    if page && request.method() == Method::GET && !path.starts_with("/api/") {
        let asked = request
            .uri()
            .path_and_query()
            .map_or("/", |all| all.as_str());
        return see_other(&login::address(asked));
    }
    let why = format!(
        "{why}; send one as `Authorization: Bearer …` (--token or FLEET_TOKEN of the fleet command)"
    );
    let error = Error::invalid("token", why);
    let problem = Problem::new(StatusCode::UNAUTHORIZED, "token required", error);
    let mut response = problem.into_response();
    let challenge = HeaderValue::from_static("Bearer realm=\"fleet\"");
    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    response
}

fn refused(identity: &Identity, roles: &[Role]) -> Problem {
    let words: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
    let why = format!(
        "that of {} is for {}, and this needs one for {}",
        identity.name,
        identity.role,
        words.join(" or ")
    );
    forbidden("token", &why)
}

fn forbidden(what: &str, why: &str) -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "forbidden",
        Error::invalid(what, why),
    )
}

/// 303 to another address of this host.
pub(crate) fn see_other(address: &str) -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::SEE_OTHER;
    let to = HeaderValue::from_str(address).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(LOCATION, to);
    secure::page(response)
}
