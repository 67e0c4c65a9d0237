//! Headers that keep an answer from being more than it is, and the check of who may write.
//!
//! Browsers send `Origin` with every write another page makes; bots send none. A write whose
//! `Origin` is not this host is refused, which together with JSON-only bodies and a cookie that other
//! sites' requests do not carry leaves a foreign page nothing to forge.

use fleet_worker_sdk::Error;
use warp::Filter;
use warp::host::Authority;
use warp::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use warp::http::{HeaderValue, StatusCode};
use warp::reject::Rejection;
use warp::reply::Response;

use super::problem::Problem;

/// Policy of everything that is no page: it may load and do nothing at all.
const NOTHING: &str =
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox";

/// Policy of a report in HTML: its own style, nothing from anywhere.
const REPORT: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox";

/// Policy of a page: its own script, style, images and socket; no inline code.
const PAGE: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Headers of an answer of the API: not sniffed, framed, referred to or stored.
pub(crate) fn api(response: Response) -> Response {
    with(response, NOTHING, "no-store")
}

/// Headers of a report, which is a document of its own.
pub(crate) fn report(response: Response) -> Response {
    with(response, REPORT, "no-store")
}

/// Headers of a page. Revalidated each time: what it shows changes all the time.
pub(crate) fn page(response: Response) -> Response {
    with(response, PAGE, "no-store")
}

/// Headers of an asset, cached for `cache`.
pub(crate) fn asset(response: Response, cache: &'static str) -> Response {
    with(response, NOTHING, cache)
}

fn with(mut response: Response, policy: &'static str, cache: &'static str) -> Response {
    let headers = response.headers_mut();
    let fixed: [(HeaderName, &'static str); 4] = [
        (CONTENT_SECURITY_POLICY, policy),
        (CACHE_CONTROL, cache),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Other sites learn nothing. With `no-referrer` a browser would send `Origin: null` with this
        // site's own forms, which could then not be told from another's.
        (REFERRER_POLICY, "same-origin"),
    ];
    for (name, value) in fixed {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Refuses a write that another site's page asked the browser for.
pub(crate) fn same_origin() -> impl Filter<Extract = (), Error = Rejection> + Clone {
    warp::host::optional()
        .and(warp::header::optional::<String>("origin"))
        .and_then(
            |host: Option<Authority>, origin: Option<String>| async move {
                match origin {
                    Some(origin) if !is_own(&origin, host.as_ref()) => {
                        Err(warp::reject::custom(foreign(&origin)))
                    }
                    _ => Ok(()),
                }
            },
        )
        .untuple_one()
}

/// Whether `origin` names the host that was asked. The scheme is not compared: behind an ingress
/// the browser says `https` and this process hears `http`.
pub(crate) fn is_own(origin: &str, host: Option<&Authority>) -> bool {
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    match (authority, host) {
        (Some(authority), Some(host)) => authority.eq_ignore_ascii_case(host.as_str()),
        _ => false,
    }
}

fn foreign(origin: &str) -> Problem {
    let shown: String = origin.chars().take(128).collect();
    let why =
        format!("{shown:?} is another site; writes come from bots or from this host's own pages");
    Problem::new(
        StatusCode::FORBIDDEN,
        "foreign origin",
        Error::invalid("origin", why),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_host_that_was_asked_is_its_own_origin() {
        let host: Authority = "fleet.example:8080".parse().unwrap();
        assert!(is_own("http://fleet.example:8080", Some(&host)));
        assert!(is_own("https://FLEET.example:8080", Some(&host)));
        for foreign in [
            "null",
            "",
            "http://fleet.example",
            "http://evil.example:8080",
            "fleet.example:8080",
        ] {
            assert!(!is_own(foreign, Some(&host)), "{foreign:?}");
        }
        assert!(!is_own("http://fleet.example:8080", None));
    }
}
