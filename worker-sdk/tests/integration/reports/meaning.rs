//! What the parts of a report mean.

use super::*;

fn located(region: &str) -> String {
    log_of(&format!(
        r#"{{"message":{{"text":"m"}},"locations":[{{"physicalLocation":{{"artifactLocation":{{"uri":"a.rs"}},"region":{region}}}}}]}}"#
    ))
}

#[tokio::test]
async fn lines_that_no_file_has_are_not_given() {
    for (line, expected) in [
        ("7", Some(7)),
        ("7.0", Some(7)),
        ("0", None),
        ("-3", None),
        ("null", None),
    ] {
        let found = finding(located(&format!(r#"{{"startLine":{line}}}"#))).await;
        assert_eq!(
            found.region().map(|r| r.start_line),
            expected,
            "startLine {line}"
        );
        assert_eq!(found.path(), "a.rs");
    }
    let huge = finding(located(r#"{"startLine":99999999999999999999}"#)).await;
    assert_eq!(huge.path(), "a.rs", "a huge line is bounded or not given");
}

#[tokio::test]
async fn the_level_is_resolved_in_the_standards_order() {
    let level_of = async |result: &str| finding(log_of(result)).await.level;
    let with = |more: &str| format!(r#"{{"message":{{"text":"m"}}{more}}}"#);
    assert_eq!(level_of(&with("")).await, Level::Warning);
    assert_eq!(level_of(&with(r#","ruleIndex":0"#)).await, Level::Note);
    assert_eq!(level_of(&with(r#","rule":{"index":0}"#)).await, Level::Note);
    assert_eq!(level_of(&with(r#","ruleId":"r0/sub""#)).await, Level::Note);
    assert_eq!(
        level_of(&with(r#","ruleId":"r0","level":"error""#)).await,
        Level::Error
    );
    assert_eq!(
        level_of(&with(r#","ruleId":"r0","level":"error","kind":"pass""#)).await,
        Level::None
    );
    let overridden = run_of(
        r#""invocations":[{"executionSuccessful":true,"ruleConfigurationOverrides":[{"descriptor":{"index":0},"configuration":{"level":"error"}}]}],"results":[{"ruleId":"r0","message":{"text":"m"}}]"#,
    );
    assert_eq!(finding(overridden).await.level, Level::Error);
}

#[tokio::test]
async fn a_rule_index_out_of_range_is_no_rule() {
    for index in ["-1", "99", "18446744073709551615"] {
        let found = finding(log_of(&format!(
            r#"{{"ruleIndex":{index},"message":{{"text":"m"}}}}"#
        )))
        .await;
        assert_eq!(
            (found.rule_id.as_str(), found.level),
            ("unknown", Level::Warning),
            "{index}"
        );
    }
}

#[tokio::test]
async fn arguments_are_filled_in_once() {
    let found = finding(log_of(
        r#"{"ruleIndex":0,"message":{"id":"default","arguments":["{1}","here"]}}"#,
    ))
    .await;
    assert_eq!(found.message, "{1} in here");
    let found = finding(log_of(
        r#"{"message":{"text":"{{0}} is {0}","arguments":["zero"]}}"#,
    ))
    .await;
    assert_eq!(found.message, "{0} is zero");
}

#[tokio::test]
async fn a_byte_order_mark_and_gzip_change_nothing() {
    let text = log_of(r#"{"message":{"text":"m"}}"#);
    let plain = findings(&text).await;
    assert_eq!(findings(format!("\u{feff}{text}")).await, plain);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, text.as_bytes()).unwrap();
    assert_eq!(findings(packed.finish().unwrap()).await, plain);
}

#[tokio::test]
async fn bases_are_resolved_and_the_checkout_left_out() {
    let uri_of = async |bases: &str, uri: &str, base: &str| {
        let text = run_of(&format!(
            r#""originalUriBaseIds":{bases},"results":[{{"message":{{"text":"m"}},"locations":[{{"physicalLocation":{{"artifactLocation":{{"uri":"{uri}","uriBaseId":"{base}"}}}}}}]}}]"#
        ));
        finding(text).await.path().to_owned()
    };
    let bases = r#"{"ROOT":{"uri":"file:///home/ci/1/shop/"},"SRC":{"uri":"src/","uriBaseId":"ROOT"},"LOOP":{"uri":"x/","uriBaseId":"LOOP"}}"#;
    assert_eq!(uri_of(bases, "a.rs", "ROOT").await, "a.rs");
    assert_eq!(uri_of(bases, "a.rs", "SRC").await, "src/a.rs");
    assert_eq!(
        uri_of(bases, "file:///home/ci/1/shop/src/a.rs", "").await,
        "src/a.rs"
    );
    assert_eq!(uri_of("{}", "a%20b.rs", "%SRCROOT%").await, "a b.rs");
    assert!(
        uri_of(bases, "a.rs", "LOOP").await.ends_with("a.rs"),
        "a loop of bases ends"
    );
}

#[tokio::test]
async fn a_fingerprint_that_is_no_text_is_kept_out() {
    let found = finding(log_of(
        r#"{"message":{"text":"m"},"fingerprints":{"a/v1":7,"b/v1":"x","c/v1":null},"partialFingerprints":{"p":{"q":1}}}"#,
    ))
    .await;
    assert_eq!(
        found.fingerprints.into_iter().collect::<Vec<_>>(),
        [("b/v1".into(), "x".into())]
    );
    assert!(found.partial_fingerprints.is_empty());
}

#[tokio::test]
async fn repeats_are_counted_up_front() {
    let result = |line: u32| {
        format!(
            r#"{{"ruleId":"r","message":{{"text":"m"}},"locations":[{{"physicalLocation":{{"artifactLocation":{{"uri":"a.rs"}},"region":{{"startLine":{line}}}}}}}]}}"#
        )
    };
    let text = run_of(&format!(
        r#""results":[{},{},{},{}]"#,
        result(9),
        result(4),
        result(9),
        result(9)
    ));
    let (imported, store) = take_alone(text).await;
    let summary = imported.unwrap().summary;
    assert_eq!((summary.received, summary.new, summary.repeats), (4, 2, 2));
    let state = store.snapshot();
    let counts: Vec<_> = state
        .findings
        .iter()
        .map(|f| {
            (
                f.finding.region().unwrap().start_line,
                f.finding.occurrence_count,
            )
        })
        .collect();
    assert_eq!(counts, [(9, 3), (4, 1)]);
    assert!(state.again.is_empty());
}

#[tokio::test]
async fn runs_of_one_tool_are_one_execution_and_of_two_are_two() {
    let run = |tool: &str, message: &str| {
        format!(
            r#"{{"tool":{{"driver":{{"name":"{tool}"}}}},"results":[{{"message":{{"text":"{message}"}}}}]}}"#
        )
    };
    let text = format!(
        r#"{{"version":"2.1.0","runs":[{},{},{},{{"tool":{{"driver":{{"name":"C"}}}}}}]}}"#,
        run("A", "one"),
        run("B", "two"),
        run("A", "three")
    );
    let (imported, store) = take_alone(text).await;
    assert_eq!(imported.unwrap().summary.bots.len(), 3);
    assert_eq!(store.execution("a").pushed, 2);
    assert_eq!(store.execution("a").attempt, 1);
    assert_eq!(store.execution("b").pushed, 1);
    assert_eq!(store.execution("c").state, ExecutionState::Completed);
}

#[tokio::test]
async fn large_properties_and_snippets_are_bounded() {
    let long = "é".repeat(60_000);
    let found = finding(log_of(&format!(
        r#"{{"message":{{"text":"{long}"}},"properties":{{"blob":"{long}"}},"locations":[{{"physicalLocation":{{"artifactLocation":{{"uri":"a.rs"}},"region":{{"startLine":1,"snippet":{{"text":"{long}"}}}}}}}}]}}"#
    )))
    .await;
    assert!(serde_json::to_vec(&found).unwrap().len() < finding::MAX_FINDING_BYTES);
}

#[tokio::test]
async fn json_lines_are_read_with_the_line_of_what_is_wrong() {
    let text = concat!(
        r#"{"rule_id":"a","message":"one","level":"error","locations":[{"uri":"a.rs","region":{"startLine":3}}]}"#,
        "\n\n",
        r#"{"ruleId":"b","message":"two"}"#,
        "\r\n{oops\n",
    );
    let why = take_alone(text).await.0.unwrap_err().to_string();
    assert!(why.contains("line 4"), "{why}");
    let store = Flaky::sound();
    let partial = ImportOptions {
        partial: true,
        bot: Some(BotId::new("mine").unwrap()),
        ..options()
    };
    let summary = take(&store, text, &partial).await.unwrap().summary;
    assert_eq!(
        (summary.received, summary.new, summary.rejected.len()),
        (3, 2, 1)
    );
    assert_eq!(summary.rejected[0].place, "line 4");
    let rules: Vec<_> = store
        .snapshot()
        .findings
        .into_iter()
        .map(|f| f.finding.rule_id)
        .collect();
    assert_eq!(rules, ["a", "b"]);
    assert!(store.execution("mine").partial);
}

/// In real time: a paused clock stands still while a report is read on another thread.
#[tokio::test]
async fn lost_answers_and_refusals_are_retried_without_loss() {
    use crate::flaky::Faults;
    let results: Vec<String> = (0..2_000)
        .map(|n| format!(r#"{{"ruleId":"r{n}","message":{{"text":"m"}}}}"#))
        .collect();
    let text = run_of(&format!(r#""results":[{}]"#, results.join(",")));
    let faults = Faults {
        refuse: 30,
        lose_reply: 20,
        ..Faults::default()
    };
    for seed in 0..5 {
        let store = Flaky::new(seed, faults);
        let imported = take(&store, &text, &options()).await.unwrap();
        assert_eq!(imported.summary.new, 2_000);
        let state = store.snapshot();
        assert_eq!(state.findings.len(), 2_000);
        assert!(state.batches.iter().all(|size| *size <= 256));
        assert_eq!(store.execution("t").state, ExecutionState::Completed);
    }
}

#[tokio::test]
async fn an_import_that_breaks_off_fails_its_execution_with_the_reason() {
    let store = Flaky::sound();
    *store.poison.lock().unwrap() = Some("m".to_owned());
    let error = take(&store, log_of(r#"{"message":{"text":"m"}}"#), &options()).await;
    assert!(error.unwrap_err().to_string().contains("poison"));
    let execution = store.execution("t");
    assert_eq!(execution.state, ExecutionState::Failed);
    assert!(execution.reason.unwrap().contains("poison"));
}

#[tokio::test]
async fn null_where_a_list_is_empty_is_an_empty_list() {
    let text = r#"{"version":"2.1.0","runs":[
        {"artifacts":null,"invocations":null,"originalUriBaseIds":null,"results":null,"tool":{"driver":{"name":"A","rules":null},"extensions":null}},
        {"tool":{"driver":{"name":"B","rules":[{"id":"r","properties":null,"defaultConfiguration":null}]}},"results":[
          {"ruleId":"r","message":{"text":"m","arguments":null},"locations":null,"relatedLocations":null,"fixes":null,
           "suppressions":null,"fingerprints":null,"partialFingerprints":null,"properties":null,"rank":null}]}]}"#;
    let (imported, store) = take_alone(text).await;
    assert_eq!(imported.unwrap().summary.new, 1);
    assert_eq!(store.execution("a").pushed, 0);
    assert_eq!(store.execution("b").pushed, 1);
}

#[tokio::test]
async fn a_folder_named_like_the_checkout_is_not_the_checkout() {
    let path_of = async |root: &str, uri: &str| {
        let text = run_of(&format!(
            r#""invocations":[{{"workingDirectory":{{"uri":"{root}"}}}}],"results":[{{"message":{{"text":"m"}},"locations":[{{"physicalLocation":{{"artifactLocation":{{"uri":"{uri}"}}}}}}]}}]"#
        ));
        finding(text).await.path().to_owned()
    };
    assert_eq!(path_of("file:///w/web", "file:///w/web/a.rs").await, "a.rs");
    assert_eq!(
        path_of("file:///w/web", "file:///w/web2/a.rs").await,
        "w/web2/a.rs"
    );
}

#[tokio::test]
async fn a_scan_that_failed_or_was_not_tried_closes_nothing() {
    let failed = r#""invocations":[{"executionSuccessful":false}],"results":[]"#;
    for (members, partial) in [
        (r#""results":[]"#, false),
        (
            r#""results":[],"invocations":[{"executionSuccessful":true}]"#,
            false,
        ),
        (failed, true),
        (r#""results":null"#, true),
        (r#""columnKind":"utf16CodeUnits""#, true),
    ] {
        let (imported, store) = take_alone(run_of(members)).await;
        assert_eq!(
            imported.unwrap().partial.len(),
            usize::from(partial),
            "{members}"
        );
        let execution = store.execution("t");
        assert_eq!(execution.state, ExecutionState::Completed, "{members}");
        assert_eq!(execution.partial, partial, "{members}");
    }
}

#[tokio::test]
async fn the_order_of_runs_and_results_is_no_part_of_an_identity() {
    let run = |tool: &str, lines: &[u32]| {
        let result = |line: &u32| {
            format!(
                r#"{{"ruleId":"r","message":{{"text":"m"}},"locations":[{{"physicalLocation":{{"artifactLocation":{{"uri":"a.rs"}},"region":{{"startLine":{line}}}}}}}]}}"#
            )
        };
        let results: Vec<String> = lines.iter().map(result).collect();
        format!(
            r#"{{"tool":{{"driver":{{"name":"{tool}"}}}},"results":[{}]}}"#,
            results.join(",")
        )
    };
    let places = async |runs: [String; 2]| {
        let text = format!(r#"{{"version":"2.1.0","runs":[{}]}}"#, runs.join(","));
        let store = Flaky::sound();
        let both = ImportOptions {
            bot: Some(BotId::new("both").unwrap()),
            ..options()
        };
        take(&store, text, &both).await.unwrap();
        let findings = store.snapshot().findings;
        let of = findings
            .iter()
            .map(|f| (f.finding.region().unwrap(), f.fingerprint));
        of.collect::<std::collections::BTreeMap<_, _>>()
    };
    let one = places([run("A", &[3, 1]), run("B", &[2])]).await;
    let other = places([run("B", &[2]), run("A", &[1, 3])]).await;
    assert_eq!(one.len(), 3);
    assert_eq!(one, other);
}
