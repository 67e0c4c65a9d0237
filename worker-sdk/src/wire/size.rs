//! How much room a finding takes, found without encoding it.

use crate::finding::{Finding, Location, Suppression};

/// Names, numbers and the fingerprint.
const HEAD: usize = 48;
/// What surrounds the texts of a place or a suppression.
const PART: usize = 24;
/// What surrounds a text.
const TEXT: usize = 4;

/// About how many bytes a finding's encoding takes: its texts and what surrounds them. Never less
/// than half of the truth.
pub(crate) fn about(finding: &Finding) -> usize {
    let places = finding.locations.iter().chain(&finding.related);
    let pairs = finding
        .fingerprints
        .iter()
        .chain(&finding.partial_fingerprints);
    let texts = finding.rule_id.len() + finding.message.len() + finding.category.len();
    HEAD + texts
        + optional(finding.element.as_ref())
        + optional(finding.guid.as_ref())
        + places.map(place).sum::<usize>()
        + finding.suppressions.iter().map(suppression).sum::<usize>()
        + pairs
            .map(|(name, value)| name.len() + value.len() + 2 * TEXT)
            .sum::<usize>()
        + finding
            .fixes
            .iter()
            .map(|fix| fix.len() + TEXT)
            .sum::<usize>()
        + properties(finding)
}

fn optional(text: Option<&String>) -> usize {
    text.map_or(0, |text| text.len() + TEXT)
}

fn place(place: &Location) -> usize {
    PART + place.uri.len() + optional(place.snippet.as_ref()) + optional(place.message.as_ref())
}

fn suppression(suppression: &Suppression) -> usize {
    let texts = [
        &suppression.justification,
        &suppression.by,
        &suppression.expires,
    ];
    let texts: usize = texts.iter().map(|text| optional(text.as_ref())).sum();
    PART + suppression.kind.len() + suppression.status.len() + texts
}

fn properties(finding: &Finding) -> usize {
    if finding.properties.is_empty() {
        return 0;
    }
    serde_json::to_string(&finding.properties).map_or(0, |json| json.len() + TEXT)
}
