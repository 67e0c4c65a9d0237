//! Reports: Markdown, JSON, HTML, written page by page.
//!
//! A report is [`Report::begin`], [`Report::rows`] for each page of findings, [`Report::end`].
//! It holds no findings, so that a server writes one in bounded memory and reads the next page
//! after the last one has left.

pub(crate) mod escape;

pub(crate) mod markdown;

mod json;

pub(crate) mod html;

use fleet_worker_sdk::Severity;
use jiff::Timestamp;

use crate::health::Health;
use crate::index::query::word;
use crate::index::{Cursor, FindingView};
use crate::model::{SessionFacts, Tally};

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// GitHub's Markdown.
    Markdown,
    /// One JSON document.
    Json,
    /// One HTML page without scripts or anything to load.
    Html,
}

word!(Format, "format" { Markdown = "markdown", Json = "json", Html = "html" });

impl Format {
    /// HTTP `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Markdown => "text/markdown; charset=utf-8",
            Self::Json => "application/json",
            Self::Html => "text/html; charset=utf-8",
        }
    }

    /// File name extension, without the dot.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Markdown => "md",
            Self::Json => "json",
            Self::Html => "html",
        }
    }
}

/// What a report says before its findings.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportHead {
    /// The session.
    pub facts: SessionFacts,
    /// Its health, when a coordinator has computed one.
    pub health: Option<Health>,
    /// Which findings are listed, in words; empty when all open ones are.
    pub filter: String,
    /// Findings that pass the filter.
    pub total: u64,
    /// When the report was asked for.
    pub generated: Timestamp,
}

/// A report being written.
#[derive(Debug)]
pub struct Report {
    format: Format,
    head: ReportHead,
    /// Findings written so far.
    written: u64,
}

impl Report {
    /// A report of which nothing is written yet.
    pub fn new(format: Format, head: ReportHead) -> Self {
        Self {
            format,
            head,
            written: 0,
        }
    }

    /// The session it is about.
    pub fn facts(&self) -> &SessionFacts {
        &self.head.facts
    }

    /// All before the first finding.
    pub fn begin(&self) -> String {
        match self.format {
            Format::Markdown => markdown::begin(&self.head),
            Format::Json => json::begin(&self.head),
            Format::Html => html::begin(&self.head),
        }
    }

    /// The next findings.
    pub fn rows(&mut self, findings: &[FindingView]) -> String {
        let mut out = String::with_capacity(findings.len() * 256);
        for finding in findings {
            match self.format {
                Format::Markdown => markdown::row(&mut out, &Line::of(finding)),
                Format::Json => json::row(&mut out, finding, self.written == 0),
                Format::Html => html::row(&mut out, &Line::of(finding)),
            }
            self.written += 1;
        }
        out
    }

    /// All after the last finding. `next` says that the report was ended before the last page,
    /// and where to go on.
    pub fn end(&self, next: Option<&Cursor>) -> String {
        match self.format {
            Format::Markdown => markdown::end(&self.head, self.written, next),
            Format::Json => json::end(self.written, next),
            Format::Html => html::end(&self.head, self.written, next),
        }
    }
}

/// A finding as it stands in a table.
#[allow(
    clippy::struct_field_names,
    reason = "a line of a file, in the row of a table"
)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    /// Its severity, or that it is suppressed.
    pub(crate) severity: &'a str,
    pub(crate) rule: &'a str,
    /// Empty where there is none.
    pub(crate) file: &'a str,
    /// 0 where there is none.
    pub(crate) line: u32,
    pub(crate) message: &'a str,
    pub(crate) bot: &'a str,
}

impl<'a> Line<'a> {
    fn of(view: &'a FindingView) -> Self {
        let finding = &view.identified.finding;
        Self {
            severity: severity(view.severity, view.suppressed),
            rule: &finding.rule_id,
            file: finding.path(),
            line: finding.region().map_or(0, |region| region.start_line),
            message: &finding.message,
            bot: view.bot.as_str(),
        }
    }

    /// Appends path and line, or only the path, or nothing.
    fn place(&self, out: &mut String, escape: fn(&mut String, &str)) {
        escape(out, self.file);
        if self.line > 0 {
            out.push(':');
            number(out, self.line);
        }
    }
}

/// What a table says of a severity.
pub(crate) fn severity(severity: Severity, suppressed: bool) -> &'static str {
    if suppressed {
        "suppressed"
    } else {
        severity.as_str()
    }
}

/// Appends a number, in a tenth of the time that `write!` takes.
pub(crate) fn number(out: &mut String, number: impl itoa::Integer) {
    out.push_str(itoa::Buffer::new().format(number));
}

/// The score to one decimal, as everywhere.
fn score(health: &Health) -> String {
    health
        .score
        .map_or_else(|| "unknown".to_owned(), |score| format!("{score:.1}"))
}

fn status(health: &Health) -> &'static str {
    use crate::health::Status;
    match health.status {
        Status::Healthy => "healthy",
        Status::Degraded => "degraded",
        Status::Unhealthy => "unhealthy",
        Status::Critical => "critical",
        Status::Unknown => "unknown",
    }
}

/// Rows of the session's facts: label and text, empty ones left out.
fn facts(head: &ReportHead) -> Vec<(&'static str, String)> {
    let session = &head.facts.session;
    let mut rows = vec![
        ("Session", session.id.to_string()),
        ("Ref", session.git_ref.clone()),
        ("Commit", session.commit.clone()),
        ("State", session.state.to_string()),
        ("Generated", head.generated.to_string()),
        ("Findings listed", head.filter.clone()),
    ];
    rows.retain(|(_, text)| !text.is_empty());
    rows
}

/// Rows of the tally: severity and count.
fn tally(head: &ReportHead) -> [(&'static str, u64); 5] {
    tally_rows(head.facts.counts.tally())
}

/// Rows of a tally: severity and count.
pub(crate) fn tally_rows(tally: Tally) -> [(&'static str, u64); 5] {
    [
        ("error", tally.error),
        ("warning", tally.warning),
        ("info", tally.info),
        ("suggestion", tally.suggestion),
        ("suppressed", tally.suppressed),
    ]
}

/// What stands below the findings: how many of how many, and how to get the rest.
fn footer(head: &ReportHead, written: u64, next: Option<&Cursor>) -> String {
    match next {
        Some(next) => format!(
            "{written} of {} findings; the next ones begin after `{next}`.",
            head.total
        ),
        None if written == 0 => "No findings.".to_owned(),
        None => format!("{written} of {} findings.", head.total),
    }
}

#[cfg(test)]
mod tests;
