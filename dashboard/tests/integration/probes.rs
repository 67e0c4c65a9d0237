//! Probes and metrics over a real port.

use crate::running::Running;
use crate::support::varied;

#[tokio::test]
async fn a_process_with_a_store_is_live_and_ready() {
    let running = Running::start().await;
    assert_eq!(running.get("/livez").await.status(), 200);
    let ready = running.get("/readyz").await;
    assert_eq!(ready.status(), 200);
    assert!(ready.text().await.unwrap().contains("memory"));
}

#[tokio::test]
async fn metrics_tell_of_the_store_and_of_requests_by_route() {
    let running = Running::start().await;
    let session = running.site.session("semgrep", varied(10)).await;
    running.get(&format!("/api/v1/sessions/{session}")).await;
    running.get("/no/such/path").await;
    let metrics = running.get("/metrics").await.text().await.unwrap();
    for line in [
        "fleet_store_up 1",
        "fleet_sessions 1",
        "fleet_findings 10",
        r#"fleet_workers{liveness="alive"} 0"#,
        "fleet_cache_requests_total{result=\"miss\"} 1",
        "fleet_health_check_duration_seconds_count{scope=\"fleet\"} 1",
        "fleet_ws_clients 0",
        r#"fleet_http_requests_total{method="GET",route="/api/v1/sessions/*",status="2xx"} 1"#,
        r#"fleet_http_requests_total{method="GET",route="other",status="4xx"} 1"#,
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line} is missing:\n{metrics}"
        );
    }
    assert!(metrics.contains("fleet_build_info{version=\""), "{metrics}");
    assert!(
        metrics.contains("process_resident_memory_bytes"),
        "{metrics}"
    );
    assert!(!metrics.contains(session.as_str()), "an id became a label");
    assert!(!metrics.contains("no/such"), "a path became a label");
}

#[tokio::test]
async fn no_gauge_is_named_total_and_every_metric_is_ours_or_the_process_s() {
    let running = Running::start().await;
    let metrics = running.get("/metrics").await.text().await.unwrap();
    for line in metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
    {
        let (name, kind) = line.split_once(' ').unwrap();
        assert!(
            name.starts_with("fleet_") || name.starts_with("process_"),
            "{name}"
        );
        if name.starts_with("fleet_") {
            assert_eq!(
                name.ends_with("_total"),
                kind == "counter",
                "{name} is a {kind}"
            );
        }
    }
}
