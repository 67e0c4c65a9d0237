//! A context as one JSON document, and back.
//!
//! ```json
//! {"version": 1, "id": "…", "repository": "acme/shop", "opened": "…",
//!  "bots": [{"id": "hypatia", "tier": "engine"}],
//!  "runs": [{"state": "completed", "attempt": 1, "started": "…", "ended": "…"}],
//!  "times": [[0, "…"]],
//!  "findings": [{"bot": 0, "severity": "error", "rule": "…", "category": "…", "message": "…"}]}
//! ```
//!
//! A finding names its bot by its place in `bots`; `times` says from which finding on which time of
//! arrival holds. Ids follow from the context's and the order.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use fleet_worker_sdk::session::MAX_EXECUTIONS;
use fleet_worker_sdk::{Bot, Error, Repository, Result, Severity};
use jiff::Timestamp;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::draft::{Draft, Marks};
use super::findings::Findings;
use super::fleet::Fleet;
use super::report::{finding_json, json_text};
use super::runs::{Run, Runs};
use super::{Context, ContextId, Handle};
use crate::report::number;

/// Version of the document that is written, and the only one that is read.
pub const VERSION: u32 = 1;

/// Room for a finding: most take less.
const FINDING_BYTES: usize = 256;
/// Room for everything else.
const HEAD_BYTES: usize = 8 * 1024;

impl Context {
    /// The context as JSON.
    ///
    /// # Errors
    /// [`Error::Protocol`] when a bot has no JSON, which none has had.
    pub fn to_json(&self) -> Result<String> {
        let mut out = String::with_capacity(HEAD_BYTES + self.len() * FINDING_BYTES);
        let (id, opened) = (self.id, self.opened);
        let _ = write!(
            out,
            "{{\"version\":{VERSION},\"id\":\"{id}\",\"opened\":\"{opened}\",\"repository\":"
        );
        json_text(&mut out, self.repository.as_str());
        let bots: Vec<&Bot> = self.fleet.bots().iter().map(AsRef::as_ref).collect();
        for (name, value) in [
            (",\"bots\":", json(&bots)?),
            (",\"runs\":", json(&self.runs.all().collect::<Vec<_>>())?),
            (",\"times\":", json(&self.findings().times.as_slice())?),
        ] {
            out.push_str(name);
            out.push_str(&value);
        }
        out.push_str(",\"findings\":[");
        for (position, entry) in self.iter().enumerate() {
            out.push_str(if position == 0 {
                "\n{\"bot\":"
            } else {
                ",\n{\"bot\":"
            });
            number(&mut out, entry.bot().place());
            out.push(',');
            finding_json(&mut out, &entry);
            out.push('}');
        }
        out.push_str("\n]}\n");
        Ok(out)
    }

    /// The context that [`Context::to_json`] wrote.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is no such document, with line and column; as [`Context::add`] and
    /// [`Context::register`] for what those refuse.
    pub fn from_json(text: &str) -> Result<Self> {
        let document: Document =
            serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
        if document.version != VERSION {
            return Err(invalid(format!(
                "it has version {}, {VERSION} is read",
                document.version
            )));
        }
        let (bots, runs) = (document.bots, document.runs);
        let mut fleet = Fleet::default();
        let stated = bots.len();
        for bot in bots {
            fleet.register(Arc::new(bot))?;
        }
        if fleet.len() != stated || runs.len() != stated {
            let (bots, runs) = (fleet.len(), runs.len());
            return Err(invalid(format!(
                "it has {stated} bots, {bots} different ones, and {runs} runs"
            )));
        }
        Ok(Self {
            id: document.id,
            repository: document.repository,
            opened: document.opened,
            findings: with_times(document.findings.0, document.times, fleet.len())?,
            fleet: Arc::new(fleet),
            runs: Runs::of(runs),
        })
    }
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(Error::protocol)
}

fn invalid(why: impl Into<String>) -> Error {
    Error::invalid("context document", why)
}

/// The findings with their times of arrival; none when there are none.
fn with_times(
    mut findings: Findings,
    times: Vec<(u32, Timestamp)>,
    bots: usize,
) -> Result<Option<Arc<Findings>>> {
    if findings.rows.is_empty() {
        return Ok(None);
    }
    if findings.of_bots.len() > bots {
        let last = findings.of_bots.len() - 1;
        return Err(invalid(format!(
            "a finding is of bot {last}, and there are {bots}"
        )));
    }
    let starts = times.first().is_some_and(|(first, _)| *first == 0);
    if !starts || !times.is_sorted_by(|(one, _), (next, _)| one < next) {
        let why = "its times do not begin with finding 0, or are not in order";
        return Err(invalid(why));
    }
    findings.times = times.into();
    Ok(Some(Arc::new(findings)))
}

#[derive(Deserialize)]
struct Document {
    version: u32,
    id: ContextId,
    opened: Timestamp,
    repository: Repository,
    bots: Vec<Bot>,
    runs: Vec<Run>,
    times: Vec<(u32, Timestamp)>,
    findings: Listed,
}

/// Findings, added as they are read: none is held beside those in the columns.
struct Listed(Findings);

#[derive(Deserialize)]
struct Item<'a> {
    bot: usize,
    severity: Severity,
    #[serde(borrow)]
    rule: Cow<'a, str>,
    #[serde(borrow)]
    category: Cow<'a, str>,
    #[serde(borrow)]
    message: Cow<'a, str>,
    #[serde(borrow, default)]
    file: Cow<'a, str>,
    #[serde(default)]
    line: u32,
    #[serde(borrow, default)]
    element: Cow<'a, str>,
    #[serde(default)]
    security_severity: Option<f32>,
    #[serde(default)]
    confidence: Option<f32>,
    #[serde(default)]
    suppressed: bool,
    #[serde(default)]
    fixable: bool,
    #[serde(default)]
    fixed: bool,
}

impl Item<'_> {
    fn add_to(&self, findings: &mut Findings) -> Result<u32> {
        // Lists are as long as the largest place, so it is checked before there is one.
        if self.bot >= MAX_EXECUTIONS {
            return Err(invalid(format!("a finding is of bot {}", self.bot)));
        }
        let draft = Draft {
            rule: &self.rule,
            severity: self.severity,
            category: &self.category,
            message: &self.message,
            file: &self.file,
            line: self.line,
            element: &self.element,
            security_severity: self.security_severity,
            confidence: self.confidence,
            marks: Marks {
                suppressed: self.suppressed,
                fixable: self.fixable,
                fixed: self.fixed,
            },
        };
        findings.add(Handle::at(self.bot), &draft)
    }
}

impl<'de> Deserialize<'de> for Listed {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Listed;
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of findings")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Listed, A::Error> {
        let mut findings = Findings::default();
        while let Some(item) = list.next_element::<Item<'de>>()? {
            item.add_to(&mut findings)
                .map_err(serde::de::Error::custom)?;
        }
        Ok(Listed(findings))
    }
}
