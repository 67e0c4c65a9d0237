//! Each format against a literal, and what holds for all findings.

use std::collections::BTreeMap;

use fleet_worker_sdk::session::SessionState;
use fleet_worker_sdk::{
    BotId, Execution, ExecutionState, Finding, Fingerprint, Identified, Level, Repository,
    Severity, Version,
};
use jiff::Timestamp;
use proptest::prelude::*;

use super::{Format, Report, ReportHead};
use crate::health::{Health, Part, Status};
use crate::index::{Cursor, FindingView, Sort};
use crate::model::{Counts, Session, SessionFacts, Tally};

fn head() -> ReportHead {
    let bot = BotId::new("semgrep").unwrap();
    let tally = Tally {
        error: 1,
        suppressed: 1,
        ..Tally::default()
    };
    let session = Session {
        id: "p3-0190a3c4-0000-7000-8000-000000000001".parse().unwrap(),
        repository: Repository::new("acme/my_shop").unwrap(),
        git_ref: "main".to_owned(),
        commit: String::new(),
        run: "0".to_owned(),
        state: SessionState::Complete,
        opened: Timestamp::UNIX_EPOCH,
        changed: Timestamp::UNIX_EPOCH,
        version: Version(4),
        generation: 1,
        total: 2,
        quarantined: 0,
        tally,
        executions: vec![Execution {
            bot: bot.clone(),
            state: ExecutionState::Completed,
            attempt: 1,
            worker: None,
            started: None,
            ended: None,
            pushed: 2,
            partial: false,
            reason: None,
        }],
        derived: None,
    };
    let counts = Counts {
        by_bot: BTreeMap::from([(bot, tally)]),
        by_category: BTreeMap::from([("security".to_owned(), 1)]),
        by_rule: BTreeMap::new(),
    };
    ReportHead {
        facts: SessionFacts {
            session,
            counts,
            indexed: 2,
        },
        health: Some(Health {
            score: Some(71.25),
            status: Status::Degraded,
            band: Status::Degraded,
            reason: "1 error is open".to_owned(),
            coverage: 1.0,
            breakdown: vec![Part {
                part: "quality".to_owned(),
                value: Some(42.5),
                weight: 0.5,
                points_lost: 28.75,
                why: "1 error | 0 warnings".to_owned(),
                link: None,
            }],
        }),
        filter: String::new(),
        total: 2,
        generated: Timestamp::UNIX_EPOCH,
    }
}

fn view(rule: &str, message: &str, path: &str, suppressed: bool) -> FindingView {
    let finding = Finding::new(rule, message).level(Level::Error).at(path, 12);
    FindingView {
        bot: BotId::new("semgrep").unwrap(),
        severity: Severity::Error,
        suppressed,
        first_seen: Timestamp::UNIX_EPOCH,
        identified: Identified {
            fingerprint: Fingerprint([1; 16]),
            finding,
        },
    }
}

fn whole(format: Format, findings: &[FindingView]) -> String {
    let mut report = Report::new(format, head());
    let mut text = report.begin();
    for finding in findings {
        text.push_str(&report.rows(std::slice::from_ref(finding)));
    }
    text.push_str(&report.end(None));
    text
}

fn two() -> [FindingView; 2] {
    [
        view(
            "js.eval",
            "`eval` of <input>|\nsecond line",
            "src/a.js",
            false,
        ),
        view("js.todo", "to do", "src/b.js", true),
    ]
}

#[test]
fn markdown_reads_so() {
    insta::assert_snapshot!(whole(Format::Markdown, &two()));
}

#[test]
fn html_reads_so() {
    let text = whole(Format::Html, &two());
    // The style is a file of its own.
    let (before, rest) = text.split_once("<style>").unwrap();
    let (_, after) = rest.split_once("</style>").unwrap();
    insta::assert_snapshot!(format!("{before}{after}"));
}

