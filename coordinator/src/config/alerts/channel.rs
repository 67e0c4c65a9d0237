//! Channels: who is told of which alerts, where, and how often.

use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{refuse, seconds};
use crate::alert::board::KEEP_RESOLVED;
use crate::alert::labels::Label;
use crate::alert::{Channel, Matcher, Pace, Severity};
use crate::channel::{Kind, Secret, Target};
use crate::config::ConfigError;

/// Longest name of a channel.
const MAX_NAME: usize = 64;
/// Longest file with an address or a secret, in bytes.
const MAX_SECRET: u64 = 4_096;

/// A channel.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RawChannel {
    /// Its name.
    pub name: String,
    /// `alertmanager`, `slack` or `webhook`.
    pub kind: String,
    /// Its address.
    pub url: Option<String>,
    /// A file with its address.
    pub url_file: Option<PathBuf>,
    /// A file with a webhook's key or an Alertmanager's token.
    pub secret_file: Option<PathBuf>,
    /// Only alerts of these severities.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub severities: Vec<String>,
    /// Only alerts that match all of these, such as `bot=scan*`.
    #[serde(rename = "match", skip_serializing_if = "Vec::is_empty")]
    pub matchers: Vec<String>,
    /// Labels by which alerts are told together [default: alertname, tier].
    pub group_by: Option<Vec<String>>,
    /// Time in seconds that a group waits for the rest of it [default: 30].
    pub wait_s: Option<u32>,
    /// Least time in seconds between two notices of a group [default: 300].
    pub interval_s: Option<u32>,
    /// Time in seconds after which what fires is told again [default: 14400; an Alertmanager 60].
    pub repeat_s: Option<u32>,
}

impl std::fmt::Debug for RawChannel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RawChannel { .. }")
    }
}

impl RawChannel {
    pub(super) fn checked(&self, site: Option<&String>) -> Result<Target, ConfigError> {
        let name = &self.name;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(plain) {
            return Err(refuse(format!(
                "a channel's name has 1 to {MAX_NAME} of A-Z, a-z, 0-9, `.`, `_`, `-`"
            )));
        }
        let wrong = |why: String| refuse(format!("channel {name}: {why}"));
        let kind = Kind::parse(&self.kind)
            .ok_or_else(|| wrong("its kind is none of alertmanager, slack, webhook".to_owned()))?;
        let url = match (&self.url, &self.url_file) {
            (Some(url), None) => url.clone(),
            (None, Some(file)) => read(file).map_err(wrong)?,
            _ => return Err(wrong("one of url and url-file is needed".to_owned())),
        };
        let secret = self
            .secret_file
            .as_deref()
            .map(read)
            .transpose()
            .map_err(wrong)?;
        if secret.is_some() && kind == Kind::Slack {
            return Err(wrong(
                "a message of Slack is not signed; its address is the secret".to_owned(),
            ));
        }
        let channel = Channel {
            name: name.clone(),
            severities: self.severities().map_err(wrong)?,
            matchers: self.matchers().map_err(wrong)?,
            pace: self.pace(kind)?,
        };
        let target = Target {
            channel,
            kind,
            url: Secret::new(url),
            secret: secret.map(Secret::new),
            site: site.cloned(),
        };
        target
            .endpoint()
            .map_err(|error| wrong(error.to_string()))?;
        Ok(target)
    }

    fn severities(&self) -> Result<Vec<Severity>, String> {
        let read = |word: &String| {
            Severity::parse(word)
                .ok_or_else(|| format!("{word:?} is none of critical, warning, info"))
        };
        self.severities.iter().map(read).collect()
    }

    fn matchers(&self) -> Result<Vec<Matcher>, String> {
        let read = |text: &String| Matcher::parse(text).map_err(|error| error.to_string());
        self.matchers.iter().map(read).collect()
    }

    fn pace(&self, kind: Kind) -> Result<Pace, ConfigError> {
        let usual = kind.pace();
        let label = |word: &String| {
            Label::parse(word).ok_or_else(|| {
                refuse(format!(
                    "channel {}: {word:?} in group-by is no label",
                    self.name
                ))
            })
        };
        let group_by = match &self.group_by {
            None => usual.group_by,
            Some(words) => words.iter().map(label).collect::<Result<_, _>>()?,
        };
        let pace = Pace {
            group_by,
            wait: seconds("wait-s", self.wait_s, usual.wait)?,
            interval: seconds("interval-s", self.interval_s, usual.interval)?,
            repeat: seconds("repeat-s", self.repeat_s, usual.repeat)?,
        };
        // What is over is remembered for an hour: a group that waits longer would forget to say so.
        if pace.interval > KEEP_RESOLVED / 2 || pace.wait > KEEP_RESOLVED / 2 {
            return Err(refuse(format!(
                "channel {}: wait-s and interval-s are at most 1800",
                self.name
            )));
        }
        if pace.repeat < SignedDuration::from_secs(10) || pace.repeat < pace.interval {
            return Err(refuse(format!(
                "channel {}: repeat-s is at least 10, and not below interval-s",
                self.name
            )));
        }
        Ok(pace)
    }

    /// As written, without its address: that may be a secret.
    pub(super) fn hidden(&self, target: &Target) -> Self {
        Self {
            url: self.url.as_ref().map(|_| target.shown()),
            ..self.clone()
        }
    }
}

/// The text of a small file, without the line's end. Errors name the file, never what is in it.
fn read(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let size = std::fs::metadata(path)
        .map_err(|error| format!("{shown}: {error}"))?
        .len();
    if size > MAX_SECRET {
        return Err(format!(
            "{shown}: it has {size} bytes, at most {MAX_SECRET} are read"
        ));
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
    let text = text.trim();
    if text.is_empty() {
        return Err(format!("{shown}: it is empty"));
    }
    Ok(text.to_owned())
}
