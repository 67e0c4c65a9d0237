//! The part of SARIF 2.1.0 that is read, as written by real tools: lenient where the meaning is clear.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Tool {
    #[serde(deserialize_with = "or_default")]
    pub(super) driver: Component,
    #[serde(deserialize_with = "or_default")]
    pub(super) extensions: Vec<Component>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Component {
    #[serde(deserialize_with = "or_default")]
    pub(super) name: String,
    pub(super) semantic_version: Option<String>,
    pub(super) version: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) rules: Vec<Descriptor>,
    #[serde(deserialize_with = "or_default")]
    pub(super) global_message_strings: BTreeMap<String, Message>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Descriptor {
    #[serde(deserialize_with = "or_default")]
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) short_description: Option<Message>,
    pub(super) full_description: Option<Message>,
    pub(super) help_uri: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) message_strings: BTreeMap<String, Message>,
    #[serde(deserialize_with = "or_default")]
    pub(super) default_configuration: Configuration,
    #[serde(deserialize_with = "or_default")]
    pub(super) properties: serde_json::Map<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Configuration {
    pub(super) level: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Invocation {
    pub(super) execution_successful: Option<bool>,
    #[serde(deserialize_with = "or_default")]
    pub(super) rule_configuration_overrides: Vec<Override>,
    pub(super) working_directory: Option<ArtifactLocation>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Override {
    #[serde(deserialize_with = "or_default")]
    pub(super) configuration: Configuration,
    #[serde(deserialize_with = "or_default")]
    pub(super) descriptor: RuleReference,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ArtifactLocation {
    pub(super) uri: Option<String>,
    pub(super) uri_base_id: Option<String>,
    #[serde(deserialize_with = "index")]
    pub(super) index: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Artifact {
    pub(super) location: Option<ArtifactLocation>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RuleReference {
    pub(super) id: Option<String>,
    #[serde(deserialize_with = "index")]
    pub(super) index: Option<usize>,
    pub(super) tool_component: Option<ComponentReference>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ComponentReference {
    pub(super) name: Option<String>,
    #[serde(deserialize_with = "index")]
    pub(super) index: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Message {
    pub(super) text: Option<String>,
    pub(super) markdown: Option<String>,
    pub(super) id: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) arguments: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RawResult {
    pub(super) guid: Option<String>,
    pub(super) rule_id: Option<String>,
    #[serde(deserialize_with = "index")]
    pub(super) rule_index: Option<usize>,
    pub(super) rule: Option<RuleReference>,
    pub(super) level: Option<String>,
    pub(super) kind: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) message: Message,
    #[serde(deserialize_with = "or_default")]
    pub(super) locations: Vec<RawLocation>,
    #[serde(deserialize_with = "or_default")]
    pub(super) related_locations: Vec<RawLocation>,
    #[serde(deserialize_with = "or_default")]
    pub(super) fingerprints: BTreeMap<String, Value>,
    #[serde(deserialize_with = "or_default")]
    pub(super) partial_fingerprints: BTreeMap<String, Value>,
    #[serde(deserialize_with = "counting")]
    pub(super) occurrence_count: Option<u32>,
    pub(super) rank: Option<f32>,
    #[serde(deserialize_with = "or_default")]
    pub(super) suppressions: Vec<RawSuppression>,
    #[serde(deserialize_with = "or_default")]
    pub(super) fixes: Vec<Fix>,
    #[serde(deserialize_with = "or_default")]
    pub(super) properties: serde_json::Map<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Fix {
    pub(super) description: Option<Message>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawSuppression {
    pub(super) kind: Option<String>,
    pub(super) status: Option<String>,
    pub(super) justification: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RawLocation {
    pub(super) physical_location: Option<PhysicalLocation>,
    #[serde(deserialize_with = "or_default")]
    pub(super) logical_locations: Vec<LogicalLocation>,
    pub(super) message: Option<Message>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PhysicalLocation {
    #[serde(deserialize_with = "or_default")]
    pub(super) artifact_location: ArtifactLocation,
    pub(super) region: Option<RawRegion>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LogicalLocation {
    #[serde(deserialize_with = "index")]
    pub(super) index: Option<usize>,
    pub(super) name: Option<String>,
    pub(super) fully_qualified_name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RawRegion {
    #[serde(deserialize_with = "counting")]
    pub(super) start_line: Option<u32>,
    #[serde(deserialize_with = "counting")]
    pub(super) start_column: Option<u32>,
    #[serde(deserialize_with = "counting")]
    pub(super) end_line: Option<u32>,
    #[serde(deserialize_with = "counting")]
    pub(super) end_column: Option<u32>,
    pub(super) snippet: Option<Message>,
}

/// Some languages write an empty list, map or string as null.
fn or_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// An index into an array; SARIF says -1 for none, and whatever no array can have is none.
fn index<'de, D: Deserializer<'de>>(from: D) -> Result<Option<usize>, D::Error> {
    let number = Option::<serde_json::Number>::deserialize(from)?;
    let index = number.and_then(|number| number.as_u64());
    Ok(index.and_then(|index| usize::try_from(index).ok()))
}

/// A number that counts from 1; tools also write 0, -1 and 3.0, and a line no file has.
fn counting<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    let number = Option::<f64>::deserialize(from)?;
    let counts = number.filter(|number| (1.0..=f64::from(u32::MAX)).contains(number));
    Ok(counts.map(|number| number as u32))
}
