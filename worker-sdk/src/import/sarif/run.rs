//! A run's parts that its results refer to: rules, levels, bases, artifacts, logical locations.

use std::collections::BTreeMap;

use serde_json::Value;

use super::raw::{
    Artifact, ArtifactLocation, ComponentReference, Descriptor, Invocation, LogicalLocation,
    Message, RawResult, RuleReference, Tool,
};
use crate::push::Rule;

/// All but the results of a run.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub(super) tool: Tool,
    pub(super) bases: BTreeMap<String, ArtifactLocation>,
    pub(super) artifacts: Vec<Artifact>,
    pub(super) logical_locations: Vec<LogicalLocation>,
    pub(super) invocations: Vec<Invocation>,
    /// There is a list of results, if only an empty one.
    pub(super) has_results: bool,
    /// Position of a rule in `tool.driver.rules`, by id.
    by_id: BTreeMap<String, usize>,
}

/// Bases that refer to each other in a circle are followed this far.
const MAX_BASES: usize = 8;

impl Run {
    /// To be called when all parts are there.
    pub(super) fn complete(&mut self) {
        let rules = self.tool.driver.rules.iter().enumerate();
        // Of several rules with one id, the first speaks.
        for (position, rule) in rules.rev() {
            self.by_id.insert(rule.id.clone(), position);
        }
    }

    /// Whether the tool ended well. By the standard, a run without a list of results did not try
    /// to find any.
    pub(super) fn is_whole(&self) -> bool {
        let failed = |invocation: &Invocation| invocation.execution_successful == Some(false);
        self.has_results && !self.invocations.iter().any(failed)
    }

    /// Whether the tool says itself that it ended well.
    pub(super) fn is_vouched_for(&self) -> bool {
        let well = |invocation: &Invocation| invocation.execution_successful == Some(true);
        !self.invocations.is_empty() && self.invocations.iter().all(well)
    }

    /// The tool's version: its semantic one, if it says so.
    pub(super) fn version(&self) -> String {
        let driver = &self.tool.driver;
        let version = driver.semantic_version.as_ref().or(driver.version.as_ref());
        version.cloned().unwrap_or_default()
    }

    /// The rule that a result violates: by its reference to a component, by index, by id, and by
    /// the id of which it is a sub-rule (`rule/sub`).
    pub(super) fn rule_of(&self, result: &RawResult) -> Option<&Descriptor> {
        let reference = result.rule.as_ref();
        let component = reference.and_then(|rule| rule.tool_component.as_ref());
        let rules = self.component(component);
        let id = reference
            .and_then(|rule| rule.id.as_deref())
            .or(result.rule_id.as_deref());
        let index = reference.and_then(|rule| rule.index).or(result.rule_index);
        // An index that contradicts the id is the one that is wrong: ids are what people read.
        let agrees = |rule: &&Descriptor| id.is_none_or(|id| is_rule(id, &rule.id));
        if let Some(rule) = index.and_then(|index| rules.get(index)).filter(agrees) {
            return Some(rule);
        }
        let id = id?;
        self.by_id(id)
            .or_else(|| self.by_id(id.rsplit_once('/')?.0))
    }

    /// A rule by its id, in the driver first.
    pub(super) fn by_id(&self, id: &str) -> Option<&Descriptor> {
        let driver = self
            .by_id
            .get(id)
            .and_then(|position| self.tool.driver.rules.get(*position));
        let extensions = || {
            self.tool
                .extensions
                .iter()
                .flat_map(|extension| &extension.rules)
        };
        driver.or_else(|| extensions().find(|rule| rule.id == id))
    }

    fn component(&self, reference: Option<&ComponentReference>) -> &[Descriptor] {
        let extensions = &self.tool.extensions;
        let Some(reference) = reference else {
            return &self.tool.driver.rules;
        };
        let by_index = reference.index.and_then(|index| extensions.get(index));
        let named = || {
            extensions
                .iter()
                .find(|e| Some(&e.name) == reference.name.as_ref())
        };
        by_index
            .or_else(named)
            .map_or(&self.tool.driver.rules, |extension| &extension.rules)
    }

    /// The level that an invocation gives a rule instead of its default.
    pub(super) fn overridden_level(&self, rule: &Descriptor) -> Option<&str> {
        let overrides = self
            .invocations
            .iter()
            .flat_map(|i| &i.rule_configuration_overrides);
        let of_rule = |reference: &RuleReference| {
            if let Some(id) = &reference.id {
                return *id == rule.id;
            }
            let rules = self.component(reference.tool_component.as_ref());
            let named = reference.index.and_then(|index| rules.get(index));
            named.is_some_and(|named| std::ptr::eq(named, rule))
        };
        let mut matching = overrides.filter(|o| of_rule(&o.descriptor));
        matching.find_map(|o| o.configuration.level.as_deref())
    }

