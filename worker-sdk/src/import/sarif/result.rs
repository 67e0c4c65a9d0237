//! A result as a finding.

use std::collections::BTreeMap;

use serde_json::Value;

use super::raw::{Descriptor, LogicalLocation, RawLocation, RawRegion, RawResult};
use super::run::{Run, number, tags};
use crate::finding::{
    Finding, Location, MAX_CATEGORY, Region, Suppression, UNCATEGORISED, UNKNOWN_RULE,
};
use crate::severity::{Kind, Level};

/// Longest snippet or message kept, in bytes: a screen of code.
const MAX_TEXT: usize = 8 * 1024;
/// Properties over this size are left out, and that is said.
const MAX_PROPERTIES: usize = 8 * 1024;
/// Most related places kept.
const MAX_RELATED: usize = 32;

/// Reads a result.
///
/// # Errors
/// Why it is none, for people.
pub(super) fn finding(run: &Run, repository: &str, json: &str) -> Result<Finding, String> {
    let result: RawResult = serde_json::from_str(json).map_err(|error| fault(&error))?;
    let rule = run.rule_of(&result);
    let message = run
        .text(&result.message, rule)
        .or_else(|| description(rule));
    let properties = &result.properties;
    let severity = number(properties, "security-severity")
        .or_else(|| rule.and_then(|rule| number(&rule.properties, "security-severity")));
    let kind = kind(&result)?;
    let rule_id = rule_id(&result, rule);
    let place = |location: &RawLocation| place(run, repository, location);
    Ok(Finding {
        message: cut(message.unwrap_or_else(|| rule_id.clone())),
        level: level(run, &result, rule, kind)?,
        kind,
        category: category(&result, rule, severity),
        security_severity: severity.filter(|severity| (0.0..=10.0).contains(severity)),
        rank: result.rank.filter(|rank| *rank >= 0.0),
        confidence: confidence(properties).or_else(|| confidence(&rule?.properties)),
        locations: result.locations.iter().filter_map(place).collect(),
        element: result
            .locations
            .iter()
            .find_map(|location| element(run, location)),
        occurrence_count: result.occurrence_count.unwrap_or(1),
        suppressions: suppressions(&result),
        fixable: !result.fixes.is_empty(),
        fixed: false,
        fixes: descriptions(run, &result),
        related: result
            .related_locations
            .iter()
            .filter_map(place)
            .take(MAX_RELATED)
            .collect(),
        guid: result.guid,
        fingerprints: texts(result.fingerprints),
        partial_fingerprints: texts(result.partial_fingerprints),
        properties: bounded(result.properties),
        rule_id,
    })
}

