//! A tool's report, from its file until it is applied.

use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput};
use fleet_benches::findings;
use fleet_coordinator::import::import as take;
use fleet_worker_sdk::import::{ImportOptions, Source};
use fleet_worker_sdk::{OpenSession, ProducerId, Severity};
use serde_json::json;

use crate::Bench;

/// Results of the report: those of a Semgrep run over a repository of average size.
const RESULTS: usize = 1_768;

/// A report with as much text besides as scanners write.
fn sarif() -> String {
    let level = |severity: Severity| match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        _ => "note",
    };
    let results = findings(RESULTS).into_iter().map(|identified| {
        let finding = &identified.finding;
        let line = finding.region().map_or(1, |region| region.start_line);
        let snippet = "    let value = input.get(key).unwrap_or_default();\n".repeat(8);
        json!({
            "ruleId": finding.rule_id,
            "level": level(finding.severity()),
            "message": { "text": finding.message },
            "locations": [{ "physicalLocation": {
                "artifactLocation": { "uri": finding.path(), "uriBaseId": "%SRCROOT%" },
                "region": { "startLine": line, "endLine": line, "snippet": { "text": snippet } },
            }}],
            "partialFingerprints": { "primaryLocationLineHash": finding.message },
        })
    });
    let results: Vec<_> = results.collect();
    let tool = json!({ "driver": { "name": "Scanner", "semanticVersion": "1.0.0" } });
    json!({ "version": "2.1.0", "runs": [{ "tool": tool, "results": results }] }).to_string()
}

pub(crate) fn import(c: &mut Criterion, bench: &Bench) {
    let mut group = c.benchmark_group("import");
    let (folder, text) = (tempfile::tempdir().unwrap(), sarif());
    let path = folder.path().join("report.sarif");
    std::fs::write(&path, &text).unwrap();
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function(BenchmarkId::new("sarif", RESULTS), |b| {
        b.to_async(&bench.runtime).iter(|| async {
            let options = ImportOptions {
                open: OpenSession::new("bench/imported")
                    .unwrap()
                    .run(ProducerId::fresh().to_string()),
                bot: None,
                partial: false,
                worker: None,
            };
            let source = Arc::new(Source::open(&path).unwrap());
            let summary = take(&*bench.store, source, options, &|_, _| {})
                .await
                .unwrap();
            assert_eq!(summary.received as usize, RESULTS);
        });
    });
    group.finish();
}
