//! That a Prometheus scrapes the process, and that queries over what it took have answers.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::running::{LONG, Running};

/// A Prometheus process, killed with the test.
struct Prometheus {
    child: Child,
    url: String,
    _folder: TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The program: that of this machine, or the one that scripts/k8s-check.sh has taken out of Debian's
/// package.
fn program() -> Option<PathBuf> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools/prometheus");
    let known = [PathBuf::from("prometheus"), PathBuf::from(root)];
    known.into_iter().find(|program| {
        let mut version = Command::new(program);
        let version = version.arg("--version").stdout(Stdio::null());
        version
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    })
}

impl Prometheus {
    /// One that scrapes `target` every 200 ms.
    fn start(program: PathBuf, target: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("prometheus.yml");
        let text = format!(
            "scrape_configs: [{{job_name: fleet, scrape_interval: 200ms, scrape_timeout: 200ms, \
             static_configs: [{{targets: ['{target}']}}]}}]\n"
        );
        std::fs::write(&config, text).unwrap();
        // Bound and let go: a port that was free a moment ago.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let child = Command::new(program)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            child,
            url: format!("http://{address}"),
            _folder: folder,
        }
    }

    /// The value that `query` has now, if it has one.
    async fn value(&self, query: &str) -> Option<f64> {
        let url = format!("{}/api/v1/query", self.url);
        let url = reqwest::Url::parse_with_params(&url, [("query", query)]).unwrap();
        let answer: Value = reqwest::get(url).await.ok()?.json().await.ok()?;
        let value = answer.pointer("/data/result/0/value/1")?.as_str()?;
        value.parse().ok()
    }

    /// The value of `query` once it is as `wanted`.
    async fn until(&self, query: &str, wanted: impl Fn(f64) -> bool) {
        let mut last = None;
        let asking = async {
            loop {
                last = self.value(query).await;
                if last.is_some_and(&wanted) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        let asked = tokio::time::timeout(LONG, asking).await;
        assert!(asked.is_ok(), "`{query}` is {last:?}");
    }
}

#[tokio::test]
async fn a_prometheus_takes_what_is_told_and_queries_have_answers() {
    let Some(program) = program() else {
        return; // scripts/k8s-check.sh takes it out of Debian's package
    };
    let running = Running::coordinated().await;
    let prometheus = Prometheus::start(program, &running.address.to_string());
    let report = r#"{"rule_id":"todo","level":"note","message":"left","locations":[{"uri":"a.rs","region":{"startLine":3}}]}"#;
    let push = || {
        let url = running.url("/api/v1/ingest?repository=acme/shop&bot=todo&run=1");
        reqwest::Client::new().post(url).body(report).send()
    };
    for _ in 0..2 {
        let answer = push().await.unwrap();
        assert!(answer.status().is_success(), "{:?}", answer.text().await);
    }
    for (query, wanted) in [
        ("up", 1.0),
        ("fleet_store_up", 1.0),
        ("sum(fleet_findings_added_total)", 1.0),
        ("sum(fleet_findings_known_total)", 1.0),
        (r#"fleet_pushes_total{result="applied"}"#, 2.0),
        ("fleet_push_batch_findings_count", 2.0),
        ("max(fleet_findings)", 1.0),
        ("max(fleet_sessions)", 1.0),
        ("fleet_dead_letters", 0.0),
    ] {
        prometheus
            .until(query, |value| (value - wanted).abs() < 1e-9)
            .await;
    }
    for query in [
        "fleet_health_coverage_ratio",
        r#"sum by (bot) (fleet_bot_workers{bot="todo"})"#,
        "histogram_quantile(0.99, sum by (le) (fleet_push_duration_seconds_bucket))",
        "histogram_quantile(0.5, sum by (le) (fleet_store_round_trip_seconds_bucket))",
        "sum by (namespace, route) (rate(fleet_http_requests_total[10s]))",
    ] {
        prometheus.until(query, |value| value >= 0.0).await;
    }
}
