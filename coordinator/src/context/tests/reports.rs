//! Reports, as their readers read them.

use fleet_worker_sdk::Severity;
use serde_json::Value;

use super::{at, error, with_bots};
use crate::context::{Context, Draft, End, Format};
use crate::health::Settings;

/// Two bots, of which one completed; texts that every format has to escape.
fn example() -> Context {
    let (mut context, bots) = with_bots(2);
    context.start(bots[0], at(1)).unwrap();
    let hostile = "</td><script>alert(1)</script> | \"quoted\" \\ new\nline \u{1}";
    let warning = Draft::new("rule|one", Severity::Warning, hostile);
    context
        .add(bots[0], &warning.at("src/<a>.rs", 3), at(2))
        .unwrap();
    let bad = error("two").security_severity(9.5).confidence(0.25);
    context
        .add(bots[1], &bad.category("security").element("fn a"), at(2))
        .unwrap();
    context
        .add(bots[1], &error("two").suppressed(), at(2))
        .unwrap();
    context.end(bots[0], End::Complete, at(3)).unwrap();
    context
}

fn whole(context: &Context, format: Format) -> String {
    let mut out = Vec::new();
    let written = context.write_report(format, &Settings::default(), &mut out);
    assert_eq!(written.unwrap(), out.len() as u64);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_json_report_has_every_number_and_every_finding_worst_first() {
    let (context, settings) = (example(), Settings::default());
    let head: Value = serde_json::from_str(&context.report(Format::Json, &settings)).unwrap();
    let summary = serde_json::to_value(context.summary(&settings)).unwrap();
    for member in [
        "id",
        "repository",
        "opened",
        "score",
        "status",
        "blocks_release",
        "total",
        "tally",
        "bots",
    ] {
        assert_eq!(head[member], summary[member], "{member}");
    }
    assert_eq!(head["categories"]["security"], 1);
    assert!(head.get("findings").is_none());
    let report: Value = serde_json::from_str(&whole(&context, Format::Json)).unwrap();
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 3);
    for (finding, entry) in findings.iter().zip(context.sorted()) {
        assert_eq!(finding["id"], entry.id().to_string());
        assert_eq!(finding["message"], entry.message());
        assert_eq!(finding["bot"], entry.bot_name());
    }
    assert_eq!(findings[0]["security_severity"], 9.5);
    assert_eq!(findings[1]["suppressed"], true);
    assert_eq!(findings[2]["file"], "src/<a>.rs");
}

#[test]
fn html_and_markdown_show_what_came_from_outside_as_text() {
    let context = example();
    let html = whole(&context, Format::Html);
    assert!(!html.contains("<script"), "{html}");
    assert!(html.contains("&lt;script&gt;") && html.ends_with("</html>\n"));
    let markdown = whole(&context, Format::Markdown);
    let row = markdown.lines().find(|line| line.contains("rule")).unwrap();
    assert!(
        row.contains("rule&#124;one") && !row.contains("<script"),
        "{row}"
    );
    assert!(markdown.contains("This blocks a release.") && markdown.ends_with("3 findings.\n"));
}

#[test]
fn a_report_without_findings_does_not_grow_with_them() {
    let (mut context, bots) = with_bots(1);
    let settings = Settings::default();
    let drafts = |count: u32| (0..count).map(|line| error("rule").at("a.rs", line));
    context.add_all(bots[0], drafts(100), at(1)).unwrap();
    let few = context.report(Format::Markdown, &settings).len();
    context.add_all(bots[0], drafts(20_000), at(1)).unwrap();
    let many = context.report(Format::Markdown, &settings).len();
    assert!(many < few + 50, "{few} bytes became {many}");
    assert!(whole(&context, Format::Markdown).len() > 400_000);
}

#[test]
fn a_writer_that_fails_ends_the_report() {
    let mut full: &mut [u8] = &mut [0; 10];
    let written = example().write_report(Format::Html, &Settings::default(), &mut full);
    assert_eq!(written.unwrap_err().kind(), std::io::ErrorKind::WriteZero);
}
