//! A report as one HTML page.

use std::fmt::Write as _;

use super::{Line, ReportHead, escape, facts, footer, score, status, tally};
use crate::health::Health;
use crate::index::Cursor;

/// System fonts and colours; both schemes keep a contrast of 4.5 to 1 or more.
const STYLE: &str = include_str!("report.css");

/// Appends all up to the heading.
pub(crate) fn open(out: &mut String, repository: &str) {
    out.push_str("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    out.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    // Nothing in the page loads or runs anything; this holds even if an escape failed.
    out.push_str("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">");
    out.push_str("<title>Findings of ");
    escape::html(out, repository);
    for part in ["</title><style>", STYLE, "</style></head>\n<body><main>"] {
        out.push_str(part);
    }
    out.push_str("<h1>Findings of ");
    escape::html(out, repository);
    out.push_str("</h1>");
}

/// What stands above the findings.
pub(crate) const FINDINGS: &str = "<h2>Findings</h2><table><thead><tr><th scope=\"col\">Severity<th scope=\"col\">Rule<th scope=\"col\">Place<th scope=\"col\">Message<th scope=\"col\">Bot</tr></thead><tbody>\n";

pub(super) fn begin(head: &ReportHead) -> String {
    let mut out = String::new();
    open(&mut out, head.facts.session.repository.as_str());
    out.push_str("<dl>");
    for (label, text) in facts(head) {
        element(&mut out, "dt", label);
        element(&mut out, "dd", &text);
    }
    out.push_str("</dl>\n");
    if let Some(health) = &head.health {
        self::health(&mut out, health);
    }
    out.push_str("<h2>Severities</h2><ul class=\"tally\">");
    for (severity, count) in tally(head) {
        let _ = write!(
            out,
            "<li class=\"{severity}\"><b>{count}</b> {severity}</li>"
        );
    }
    out.push_str("</ul>\n");
    bots(&mut out, head);
    out.push_str(FINDINGS);
    out
}

fn health(out: &mut String, health: &Health) {
    let status = status(health);
    let _ = write!(
        out,
        "<h2>Health</h2><p class=\"health {status}\"><b>{}</b> {status}</p>",
        score(health)
    );
    element(out, "p", &health.reason);
    if health.breakdown.is_empty() {
        return;
    }
    out.push_str("<table><thead><tr><th scope=\"col\">Part<th scope=\"col\">Points lost<th scope=\"col\">Why</tr></thead><tbody>\n");
    for part in &health.breakdown {
        out.push_str("<tr>");
        element(out, "td", &part.part);
        element(out, "td", &format!("{:.1}", part.points_lost));
        element(out, "td", &part.why);
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table>\n");
}

fn bots(out: &mut String, head: &ReportHead) {
    if head.facts.session.executions.is_empty() {
        return;
    }
    out.push_str("<h2>Bots</h2><table><thead><tr><th scope=\"col\">Bot<th scope=\"col\">State<th scope=\"col\">Findings</tr></thead><tbody>\n");
    for execution in &head.facts.session.executions {
        let tally = head.facts.counts.by_bot.get(&execution.bot);
        let count = tally.map_or(0, crate::model::Tally::total);
        out.push_str("<tr>");
        element(out, "td", execution.bot.as_str());
        element(out, "td", execution.state.as_str());
        let _ = writeln!(out, "<td>{count}</td></tr>");
    }
    out.push_str("</tbody></table>\n");
}

pub(crate) fn row(out: &mut String, line: &Line<'_>) {
    let severity = line.severity;
    for part in ["<tr><td class=\"", severity, "\">", severity, "</td>"] {
        out.push_str(part);
    }
    element(out, "td", line.rule);
    out.push_str("<td>");
    line.place(out, escape::html);
    out.push_str("</td>");
    element(out, "td", line.message);
    element(out, "td", line.bot);
    out.push_str("</tr>\n");
}

/// Appends an element and its text.
pub(crate) fn element(out: &mut String, name: &str, text: &str) {
    for part in ["<", name, ">"] {
        out.push_str(part);
    }
    escape::html(out, text);
    for part in ["</", name, ">"] {
        out.push_str(part);
    }
}

pub(super) fn end(head: &ReportHead, written: u64, next: Option<&Cursor>) -> String {
    let mut out = String::from("</tbody></table>");
    element(&mut out, "p", &footer(head, written, next));
    out.push_str("</main></body></html>\n");
    out
}
