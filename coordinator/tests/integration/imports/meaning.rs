//! Reports as no tool should write them, and what is no report at all.

use std::io::Write as _;

use super::*;

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
