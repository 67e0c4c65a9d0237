//! The page on which a person shows a token, and the cookie that a browser shows it with after.
//!
//! - `GET /login?next=PATH`: the form; to whom is signed in, the way out.
//! - `POST /login`, `token=…&next=…`: sets the cookie and goes on to `next`.
//! - `POST /logout`: takes it away.
//!
//! The cookie holds the token itself, so that any dashboard understands it and a token that is taken
//! away is worth nothing at once. No script reads it (`HttpOnly`), no other site sends it
//! (`SameSite=Strict`), and a token never stands in an address, where logs would keep it.

use askama::Template;
use bytes::Bytes;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use warp::filters::BoxedFilter;
use warp::http::header::{HeaderMap, SET_COOKIE};
use warp::http::{HeaderValue, StatusCode};
use warp::reply::{Reply, Response};
use warp::{Filter, path};

use super::guard::{see_other, sent};
use crate::api::{method, raw_query, secure, with, write};
use crate::context::Context;

/// The cookie's name.
pub(super) const COOKIE_NAME: &str = "fleet_token";
/// Seconds for which a browser keeps it: a day's work.
const COOKIE_AGE: u32 = 12 * 60 * 60;
/// Largest form: a token and an address.
const MAX_FORM: u64 = 8 * 1024;
/// What would end a value of a query.
const VALUE: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'+')
    .add(b'<')
    .add(b'=')
    .add(b'>')
    .add(b'?');

/// Where somebody who asked for `next` signs in.
pub(super) fn address(next: &str) -> String {
    format!("/login?next={}", utf8_percent_encode(next, VALUE))
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    /// Where to go after.
    next: String,
    /// Whose token the browser has: name and role.
    signed_in: Option<(String, &'static str)>,
    /// The token that was shown is none.
    wrong: bool,
}

/// The page and what its forms do.
pub(crate) fn routes(context: &Context) -> BoxedFilter<(Response,)> {
    let page = path!("login")
        .and(method("GET, POST"))
        .and(with(context))
        .and(raw_query())
        .and(warp::header::headers_cloned())
        .map(|context: Context, query: String, headers: HeaderMap| {
            let next = local(value(&query, "next"));
            show(&context, &headers, next, false)
        });
    let login = path!("login")
        .and(write("POST, GET"))
        .and(with(context))
        .and(warp::header::headers_cloned())
        .and(warp::body::content_length_limit(MAX_FORM))
        .and(warp::body::bytes())
        .map(|context: Context, headers: HeaderMap, body: Bytes| {
            let form = String::from_utf8_lossy(&body);
            let next = local(value(&form, "next"));
            let token = value(&form, "token").unwrap_or_default();
            match &context.settings.tokens {
                Some(tokens) if tokens.current().identify(token.trim()).is_none() => {
                    show(&context, &headers, next, true)
                }
                _ => with_cookie(see_other(&next), token.trim(), COOKIE_AGE, &headers),
            }
        });
    let logout = path!("logout")
        .and(write("POST"))
        .and(warp::header::headers_cloned())
        .map(|headers: HeaderMap| with_cookie(see_other("/login"), "", 0, &headers));
    page.or(login).unify().or(logout).unify().boxed()
}

fn show(context: &Context, headers: &HeaderMap, next: String, wrong: bool) -> Response {
    let Some(tokens) = &context.settings.tokens else {
        // Everybody may do everything: there is nothing to show.
        return see_other(&next);
    };
    let tokens = tokens.current();
    let known = sent(headers).and_then(|sent| tokens.identify(sent.text()).cloned());
    let page = LoginPage {
        next,
        signed_in: known.map(|who| (who.name, who.role.as_str())),
        wrong,
    };
    let status = if wrong {
        StatusCode::UNAUTHORIZED
    } else {
        StatusCode::OK
    };
    secure::page(match page.render() {
        Ok(html) => warp::reply::with_status(warp::reply::html(html), status).into_response(),
        Err(error) => {
            tracing::error!(%error, "the login page cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    })
}

/// Sets the cookie; only over TLS where that is what the browser speaks, as a proxy says.
fn with_cookie(mut response: Response, token: &str, age: u32, headers: &HeaderMap) -> Response {
    let tls = headers
        .get("x-forwarded-proto")
        .is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https"));
    let secure = if tls { "; Secure" } else { "" };
    let cookie =
        format!("{COOKIE_NAME}={token}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}");
    // A token that was recognised is of plain letters; anything else is not set.
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

/// A value of a query or a form.
fn value(pairs: &str, name: &str) -> Option<String> {
    let mut pairs = pairs.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| *key == name)?;
    let spaced = value.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

/// An address of this host; the fleet's page in place of any other.
fn local(next: Option<String>) -> String {
    let is_local = |next: &String| {
        next.starts_with('/')
            && !next.starts_with("//")
            && !next.starts_with("/login")
            && next
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    };
    next.filter(is_local).unwrap_or_else(|| "/".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_sent_on_to_this_host_only() {
        for (next, expected) in [
            ("/sessions?bot=a&x=1", "/sessions?bot=a&x=1"),
            ("//evil.example/", "/"),
            ("/\\evil.example", "/"),
            ("https://evil.example/", "/"),
            ("/login?next=/login", "/"),
            ("/a\r\nset-cookie: x", "/"),
            ("", "/"),
        ] {
            assert_eq!(local(Some(next.to_owned())), expected, "{next:?}");
            let query = address(next);
            let (_, query) = query.split_once('?').unwrap();
            assert_eq!(value(query, "next").as_deref(), Some(next));
        }
        assert_eq!(local(None), "/");
    }
}