#[test]
fn json_is_one_document_of_its_parts() {
    let text = whole(Format::Json, &two());
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["session"]["repository"], "acme/my_shop");
    assert_eq!(document["health"]["score"], 71.25);
    assert_eq!(document["counts"]["by_bot"]["semgrep"]["error"], 1);
    assert_eq!(
        (&document["total"], &document["written"]),
        (&2.into(), &2.into())
    );
    assert_eq!(document["findings"][0]["rule_id"], "js.eval");
    assert_eq!(document["findings"][1]["suppressed"], true);
    assert!(document["next"].is_null());
    let back: Vec<FindingView> = serde_json::from_value(document["findings"].clone()).unwrap();
    assert_eq!(back, two());
}

#[test]
fn a_report_without_findings_or_health_is_whole() {
    let mut bare = head();
    bare.health = None;
    bare.total = 0;
    for &format in Format::ALL {
        let mut report = Report::new(format, bare.clone());
        let text = report.begin() + &report.rows(&[]) + &report.end(None);
        match format {
            Format::Json => assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok()),
            _ => assert!(text.contains("No findings.")),
        }
        assert_eq!(format.as_str().parse::<Format>().unwrap(), format);
    }
}

#[test]
fn a_report_that_was_cut_says_where_to_go_on() {
    let next = Cursor {
        sort: Sort::Path,
        after: Fingerprint([1; 16]),
    };
    for &format in Format::ALL {
        let mut report = Report::new(format, head());
        let _ = report.begin() + &report.rows(&two()[..1]);
        let end = report.end(Some(&next));
        assert!(end.contains(&next.to_string()), "{format}: {end}");
    }
}

#[test]
fn html_runs_and_loads_nothing() {
    let text = whole(
        Format::Html,
        &[view("r", "<script src=x>", "javascript:alert(1)", false)],
    );
    for forbidden in [
        "<script", "<link", "<img", "<iframe", "href=", "src=\"", "@import", "url(",
    ] {
        assert!(!text.contains(forbidden), "{forbidden}");
    }
}

/// Texts with a good share of what has a meaning somewhere.
fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[<>|`\\\\\n\r\"'&*_a\u{202e}\u{200f}-]{0,40}"
    ]
}

proptest! {
    #[test]
    fn an_html_row_has_the_tags_of_a_row(rule in hostile(), message in hostile(), path in hostile()) {
        let mut report = Report::new(Format::Html, head());
        let row = report.rows(&[view(&rule, &message, &path, false)]);
        let tags: Vec<&str> = row.split('<').skip(1).filter_map(|part| part.split('>').next()).collect();
        let cell = ["td", "/td"];
        let expected: Vec<&str> = ["tr", "td class=\"error\"", "/td"].into_iter()
            .chain(cell).chain(cell).chain(cell).chain(cell).chain(["/tr"]).collect();
        prop_assert_eq!(tags, expected);
    }

    #[test]
    fn a_markdown_row_is_one_line_of_five_cells(rule in hostile(), message in hostile(), path in hostile()) {
        let mut report = Report::new(Format::Markdown, head());
        let row = report.rows(&[view(&rule, &message, &path, false)]);
        prop_assert_eq!(row.matches('|').count(), 6);
        prop_assert_eq!(row.matches('\n').count(), 1);
        let markup = ['\r', '<', '`', '\u{202e}'];
        prop_assert!(row.ends_with("|\n") && !row.contains(markup));
    }

    #[test]
    fn json_stays_one_document(messages in proptest::collection::vec(hostile(), 0..5)) {
        let views: Vec<_> = messages.iter().map(|m| view("r", m, "a", false)).collect();
        let document: serde_json::Value = serde_json::from_str(&whole(Format::Json, &views)).unwrap();
        for (position, message) in messages.iter().enumerate() {
            prop_assert_eq!(document["findings"][position]["message"].as_str(), Some(message.as_str()));
        }
    }
}
