//! `GET /sessions/{id}?`[filters]`&finding=`: a session's bots by tier, its health with the
//! breakdown, its findings, filtered by the words of the API, a page at a time; and all that is
//! known about one of them, where the address names it.
//!
//! [filters]: crate::api::filter

mod executions;

mod form;

mod detail;

use askama::Template;
use fleet_coordinator::index::{FindingView, Page};
use fleet_coordinator::model::SessionFacts;
use fleet_worker_sdk::{Bot, SessionId};
use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Filter, path};

use super::frame::{Frame, Place};
use super::page;
use super::show::{HealthShown, SessionShown};
use super::words::{Count, cut};
use crate::api::filter::PAGING;
use crate::api::problem::Problem;
use crate::api::query::{Query, encode, id};
use crate::api::{findings, method, raw_query, with};
use crate::context::Context;
use detail::Detail;
use executions::TierLane;
use form::Form;

/// Findings on a page: with usual ones it stays below 60 KB.
const FINDINGS: usize = 50;
/// Longest message shown in the list, in characters; the finding's own panel has all of it.
const MESSAGE: usize = 300;
/// Longest path or rule shown in the list, in characters.
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
    frame: Frame,
    session: SessionShown,
    health: HealthShown,
    lanes: Vec<TierLane>,
    form: Form,
    reports: [(&'static str, &'static str); 3],
    /// The filters of this page as more parameters of a report's address.
    report_query: String,
    findings: Vec<FindingShown>,
    total: Count,
    all: Count,
    filtered: bool,
    /// Query of this page's first page, where this is a later one.
    first: Option<String>,
    next: Option<String>,
    detail: Option<Detail>,
    /// The address named a finding that is not there.
    missing: bool,
    /// Query of this page without a finding.
    close: String,
}

/// A finding as listed, cut to what a list bears.
struct FindingShown {
    fingerprint: String,
    /// Query of this page with this finding.
    open: String,
    selected: bool,
    severity: &'static str,
    suppressed: bool,
    rule: String,
    category: String,
    place: String,
    message: String,
    occurrences: u32,
    bot: String,
}

async fn session_page(
    context: Context,
    session: String,
    query: String,
) -> Result<SessionPage, Problem> {
    let session: SessionId = id(&session)?;
    let known: Vec<&str> = PAGING.iter().copied().chain(["finding"]).collect();
    let query = Query::parse(&query, &known)?;
    let selected = query.read("finding")?;
    let facts = context.store.facts(&session).await?;
    let bots = context.store.bots().await?;
    let found = findings::page(&context, &session, &query, FINDINGS).await?;
    let frame = Frame::new(Place::Sessions, false).hearing(format!("session:{session} store"));
    let detail = match &selected {
        Some(selected) => detail::read(&context, &facts.session, selected, frame.now).await?,
        None => None,
    };
    let missing = selected.is_some() && detail.is_none();
    let health = HealthShown::from(&context.view.of_facts(&facts).health);
    let seen = Seen { facts, bots, found };
    Ok(SessionPage {
        detail,
        missing,
        ..shown(&seen, &query, health, frame)
    })
}

/// What was read for a page.
struct Seen {
    facts: SessionFacts,
    bots: Vec<Bot>,
    found: Page,
}

fn shown(seen: &Seen, query: &Query, health: HealthShown, frame: Frame) -> SessionPage {
    let Seen { facts, bots, found } = seen;
    let tally = facts.counts.tally();
    let rows = found.findings.iter();
    SessionPage {
        session: SessionShown::new(&facts.session, frame.now),
        health,
        lanes: executions::lanes(&facts.session, bots, frame.now),
        form: form::form(query, facts),
        reports: REPORTS,
        report_query: and(&query.without(&["cursor", "limit", "finding", "sort"])),
        findings: rows.map(|view| FindingShown::new(view, query)).collect(),
        total: Count(found.total),
        all: Count(tally.total()),
        filtered: found.total != tally.total(),
        first: (query.all("cursor").next().is_some())
            .then(|| query.without(&["cursor", "finding"])),
        next: found.next.as_ref().map(|next| {
            let query = and(&query.without(&["cursor", "finding"]));
            format!("cursor={}{query}", encode(&next.to_string()))
        }),
        close: query.without(&["finding"]),
        detail: None,
        missing: false,
        frame,
    }
}

/// A query string as what follows other parameters.
fn and(query: &str) -> String {
    if query.is_empty() {
        String::new()
    } else {
        format!("&{query}")
    }
}

impl FindingShown {
    fn new(view: &FindingView, query: &Query) -> Self {
        let finding = &view.identified.finding;
        let fingerprint = view.identified.fingerprint.to_string();
        Self {
            open: format!("finding={fingerprint}{}", and(&query.without(&["finding"]))),
            selected: query.all("finding").any(|asked| asked == fingerprint),
            fingerprint,
            severity: view.severity.as_str(),
            suppressed: view.suppressed,
            rule: cut(&finding.rule_id, NAME),
            category: cut(&finding.category, NAME),
            place: place(
                finding.path(),
                finding.region().map(|region| region.start_line),
            ),
            message: cut(&finding.message, MESSAGE),
            occurrences: finding.occurrence_count,
            bot: view.bot.to_string(),
        }
    }
}

/// `path:line`, as far as known.
fn place(path: &str, line: Option<u32>) -> String {
    let path = cut(path, NAME);
    match line {
        Some(line) if line > 0 => format!("{path}:{line}"),
        _ => path,
    }
}
