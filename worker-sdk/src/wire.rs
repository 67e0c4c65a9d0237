//! How findings are stored: one MessagePack map a finding, with short names.
//!
//! Names make the encoding evolve: a reader skips the ones it does not know, and a missing one
//! has its default. An entry of the log states the [`WIRE_VERSION`] it was written with; a reader
//! takes the version before and after its own ([`accepts`]) and quarantines the rest, so that a
//! rolling update never meets what it cannot read.
//!
//! On a typical finding the short names take 230 bytes, where full names take 280 and JSON 330.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::finding::{Finding, Fingerprint, Location, MAX_FINDING_BYTES, Region, Suppression};
use crate::push::{Again, Identified};
use crate::severity::{Kind, Level, Severity, WeightClass};

/// Version that this software writes.
pub const WIRE_VERSION: u32 = 1;

/// Whether an entry of this version can be read: this one, the one before, the one after.
pub fn accepts(version: u32) -> bool {
    version > 0 && version.abs_diff(WIRE_VERSION) <= 1
}

#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    #[serde(rename = "f")]
    fingerprint: Fingerprint,
    #[serde(rename = "r", borrow)]
    rule_id: Cow<'a, str>,
    #[serde(rename = "l")]
    level: u8,
    #[serde(rename = "k", default, skip_serializing_if = "is_zero")]
    kind: u8,
    #[serde(rename = "m", borrow)]
    message: Cow<'a, str>,
    #[serde(rename = "c", borrow)]
    category: Cow<'a, str>,
    #[serde(rename = "L", borrow, default, skip_serializing_if = "Vec::is_empty")]
    locations: Vec<StoredLocation<'a>>,
    #[serde(rename = "e", borrow, default, skip_serializing_if = "Option::is_none")]
    element: Option<Cow<'a, str>>,
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    security_severity: Option<f32>,
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    confidence: Option<f32>,
    #[serde(rename = "n", default = "one", skip_serializing_if = "is_one")]
    occurrence_count: u32,
    #[serde(rename = "x", default, skip_serializing_if = "Vec::is_empty")]
    suppressions: Vec<Suppression>,
    #[serde(rename = "F", default, skip_serializing_if = "is_zero")]
    flags: u8,
    #[serde(rename = "R", default, skip_serializing_if = "Option::is_none")]
    rank: Option<f32>,
    #[serde(rename = "X", borrow, default, skip_serializing_if = "Vec::is_empty")]
    fixes: Vec<Cow<'a, str>>,
    #[serde(rename = "o", borrow, default, skip_serializing_if = "Vec::is_empty")]
    related: Vec<StoredLocation<'a>>,
    #[serde(rename = "g", borrow, default, skip_serializing_if = "Option::is_none")]
    guid: Option<Cow<'a, str>>,
    #[serde(rename = "P", default, skip_serializing_if = "map_is_empty")]
    fingerprints: Cow<'a, BTreeMap<String, String>>,
    #[serde(rename = "Q", default, skip_serializing_if = "map_is_empty")]
    partial_fingerprints: Cow<'a, BTreeMap<String, String>>,
    #[serde(rename = "v", borrow, default, skip_serializing_if = "Option::is_none")]
    properties: Option<Cow<'a, str>>,
}

/// Path, region as (line, column, end line, end column), snippet, message.
#[derive(Serialize, Deserialize)]
struct StoredLocation<'a>(
    #[serde(borrow)] Cow<'a, str>,
    Option<(u32, u32, u32, u32)>,
    #[serde(borrow)] Option<Cow<'a, str>>,
    #[serde(borrow)] Option<Cow<'a, str>>,
);

const FIXABLE: u8 = 1;
const FIXED: u8 = 2;

