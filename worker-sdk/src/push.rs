//! What crosses the wire: a batch of identified findings, and the store's answer.

use std::collections::{BTreeMap, HashSet};

use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::finding::{Finding, Fingerprint};
use crate::ids::{BotId, ProducerId, SessionId};
use crate::session::Version;

/// Most findings in one batch: Lua's `unpack` fails on several thousand values.
pub const MAX_BATCH_FINDINGS: usize = 1_000;
/// Most bytes of encoded findings in one batch: keeps a Redis function below a few milliseconds.
pub const MAX_BATCH_BYTES: usize = 512 * 1024;

/// A finding and who it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identified {
    /// Its identity across sessions.
    pub fingerprint: Fingerprint,
    /// The finding.
    #[serde(flatten)]
    pub finding: Finding,
}

/// A finding seen again in the same scan: same anchor, same region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Again {
    /// Which finding.
    pub fingerprint: Fingerprint,
    /// How often it has been seen in this scan by now, 2 or more. Absolute, so that
    /// hearing it twice changes nothing.
    pub occurrences: u32,
}

/// A rule's texts: sent once an execution, not in each finding.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rule {
    /// SARIF `reportingDescriptor.name`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Short description.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub short_description: String,
    /// Where to read more.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub help_uri: String,
    /// Tags, such as `security` or `CWE-79`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// `properties.security-severity`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_severity: Option<f32>,
}

/// Findings of one execution, applied whole or not at all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// Into which session.
    pub session: SessionId,
    /// Of which bot.
    pub bot: BotId,
    /// In which attempt of its execution.
    pub attempt: u32,
    /// By which producer.
    pub producer: ProducerId,
    /// The producer's next sequence number; a repeated one gets the stored answer.
    pub sequence: u64,
    /// The findings; fingerprints are distinct within a batch.
    pub findings: Vec<Identified>,
    /// Repeats of findings of this or earlier batches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub again: Vec<Again>,
    /// Texts of rules, the first time they are used.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rules: BTreeMap<String, Rule>,
}

/// What the store did with a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushAnswer {
    /// The session's version after it.
    pub version: Version,
    /// Findings that the session did not have.
    pub new: u32,
    /// Positions in the batch of those it had already.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known: Vec<u32>,
    /// Findings in the session after it.
    pub total: u64,
    /// The sequence number had been applied before; this is the stored answer
    /// (only `version` and `total` of now, `new` and `known` empty, when it is no longer stored).
    #[serde(default)]
    pub duplicate: bool,
}

impl Batch {
    /// Refuses what no store takes.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the position of the finding, or [`Error::TooLarge`].
    pub fn check(&self) -> Result<()> {
        let size = self.findings.len() + self.again.len();
        if size > MAX_BATCH_FINDINGS {
            return Err(Error::invalid(
                "batch",
                format!("{size} findings, the limit is {MAX_BATCH_FINDINGS}"),
            ));
        }
        if self.sequence == 0 {
            return Err(Error::invalid(
                "sequence",
                "it is 0; sequences count from 1",
            ));
        }
        let mut seen =
            HashSet::with_capacity_and_hasher(self.findings.len(), RandomState::default());
        for (position, identified) in self.findings.iter().enumerate() {
            if !seen.insert(identified.fingerprint) {
                let why = format!("finding {position} has the fingerprint of an earlier one");
                return Err(Error::invalid("batch", why));
            }
            identified.finding.check().map_err(|error| match error {
                Error::Invalid { what, why } => {
                    Error::invalid(format!("finding {position}: {what}"), why)
                }
                other => other,
            })?;
        }
        Ok(())
    }
}
