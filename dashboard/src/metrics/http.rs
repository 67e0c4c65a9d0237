//! A request's labels: its route, method and status class, each from a closed set.

use std::time::Duration;

use warp::http::{Method, StatusCode};

use super::Metrics;

/// A path pattern: `*` is one segment, a last `**` any number.
const ROUTES: [&str; 31] = [
    "/",
    "/sessions/*",
    "/assets/**",
    "/ws",
    "/login",
    "/logout",
    "/livez",
    "/readyz",
    "/metrics",
    "/api/v1",
    "/api/v1/bots",
    "/api/v1/workers",
    "/api/v1/workers/*/command",
    "/api/v1/beat",
    "/api/v1/sessions",
    "/api/v1/sessions/*",
    "/api/v1/sessions/*/progress",
    "/api/v1/sessions/*/changed",
    "/api/v1/sessions/*/producers/*",
    "/api/v1/sessions/*/findings",
    "/api/v1/sessions/*/findings/*",
    "/api/v1/sessions/*/health",
    "/api/v1/sessions/*/report",
    "/api/v1/sessions/*/gate",
    "/api/v1/transitions",
    "/api/v1/push",
    "/api/v1/ingest",
    "/api/v1/health",
    "/api/v1/health/tiers/*",
    "/api/v1/health/bots/*",
    "/api/v1/health/repositories/**",
];
/// What is none of them.
const OTHER: &str = "other";

/// The route's pattern; never anything of the path itself.
pub(crate) fn route(path: &str) -> &'static str {
    let path = match path.strip_suffix('/') {
        Some("") | None => path,
        Some(path) => path,
    };
    ROUTES
        .into_iter()
        .find(|pattern| matches(pattern, path))
        .unwrap_or(OTHER)
}

fn matches(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) | (Some("**"), Some(_)) => return true,
            (Some("*"), Some(part)) if !part.is_empty() => {}
            (Some(pattern), Some(part)) if pattern == part => {}
            _ => return false,
        }
    }
}

fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => OTHER,
    }
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}

/// A request under way.
#[derive(Debug)]
pub(crate) struct Observed {
    metrics: Metrics,
    route: &'static str,
    method: &'static str,
}

impl Observed {
    pub(super) fn new(metrics: Metrics, method: &Method, path: &str) -> Self {
        Self {
            metrics,
            route: route(path),
            method: method_label(method),
        }
    }

    /// Counts it.
    pub(crate) fn answered(self, status: StatusCode, took: Duration) {
        let labels = [self.route, self.method, class(status)];
        self.metrics.0.requests.with_label_values(&labels).inc();
        let durations = &self.metrics.0.durations;
        durations
            .with_label_values(&[self.route])
            .observe(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_a_pattern_and_never_the_path() {
        for (path, expected) in [
            ("/", "/"),
            (
                "/api/v1/sessions/p1-x/findings",
                "/api/v1/sessions/*/findings",
            ),
            ("/api/v1/sessions/p1-x/", "/api/v1/sessions/*"),
            ("/assets/live.js", "/assets/**"),
            ("/api/v1/sessions//findings", OTHER),
            ("/etc/passwd", OTHER),
            ("*", OTHER),
            ("", OTHER),
            ("/sessions/a/b", OTHER),
        ] {
            assert_eq!(route(path), expected, "{path}");
        }
    }

    #[test]
    fn methods_are_a_closed_set() {
        assert_eq!(method_label(&Method::GET), "GET");
        assert_eq!(method_label(&Method::from_bytes(b"BREW").unwrap()), OTHER);
    }
}