fn one() -> u32 {
    1
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
fn is_zero(value: &u8) -> bool {
    *value == 0
}

fn map_is_empty(map: &BTreeMap<String, String>) -> bool {
    map.is_empty()
}

fn position<T: PartialEq>(all: &[T], value: &T) -> u8 {
    all.iter().position(|v| v == value).unwrap_or(0) as u8
}

fn value_at<T: Copy>(all: &[T], at: u8, what: &str) -> Result<T> {
    let unknown = || Error::invalid("finding body", format!("unknown {what} number {at}"));
    all.get(usize::from(at)).copied().ok_or_else(unknown)
}

impl<'a> StoredLocation<'a> {
    fn of(location: &'a Location) -> Self {
        let region = location
            .region
            .map(|r| (r.start_line, r.start_column, r.end_line, r.end_column));
        Self(
            Cow::Borrowed(&location.uri),
            region,
            location.snippet.as_deref().map(Cow::Borrowed),
            location.message.as_deref().map(Cow::Borrowed),
        )
    }

    fn region(&self) -> Option<Region> {
        self.1
            .map(|(start_line, start_column, end_line, end_column)| Region {
                start_line,
                start_column,
                end_line,
                end_column,
            })
    }

    fn into_location(self) -> Location {
        Location {
            region: self.region(),
            uri: self.0.into_owned(),
            snippet: self.2.map(Cow::into_owned),
            message: self.3.map(Cow::into_owned),
        }
    }
}

/// Encodes a finding.
///
/// # Errors
/// [`Error::TooLarge`] over [`MAX_FINDING_BYTES`].
pub fn encode(identified: &Identified) -> Result<Vec<u8>> {
    let finding = &identified.finding;
    let properties = if finding.properties.is_empty() {
        None
    } else {
        Some(Cow::Owned(
            serde_json::to_string(&finding.properties).map_err(Error::protocol)?,
        ))
    };
    let stored = Stored {
        fingerprint: identified.fingerprint,
        rule_id: Cow::Borrowed(&finding.rule_id),
        level: position(Level::ALL, &finding.level),
        kind: position(Kind::ALL, &finding.kind),
        message: Cow::Borrowed(&finding.message),
        category: Cow::Borrowed(&finding.category),
        locations: finding.locations.iter().map(StoredLocation::of).collect(),
        element: finding.element.as_deref().map(Cow::Borrowed),
        security_severity: finding.security_severity,
        confidence: finding.confidence,
        occurrence_count: finding.occurrence_count,
        suppressions: finding.suppressions.clone(),
        flags: u8::from(finding.fixable) * FIXABLE + u8::from(finding.fixed) * FIXED,
        rank: finding.rank,
        fixes: finding
            .fixes
            .iter()
            .map(|fix| Cow::Borrowed(fix.as_str()))
            .collect(),
        related: finding.related.iter().map(StoredLocation::of).collect(),
        guid: finding.guid.as_deref().map(Cow::Borrowed),
        fingerprints: Cow::Borrowed(&finding.fingerprints),
        partial_fingerprints: Cow::Borrowed(&finding.partial_fingerprints),
        properties,
    };
    let body = rmp_serde::to_vec_named(&stored).map_err(Error::protocol)?;
    if body.len() > MAX_FINDING_BYTES {
        let (size, limit) = (body.len() as u64, MAX_FINDING_BYTES as u64);
        return Err(Error::TooLarge {
            what: "finding".to_owned(),
            size,
            limit,
        });
    }
    Ok(body)
}

fn read(body: &[u8]) -> Result<Stored<'_>> {
    rmp_serde::from_slice(body).map_err(|error| Error::invalid("finding body", error.to_string()))
}

/// Decodes a finding.
///
/// # Errors
/// [`Error::Invalid`] when `body` is not one.
pub fn decode(body: &[u8]) -> Result<Identified> {
    let stored = read(body)?;
    let properties = match &stored.properties {
        None => serde_json::Map::new(),
        Some(text) => serde_json::from_str(text)
            .map_err(|error| Error::invalid("finding body", format!("properties: {error}")))?,
    };
    let finding = Finding {
        level: value_at(Level::ALL, stored.level, "level")?,
        kind: value_at(Kind::ALL, stored.kind, "kind")?,
        rule_id: stored.rule_id.into_owned(),
        message: stored.message.into_owned(),
        category: stored.category.into_owned(),
        security_severity: stored.security_severity,
        rank: stored.rank,
        confidence: stored.confidence,
        locations: stored
            .locations
            .into_iter()
            .map(StoredLocation::into_location)
            .collect(),
        element: stored.element.map(Cow::into_owned),
        occurrence_count: stored.occurrence_count,
        suppressions: stored.suppressions,
        fixable: stored.flags & FIXABLE != 0,
        fixed: stored.flags & FIXED != 0,
        fixes: stored.fixes.into_iter().map(Cow::into_owned).collect(),
        related: stored
            .related
            .into_iter()
            .map(StoredLocation::into_location)
            .collect(),
        guid: stored.guid.map(Cow::into_owned),
        fingerprints: stored.fingerprints.into_owned(),
        partial_fingerprints: stored.partial_fingerprints.into_owned(),
        properties,
    };
    Ok(Identified {
        fingerprint: stored.fingerprint,
        finding,
    })
}

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
    /// As [`Finding::severity`].
    pub fn severity(&self) -> Severity {
        severity(self.kind, self.level)
    }

    /// As [`Finding::weight_class`].
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

/// Joins encoded values into one field of a log entry: each is preceded by its length, four
/// bytes, big-endian.
pub fn join<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut joined = Vec::new();
    for part in parts {
        joined.extend_from_slice(&(part.len() as u32).to_be_bytes());
        joined.extend_from_slice(part);
    }
    joined
}

/// Takes apart what [`join`] made.
///
/// # Errors
/// [`Error::Invalid`] when a length points past the end.
pub fn split(mut joined: &[u8]) -> Result<Vec<&[u8]>> {
    let torn = || Error::invalid("log entry", "a length points past its end");
    let mut parts = Vec::new();
    while !joined.is_empty() {
        let (length, rest) = joined.split_first_chunk::<4>().ok_or_else(torn)?;
        let length = u32::from_be_bytes(*length) as usize;
        let (part, rest) = rest.split_at_checked(length).ok_or_else(torn)?;
        parts.push(part);
        joined = rest;
    }
    Ok(parts)
}

