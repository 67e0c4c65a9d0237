use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn span(file: &str, line: u32) -> Value {
    json!({
        "file_name": file, "line_start": line, "line_end": line, "column_start": 5,
        "column_end": 13, "is_primary": true, "label": null, "suggested_replacement": null,
        "text": [{"text": "    return x;", "highlight_start": 5, "highlight_end": 13}],
    })
}

fn message(code: Option<&str>, level: &str, spans: &[Value], children: &[Value]) -> Value {
    json!({
        "reason": "compiler-message", "package_id": "p",
        "message": {
            "message": "unneeded `return` statement", "level": level, "spans": spans,
            "code": code.map(|code| json!({"code": code, "explanation": null})),
            "children": children, "rendered": "warning: …",
        },
    })
}

fn child(text: &str) -> Value {
    json!({"message": text, "level": "note", "spans": [], "children": [], "code": null})
}

fn finished(success: bool) -> Value {
    json!({"reason": "build-finished", "success": success})
}

fn checked(lines: &[Value]) -> CargoMessages {
    let text: Vec<String> = lines.iter().map(Value::to_string).collect();
    of(text.join("\n").as_bytes())
}

fn of(bytes: &[u8]) -> CargoMessages {
    let source = Source::spool(bytes, "messages").unwrap();
    CargoMessages::check(Arc::new(source), None).unwrap()
}

fn findings(report: &CargoMessages) -> Vec<(String, Reading)> {
    let mut all = Vec::new();
    let mut take = |place: &dyn Fn() -> String, reading: Reading| {
        all.push((place(), reading));
        Ok(())
    };
    report.each(0, &mut take).unwrap();
    all
}

fn only(line: Value) -> Finding {
    let report = checked(&[line]);
    findings(&report).remove(0).1.unwrap()
}

#[test]
fn a_lint_becomes_a_finding_with_place_text_link_and_fix() {
    let mut suggestion = span("src/lib.rs", 3);
    suggestion["suggested_replacement"] = json!("x");
    let children = [
        child("for further information visit https://rust-lang.github.io/x#needless_return"),
        child("`#[warn(clippy::needless_return)]` on by default"),
        json!({"message": "remove `return`", "level": "help", "spans": [suggestion]}),
    ];
    let code = Some("clippy::needless_return");
    let line = message(code, "warning", &[span("src/lib.rs", 3)], &children);
    let report = checked(&[line, finished(true)]);
    let finding = findings(&report).remove(0).1.unwrap();
    assert_eq!(finding.rule_id, "clippy::needless_return");
    assert_eq!(
        (finding.level, finding.path()),
        (Level::Warning, "src/lib.rs")
    );
    let region = finding.region().unwrap();
    assert_eq!(
        (region.start_line, region.start_column, region.end_column),
        (3, 5, 13)
    );
    assert_eq!(
        finding.locations[0].snippet.as_deref(),
        Some("    return x;")
    );
    assert!(finding.fixable);
    assert_eq!(finding.fixes, ["remove `return`"]);
    let note = "note: `#[warn(clippy::needless_return)]` on by default";
    assert_eq!(finding.properties["notes"], json!([note]));
    let rule = report.rule(0, "clippy::needless_return").unwrap();
    assert_eq!(
        rule.help_uri,
        "https://rust-lang.github.io/x#needless_return"
    );
}

#[test]
fn the_category_is_the_group_that_the_notes_tell() {
    for (rule, note, category) in [
        (
            "clippy::needless_pass",
            "`#[warn(clippy::needless_pass)]` implied by `#[warn(clippy::pedantic)]`",
            "pedantic",
        ),
        (
            "clippy::x",
            "`-W clippy::x` implied by `-W clippy::nursery`",
            "nursery",
        ),
        (
            "clippy::eq_op",
            "`#[deny(clippy::eq_op)]` on by default",
            "correctness",
        ),
        ("clippy::x", "`#[warn(clippy::x)]` on by default", "clippy"),
        ("unused_variables", "", "unused"),
        ("dead_code", "", "unused"),
        ("deprecated", "", "deprecation"),
        ("E0308", "", "compile error"),
        ("private_interfaces", "", "rustc"),
    ] {
        let line = message(Some(rule), "warning", &[span("a.rs", 1)], &[child(note)]);
        assert_eq!(only(line).category, category, "{rule}: {note}");
    }
}

#[test]
fn summaries_artifacts_and_a_programs_own_lines_are_no_findings() {
    let summary = message(None, "warning", &[], &[]);
    let artifact = json!({"reason": "compiler-artifact", "message": 7});
    let mut text = format!("{summary}\nhello\n{artifact}\n\n");
    text.push_str(&message(None, "error", &[span("a.rs", 1)], &[]).to_string());
    let found = findings(&of(text.as_bytes()));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, "line 5");
    let finding = found[0].1.as_ref().unwrap();
    assert_eq!(
        (finding.rule_id.as_str(), finding.level),
        (NO_CODE, Level::Error)
    );
}

#[test]
fn only_a_build_that_says_it_succeeded_is_whole() {
    let warning = message(Some("w"), "warning", &[span("a.rs", 1)], &[]);
    for (lines, whole) in [
        (vec![warning.clone(), finished(true)], true),
        (vec![warning.clone(), finished(false)], false),
        (vec![warning], false),
    ] {
        let report = checked(&lines);
        assert_eq!(report.sections[0].partial, !whole, "{lines:?}");
        assert_eq!(report.sections[0].vouched, whole);
    }
}

#[test]
fn a_line_cut_off_is_rejected_with_its_place() {
    let found = findings(&of(b"{\"reason\":\"compiler-message\",\"mess"));
    assert_eq!(found[0].0, "line 1");
    assert!(found[0].1.as_ref().unwrap_err().contains("Cargo"));
}

#[test]
fn an_endless_message_and_endless_notes_are_cut() {
    let children: Vec<Value> = (0..50).map(|_| child(&"é".repeat(5_000))).collect();
    let mut line = message(Some("E0308"), "error", &[span("a.rs", 1)], &children);
    line["message"]["message"] = json!("ß".repeat(50_000));
    let finding = only(line);
    assert!(finding.message.len() <= MAX_MESSAGE);
    let notes = finding.properties["notes"].as_array().unwrap();
    assert_eq!(notes.len(), MAX_NOTES);
    assert!(
        notes
            .iter()
            .all(|note| note.as_str().unwrap().len() <= MAX_NOTE)
    );
    assert!(finding.check().is_ok());
}

#[test]
fn cargos_first_line_is_told_from_a_finding_and_from_sarif() {
    let is_first = |line: Value| is_message(&serde_json::from_str(&line.to_string()).unwrap());
    assert!(is_first(json!({"reason": "compiler-artifact"})));
    assert!(is_first(
        json!({"reason": "build-finished", "success": true})
    ));
    assert!(!is_first(json!({"message": "m", "reason": "because"})));
    assert!(!is_first(json!({"runs": [], "reason": "build-finished"})));
}

proptest! {
    #[test]
    fn any_bytes_are_read_to_their_end(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut text = b"{\"reason\":\"compiler-message\"".to_vec();
        text.extend(bytes);
        let lines = text.split(|byte| *byte == b'\n').count();
        prop_assert!(findings(&of(&text)).len() <= lines);
    }
}
