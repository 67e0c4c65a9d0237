//! A report as GitHub's Markdown.

use std::fmt::Write as _;

use super::{Line, ReportHead, escape, facts, footer, score, status, tally};
use crate::health::Health;
use crate::index::Cursor;

/// What stands above the findings.
pub(crate) const FINDINGS: &str =
    "\n## Findings\n\n| Severity | Rule | Place | Message | Bot |\n|---|---|---|---|---|\n";

pub(super) fn begin(head: &ReportHead) -> String {
    let mut out = String::from("# Findings of ");
    escape::markdown(&mut out, head.facts.session.repository.as_str());
    out.push_str("\n\n| | |\n|---|---|\n");
    for (label, text) in facts(head) {
        row_of(&mut out, &[label, &text]);
    }
    if let Some(health) = &head.health {
        self::health(&mut out, health);
    }
    out.push_str("\n## Severities\n\n| Severity | Findings |\n|---|---:|\n");
    for (severity, count) in tally(head) {
        row_of(&mut out, &[severity, &count.to_string()]);
    }
    bots(&mut out, head);
    out.push_str(FINDINGS);
    out
}

fn health(out: &mut String, health: &Health) {
    let _ = writeln!(out, "\n## Health: {} ({})\n", score(health), status(health));
    escape::markdown(out, &health.reason);
    out.push('\n');
    if health.breakdown.is_empty() {
        return;
    }
    out.push_str("\n| Part | Points lost | Why |\n|---|---:|---|\n");
    for part in &health.breakdown {
        let lost = format!("{:.1}", part.points_lost);
        row_of(out, &[&part.part, &lost, &part.why]);
    }
}

fn bots(out: &mut String, head: &ReportHead) {
    if head.facts.session.executions.is_empty() {
        return;
    }
    out.push_str("\n## Bots\n\n| Bot | State | Findings |\n|---|---|---:|\n");
    for execution in &head.facts.session.executions {
        let tally = head.facts.counts.by_bot.get(&execution.bot);
        let count = tally.map_or(0, crate::model::Tally::total).to_string();
        let state = execution.state.as_str();
        row_of(out, &[execution.bot.as_str(), state, &count]);
    }
}

pub(crate) fn row(out: &mut String, line: &Line<'_>) {
    out.push('|');
    cell(out, line.severity);
    cell(out, line.rule);
    out.push(' ');
    line.place(out, escape::markdown);
    out.push_str(" |");
    cell(out, line.message);
    cell(out, line.bot);
    out.push('\n');
}

fn row_of(out: &mut String, cells: &[&str]) {
    out.push('|');
    for text in cells {
        cell(out, text);
    }
    out.push('\n');
}

/// Appends a cell and the bar after it.
pub(crate) fn cell(out: &mut String, text: &str) {
    out.push(' ');
    escape::markdown(out, text);
    out.push_str(" |");
}

pub(super) fn end(head: &ReportHead, written: u64, next: Option<&Cursor>) -> String {
    format!("\n{}\n", footer(head, written, next))
}