/// What is wrong with a result. Its line would be that within the result, which nobody can find.
fn fault(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

fn description(rule: Option<&Descriptor>) -> Option<String> {
    let rule = rule?;
    let described = [&rule.short_description, &rule.full_description];
    described
        .into_iter()
        .flatten()
        .find_map(|message| message.text.clone())
}

fn rule_id(result: &RawResult, rule: Option<&Descriptor>) -> String {
    let given = result
        .rule_id
        .clone()
        .or_else(|| result.rule.as_ref()?.id.clone());
    let resolved = given.or_else(|| Some(rule?.id.clone()));
    resolved
        .filter(|id| !id.is_empty())
        .unwrap_or_else(|| UNKNOWN_RULE.to_owned())
}

fn kind(result: &RawResult) -> Result<Kind, String> {
    let kind = result.kind.as_deref().unwrap_or("fail");
    kind.parse()
        .map_err(|error: crate::Error| error.to_string())
}

/// The level in the standard's order: none for what is no failure; the result's; an invocation's
/// override; the rule's default; warning.
fn level(
    run: &Run,
    result: &RawResult,
    rule: Option<&Descriptor>,
    kind: Kind,
) -> Result<Level, String> {
    if kind != Kind::Fail {
        return Ok(Level::None);
    }
    let overridden = || run.overridden_level(rule?);
    let default = || rule?.default_configuration.level.as_deref();
    let level = result
        .level
        .as_deref()
        .or_else(overridden)
        .or_else(default)
        .unwrap_or("warning");
    level
        .parse()
        .map_err(|error: crate::Error| error.to_string())
}

/// A category from what tools say in many ways.
fn category(result: &RawResult, rule: Option<&Descriptor>, severity: Option<f32>) -> String {
    let properties = [Some(&result.properties), rule.map(|rule| &rule.properties)];
    let named = properties
        .into_iter()
        .flatten()
        .find_map(|p| p.get("category")?.as_str());
    if let Some(named) = named.filter(|name| usable(name)) {
        return named.to_lowercase();
    }
    let tags = rule.map(tags).unwrap_or_default();
    let secure = |tag: &String| {
        let tag = tag.to_lowercase();
        tag.contains("security") || tag.contains("cwe-") || tag.contains("owasp")
    };
    if severity.is_some() || tags.iter().any(secure) {
        return "security".to_owned();
    }
    let first = tags
        .into_iter()
        .find(|tag| usable(tag) && !tag.contains(['/', ':']));
    first.map_or_else(|| UNCATEGORISED.to_owned(), |tag| tag.to_lowercase())
}

fn usable(name: &str) -> bool {
    !name.is_empty()
        && name.to_lowercase().len() <= MAX_CATEGORY
        && !name.chars().any(char::is_control)
}

/// Confidence from `confidence` or `precision`, as a number or in words.
fn confidence(properties: &serde_json::Map<String, Value>) -> Option<f32> {
    let given = properties
        .get("confidence")
        .or_else(|| properties.get("precision"))?;
    let word = match given {
        Value::Number(number) => {
            return number
                .as_f64()
                .map(|n| n as f32)
                .filter(|n| (0.0..=1.0).contains(n));
        }
        Value::String(word) => word.to_lowercase(),
        _ => return None,
    };
    match word.as_str() {
        "very-high" | "certain" => Some(0.95),
        "high" => Some(0.85),
        "medium" => Some(0.6),
        "low" => Some(0.3),
        other => other
            .parse()
            .ok()
            .filter(|number| (0.0..=1.0).contains(number)),
    }
}

fn element(run: &Run, location: &RawLocation) -> Option<String> {
    let own = location.logical_locations.first()?;
    let of_run = own.index.and_then(|index| run.logical_locations.get(index));
    let name = |logical: &LogicalLocation| {
        logical
            .fully_qualified_name
            .clone()
            .or_else(|| logical.name.clone())
    };
    name(own).or_else(|| name(of_run?)).map(cut)
}

fn place(run: &Run, repository: &str, location: &RawLocation) -> Option<Location> {
    let physical = location.physical_location.as_ref()?;
    let uri = from_root(run, repository, run.uri(&physical.artifact_location));
    let region = physical.region.as_ref();
    let snippet = region.and_then(|region| region.snippet.as_ref()?.text.clone());
    let message = location
        .message
        .as_ref()
        .and_then(|message| run.text(message, None));
    Some(Location {
        uri,
        region: region.and_then(lines),
        snippet: snippet.map(cut),
        message: message.map(cut),
    })
}

/// Takes the checkout's folder off an absolute path: one that the run names, or what ends in the
/// repository's own name, as CI runners lay checkouts out.
fn from_root(run: &Run, repository: &str, uri: String) -> String {
    if !uri.starts_with("file:") && !uri.starts_with('/') {
        return uri;
    }
    for root in run.roots() {
        let inner = uri.strip_prefix(root.trim_end_matches('/'));
        if let Some(path) = inner.and_then(|inner| inner.strip_prefix('/')) {
            return path.trim_start_matches('/').to_owned();
        }
    }
    let name = repository.rsplit('/').next().unwrap_or(repository);
    let folder = format!("/{name}/");
    match uri.find(&folder) {
        Some(at) => {
            let mut path = uri.get(at + folder.len()..).unwrap_or_default();
            // Some runners check `shop` out into `shop/shop`.
            while let Some(inner) = path.strip_prefix(folder.trim_start_matches('/')) {
                path = inner;
            }
            path.to_owned()
        }
        None => uri,
    }
}

fn lines(region: &RawRegion) -> Option<Region> {
    Some(Region {
        start_line: region.start_line?,
        start_column: region.start_column.unwrap_or(0),
        end_line: region.end_line.unwrap_or(0),
        end_column: region.end_column.unwrap_or(0),
    })
}

fn suppressions(result: &RawResult) -> Vec<Suppression> {
    let read = |given: &super::raw::RawSuppression| {
        let standard = Suppression::default();
        Suppression {
            kind: given.kind.clone().map_or(standard.kind, cut),
            status: given.status.clone().map_or(standard.status, cut),
            justification: given
                .justification
                .clone()
                .filter(|text| !text.is_empty())
                .map(cut),
            ..Suppression::default()
        }
    };
    result.suppressions.iter().map(read).collect()
}

fn descriptions(run: &Run, result: &RawResult) -> Vec<String> {
    let described = result
        .fixes
        .iter()
        .filter_map(|fix| run.text(fix.description.as_ref()?, None));
    described.map(cut).take(MAX_RELATED).collect()
}

/// Fingerprints that are text; tools have been seen to write other values, which identify nothing.
fn texts(values: BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let text = |(name, value)| match value {
        Value::String(text) => Some((name, text)),
        _ => None,
    };
    values.into_iter().filter_map(text).collect()
}

fn bounded(properties: serde_json::Map<String, Value>) -> serde_json::Map<String, Value> {
    let size = serde_json::to_string(&properties).map_or(usize::MAX, |json| json.len());
    if size <= MAX_PROPERTIES {
        return properties;
    }
    let note = format!("{size} bytes of properties were left out");
    std::iter::once(("fleet.leftOut".to_owned(), Value::String(note))).collect()
}

fn cut(text: String) -> String {
    if text.len() <= MAX_TEXT {
        return text;
    }
    let end = text.floor_char_boundary(MAX_TEXT);
    format!("{}…", text.get(..end).unwrap_or_default())
}
