//! How findings are stored: one MessagePack map a finding, with short names.
//!
//! Names make the encoding evolve: a reader skips the ones it does not know, and a missing one
//! has its default. An entry of the log states the [`WIRE_VERSION`] it was written with; a reader
//! takes the version before and after its own ([`accepts`]) and quarantines the rest, so that a
//! rolling update never meets what it cannot read.
//!
//! On a typical finding the short names take 230 bytes, where full names take 280 and JSON 330.

mod cursor;

mod columns;

mod entry;

mod packing;

mod size;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::finding::{Finding, Fingerprint, Location, MAX_FINDING_BYTES, Region, Suppression};
use crate::push::Identified;
use crate::severity::{Kind, Level};

pub(crate) use size::about;

pub use columns::{Columns, columns};
pub use entry::{decode_again, encode_again, join, split};
pub use packing::{logged, pack};

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

/// Room for a finding: most take less.
pub(crate) const TYPICAL_BYTES: usize = 320;

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
    let mut body = Vec::with_capacity(TYPICAL_BYTES);
    encode_into(identified, &mut body)?;
    Ok(body)
}

/// Appends a finding's encoding to `joined`, preceded by its length as [`join`] has it.
///
/// # Errors
/// [`Error::TooLarge`] over [`MAX_FINDING_BYTES`]; `joined` then is as it was.
pub fn join_encoded(identified: &Identified, joined: &mut Vec<u8>) -> Result<()> {
    let from = joined.len();
    joined.extend_from_slice(&[0; 4]);
    match encode_into(identified, joined) {
        Ok(length) => {
            if let Some(place) = joined.get_mut(from..from + 4) {
                place.copy_from_slice(&(length as u32).to_be_bytes());
            }
            Ok(())
        }
        Err(error) => {
            joined.truncate(from);
            Err(error)
        }
    }
}

/// Appends a finding's encoding; how many bytes it takes.
fn encode_into(identified: &Identified, out: &mut Vec<u8>) -> Result<usize> {
    let from = out.len();
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
    rmp_serde::encode::write_named(out, &stored).map_err(Error::protocol)?;
    let length = out.len() - from;
    if length > MAX_FINDING_BYTES {
        let (size, limit) = (length as u64, MAX_FINDING_BYTES as u64);
        return Err(Error::TooLarge {
            what: "finding".to_owned(),
            size,
            limit,
        });
    }
    Ok(length)
}

fn read(body: &[u8]) -> Result<Stored<'_>> {
    rmp_serde::from_slice(body).map_err(|error| Error::invalid("finding body", error.to_string()))
}

/// Decodes a finding.
///
/// # Errors
/// [`Error::Invalid`] when `body` is not one, or has no [`columns`]: what a list cannot show, a page does
/// not show either.
pub fn decode(body: &[u8]) -> Result<Identified> {
    columns(body)?;
    decode_listed(body)
}

/// Decodes a finding whose [`columns`] have been read before: as [`decode`], for a fifth less.
///
/// # Errors
/// [`Error::Invalid`] when a part that is no column cannot be read.
pub fn decode_listed(body: &[u8]) -> Result<Identified> {
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

#[cfg(test)]
mod tests;
