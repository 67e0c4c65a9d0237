//! A finding: one result of a bot, with SARIF's names.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::severity::{Kind, Level, Severity, WeightClass};

pub use crate::fingerprint::Fingerprint;

/// Most bytes one encoded finding may have: what a person can still read, with a snippet.
pub const MAX_FINDING_BYTES: usize = 64 * 1024;
/// Longest rule id, category, element or path, in bytes.
pub const MAX_NAME: usize = 1024;
/// Longest category, in bytes: categories are counted one by one.
pub const MAX_CATEGORY: usize = 64;

/// The rule id of a result that names none.
pub const UNKNOWN_RULE: &str = "unknown";
/// The category of a finding that names none.
pub const UNCATEGORISED: &str = "uncategorised";

/// One result of a bot.
///
/// ```
/// use fleet_worker_sdk::{Finding, Level, Severity};
///
/// let finding = Finding::new("no-unwrap", "`unwrap` on user input").level(Level::Error).at("src/main.rs", 12);
/// assert_eq!(finding.severity(), Severity::Error);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Finding {
    /// SARIF `ruleId`; [`UNKNOWN_RULE`] where the tool gives none.
    #[serde(alias = "ruleId")]
    pub rule_id: String,
    /// SARIF `level`, resolved in the standard's order.
    pub level: Level,
    /// SARIF `kind`.
    #[serde(skip_serializing_if = "is_fail")]
    pub kind: Kind,
    /// What is wrong, with arguments filled in.
    pub message: String,
    /// What kind of problem: security, style, licence and so on.
    pub category: String,
    /// CVSS-like score 0-10 of the rule or result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_severity: Option<f32>,
    /// SARIF `rank`, 0-100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank: Option<f32>,
    /// How sure the bot is, 0-1; what executors decide by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f32>,
    /// Where; the first is the primary one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub locations: Vec<Location>,
    /// Logical location: fully qualified name of the function, class or package.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub element: Option<String>,
    /// How often the same anchor and region was reported in the scan.
    #[serde(skip_serializing_if = "is_one")]
    pub occurrence_count: u32,
    /// Why it is not shown as open, if so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub suppressions: Vec<Suppression>,
    /// A bot knows how to fix it.
    #[serde(skip_serializing_if = "is_false")]
    pub fixable: bool,
    /// A bot has fixed it.
    #[serde(skip_serializing_if = "is_false")]
    pub fixed: bool,
    /// Descriptions of the fixes offered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fixes: Vec<String>,
    /// Other places that matter to it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<Location>,
    /// SARIF `result.guid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guid: Option<String>,
    /// The producer's own stable identities, SARIF `fingerprints`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub fingerprints: BTreeMap<String, String>,
    /// The producer's contributions to one, SARIF `partialFingerprints`.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        alias = "partialFingerprints"
    )]
    pub partial_fingerprints: BTreeMap<String, String>,
    /// Anything else the tool said, kept as given (bounded by [`MAX_FINDING_BYTES`]).
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub properties: serde_json::Map<String, serde_json::Value>,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_one(value: &u32) -> bool {
    *value == 1
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_fail(kind: &Kind) -> bool {
    *kind == Kind::Fail
}

/// A place in the repository.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Location {
    /// Path from the repository's root, normalised, `/` between parts.
    pub uri: String,
    /// Which part of the file; none where the tool names only the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// The text there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snippet: Option<String>,
    /// What this place has to do with it (related locations).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A part of a file; lines and columns count from 1, 0 means not given.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(default, rename_all = "camelCase")]
pub struct Region {
    /// First line.
    pub start_line: u32,
    /// First column.
    #[serde(skip_serializing_if = "is_zero")]
    pub start_column: u32,
    /// Last line.
    #[serde(skip_serializing_if = "is_zero")]
    pub end_line: u32,
    /// Column after the last character.
    #[serde(skip_serializing_if = "is_zero")]
    pub end_column: u32,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

/// A reason not to count a finding as open, given in the source or by the tool's configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Suppression {
    /// `inSource` or `external`.
    pub kind: String,
    /// `accepted` (also when absent), `underReview` or `rejected`.
    pub status: String,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
    /// Who.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Until when, as given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

impl Default for Suppression {
    fn default() -> Self {
        Self {
            kind: "external".to_owned(),
            status: "accepted".to_owned(),
            justification: None,
            by: None,
            expires: None,
        }
    }
}

impl Suppression {
    /// Whether it takes effect: it was neither rejected nor is it still under review.
    pub fn holds(&self) -> bool {
        self.status != "rejected" && self.status != "underReview"
    }
}

impl Default for Finding {
    fn default() -> Self {
        Self {
            rule_id: UNKNOWN_RULE.to_owned(),
            level: Level::Warning,
            kind: Kind::Fail,
            message: String::new(),
            category: UNCATEGORISED.to_owned(),
            security_severity: None,
            rank: None,
            confidence: None,
            locations: Vec::new(),
            element: None,
            occurrence_count: 1,
            suppressions: Vec::new(),
            fixable: false,
            fixed: false,
            fixes: Vec::new(),
            related: Vec::new(),
            guid: None,
            fingerprints: BTreeMap::new(),
            partial_fingerprints: BTreeMap::new(),
            properties: serde_json::Map::new(),
        }
    }
}

impl Finding {
    /// A warning of `rule_id` that says `message`.
    pub fn new(rule_id: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            rule_id: rule_id.into(),
            message: message.into(),
            ..Self::default()
        }
    }

    /// With this level.
    #[must_use]
    pub fn level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// In this category.
    #[must_use]
    pub fn category(mut self, category: impl Into<String>) -> Self {
        self.category = category.into();
        self
    }

    /// At `line` (from 1) of the file `uri`, in addition to the places it already has.
    #[must_use]
    pub fn at(mut self, uri: impl Into<String>, line: u32) -> Self {
        let region = (line > 0).then(|| Region {
            start_line: line,
            ..Region::default()
        });
        self.locations.push(Location {
            uri: uri.into(),
            region,
            ..Location::default()
        });
        self
    }

    /// With the text at its primary location, which makes its identity survive moves.
    #[must_use]
    pub fn snippet(mut self, text: impl Into<String>) -> Self {
        if let Some(location) = self.locations.first_mut() {
            location.snippet = Some(text.into());
        }
        self
    }

    /// With the bot's confidence, 0-1.
    #[must_use]
    pub fn confidence(mut self, confidence: f32) -> Self {
        self.confidence = Some(confidence);
        self
    }

    /// The severity shown: that of its level, or suggestion where it is no failure.
    pub fn severity(&self) -> Severity {
        if self.kind == Kind::Fail {
            self.level.into()
        } else {
            Severity::Suggestion
        }
    }

    /// What it weighs: critical from a security severity of 9, else its severity.
    pub fn weight_class(&self) -> WeightClass {
        WeightClass::of(self.severity(), self.security_severity)
    }

    /// Whether a suppression holds: one that is neither rejected nor under review.
    pub fn is_suppressed(&self) -> bool {
        self.suppressions.iter().any(Suppression::holds)
    }

    /// The primary file, empty where there is none.
    pub fn path(&self) -> &str {
        self.locations
            .first()
            .map_or("", |location| location.uri.as_str())
    }

    /// The region in the primary file.
    pub fn region(&self) -> Option<Region> {
        self.locations.first().and_then(|location| location.region)
    }

    /// Refuses what no store takes.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the field, its fault and the bound.
    pub fn check(&self) -> Result<()> {
        for (what, text, max) in [
            ("rule_id", &self.rule_id, MAX_NAME),
            ("category", &self.category, MAX_CATEGORY),
        ] {
            if text.is_empty() {
                return Err(Error::invalid(what, "it is empty"));
            }
            if text.len() > max {
                return Err(Error::invalid(
                    what,
                    format!("it is {} bytes long, the limit is {max}", text.len()),
                ));
            }
            if has_control(text) {
                return Err(Error::invalid(what, "it contains a control character"));
            }
        }
        let in_range =
            |value: Option<f32>, max: f32| value.is_none_or(|v| (0.0..=max).contains(&v));
        if !in_range(self.confidence, 1.0) {
            return Err(Error::invalid("confidence", "it is not between 0 and 1"));
        }
        if !in_range(self.security_severity, 10.0) {
            return Err(Error::invalid(
                "security_severity",
                "it is not between 0 and 10",
            ));
        }
        match self
            .locations
            .iter()
            .find(|location| location.uri.len() > 4 * MAX_NAME)
        {
            Some(location) => Err(Error::TooLarge {
                what: "location uri".to_owned(),
                size: location.uri.len() as u64,
                limit: 4 * MAX_NAME as u64,
            }),
            None => Ok(()),
        }
    }
}

/// Whether there is a control character; texts are mostly ASCII, which is looked at bytewise.
fn has_control(text: &str) -> bool {
    if text.is_ascii() {
        text.bytes().any(|byte| byte.is_ascii_control())
    } else {
        text.chars().any(char::is_control)
    }
}
