//! `GET /sessions/{id}?`[filters]: a session's executions, its health with the breakdown, and its
//! findings, filtered by the words of the API, a page at a time.
//!
//! [filters]: crate::api::filter

use askama::Template;
use fleet_coordinator::health::Health;
use fleet_coordinator::index::{FindingView, Page, Sort, Suppression};
use fleet_coordinator::model::{Counts, SessionFacts};
use fleet_worker_sdk::{Execution, SessionId, Severity};
use jiff::Timestamp;
use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Filter, path};

use super::show::{HealthShown, SessionShown, span};
use super::{now, page};
use crate::api::filter::PAGING;
use crate::api::problem::Problem;
use crate::api::query::{Query, encode, id};
use crate::api::{findings, method, raw_query, with};
use crate::context::Context;

/// Findings on a page: with usual ones it stays below 60 KB.
const FINDINGS: usize = 50;
/// Longest message shown in the table, in characters; the finding's own link has all of it.
const MESSAGE: usize = 500;
/// Longest path or rule shown in the table, in characters.
const NAME: usize = 200;
/// Reports offered: parameter and name.
const REPORTS: [(&str, &str); 3] = [("html", "HTML"), ("markdown", "Markdown"), ("json", "JSON")];

pub(crate) fn routes(context: &Context) -> BoxedFilter<(Response,)> {
    path!("sessions" / String)
        .and(method("GET"))
        .and(with(context))
        .and(raw_query())
        .then(|session, context, query| async move { page(session_page(context, session, query).await) })
        .boxed()
}

#[derive(Template)]
#[template(path = "session.html")]
struct SessionPage {
    now: Timestamp,
    session: SessionShown,
    health: HealthShown,
    executions: Vec<ExecutionShown>,
    form: Form,
    reports: [(&'static str, &'static str); 3],
    /// The filters of this page as more parameters of a report's address.
    report_query: String,
    findings: Vec<FindingShown>,
    total: u64,
    all: u64,
    filtered: bool,
    next: Option<String>,
}

/// An execution as shown.
struct ExecutionShown {
    bot: String,
    state: &'static str,
    partial: bool,
    attempt: u32,
    pushed: u64,
    took: String,
    note: String,
}

/// A finding as shown, cut to what a table bears.
struct FindingShown {
    fingerprint: String,
    severity: &'static str,
    suppressed: bool,
    rule: String,
    category: String,
    place: String,
    message: String,
    occurrences: u32,
    bot: String,
}

/// The filter form, filled in as the address says.
struct Form {
    severities: Vec<Choice>,
    bots: Vec<Choice>,
    categories: Vec<Choice>,
    rule: String,
    file: String,
    text: String,
    suppressions: Vec<Choice>,
    sorts: Vec<Choice>,
}

/// One value to choose.
struct Choice {
    value: String,
    chosen: bool,
}

async fn session_page(
    context: Context,
    session: String,
    query: String,
) -> Result<SessionPage, Problem> {
    let session: SessionId = id(&session)?;
    let query = Query::parse(&query, &PAGING)?;
    let facts = context.store.facts(&session).await?;
    let health = context.view.of_facts(&facts).health;
    let found = findings::page(&context, &session, &query, FINDINGS).await?;
    Ok(shown(&facts, &health, &query, &found, now()))
}

fn shown(
    facts: &SessionFacts,
    health: &Health,
    query: &Query,
    found: &Page,
    now: Timestamp,
) -> SessionPage {
    let session = &facts.session;
    let tally = facts.counts.tally();
    let executions = session.executions.iter();
    SessionPage {
        now,
        session: SessionShown::new(session, now),
        health: HealthShown::from(health),
        executions: executions.map(ExecutionShown::from).collect(),
        form: form(query, &session.executions, &facts.counts),
        reports: REPORTS,
        report_query: follow(&query.without(&["cursor", "limit"])),
        findings: found.findings.iter().map(FindingShown::from).collect(),
        total: found.total,
        all: tally.total(),
        filtered: found.total != tally.total(),
        next: found.next.as_ref().map(|next| {
            let query = follow(&query.without(&["cursor"]));
            format!("?cursor={}{query}", encode(&next.to_string()))
        }),
    }
}

