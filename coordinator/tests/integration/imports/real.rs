//! Reports of real tools.

use std::path::PathBuf;

use super::*;

/// Real scanner output, and how many results each has.
const REAL: [(&str, u64); 12] = [
    ("semgrep.sarif", 77),
    ("opengrep-before.sarif", 127),
    ("opengrep-after.sarif", 121),
    ("spotbugs.sarif", 56),
    ("gitleaks.sarif", 8),
    ("trivy-no-region.sarif", 124),
    ("anchore-suppressed.sarif", 429),
    ("gosec.sarif", 228),
    ("clippy.sarif", 16),
    ("eslint-suppressed.sarif", 12),
    ("eclair-non-ascii.sarif", 48),
    ("empty.sarif", 0),
];

/// The folder of real scanner output beside the project; none where it was not handed along.
fn real(name: &str) -> Option<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/sarif");
    let path = PathBuf::from(folder).join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
    }
    path.exists().then_some(path)
}

async fn every_real_report_is_accounted_for(kind: Kind) {
    let TestStore { store, .. } = &store(kind).await;
    for (name, results) in REAL {
        let Some(path) = real(name) else { return };
        let options = options(&format!("real/{name}"), "1");
        let first = take(&**store, Source::open(&path).unwrap(), options.clone()).await;
        let first = first.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(first.received, results, "{name}");
        assert_adds_up(&first);
        assert_eq!(
            (first.rejected.len(), first.unchanged, first.created),
            (0, 0, true),
            "{name}"
        );
        let facts = store.facts(&first.session).await.unwrap();
        assert_eq!(facts.session.total, first.new, "{name}");
        assert_eq!(
            facts.session.executions[0].state,
            ExecutionState::Completed,
            "{name}"
        );
        let kept: u64 = all(&**store, &first.session)
            .await
            .iter()
            .map(|i| u64::from(i.finding.occurrence_count))
            .sum();
        assert_eq!(
            kept, results,
            "{name}: every result is a finding or an occurrence of one"
        );

        let again = take(&**store, Source::open(&path).unwrap(), options)
            .await
            .unwrap();
        assert_adds_up(&again);
        assert_eq!(
            (again.new, again.closed),
            (0, 0),
            "{name} adds nothing the second time"
        );
        assert_eq!(again.session, first.session, "{name}");
        assert_whole(&**store, &first.session).await;
    }
}

#[tokio::test]
async fn every_real_report_is_accounted_for_in_memory() {
    every_real_report_is_accounted_for(Kind::Memory).await;
}

#[tokio::test]
async fn every_real_report_is_accounted_for_in_redis() {
    every_real_report_is_accounted_for(Kind::Redis).await;
}

#[tokio::test]
async fn a_console_log_is_refused_with_the_reason() {
    let Some(path) = real("not-json.sarif") else {
        return;
    };
    let store = store(Kind::Memory).await;
    let refused = take(
        &*store.store,
        Source::open(&path).unwrap(),
        options("acme/shop", "1"),
    )
    .await;
    let error = refused.unwrap_err().to_string();
    assert!(
        error.contains("not JSON") && error.contains("line"),
        "{error}"
    );
    assert_eq!(
        store.rollup().await.unwrap().sessions,
        0,
        "nothing was applied"
    );
}

#[tokio::test]
async fn the_next_scan_is_counted_against_a_compacted_one_alike() {
    let (Some(before), Some(after)) = (real("opengrep-before.sarif"), real("opengrep-after.sarif"))
    else {
        return;
    };
    let store = store(Kind::Redis).await;
    let mut counted = Vec::new();
    for (repository, compacts) in [("juice/shop", false), ("juice/compacted", true)] {
        let source = Source::open(&before).unwrap();
        let first = take(&*store.store, source, options(repository, "1"));
        let session = first.await.unwrap().session;
        if compacts {
            let version = store.facts(&session).await.unwrap().session.version;
            let compacted = store.compact_session(&session, version).await.unwrap();
            assert!(matches!(compacted, Compacted::Done { .. }), "{compacted:?}");
        }
        let source = Source::open(&after).unwrap();
        let second = take(&*store.store, source, options(repository, "2"));
        let second = second.await.unwrap();
        counted.push((
            second.new,
            second.unchanged,
            second.updated,
            second.reopened,
            second.closed,
        ));
    }
    assert_eq!(counted[0], counted[1]);
    assert!(counted[0].1 > 0 && counted[0].4 > 0, "{counted:?}");
}

#[tokio::test]
async fn the_next_scan_is_counted_against_the_last() {
    let (Some(before), Some(after)) = (real("opengrep-before.sarif"), real("opengrep-after.sarif"))
    else {
        return;
    };
    let store = store(Kind::Redis).await;
    let first = take(
        &*store.store,
        Source::open(&before).unwrap(),
        options("juice/shop", "1"),
    )
    .await
    .unwrap();
    let second = take(
        &*store.store,
        Source::open(&after).unwrap(),
        options("juice/shop", "2"),
    )
    .await
    .unwrap();
    assert_ne!(first.session, second.session);
    assert_adds_up(&second);
    assert!(second.unchanged > 0 && second.closed > 0, "{second:?}");
    let kept = first.new - second.closed;
    assert_eq!(
        second.unchanged + second.updated + second.reopened,
        kept,
        "{second:?}"
    );
}

/// No result of Semgrep or CodeQL has a level of its own.
#[tokio::test]
async fn levels_come_from_the_rules_where_results_have_none() {
    let Some(path) = real("semgrep.sarif") else {
        return;
    };
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let run = &json["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let default = |id: &str| {
        let rule = rules.iter().find(|rule| rule["id"] == id).unwrap();
        rule["defaultConfiguration"]["level"]
            .as_str()
            .unwrap_or("warning")
            .parse::<Level>()
            .unwrap()
    };
    let store = store(Kind::Memory).await;
    let summary = take(
        &*store.store,
        Source::open(&path).unwrap(),
        options("acme/shop", "1"),
    )
    .await
    .unwrap();
    let findings = all(&*store.store, &summary.session).await;
    assert!(!findings.is_empty());
    for identified in findings {
        assert_eq!(
            identified.finding.level,
            default(&identified.finding.rule_id)
        );
    }
}

#[tokio::test]
async fn suppressed_results_are_kept_apart() {
    let Some(path) = real("anchore-suppressed.sarif") else {
        return;
    };
    let store = store(Kind::Memory).await;
    let summary = take(
        &*store.store,
        Source::open(&path).unwrap(),
        options("acme/shop", "1"),
    )
    .await
    .unwrap();
    assert_eq!(summary.suppressed, 429);
    let tally = store.facts(&summary.session).await.unwrap().session.tally;
    assert_eq!(
        (tally.suppressed, tally.total()),
        (summary.new, summary.new)
    );
}
