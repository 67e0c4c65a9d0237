//! Reports that are broken, foreign, oversized or meant to harm.

use std::io::Write as _;

use super::*;

async fn refusal(text: impl AsRef<[u8]>) -> String {
    let (imported, store) = take_alone(text).await;
    let state = store.snapshot();
    assert!(
        state.executions.is_empty() && state.findings.is_empty(),
        "nothing is applied"
    );
    match imported.unwrap_err() {
        Error::Invalid { why, .. } => why,
        other => panic!("refused for another reason: {other}"),
    }
}

#[tokio::test]
async fn a_truncated_log_is_refused_wherever_it_was_cut() {
    let whole = log_of(r#"{"message":{"text":"a \u00e9 b"},"locations":[]}"#);
    for length in 1..whole.len() {
        let why = refusal(&whole[..length]).await;
        assert!(why.contains("in the middle"), "cut at {length}: {why}");
        assert!(why.contains("line 1"), "cut at {length}: {why}");
    }
}

#[tokio::test]
async fn what_is_no_log_is_named() {
    for (text, expected) in [
        ("", "empty"),
        (" \n ", "empty"),
        ("<?xml version=\"1.0\"?>", "XML"),
        ("[]", "which is an object"),
        ("\n\nERROR: no such file", "line 3"),
        ("PK\u{3}\u{4}zip", "ZIP"),
        ("{}", "version"),
        (r#"{"version":"2.1.0"}"#, "runs"),
        (r#"{"version":"1.0.0","runs":[]}"#, "1.0.0"),
        (r#"{"version":"2.0.0","runs":[]}"#, "2.1.0"),
        (r#"{"version":2.1,"runs":[]}"#, "2.1.0"),
        (r#"{"version":"2.1.0","runs":{}}"#, "line 1"),
    ] {
        let why = refusal(text).await;
        assert!(why.contains(expected), "{text:?}: {why}");
    }
}

#[tokio::test]
async fn two_documents_in_one_file_are_refused() {
    let one = log_of(r#"{"message":{"text":"a"}}"#);
    let why = refusal(format!("{one}\n{one}")).await;
    assert!(why.contains("line 2"), "{why}");
}

#[tokio::test]
async fn deep_nesting_is_refused_without_a_crash() {
    let deep = "[".repeat(10_000);
    refusal(&deep).await;
    refusal(format!(r#"{{"version":"2.1.0","x":{deep}"#)).await;
    let closed = format!("{deep}{}", "]".repeat(10_000));
    let why = refusal(format!(r#"{{"version":"2.1.0","runs":[],"x":{closed}}}"#)).await;
    assert!(why.contains("deep"), "{why}");
    refusal(log_of(&format!(
        r#"{{"message":{{"text":"a"}},"properties":{{"x":{closed}}}}}"#
    )))
    .await;
}

#[tokio::test]
async fn a_huge_string_is_refused() {
    let huge = "x".repeat(32 << 20);
    for text in [
        log_of(&format!(r#"{{"message":{{"text":"{huge}"}}}}"#)),
        format!(r#"{{"version":"2.1.0","runs":[],"{huge}":0}}"#),
        format!(r#"{{"message":"{huge}"}}"#),
    ] {
        refusal(text).await;
    }
}

#[tokio::test]
async fn a_gzip_bomb_is_refused() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let spaces = vec![b' '; 1 << 20];
    for _ in 0..1_100 {
        packed.write_all(&spaces).unwrap();
    }
    let error = take_alone(packed.finish().unwrap()).await.0.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn broken_gzip_is_refused_as_such() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed
        .write_all(log_of(r#"{"message":{"text":"a"}}"#).as_bytes())
        .unwrap();
    let packed = packed.finish().unwrap();
    let why = refusal(&packed[..packed.len() - 12]).await;
    assert!(why.contains("unpack") || why.contains("gzip"), "{why}");
}

#[tokio::test]
async fn a_bad_result_refuses_the_report_or_is_listed() {
    let good = |n: u32| {
        format!(
            r#"{{"ruleId":"r","message":{{"text":"good {}"}}}}"#,
            "x".repeat(n as usize)
        )
    };
    let text = run_of(&format!(
        r#""results":[{},{{"message":7}},{},null,{{"message":{{"text":"c"}},"kind":"fali"}}]"#,
        good(1),
        good(2)
    ));
    let why = refusal(&text).await;
    assert!(why.contains("runs[0].results[1]"), "{why}");

    let store = Flaky::sound();
    let partial = ImportOptions {
        partial: true,
        ..options()
    };
    let summary = take(&store, &text, &partial).await.unwrap().summary;
    assert_eq!(
        (summary.received, summary.new, summary.rejected.len()),
        (5, 2, 3)
    );
    let places: Vec<&str> = summary.rejected.iter().map(|r| r.place.as_str()).collect();
    assert_eq!(
        places,
        [
            "runs[0].results[1]",
            "runs[0].results[3]",
            "runs[0].results[4]"
        ]
    );
    let execution = store.execution("t");
    assert_eq!(execution.state, ExecutionState::Completed);
    assert!(execution.partial, "a partial scan closes nothing");
}

#[tokio::test]
async fn ids_that_would_move_a_slot_or_a_line_stay_data() {
    let text = r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"a{p1}:*/../\n"}},"results":[
        {"ruleId":"r{p7}:../x","message":{"text":"m"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"../../etc/{p1}/passwd"}}}]}]}]}"#;
    let (imported, store) = take_alone(text).await;
    assert_eq!(imported.unwrap().summary.bots[0].as_str(), "a-p1");
    let finding = store.snapshot().findings.remove(0).finding;
    assert_eq!(finding.rule_id, "r{p7}:../x");
    assert_eq!(finding.path(), "etc/{p1}/passwd");
}

#[tokio::test]
async fn a_control_character_in_a_rule_id_is_a_bad_result() {
    let why = refusal(log_of(r#"{"ruleId":"a\u0000b","message":{"text":"m"}}"#)).await;
    assert!(why.contains("control character"), "{why}");
}

#[tokio::test]
async fn more_tools_or_runs_than_anybody_has_are_refused() {
    let runs = |count: usize, name: &dyn Fn(usize) -> String| {
        let run = |n| format!(r#"{{"tool":{{"driver":{{"name":"{}"}}}}}}"#, name(n));
        let runs: Vec<String> = (0..count).map(run).collect();
        format!(r#"{{"version":"2.1.0","runs":[{}]}}"#, runs.join(","))
    };
    let why = refusal(runs(65, &|n| format!("tool{n}"))).await;
    assert!(why.contains("64 tools"), "{why}");
    let why = refusal(runs(5_000, &|_| "one".to_owned())).await;
    assert!(why.contains("4096 runs"), "{why}");
    take_alone(runs(4_000, &|_| "one".to_owned()))
        .await
        .0
        .unwrap();
}
