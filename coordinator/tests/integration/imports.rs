//! Reports of real tools, and reports that no tool should write, into both stores.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use fleet_coordinator::import::import;
use fleet_coordinator::index::query::{Filter, PageQuery, Sort, Suppression};
use fleet_coordinator::store::{Compacted, Maintain};
use fleet_worker_sdk::import::{ImportOptions, ImportSummary, Source};
use fleet_worker_sdk::{Error, ExecutionState, Identified, Level, OpenSession, Result, SessionId};

use crate::support::{Kind, TestStore, assert_whole, store};

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

fn options(repository: &str, commit: &str) -> ImportOptions {
    ImportOptions {
        open: OpenSession::new(repository)
            .unwrap()
            .git_ref("main")
            .commit(commit),
        bot: None,
        partial: false,
        worker: None,
    }
}

async fn take(
    store: &dyn Maintain,
    source: Source,
    options: ImportOptions,
) -> Result<ImportSummary> {
    import(store, Arc::new(source), options, &|_, _| {}).await
}

async fn take_text(store: &dyn Maintain, text: impl AsRef<[u8]>) -> Result<ImportSummary> {
    let source = Source::spool(text.as_ref(), "report")?;
    take(store, source, options("acme/shop", "1")).await
}

#[track_caller]
fn assert_adds_up(summary: &ImportSummary) {
    let sum = summary.new
        + summary.unchanged
        + summary.updated
        + summary.reopened
        + summary.repeats
        + summary.rejected.len() as u64;
    assert_eq!(sum, summary.received, "{summary:?}");
}

async fn all(store: &dyn Maintain, session: &SessionId) -> Vec<Identified> {
    let findings = store.findings(session).await.unwrap();
    let filter = Filter {
        suppression: Suppression::All,
        ..Filter::default()
    };
    let query = PageQuery {
        filter,
        sort: Sort::Severity,
        after: None,
        limit: 1_000,
    };
    let page = findings.read().await.query(&query).unwrap();
    page.findings
        .into_iter()
        .map(|view| view.identified)
        .collect()
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

fn sarif(results: &str) -> String {
    format!(
        r#"{{"version": "2.1.0", "runs": [{{"results": [{results}],
        "tool": {{"driver": {{"name": "Tool", "version": "1.2", "rules": [
            {{"id": "first", "defaultConfiguration": {{"level": "error"}}, "messageStrings": {{"m": {{"text": "got {{0}}"}}}}}}
        ]}}}}}}]}}"#
    )
}

#[tokio::test]
async fn odd_results_are_read_as_they_are_meant() {
    let store = store(Kind::Memory).await;
    let at = |uri: &str, region: &str| {
        format!(
            r#""locations": [{{"physicalLocation": {{"artifactLocation": {{"uri": "{uri}"}}, "region": {region}}}}}]"#
        )
    };
    let results = [
        format!(r#"{{"ruleIndex": 0, "message": {{"id": "m", "arguments": ["x"]}}, {}}}"#, at("a.rs", r#"{"startLine": 0}"#)),
        format!(r#"{{"ruleId": "other", "message": {{"text": "two"}}, {}}}"#, at("b.rs", r#"{"startLine": -3, "endLine": 1e300}"#)),
        r#"{"ruleIndex": 99, "message": {"text": "no rule"}}"#.to_owned(),
        r#"{"ruleId": "first", "kind": "pass", "level": "error", "message": {"text": "fine"}}"#.to_owned(),
        r#"{"ruleId": "first", "message": {"text": "print"}, "fingerprints": {"a/v1": 7, "b/v1": "x"}}"#.to_owned(),
    ]
    .join(",");
    let summary = take_text(&*store.store, format!("\u{feff}{}", sarif(&results)))
        .await
        .unwrap();
    assert_eq!((summary.received, summary.new), (5, 5));
    let findings = all(&*store.store, &summary.session).await;
    let of = |message: &str| {
        let found = findings
            .iter()
            .find(|identified| identified.finding.message == message);
        found
            .unwrap_or_else(|| panic!("{message} in {findings:?}"))
            .finding
            .clone()
    };
    assert_eq!(
        (of("got x").level, of("got x").rule_id.as_str()),
        (Level::Error, "first")
    );
    assert_eq!(of("got x").region(), None);
    assert_eq!(of("two").level, Level::Warning);
    assert_eq!(of("no rule").rule_id, "unknown");
    assert_eq!(of("fine").level, Level::None);
    assert_eq!(of("print").fingerprints.len(), 1);
}

#[tokio::test]
async fn an_id_decides_over_an_index_that_contradicts_it() {
    let store = store(Kind::Memory).await;
    let results = r#"{"ruleId": "another", "ruleIndex": 0, "message": {"text": "a"}},
        {"ruleId": "first/sub", "ruleIndex": 0, "message": {"text": "b"}}"#;
    let summary = take_text(&*store.store, sarif(results)).await.unwrap();
    let findings = all(&*store.store, &summary.session).await;
    let levels: Vec<(&str, Level)> = findings
        .iter()
        .map(|i| (i.finding.rule_id.as_str(), i.finding.level))
        .collect();
    assert_eq!(
        levels,
        [("first/sub", Level::Error), ("another", Level::Warning)]
    );
}

#[tokio::test]
async fn elements_are_found_in_the_runs_table() {
    let store = store(Kind::Memory).await;
    let text = r#"{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "Tool"}},
        "results": [{"message": {"text": "a"}, "locations": [{"logicalLocations": [{"index": 1}]}]}],
        "logicalLocations": [{"name": "shop"}, {"fullyQualifiedName": "shop::pay"}]}]}"#;
    let summary = take_text(&*store.store, text).await.unwrap();
    let findings = all(&*store.store, &summary.session).await;
    assert_eq!(findings[0].finding.element.as_deref(), Some("shop::pay"));
}

