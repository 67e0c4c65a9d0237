//! What is refused, how, and that the client can read it.

use fleet_dashboard::config::Settings;
use fleet_worker_sdk::Error;
use serde_json::json;

use crate::support::{Answer, Site, varied};

#[track_caller]
fn refused(answer: &Answer, status: u16, needle: &str) {
    assert_eq!(answer.status, status, "{}", answer.text);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let problem = answer.json();
    assert_eq!(problem["status"], status);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(needle), "{needle:?} is not in {detail:?}");
    let error: Error = serde_json::from_str(&answer.text).expect("clients read their own error");
    assert_eq!(error.to_string(), detail);
}

#[tokio::test]
async fn an_id_that_is_none_is_refused_with_its_fault() {
    let site = Site::new();
    for (segment, needle) in [
        ("p1%7Bx%7D", "'{'"),
        ("p1%0Ax", "'\\n'"),
        ("%F0%9F%A6%80", "'🦀'"),
        ("%FF", "UTF-8"),
        ("shop", "p<partition>-<uuid>"),
        ("..%2f..", "'/'"),
    ] {
        for path in [
            "",
            "/findings",
            "/health",
            "/report",
            "/progress",
            "/changed",
        ] {
            let answer = site.get(&format!("/api/v1/sessions/{segment}{path}")).await;
            refused(&answer, 400, needle);
        }
    }
    let command = site
        .post(
            "/api/v1/workers/a%7Bb/command",
            &json!({"command": "quiet"}),
        )
        .await;
    refused(&command, 400, "'{'");
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let site = Site::new();
    let nobody = "p3-0190b3c6-7a11-7000-8000-000000000000";
    for path in ["", "/findings", "/health", "/report", "/progress"] {
        refused(
            &site.get(&format!("/api/v1/sessions/{nobody}{path}")).await,
            404,
            nobody,
        );
    }
    for path in [
        "/api/v1/nothing",
        "/api/v2/bots",
        "/nothing",
        "/api/v1/sessions/a/b/c/d",
    ] {
        refused(&site.get(path).await, 404, "/api/v1");
    }
    let ghost = site
        .post(
            "/api/v1/workers/ghost/command",
            &json!({"command": "quiet"}),
        )
        .await;
    refused(&ghost, 404, "ghost");
}

#[tokio::test]
async fn a_parameter_is_refused_by_name() {
    let site = Site::new();
    let session = site.session("scan", varied(3)).await;
    let findings = format!("/api/v1/sessions/{session}/findings");
    for (query, needle) in [
        (
            "severty=error",
            "unknown parameter; known are bot, tier, severity",
        ),
        ("severity=fatal", "error, warning, info, suggestion"),
        ("tier=top", "engine, verifier"),
        ("bot=a%7Bb", "'{'"),
        ("sort=size", "severity, path, rule, newest"),
        ("suppression=maybe", "open, suppressed, all"),
        ("limit=0", "between 1 and 500"),
        ("limit=501", "between 1 and 500"),
        ("limit=many", "`limit`"),
        ("limit=1&limit=2", "more than once"),
        ("cursor=x", "cursor"),
        ("cursor=severity.0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f", "cursor"),
        ("text=%FF", "UTF-8"),
    ] {
        refused(&site.get(&format!("{findings}?{query}")).await, 400, needle);
    }
    refused(
        &site.get("/api/v1/sessions?cursor=1.x").await,
        400,
        "cursor",
    );
    refused(
        &site.get("/api/v1/sessions?repository=a%20b").await,
        400,
        "' '",
    );
    let changed = format!("/api/v1/sessions/{session}/changed");
    refused(
        &site.get(&format!("{changed}?wait_ms=25001")).await,
        400,
        "25000",
    );
    let report = format!("/api/v1/sessions/{session}/report");
    refused(
        &site.get(&format!("{report}?format=pdf")).await,
        400,
        "markdown, json, html",
    );
}

#[tokio::test]
async fn a_body_is_refused_with_the_place_that_is_wrong() {
    let site = Site::new();
    let post = |body: &str| {
        warp::test::request()
            .method("POST")
            .path("/api/v1/sessions")
            .header("content-type", "application/json")
            .body(body)
    };
    for (body, needle) in [
        ("{\n  \"repository\": }", "line 2 column 17"),
        ("", "line 1 column 0"),
        ("{}", "repository"),
        ("{\"repository\": \"a{b}\"}", "'{'"),
        ("[[[[", "line 1"),
    ] {
        refused(&site.send(post(body)).await, 400, needle);
    }
    let deep = "[".repeat(100_000);
    refused(&site.send(post(&deep)).await, 400, "line 1");
    let text = post("{}").header("content-type", "text/plain");
    refused(&site.send(text).await, 415, "application/json");
    let none = warp::test::request()
        .method("POST")
        .path("/api/v1/sessions")
        .body("{}");
    refused(&site.send(none).await, 415, "none");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_whether_announced_or_not() {
    let site = Site::with(Settings {
        max_body: 100,
        ..Settings::default()
    });
    let post = || {
        warp::test::request()
            .method("POST")
            .path("/api/v1/sessions")
            .header("content-type", "application/json")
    };
    let announced = post().body("{}").header("content-length", "101");
    refused(&site.send(announced).await, 413, "limit is 100");
    let long = format!("{{\"repository\": \"{}\"}}", "a".repeat(100));
    refused(&site.send(post().body(long)).await, 413, "limit is 100");
}

#[tokio::test]
async fn a_method_that_is_not_served_is_told_which_are() {
    let site = Site::new();
    let session = site.session("scan", varied(1)).await;
    for (method, path, allow) in [
        ("DELETE", "/api/v1/sessions".to_owned(), "GET, POST"),
        ("PUT", "/api/v1/bots".to_owned(), "GET, POST"),
        ("GET", "/api/v1/push".to_owned(), "POST"),
        (
            "POST",
            format!("/api/v1/sessions/{session}/findings"),
            "GET",
        ),
        ("POST", "/api/v1".to_owned(), "GET"),
    ] {
        let answer = site
            .send(warp::test::request().method(method).path(&path))
            .await;
        refused(&answer, 405, allow);
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
}

#[tokio::test]
async fn a_write_for_another_sites_page_is_refused() {
    let site = Site::new();
    let post = |origin: &str| {
        warp::test::request()
            .method("POST")
            .path("/api/v1/sessions")
            .header("origin", origin)
            .json(&json!({"repository": "acme/shop"}))
    };
    for origin in ["https://evil.example", "null", "http://fleet.test"] {
        refused(&site.send(post(origin)).await, 403, "another site");
    }
    site.send(post("https://fleet.test:8080")).await.ok();
}

#[tokio::test]
async fn every_answer_forbids_what_it_does_not_need() {
    let site = Site::new();
    let session = site.session("scan", varied(1)).await;
    for path in [
        "/api/v1".to_owned(),
        "/api/v1/bots".to_owned(),
        "/api/v1/nothing".to_owned(),
        format!("/api/v1/sessions/{session}"),
        format!("/api/v1/sessions/{session}/report?format=html"),
        format!("/sessions/{session}"),
        "/".to_owned(),
        "/assets/live.js".to_owned(),
    ] {
        let answer = site.get(&path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "same-origin", "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'"), "{path}: {policy}");
        assert!(
            policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        if !path.starts_with("/assets") {
            assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        }
    }
}
