//! A report as one JSON document.

use serde::Serialize;

use super::ReportHead;
use crate::health::Health;
use crate::index::{Cursor, FindingView};
use crate::model::{Counts, Session};

#[derive(Serialize)]
struct Head<'a> {
    generated: jiff::Timestamp,
    filter: &'a str,
    total: u64,
    session: &'a Session,
    counts: &'a Counts,
    health: Option<&'a Health>,
}

pub(super) fn begin(head: &ReportHead) -> String {
    let mut out = text_of(&Head {
        generated: head.generated,
        filter: &head.filter,
        total: head.total,
        session: &head.facts.session,
        counts: &head.facts.counts,
        health: head.health.as_ref(),
    });
    out.pop(); // the brace that closes the object: the findings are its last members
    out.push_str(",\"findings\":[");
    out
}

pub(super) fn row(out: &mut String, view: &FindingView, first: bool) {
    out.push_str(if first { "\n" } else { ",\n" });
    out.push_str(&text_of(view));
}

pub(super) fn end(written: u64, next: Option<&Cursor>) -> String {
    let next = next.map_or_else(|| "null".to_owned(), |next| format!("\"{next}\""));
    format!("\n],\"written\":{written},\"next\":{next}}}\n")
}

/// These values are maps with text keys and finite numbers or null, which all have JSON; `{}` keeps
/// the document valid should that ever change.
fn text_of(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "{}".to_owned())
}
