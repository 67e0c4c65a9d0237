//! Reports over HTTP: real ones, and those that are refused.

use std::path::PathBuf;

use fleet_dashboard::config::Settings;

use crate::support::{Answer, Site};

/// Real scanner output beside the project; none where it was not handed along.
fn real(name: &str) -> Option<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/sarif");
    let path = PathBuf::from(folder).join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
    }
    std::fs::read(path).ok()
}

async fn ingest(site: &Site, query: &str, body: impl AsRef<[u8]>) -> Answer {
    let path = format!("/api/v1/ingest?{query}");
    let request = warp::test::request().method("POST").path(&path).body(body);
    site.send(request).await
}

const ONE: &str = r#"{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "Tool"}},
    "results": [{"message": {"text": "one"}}]}]}"#;

#[tokio::test]
async fn real_reports_are_taken_and_shown() {
    let site = Site::new();
    for (name, results) in [
        ("semgrep.sarif", 77),
        ("gosec.sarif", 228),
        ("empty.sarif", 0),
    ] {
        let Some(report) = real(name) else { return };
        let query = format!("repository=real%2F{name}&ref=main&commit=1");
        let first = ingest(&site, &query, &report).await.ok().json();
        assert_eq!(first["received"], results, "{name}");
        let again = ingest(&site, &query, &report).await.ok().json();
        assert_eq!(
            (&again["new"], &again["session"]),
            (&0.into(), &first["session"]),
            "{name}"
        );
        let findings = first["links"]["findings"].as_str().unwrap();
        let page = site
            .get(&format!("{findings}?limit=1&suppression=all"))
            .await
            .ok()
            .json();
        assert_eq!(page["total"], first["new"], "{name}");
        site.get(first["links"]["page"].as_str().unwrap())
            .await
            .ok();
    }
}

#[tokio::test]
async fn a_report_that_is_none_is_refused_with_the_reason() {
    let site = Site::new();
    for (body, expected) in [
        ("", "empty"),
        ("<html>", "not JSON"),
        (&ONE[..ONE.len() - 4], "cut off"),
        (r#"{"version": "1.0.0", "runs": []}"#, "1.0.0"),
    ] {
        let answer = ingest(&site, "repository=acme%2Fshop", body).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        let problem = answer.json();
        assert!(
            problem["detail"].as_str().unwrap().contains(expected),
            "{problem}"
        );
    }
    let sessions = site.get("/api/v1/sessions").await.ok().json();
    assert_eq!(
        sessions["sessions"].as_array().unwrap().len(),
        0,
        "nothing was applied"
    );
}

#[tokio::test]
async fn parameters_are_checked_before_the_report_is_read() {
    let site = Site::new();
    for (query, expected) in [
        ("", "repository"),
        ("repository=a%7Bb%7D", "repository"),
        ("repository=acme%2Fshop&partial=maybe", "partial"),
        ("repository=acme%2Fshop&bot=a%2Fb", "bot"),
        ("repository=acme%2Fshop&comit=1", "comit"),
    ] {
        let answer = ingest(&site, query, ONE).await;
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.text.contains(expected), "{query}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_report_over_the_limit_is_refused() {
    let site = Site::with(Settings {
        max_ingest: 100,
        ..Settings::default()
    });
    let answer = ingest(&site, "repository=acme%2Fshop", ONE).await;
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (413, Some("too_large"))
    );
}

#[tokio::test]
async fn a_partial_import_lists_what_it_left_out() {
    let site = Site::new();
    let report = ONE.replace(r#"[{"message""#, r#"[7, {"message""#);
    let refused = ingest(&site, "repository=acme%2Fshop", &report).await;
    assert_eq!(refused.status, 400);
    let taken = ingest(&site, "repository=acme%2Fshop&partial=true", &report)
        .await
        .ok()
        .json();
    assert_eq!((&taken["new"], &taken["received"]), (&1.into(), &2.into()));
    assert_eq!(taken["rejected"][0]["where"], "runs[0].results[0]");
}