/// A query string as what follows other parameters.
fn follow(query: &str) -> String {
    if query.is_empty() {
        String::new()
    } else {
        format!("&{query}")
    }
}

fn form(query: &Query, executions: &[Execution], counts: &Counts) -> Form {
    let first = |name| query.all(name).next().unwrap_or_default().to_owned();
    let bots = executions.iter().map(|execution| execution.bot.as_str());
    let severities = Severity::ALL.iter().map(|severity| severity.as_str());
    let categories = counts.by_category.keys().map(String::as_str);
    Form {
        severities: choices("severity", severities, query),
        bots: choices("bot", bots, query),
        categories: choices("category", categories, query),
        rule: first("rule"),
        file: first("file"),
        text: first("text"),
        suppressions: choices(
            "suppression",
            Suppression::ALL.iter().map(|word| word.as_str()),
            query,
        ),
        sorts: choices("sort", Sort::ALL.iter().map(|word| word.as_str()), query),
    }
}

/// The values to choose from, and those chosen that are not among them: a filter that is in
/// force is always seen.
fn choices<'a>(
    name: &'a str,
    values: impl Iterator<Item = &'a str>,
    query: &'a Query,
) -> Vec<Choice> {
    let mut all: Vec<&str> = values.collect();
    for chosen in query.all(name) {
        if !all.contains(&chosen) {
            all.push(chosen);
        }
    }
    let choice = |value: &str| Choice {
        value: value.to_owned(),
        chosen: query.all(name).any(|chosen| chosen == value),
    };
    all.into_iter().map(choice).collect()
}

impl From<&Execution> for ExecutionShown {
    fn from(execution: &Execution) -> Self {
        let took = match (execution.started, execution.ended) {
            (Some(from), Some(to)) => span((to.as_second() - from.as_second()).max(0)),
            _ => String::new(),
        };
        Self {
            bot: execution.bot.to_string(),
            state: execution.state.as_str(),
            partial: execution.partial,
            attempt: execution.attempt,
            pushed: execution.pushed,
            took,
            note: cut(execution.reason.as_deref().unwrap_or_default(), MESSAGE),
        }
    }
}

impl From<&FindingView> for FindingShown {
    fn from(view: &FindingView) -> Self {
        let finding = &view.identified.finding;
        let line = finding.region().map_or(0, |region| region.start_line);
        let path = cut(finding.path(), NAME);
        Self {
            fingerprint: view.identified.fingerprint.to_string(),
            severity: view.severity.as_str(),
            suppressed: view.suppressed,
            rule: cut(&finding.rule_id, NAME),
            category: finding.category.clone(),
            place: if line > 0 {
                format!("{path}:{line}")
            } else {
                path
            },
            message: cut(&finding.message, MESSAGE),
            occurrences: finding.occurrence_count,
            bot: view.bot.to_string(),
        }
    }
}

/// At most `max` characters, with a mark where something was cut. Characters that change the
/// direction of text or show nothing are shown as what they are: a path must read as it is.
fn cut(text: &str, max: usize) -> String {
    let mut shown: String = text.chars().take(max).map(plain).collect();
    if text.chars().nth(max).is_some() {
        shown.push('…');
    }
    shown
}

fn plain(c: char) -> char {
    match c {
        '\n' | '\t' => c,
        '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{feff}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters_with_a_mark() {
        assert_eq!(cut("äöü", 2), "äö…");
        assert_eq!(cut("äö", 2), "äö");
    }

    #[test]
    fn a_path_cannot_read_backwards() {
        assert_eq!(
            cut("a\u{202e}sr.exe\u{1b}[31m", 99),
            "a\u{fffd}sr.exe\u{fffd}[31m"
        );
    }

    #[test]
    fn a_filter_in_force_is_among_the_choices() {
        let query = Query::parse("bot=gone", &["bot"]).unwrap();
        let choices = choices("bot", ["here"].into_iter(), &query);
        let shown: Vec<_> = choices
            .iter()
            .map(|c| (c.value.as_str(), c.chosen))
            .collect();
        assert_eq!(shown, [("here", false), ("gone", true)]);
    }
}
