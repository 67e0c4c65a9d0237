//! What a finding is held on to when lines move.

use std::collections::BTreeMap;

use crate::finding::Finding;

use super::message;

/// Appends the first anchor that `finding` has: the producer's fingerprints (highest version), its
/// partial fingerprints, the snippet without white space, the logical location, the message
/// without what changes from scan to scan. Each kind is marked, so that a snippet cannot pass for
/// a message.
pub(super) fn write(finding: &Finding, text: &mut Vec<u8>) {
    let snippet = finding.locations.first().and_then(|l| l.snippet.as_deref());
    if let Some((name, value)) = highest(&finding.fingerprints) {
        put(text, "fingerprint", [name, value]);
    } else if !finding.partial_fingerprints.is_empty() {
        for (name, value) in &finding.partial_fingerprints {
            put(text, "partial", [name.as_str(), value]);
        }
    } else if let Some(snippet) = snippet.filter(|snippet| !snippet.trim().is_empty()) {
        text.extend_from_slice(b"snippet\x01");
        for word in snippet.split_whitespace() {
            text.extend_from_slice(word.as_bytes());
        }
    } else if let Some(element) = finding
        .element
        .as_deref()
        .filter(|element| !element.is_empty())
    {
        put(text, "element", [element]);
    } else {
        put(
            text,
            "message",
            [message::normalise(&finding.message).as_str()],
        );
    }
}

fn put<'a>(text: &mut Vec<u8>, kind: &str, parts: impl IntoIterator<Item = &'a str>) {
    text.extend_from_slice(kind.as_bytes());
    for part in parts {
        text.push(1);
        text.extend_from_slice(part.as_bytes());
    }
}

/// The fingerprint of the highest version; names look like `hash/v2`. Of one version, the last name.
fn highest(fingerprints: &BTreeMap<String, String>) -> Option<(&str, &str)> {
    let version = |name: &str| -> u64 {
        let number = name.rsplit_once("/v").map(|(_, number)| number);
        number.and_then(|n| n.parse().ok()).unwrap_or(0)
    };
    let highest = fingerprints
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .max_by_key(|(name, _)| version(name))?;
    Some((highest.0, highest.1))
}