#[tokio::test]
async fn what_is_no_report_is_refused_with_position_and_reason() {
    let store = store(Kind::Memory).await;
    let whole = sarif(r#"{"message": {"text": "one"}}"#);
    let cut = &whole[..whole.len() - 5];
    let deep = "[".repeat(10_000);
    let nested = sarif(&format!(
        r#"{{"message": {{"text": "x"}}, "properties": {{"a": {}{}}}}}"#,
        "[".repeat(500),
        "]".repeat(500)
    ));
    let cases = [
        ("", "empty"),
        (cut, "cut off"),
        (&format!("{whole}\n{whole}"), "one file, one report"),
        (r#"{"version": "1.0.0", "runs": []}"#, "\"1.0.0\""),
        (r#"{"runs": []}"#, "no `version`"),
        (r#"{"version": "2.1.0"}"#, "no `runs`"),
        (r#"{"version": "2.1.0", "runs": 7}"#, "array of runs"),
        ("[]", "object with `version`"),
        ("<html>", "not JSON"),
        (&deep, "not SARIF"),
        (&nested, "nested more than 100 deep"),
        (&sarif(r#"{"message": "text"}"#), "runs[0].results[0]"),
        (
            &sarif(r#"{"message": {"text": "x"}, "level": "fatal"}"#),
            "`fatal`",
        ),
    ];
    for (text, expected) in cases {
        let error = take_text(&*store.store, text).await.unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
        assert!(
            error.to_string().contains(expected),
            "{expected:?} in {error}"
        );
    }
    assert_eq!(
        store.rollup().await.unwrap().sessions,
        0,
        "nothing was applied"
    );
}

#[tokio::test]
async fn a_partial_import_takes_the_good_and_lists_the_bad() {
    let store = store(Kind::Redis).await;
    let text = sarif(
        r#"{"message": {"text": "one"}}, {"message": 7}, {"message": {"text": "two"}}, {"message": {"text": "one"}}"#,
    );
    let source = Source::spool(text.as_bytes(), "report").unwrap();
    let options = ImportOptions {
        partial: true,
        ..options("acme/shop", "1")
    };
    let summary = take(&*store.store, source, options).await.unwrap();
    assert_adds_up(&summary);
    assert_eq!(
        (summary.new, summary.repeats, summary.rejected.len()),
        (2, 1, 1)
    );
    assert_eq!(summary.rejected[0].place, "runs[0].results[1]");
    let execution = store
        .facts(&summary.session)
        .await
        .unwrap()
        .session
        .executions[0]
        .clone();
    assert!(execution.partial && execution.state == ExecutionState::Completed);
    assert_whole(&*store.store, &summary.session).await;
}

#[tokio::test]
async fn a_gzipped_report_is_read_like_any_other() {
    let store = store(Kind::Memory).await;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed
        .write_all(sarif(r#"{"message": {"text": "one"}}"#).as_bytes())
        .unwrap();
    let packed = packed.finish().unwrap();
    let summary = take_text(&*store.store, &packed).await.unwrap();
    assert_eq!(summary.new, 1);
    let torn = take_text(&*store.store, &packed[..packed.len() - 9])
        .await
        .unwrap_err();
    assert!(torn.to_string().contains("unpacked"), "{torn}");
}

#[tokio::test]
async fn json_lines_are_findings_of_our_own_model() {
    let store = store(Kind::Memory).await;
    let good = r#"{"ruleId": "r", "level": "error", "message": "m", "locations": [{"uri": "a.rs", "region": {"startLine": 3}}]}"#;
    let summary = take_text(
        &*store.store,
        format!("{good}\n\n{good}\n{{\"message\": \"other\"}}"),
    )
    .await
    .unwrap();
    assert_adds_up(&summary);
    assert_eq!((summary.received, summary.new, summary.repeats), (3, 2, 1));
    let error = take_text(&*store.store, format!("{good}\nnot json\n"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("line 2"), "{error}");
}

#[tokio::test]
async fn several_tools_in_one_file_become_several_bots() {
    let store = store(Kind::Memory).await;
    let run = |tool: &str, message: &str| {
        format!(
            r#"{{"tool": {{"driver": {{"name": "{tool}"}}}}, "results": [{{"message": {{"text": "{message}"}}}}]}}"#
        )
    };
    let runs = [run("One", "a"), run("Two", "b"), run("One", "c")].join(",");
    let summary = take_text(
        &*store.store,
        format!(r#"{{"version": "2.1.0", "runs": [{runs}]}}"#),
    )
    .await
    .unwrap();
    assert_eq!(summary.new, 3);
    let executions = store
        .facts(&summary.session)
        .await
        .unwrap()
        .session
        .executions;
    let pushed: Vec<(String, u64)> = executions
        .iter()
        .map(|e| (e.bot.to_string(), e.pushed))
        .collect();
    assert_eq!(pushed, [("one".to_owned(), 2), ("two".to_owned(), 1)]);
}
