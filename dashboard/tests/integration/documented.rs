//! That docs/metrics.md lists what is exported, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use fleet_coordinator::maintain::Totals;
use fleet_coordinator::ops::metrics;

use crate::running::Running;
use crate::support::varied;

/// Metrics that a fleet in memory or an idle process does not write, but others do.
const ELSEWHERE: [(&str, &str); 6] = [
    ("fleet_folded_bytes", "gauge"),
    ("fleet_folded_limit_bytes", "gauge"),
    ("fleet_store_memory_bytes", "gauge"),
    ("fleet_store_memory_limit_bytes", "gauge"),
    ("fleet_ws_clients_left_total", "counter"),
    ("fleet_ws_frames_total", "counter"),
];

/// What is documented: name -> type and labels.
fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, meaning] = cells[..] else {
            panic!("four columns are expected: {row}");
        };
        assert!(meaning.len() > 10, "{row}");
        let words = labels.split(',').map(|word| word.trim().trim_matches('`'));
        let labels = words.filter(|word| !word.is_empty()).map(str::to_owned);
        let name = name.trim_matches('`').to_owned();
        (name, (kind.to_owned(), labels.collect()))
    })
    .collect()
}

/// Every metric of a process that has done a little of everything, as text.
async fn exported() -> String {
    let running = Running::coordinated().await;
    let session = running.site.session("semgrep", varied(3)).await;
    for path in [
        "/".to_owned(),
        "/api/v1/health".to_owned(),
        format!("/api/v1/sessions/{session}/health"),
    ] {
        running.get(&path).await;
    }
    for format in ["markdown", "html"] {
        let path = format!("/api/v1/sessions/{session}/report?format={format}");
        running.get(&path).await.text().await.unwrap();
    }
    let text = tokio::time::timeout(crate::running::LONG, async {
        loop {
            let text = running.get("/metrics").await.text().await.unwrap();
            let whole = ["fleet_report_duration_seconds_count", "fleet_health_score "];
            if whole.iter().all(|name| text.contains(name)) {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let mut text = text.await.expect("all metrics in time");
    text.push_str(&metrics::of_coordinator(&Totals::default()).unwrap());
    text
}

/// Name -> type, and the labels of its series.
fn read(text: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut found = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            found.insert(name.to_owned(), (kind.to_owned(), BTreeSet::new()));
        } else if let Some((name, labels)) = line.split_once('{') {
            let base = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| {
                    name.strip_suffix(end)
                        .filter(|base| found.contains_key(*base))
                })
                .unwrap_or(name);
            let labels = labels.split('}').next().unwrap().split("\",");
            let names = labels.map(|pair| pair.split('=').next().unwrap().to_owned());
            let (_, known) = found.get_mut(base).expect(name);
            known.extend(names.filter(|name| name != "le"));
        }
    }
    found
}

#[tokio::test]
async fn every_metric_is_documented_and_every_documented_one_is_exported() {
    let exported = read(&exported().await);
    let documented = documented();
    for (name, (kind, labels)) in &exported {
        let Some((said, said_labels)) = documented.get(name) else {
            panic!("{name} is not in docs/metrics.md");
        };
        assert_eq!(said, kind, "{name}");
        assert!(
            labels.is_subset(said_labels),
            "{name}: {labels:?} {said_labels:?}"
        );
    }
    for (name, (kind, _)) in &documented {
        let elsewhere = ELSEWHERE.contains(&(name, kind));
        // Metrics with labels have no series before something happened.
        let quiet = [
            "fleet_access_refused_total",
            "fleet_tier_health_score",
            "fleet_bot_workers",
            "fleet_pushes_total",
        ]
        .contains(&name.as_str());
        assert!(
            exported.contains_key(name) || elsewhere || quiet,
            "{name} is documented, but nothing exports it"
        );
    }
}

#[tokio::test]
async fn prometheus_own_check_finds_nothing_to_say() {
    let Ok(mut child) = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
    else {
        return; // scripts/k8s-check.sh installs it; a machine without has nothing to check with
    };
    let running = Running::start().await;
    let text = running.get("/metrics").await.text().await.unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let checked = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(checked.status.success(), "{said}");
}
