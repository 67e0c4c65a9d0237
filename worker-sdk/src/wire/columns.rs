//! The part of a finding that an index needs, borrowed from its encoding.

use std::borrow::Cow;

use serde::Deserialize;

use super::{FIXABLE, StoredLocation, one, value_at};
use crate::error::{Error, Result};
use crate::finding::{Fingerprint, Region, Suppression};
use crate::severity::{Kind, Level, Severity, WeightClass};

#[derive(Deserialize)]
struct StoredColumns<'a> {
    #[serde(rename = "f")]
    fingerprint: Fingerprint,
    #[serde(rename = "r", borrow)]
    rule_id: Cow<'a, str>,
    #[serde(rename = "l")]
    level: u8,
    #[serde(rename = "k", default)]
    kind: u8,
    #[serde(rename = "m", borrow)]
    message: Cow<'a, str>,
    #[serde(rename = "c", borrow)]
    category: Cow<'a, str>,
    #[serde(rename = "L", borrow, default)]
    locations: Vec<StoredLocation<'a>>,
    #[serde(rename = "e", borrow, default)]
    element: Option<Cow<'a, str>>,
    #[serde(rename = "s", default)]
    security_severity: Option<f32>,
    #[serde(rename = "p", default)]
    confidence: Option<f32>,
    #[serde(rename = "n", default = "one")]
    occurrence_count: u32,
    #[serde(rename = "x", default)]
    suppressions: Vec<Suppression>,
    #[serde(rename = "F", default)]
    flags: u8,
}

/// What an index needs of a finding, borrowed from its encoding.
#[derive(Clone, Debug, PartialEq)]
pub struct Columns<'a> {
    /// Identity.
    pub fingerprint: Fingerprint,
    /// Rule.
    pub rule_id: Cow<'a, str>,
    /// SARIF level.
    pub level: Level,
    /// SARIF kind.
    pub kind: Kind,
    /// Category.
    pub category: Cow<'a, str>,
    /// Message.
    pub message: Cow<'a, str>,
    /// Logical location.
    pub element: Option<Cow<'a, str>>,
    /// Primary file, empty where there is none.
    pub uri: Cow<'a, str>,
    /// Region in the primary file.
    pub region: Option<Region>,
    /// Security severity, 0-10.
    pub security_severity: Option<f32>,
    /// Confidence, 0-1.
    pub confidence: Option<f32>,
    /// A suppression holds.
    pub suppressed: bool,
    /// A bot knows how to fix it.
    pub fixable: bool,
    /// How often it was seen in its scan.
    pub occurrence_count: u32,
}

impl Columns<'_> {
    /// As [`crate::Finding::severity`].
    pub fn severity(&self) -> Severity {
        severity(self.kind, self.level)
    }

    /// As [`crate::Finding::weight_class`].
    pub fn weight_class(&self) -> WeightClass {
        WeightClass::of(self.severity(), self.security_severity)
    }
}

fn severity(kind: Kind, level: Level) -> Severity {
    if kind == Kind::Fail {
        level.into()
    } else {
        Severity::Suggestion
    }
}

/// Decodes the part of a finding that an index needs.
///
/// # Errors
/// [`Error::Invalid`] when `body` is no finding.
pub fn columns(body: &[u8]) -> Result<Columns<'_>> {
    let stored: StoredColumns<'_> = rmp_serde::from_slice(body)
        .map_err(|error| Error::invalid("finding body", error.to_string()))?;
    let suppressed = stored.suppressions.iter().any(Suppression::holds);
    let region = stored.locations.first().and_then(StoredLocation::region);
    let primary = stored.locations.into_iter().next();
    Ok(Columns {
        fingerprint: stored.fingerprint,
        rule_id: stored.rule_id,
        level: value_at(Level::ALL, stored.level, "level")?,
        kind: value_at(Kind::ALL, stored.kind, "kind")?,
        category: stored.category,
        message: stored.message,
        element: stored.element,
        uri: primary.map_or(Cow::Borrowed(""), |location| location.0),
        region,
        security_severity: stored.security_severity,
        confidence: stored.confidence,
        suppressed,
        fixable: stored.flags & FIXABLE != 0,
        occurrence_count: stored.occurrence_count,
    })
}