    /// A message with its arguments filled in.
    pub(super) fn text(&self, message: &Message, rule: Option<&Descriptor>) -> Option<String> {
        let text = message.text.as_deref().or(message.markdown.as_deref());
        let by_id = || {
            let id = message.id.as_deref()?;
            let of_rule = rule.and_then(|rule| rule.message_strings.get(id));
            let global = self.tool.driver.global_message_strings.get(id);
            of_rule.or(global)?.text.as_deref()
        };
        let text = text.or_else(by_id).filter(|text| !text.is_empty())?;
        Some(fill(text, &message.arguments))
    }

    /// Where an artifact is, from the repository's root as far as bases tell.
    pub(super) fn uri(&self, location: &ArtifactLocation) -> String {
        let by_index = || self.artifacts.get(location.index?)?.location.as_ref();
        let location = if location.uri.is_some() {
            location
        } else {
            by_index().unwrap_or(location)
        };
        let mut uri = location.uri.clone().unwrap_or_default();
        let mut base = location.uri_base_id.as_deref();
        for _ in 0..MAX_BASES {
            let Some(location) = base.and_then(|id| self.bases.get(id)) else {
                break;
            };
            let above = location.uri_base_id.as_deref();
            // The uppermost base, if absolute, is where the checkout was: no part of the path.
            if let Some(prefix) = location
                .uri
                .as_deref()
                .filter(|p| above.is_some() || !p.contains(':'))
            {
                uri = format!("{}/{uri}", prefix.trim_end_matches('/'));
            }
            base = above;
        }
        uri
    }

    /// Absolute folders that the checkout may have been in, longest first.
    pub(super) fn roots(&self) -> Vec<&str> {
        let working = self
            .invocations
            .iter()
            .filter_map(|i| i.working_directory.as_ref());
        let all = self
            .bases
            .values()
            .chain(working)
            .filter_map(|l| l.uri.as_deref());
        let mut roots: Vec<&str> = all
            .filter(|uri| uri.starts_with("file:") && uri.len() > 8)
            .collect();
        roots.sort_by_key(|root| std::cmp::Reverse(root.len()));
        roots
    }
}

/// Whether a result's id names the rule, or a sub-rule of it (`rule/sub`).
fn is_rule(id: &str, rule: &str) -> bool {
    id == rule
        || id
            .strip_prefix(rule)
            .is_some_and(|sub| sub.starts_with('/'))
}

/// `{0}` becomes the first argument; `{{` and `}}` are braces.
fn fill(text: &str, arguments: &[String]) -> String {
    if arguments.is_empty() {
        return text.to_owned();
    }
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, braced) = rest.split_at(at);
        filled.push_str(before);
        let (put, length) = placeholder(braced, arguments);
        filled.push_str(put);
        rest = braced.get(length..).unwrap_or_default();
    }
    filled.push_str(rest);
    filled
}

/// What stands for the brace or placeholder that `text` begins with, and how long that is.
/// An argument that was not given leaves its placeholder.
fn placeholder<'a>(text: &'a str, arguments: &'a [String]) -> (&'a str, usize) {
    if text.starts_with("{{") || text.starts_with("}}") {
        return (text.get(..1).unwrap_or_default(), 2);
    }
    let inner = text.get(1..).and_then(|text| text.split_once('}'));
    let argument = inner.and_then(|(number, _)| arguments.get(number.parse::<usize>().ok()?));
    match (inner, argument) {
        (Some((number, _)), Some(argument)) if text.starts_with('{') => {
            (argument, number.len() + 2)
        }
        _ => (text.get(..1).unwrap_or_default(), 1),
    }
}

/// A property that tools write as a number or as text.
pub(super) fn number(properties: &serde_json::Map<String, Value>, name: &str) -> Option<f32> {
    match properties.get(name)? {
        Value::Number(number) => number.as_f64().map(|number| number as f32),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A rule's tags.
pub(super) fn tags(rule: &Descriptor) -> Vec<String> {
    let tags = rule.properties.get("tags").and_then(Value::as_array);
    let texts = tags.into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

/// Longest text of a rule that is kept, in bytes.
const MAX_TEXT: usize = 4_096;

/// A rule's texts, as a store keeps them.
pub(super) fn texts(rule: &Descriptor) -> Rule {
    let text = |message: &Option<Message>| message.as_ref().and_then(|m| m.text.clone());
    let cut = |text: String| match text.get(..text.floor_char_boundary(MAX_TEXT)) {
        Some(start) if start.len() < text.len() => start.to_owned(),
        _ => text,
    };
    let description = text(&rule.short_description).or_else(|| text(&rule.full_description));
    Rule {
        name: cut(rule.name.clone().unwrap_or_default()),
        short_description: cut(description.unwrap_or_default()),
        help_uri: cut(rule.help_uri.clone().unwrap_or_default()),
        tags: tags(rule).into_iter().take(64).map(cut).collect(),
        security_severity: number(&rule.properties, "security-severity")
            .filter(|s| (0.0..=10.0).contains(s)),
    }
}