/// Encodes a repeat: the fingerprint, then its occurrences, four bytes, big-endian.
pub fn encode_again(again: &Again) -> [u8; 20] {
    let mut bytes = [0; 20];
    let (fingerprint, occurrences) = bytes.split_at_mut(16);
    fingerprint.copy_from_slice(&again.fingerprint.0);
    occurrences.copy_from_slice(&again.occurrences.to_be_bytes());
    bytes
}

/// Decodes a field of repeats, 20 bytes each.
///
/// # Errors
/// [`Error::Invalid`] when the length is no multiple of 20.
pub fn decode_again(bytes: &[u8]) -> Result<Vec<Again>> {
    let (chunks, rest) = bytes.as_chunks::<20>();
    if !rest.is_empty() {
        return Err(Error::invalid(
            "log entry",
            "repeats are not a multiple of 20 bytes",
        ));
    }
    Ok(chunks.iter().map(again).collect())
}

fn again(chunk: &[u8; 20]) -> Again {
    let mut fingerprint = [0; 16];
    let mut occurrences = [0; 4];
    let (head, tail) = chunk.split_at(16);
    fingerprint.copy_from_slice(head);
    occurrences.copy_from_slice(tail);
    Again {
        fingerprint: Fingerprint(fingerprint),
        occurrences: u32::from_be_bytes(occurrences),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn typical() -> Identified {
        let mut finding = Finding::new("generic.secrets.aws-key", "AWS key in `config.py`")
            .level(Level::Error)
            .category("security")
            .at("src/app/config.py", 12)
            .snippet("KEY = \"AKIA...\"");
        finding.security_severity = Some(9.1);
        finding.confidence = Some(0.9);
        finding.fixable = true;
        finding.suppressions.push(Suppression::default());
        finding
            .properties
            .insert("cwe".to_owned(), serde_json::json!(["CWE-798"]));
        finding
            .partial_fingerprints
            .insert("hash/v1".to_owned(), "abc".to_owned());
        Identified {
            fingerprint: Fingerprint([7; 16]),
            finding,
        }
    }

    #[test]
    fn a_finding_survives_the_wire() {
        let identified = typical();
        let body = encode(&identified).unwrap();
        assert_eq!(decode(&body).unwrap(), identified);
    }

    #[test]
    fn columns_agree_with_the_whole() {
        let identified = typical();
        let body = encode(&identified).unwrap();
        let columns = columns(&body).unwrap();
        assert_eq!(columns.severity(), identified.finding.severity());
        assert_eq!(columns.weight_class(), identified.finding.weight_class());
        assert_eq!(columns.uri, identified.finding.path());
        assert_eq!(columns.region, identified.finding.region());
        assert!(columns.suppressed && columns.fixable);
    }

    #[test]
    fn a_reader_skips_names_it_does_not_know() {
        let later = serde_json::json!({
            "r": "rule", "l": 1, "m": "text", "c": "style", "zz": {"new": [1, 2]}
        });
        let object = later.as_object().unwrap();
        let mut body = vec![0x80 + (object.len() as u8) + 1];
        body.extend(rmp_serde::to_vec("f").unwrap());
        body.extend([0xc4, 16]);
        body.extend([9; 16]);
        for (name, value) in object {
            body.extend(rmp_serde::to_vec(name).unwrap());
            body.extend(rmp_serde::to_vec(value).unwrap());
        }
        let identified = decode(&body).unwrap();
        assert_eq!(identified.finding.rule_id, "rule");
        assert_eq!(identified.fingerprint, Fingerprint([9; 16]));
    }

    #[test]
    fn versions_beside_ours_are_read_and_others_are_not() {
        assert!(accepts(WIRE_VERSION) && accepts(WIRE_VERSION + 1));
        assert!(!accepts(0) && !accepts(WIRE_VERSION + 2));
    }

    #[test]
    fn an_oversized_finding_is_refused() {
        let mut identified = typical();
        identified.finding.message = "x".repeat(MAX_FINDING_BYTES);
        assert!(matches!(encode(&identified), Err(Error::TooLarge { .. })));
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_reader_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&body);
            let _ = columns(&body);
            let _ = split(&body);
            let _ = decode_again(&body);
        }

        #[test]
        fn a_damaged_finding_never_panics(at in 0usize..200, with in any::<u8>()) {
            let mut body = encode(&typical()).unwrap();
            let at = at % body.len();
            body[at] = with;
            let _ = decode(&body);
            let _ = columns(&body);
        }

        #[test]
        fn joined_parts_come_apart(parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..20)) {
            let joined = join(parts.iter().map(Vec::as_slice));
            let apart: Vec<Vec<u8>> = split(&joined).unwrap().into_iter().map(<[u8]>::to_vec).collect();
            prop_assert_eq!(apart, parts);
        }
    }
}
