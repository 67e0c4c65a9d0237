//! All that is known about one finding.

use fleet_coordinator::index::FindingView;
use fleet_coordinator::model::Session;
use fleet_coordinator::store::SessionQuery;
use fleet_worker_sdk::{Finding, Fingerprint, Location, Region, Rule};
use jiff::Timestamp;

use super::super::words::{Moment, cut, is_web};
use super::{NAME, place};
use crate::api::problem::Problem;
use crate::api::query::encode;
use crate::context::Context;

/// Longest message or snippet shown, in characters: a screen of it. A finding has at most 64 KiB.
const TEXT: usize = 8_000;
/// Most locations, fingerprints, suppressions or fixes shown of each; the rest is counted.
const LIST: usize = 25;
/// Sessions of the repository looked through for other scans of the same ref.
const NEIGHBOURS: usize = 20;
/// Other scans that are asked for the finding: each may have to be folded.
const SCANS: usize = 4;

/// A finding with all that is known about it.
pub(super) struct Detail {
    pub(super) fingerprint: String,
    pub(super) severity: &'static str,
    pub(super) rule: String,
    pub(super) rule_query: String,
    pub(super) file_query: Option<String>,
    pub(super) rule_name: String,
    pub(super) rule_text: String,
    pub(super) tags: Vec<String>,
    /// Where to read more: followed only if it leads to the web.
    pub(super) help: Option<String>,
    pub(super) help_is_link: bool,
    pub(super) message: String,
    pub(super) bot: String,
    pub(super) seen: Moment,
    pub(super) facts: Vec<(&'static str, String)>,
    pub(super) locations: Vec<Spot>,
    pub(super) related: Vec<Spot>,
    pub(super) further_locations: usize,
    pub(super) suppressions: Vec<SuppressionShown>,
    pub(super) fixes: Vec<String>,
    pub(super) fingerprints: Vec<(String, String)>,
    pub(super) properties: String,
    pub(super) scans: Vec<Scan>,
}

/// A place in the code as shown.
pub(super) struct Spot {
    pub(super) place: String,
    pub(super) region: String,
    pub(super) message: String,
    pub(super) snippet: String,
}

/// A suppression as shown.
pub(super) struct SuppressionShown {
    pub(super) kind: String,
    pub(super) status: String,
    pub(super) justification: String,
    pub(super) by: String,
    pub(super) expires: String,
}

/// Another scan of the same ref.
pub(super) struct Scan {
    pub(super) session: String,
    pub(super) commit: String,
    pub(super) opened: Moment,
    pub(super) has_it: bool,
}

/// The finding of `session` with `fingerprint`; none when it is not there.
pub(super) async fn read(
    context: &Context,
    session: &Session,
    fingerprint: &Fingerprint,
    now: Timestamp,
) -> Result<Option<Detail>, Problem> {
    let findings = context.store.findings(&session.id).await?;
    let (view, rule) = {
        let index = findings.read().await;
        let Some(view) = index.get(fingerprint) else {
            return Ok(None);
        };
        let rule = index.rules().get(&view.identified.finding.rule_id).cloned();
        (view, rule.unwrap_or_default())
    };
    let scans = scans(context, session, &view, now).await?;
    Ok(Some(Detail {
        scans,
        ..Detail::new(&view, &rule, now)
    }))
}

/// The latest other scans of the same ref by the same bot, and whether each has the finding.
async fn scans(
    context: &Context,
    session: &Session,
    view: &FindingView,
    now: Timestamp,
) -> Result<Vec<Scan>, Problem> {
    let query = SessionQuery {
        repository: Some(session.repository.clone()),
        limit: NEIGHBOURS,
        ..SessionQuery::default()
    };
    let listed = context.store.sessions(&query).await?;
    let took_part = |other: &Session| {
        let mut executions = other.executions.iter();
        executions.any(|execution| execution.bot == view.bot && execution.attempt > 0)
    };
    let others = listed.into_iter().filter(|other| {
        other.id != session.id && other.git_ref == session.git_ref && took_part(other)
    });
    let mut scans = Vec::new();
    for other in others.take(SCANS) {
        let findings = context.store.findings(&other.id).await?;
        let has_it = findings.read().await.get(&view.identified.fingerprint);
        scans.push(Scan {
            session: other.id.to_string(),
            commit: other.commit.chars().take(8).collect(),
            opened: Moment::ago(other.opened, now),
            has_it: has_it.is_some(),
        });
    }
    Ok(scans)
}

impl Detail {
    fn new(view: &FindingView, rule: &Rule, now: Timestamp) -> Self {
        let finding = &view.identified.finding;
        let file = Some(finding.path()).filter(|path| !path.is_empty());
        Self {
            fingerprint: view.identified.fingerprint.to_string(),
            severity: view.severity.as_str(),
            rule: cut(&finding.rule_id, NAME),
            rule_query: format!("rule={}", encode(&finding.rule_id)),
            file_query: file.map(|path| format!("file={}", encode(path))),
            rule_name: cut(&rule.name, NAME),
            rule_text: cut(&rule.short_description, TEXT),
            tags: rule
                .tags
                .iter()
                .take(LIST)
                .map(|tag| cut(tag, NAME))
                .collect(),
            help: Some(cut(&rule.help_uri, TEXT)).filter(|help| !help.is_empty()),
            help_is_link: is_web(&rule.help_uri) && rule.help_uri.len() <= TEXT,
            message: cut(&finding.message, TEXT),
            bot: view.bot.to_string(),
            seen: Moment::ago(view.first_seen, now),
            facts: facts(finding, rule),
            locations: finding
                .locations
                .iter()
                .take(LIST)
                .map(Spot::from)
                .collect(),
            related: finding.related.iter().take(LIST).map(Spot::from).collect(),
            further_locations: finding.locations.len().saturating_sub(LIST)
                + finding.related.len().saturating_sub(LIST),
            suppressions: suppressions(finding),
            fixes: finding
                .fixes
                .iter()
                .take(LIST)
                .map(|fix| cut(fix, TEXT))
                .collect(),
            fingerprints: fingerprints(finding),
            properties: properties(finding),
            scans: Vec::new(),
        }
    }
}

/// What can be said in a word or number.
fn facts(finding: &Finding, rule: &Rule) -> Vec<(&'static str, String)> {
    let score = finding.security_severity.or(rule.security_severity);
    let yes = |flag: bool| flag.then(|| "yes".to_owned());
    let all = [
        ("Category", Some(cut(&finding.category, NAME))),
        ("Level", Some(finding.level.to_string())),
        ("Kind", Some(finding.kind.to_string())),
        (
            "Security severity",
            score.map(|score| format!("{score:.1} of 10")),
        ),
        (
            "Confidence",
            finding.confidence.map(|c| format!("{:.0} %", c * 100.0)),
        ),
        ("Rank", finding.rank.map(|rank| format!("{rank:.0} of 100"))),
        ("Seen", Some(times(finding.occurrence_count))),
        (
            "Element",
            finding.element.as_deref().map(|element| cut(element, NAME)),
        ),
        ("Fixable", yes(finding.fixable)),
        ("Fixed", yes(finding.fixed)),
    ];
    let known = all.into_iter();
    known
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

fn times(count: u32) -> String {
    match count {
        1 => "once in this scan".to_owned(),
        count => format!("{count} times in this scan"),
    }
}

fn suppressions(finding: &Finding) -> Vec<SuppressionShown> {
    let text = |text: &Option<String>| cut(text.as_deref().unwrap_or_default(), TEXT);
    let shown = finding.suppressions.iter().take(LIST);
    shown
        .map(|suppression| SuppressionShown {
            kind: cut(&suppression.kind, NAME),
            status: cut(&suppression.status, NAME),
            justification: text(&suppression.justification),
            by: text(&suppression.by),
            expires: text(&suppression.expires),
        })
        .collect()
}

/// The producer's own identities.
fn fingerprints(finding: &Finding) -> Vec<(String, String)> {
    let own = finding.fingerprints.iter();
    let all = own.chain(&finding.partial_fingerprints).take(LIST);
    let guid = finding
        .guid
        .iter()
        .map(|guid| ("guid".to_owned(), cut(guid, NAME)));
    all.map(|(name, value)| (cut(name, NAME), cut(value, NAME)))
        .chain(guid)
        .collect()
}

/// Anything else the tool said, as indented JSON; empty where it said nothing else.
fn properties(finding: &Finding) -> String {
    if finding.properties.is_empty() {
        return String::new();
    }
    let json = serde_json::to_string_pretty(&finding.properties);
    cut(&json.unwrap_or_default(), TEXT)
}

impl From<&Location> for Spot {
    fn from(location: &Location) -> Self {
        let text = |text: &Option<String>| cut(text.as_deref().unwrap_or_default(), TEXT);
        Self {
            place: place(
                &location.uri,
                location.region.map(|region| region.start_line),
            ),
            region: location.region.map(in_words).unwrap_or_default(),
            message: text(&location.message),
            snippet: text(&location.snippet),
        }
    }
}

/// What a place's line number leaves out: columns, and the last line.
fn in_words(region: Region) -> String {
    let mut words = Vec::new();
    if region.start_column > 0 {
        words.push(format!("column {}", region.start_column));
    }
    if region.end_line > region.start_line {
        words.push(format!("to line {}", region.end_line));
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_adds_what_the_line_leaves_out() {
        let region = Region {
            start_line: 3,
            start_column: 5,
            end_line: 7,
            end_column: 1,
        };
        assert_eq!(in_words(region), "column 5, to line 7");
        let line = Region {
            start_line: 3,
            ..Region::default()
        };
        assert_eq!(in_words(line), "");
    }

    #[test]
    fn a_rule_that_gives_no_score_leaves_it_out() {
        let told = facts(&Finding::new("r", "m"), &Rule::default());
        let names: Vec<_> = told.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["Category", "Level", "Kind", "Seen"]);
    }
}
