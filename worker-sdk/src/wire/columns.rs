//! The part of a finding that an index needs, borrowed from its encoding.

use super::cursor::Cursor;
use super::{FIXABLE, Stored};
use crate::error::{Error, Result};
use crate::finding::{Fingerprint, Region, Suppression};
use crate::severity::{Kind, Level, Severity, WeightClass};

/// What an index needs of a finding, borrowed from its encoding.
#[derive(Clone, Debug, PartialEq)]
pub struct Columns<'a> {
    /// Identity.
    pub fingerprint: Fingerprint,
    /// Rule.
    pub rule_id: &'a str,
    /// SARIF level.
    pub level: Level,
    /// SARIF kind.
    pub kind: Kind,
    /// Category.
    pub category: &'a str,
    /// Message.
    pub message: &'a str,
    /// Logical location.
    pub element: Option<&'a str>,
    /// Primary file, empty where there is none.
    pub uri: &'a str,
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
/// Written out, not derived: a session of 100,000 findings is opened in half the time.
///
/// # Errors
/// [`Error::Invalid`] when `body` is no finding.
pub fn columns(body: &[u8]) -> Result<Columns<'_>> {
    Reading::of(body).ok_or_else(|| fault(body))
}

/// What is wrong with a body that has no columns.
#[cold]
fn fault(body: &[u8]) -> Error {
    match rmp_serde::from_slice::<Stored<'_>>(body) {
        Err(error) => Error::invalid("finding body", error.to_string()),
        Ok(_) => Error::invalid("finding body", "it is not encoded as findings are"),
    }
}

/// Columns as far as they are read.
#[allow(
    clippy::option_option,
    reason = "the outer none is a column not read yet, the inner one that there is none"
)]
#[derive(Default)]
struct Reading<'a> {
    fingerprint: Option<Fingerprint>,
    rule_id: Option<&'a str>,
    level: Option<Level>,
    message: Option<&'a str>,
    category: Option<&'a str>,
    kind: Option<Kind>,
    uri: Option<&'a str>,
    region: Option<Region>,
    element: Option<Option<&'a str>>,
    security_severity: Option<Option<f32>>,
    confidence: Option<Option<f32>>,
    occurrence_count: Option<u32>,
    suppressed: Option<bool>,
    fixable: Option<bool>,
}

/// Puts a value in its place, where none is yet: a name that is there twice says two things.
#[inline]
fn put<T>(place: &mut Option<T>, value: Option<T>) -> Option<()> {
    if place.is_some() {
        return None;
    }
    *place = Some(value?);
    Some(())
}

impl<'a> Reading<'a> {
    fn of(body: &'a [u8]) -> Option<Columns<'a>> {
        let mut cursor = Cursor::new(body);
        let mut reading = Self::default();
        for _ in 0..cursor.map()? {
            reading.field(&mut cursor)?;
        }
        Some(Columns {
            fingerprint: reading.fingerprint?,
            rule_id: reading.rule_id?,
            level: reading.level?,
            kind: reading.kind.unwrap_or(Kind::Fail), // the first, whose number is not written
            category: reading.category?,
            message: reading.message?,
            element: reading.element.flatten(),
            uri: reading.uri.unwrap_or_default(),
            region: reading.region,
            security_severity: reading.security_severity.flatten(),
            confidence: reading.confidence.flatten(),
            suppressed: reading.suppressed.unwrap_or(false),
            fixable: reading.fixable.unwrap_or(false),
            occurrence_count: reading.occurrence_count.unwrap_or(1),
        })
    }

    #[inline]
    fn field(&mut self, from: &mut Cursor<'a>) -> Option<()> {
        match from.raw_text()? {
            b"f" => put(&mut self.fingerprint, fingerprint(from)),
            b"r" => put(&mut self.rule_id, from.text()),
            b"l" => put(&mut self.level, one_of(Level::ALL, from)),
            b"k" => put(&mut self.kind, one_of(Kind::ALL, from)),
            b"m" => put(&mut self.message, from.text()),
            b"c" => put(&mut self.category, from.text()),
            b"L" => self.locations(from),
            b"e" => put(&mut self.element, from.optional(Cursor::text)),
            b"s" => put(&mut self.security_severity, from.optional(Cursor::fraction)),
            b"p" => put(&mut self.confidence, from.optional(Cursor::fraction)),
            b"n" => put(&mut self.occurrence_count, from.number()),
            b"x" => put(&mut self.suppressed, suppressed(from)),
            b"F" => put(&mut self.fixable, from.number().map(is_fixable)),
            _ => from.pass().map(drop),
        }
    }

    /// Path and region of the first place; the others are passed over.
    #[inline]
    fn locations(&mut self, from: &mut Cursor<'a>) -> Option<()> {
        let places = from.list()?;
        if places > 0 {
            if from.list()? != PLACE_PARTS {
                return None;
            }
            put(&mut self.uri, from.text())?;
            self.region = from.optional(region)?;
            from.pass()?; // its snippet
            from.pass()?; // its message
        }
        for _ in 1..places {
            from.pass()?;
        }
        Some(())
    }
}

/// Parts of a place: path, region, snippet, message.
const PLACE_PARTS: usize = 4;
/// Parts of a region: line, column, end line, end column.
const REGION_PARTS: usize = 4;

fn fingerprint(from: &mut Cursor<'_>) -> Option<Fingerprint> {
    from.bytes()?.try_into().ok().map(Fingerprint)
}

fn one_of<T: Copy>(all: &[T], from: &mut Cursor<'_>) -> Option<T> {
    all.get(from.number()? as usize).copied()
}

fn region(from: &mut Cursor<'_>) -> Option<Region> {
    if from.list()? != REGION_PARTS {
        return None;
    }
    Some(Region {
        start_line: from.number()?,
        start_column: from.number()?,
        end_line: from.number()?,
        end_column: from.number()?,
    })
}

/// Few findings are suppressed, and what a suppression says is read in one place.
fn suppressed(from: &mut Cursor<'_>) -> Option<bool> {
    let suppressions: Vec<Suppression> = rmp_serde::from_slice(from.pass()?).ok()?;
    Some(suppressions.iter().any(Suppression::holds))
}

fn is_fixable(flags: u32) -> bool {
    flags & u32::from(FIXABLE) != 0
}
