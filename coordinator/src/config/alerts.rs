//! The `[alerts]` table of a configuration file: from when on what is an alert, and who is told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::ConfigError;
use crate::alert::board::KEEP_RESOLVED;
use crate::alert::labels::Label;
use crate::alert::settings::Limit;
use crate::alert::{AlertSettings, Channel, Matcher, Name, Pace, Severity};
use crate::channel::{Kind, Secret, Sender, Target};

/// Most channels: each is told of every group apart.
const MAX_CHANNELS: usize = 16;
/// Longest name of a channel.
const MAX_NAME: usize = 64;
/// Longest file with an address or a secret, in bytes.
const MAX_SECRET: u64 = 4_096;
/// Longest time of any setting here: a week.
const MAX_SECONDS: u32 = 7 * 86_400;

/// The table as written; what is left out is as documented.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RawAlerts {
    /// Time in seconds that it must be over before an alert resolves [default: 300].
    pub resolve_hold_s: Option<u32>,
    /// Duration in seconds over which any run is slow [default: none].
    pub slow_after_s: Option<u32>,
    /// Time in seconds that an unusual run is news [default: 900].
    pub anomaly_for_s: Option<u32>,
    /// Address of the dashboard, for links.
    pub site: Option<String>,
    /// Limits of kinds, such as `[alerts.limits.backlog]`.
    pub limits: BTreeMap<String, RawLimit>,
    /// Who is told: `[[alerts.channel]]`.
    pub channel: Vec<RawChannel>,
}

impl std::fmt::Debug for RawAlerts {
    /// Nothing: an unchecked value may hold a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RawAlerts { .. }")
    }
}

/// Limits of one kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RawLimit {
    /// Never raised.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub off: bool,
    /// From this value on it is a warning.
    pub warning: Option<f64>,
    /// From this value on it is critical.
    pub critical: Option<f64>,
    /// Time in seconds that it must last.
    pub hold_s: Option<u32>,
}

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

/// How alerts are raised, and who is told.
#[derive(Clone, Debug, Default)]
pub struct AlertConfig {
    /// From when on what is an alert.
    pub settings: AlertSettings,
    /// Who is told.
    pub targets: Vec<Target>,
    /// Where the dashboard is, for links.
    pub site: Option<String>,
    /// The channels as written, to be shown.
    written: Vec<RawChannel>,
}

fn refuse(why: impl Into<String>) -> ConfigError {
    ConfigError::invalid("alerts", why)
}

impl RawAlerts {
    /// The settings that result; reads the files that are named.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] naming the setting and what is allowed.
    pub fn checked(&self) -> Result<AlertConfig, ConfigError> {
        let usual = AlertSettings::default();
        let settings = AlertSettings {
            limits: self.limits()?,
            resolve_hold: seconds("resolve-hold-s", self.resolve_hold_s, usual.resolve_hold)?,
            slow_after: match self.slow_after_s {
                None => None,
                some => Some(seconds("slow-after-s", some, SignedDuration::ZERO)?),
            },
            anomaly_for: seconds("anomaly-for-s", self.anomaly_for_s, usual.anomaly_for)?,
        };
        let site = self.site()?;
        if self.channel.len() > MAX_CHANNELS {
            return Err(refuse(format!("more than {MAX_CHANNELS} channels")));
        }
        let targets = self
            .channel
            .iter()
            .map(|channel| channel.checked(site.as_ref()));
        let targets = targets.collect::<Result<Vec<_>, _>>()?;
        let names: BTreeSet<_> = targets.iter().map(|target| &target.channel.name).collect();
        if names.len() < targets.len() {
            return Err(refuse("two channels have the same name"));
        }
        Ok(AlertConfig {
            settings,
            targets,
            site,
            written: self.channel.clone(),
        })
    }

    fn limits(&self) -> Result<BTreeMap<Name, Limit>, ConfigError> {
        let limits = self.limits.iter().map(|(word, raw)| {
            let name = Name::parse(word)
                .filter(|name| *name != Name::Test)
                .ok_or_else(|| {
                    let known: Vec<_> = Name::ALL.iter().map(|name| name.as_str()).collect();
                    refuse(format!(
                        "limits.{word}: there is no such kind; there are {}",
                        known.join(", ")
                    ))
                })?;
            Ok((name, raw.checked(name)?))
        });
        limits.collect()
    }

    fn site(&self) -> Result<Option<String>, ConfigError> {
        let Some(site) = &self.site else {
            return Ok(None);
        };
        let web = site.starts_with("http://") || site.starts_with("https://");
        if web && reqwest::Url::parse(site).is_ok_and(|url| url.password().is_none()) {
            Ok(Some(site.trim_end_matches('/').to_owned()))
        } else {
            Err(refuse(
                "site is no address of a dashboard; write it as https://host",
            ))
        }
    }
}

impl RawLimit {
    fn checked(&self, name: Name) -> Result<Limit, ConfigError> {
        let usual = Limit::of(name);
        let hold = seconds("hold-s", self.hold_s, usual.hold)?;
        if self.off {
            return Ok(Limit {
                warning: None,
                critical: None,
                hold,
            });
        }
        // Who gives one limit wants that one: the other default may lie on its wrong side.
        let (warning, critical) = match (self.warning, self.critical) {
            (None, None) => (usual.warning, usual.critical),
            given => given,
        };
        let sound = |limit: Option<f64>| limit.is_none_or(|limit| limit.is_finite() && limit > 0.0);
        let ordered = warning
            .zip(critical)
            .is_none_or(|(warning, critical)| warning <= critical);
        if sound(warning) && sound(critical) && ordered {
            Ok(Limit {
                warning,
                critical,
                hold,
            })
        } else {
            Err(refuse(format!(
                "limits.{name}: a limit is a number above 0, and critical not below warning"
            )))
        }
    }
}

impl RawChannel {
    fn checked(&self, site: Option<&String>) -> Result<Target, ConfigError> {
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
}

impl AlertConfig {
    /// What sends to the channels.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn sender(&self) -> fleet_worker_sdk::Result<Sender> {
        Sender::new(self.targets.clone())
    }

    /// The table that gives this, addresses hidden.
    pub fn shown(&self) -> RawAlerts {
        let settings = &self.settings;
        let limits = settings.limits.iter().map(|(name, limit)| {
            let raw = RawLimit {
                off: limit.warning.or(limit.critical).is_none(),
                warning: limit.warning,
                critical: limit.critical,
                hold_s: whole(limit.hold),
            };
            (name.as_str().to_owned(), raw)
        });
        let channels = self.written.iter().zip(&self.targets);
        RawAlerts {
            resolve_hold_s: whole(settings.resolve_hold),
            slow_after_s: settings.slow_after.and_then(whole),
            anomaly_for_s: whole(settings.anomaly_for),
            site: self.site.clone(),
            limits: limits.collect(),
            channel: channels.map(|(raw, target)| hidden(raw, target)).collect(),
        }
    }
}

fn hidden(raw: &RawChannel, target: &Target) -> RawChannel {
    RawChannel {
        url: raw.url.as_ref().map(|_| target.shown()),
        ..raw.clone()
    }
}

fn whole(duration: SignedDuration) -> Option<u32> {
    u32::try_from(duration.as_secs()).ok()
}

fn seconds(
    name: &str,
    given: Option<u32>,
    usual: SignedDuration,
) -> Result<SignedDuration, ConfigError> {
    match given {
        None => Ok(usual),
        Some(given) if given <= MAX_SECONDS => Ok(SignedDuration::from_secs(i64::from(given))),
        Some(given) => Err(refuse(format!(
            "{name}: {given} is more than a week, {MAX_SECONDS}"
        ))),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(toml: &str) -> Result<AlertConfig, String> {
        let raw: RawAlerts = toml::from_str(toml).map_err(|error| error.to_string())?;
        raw.checked().map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_written_is_what_is_meant_and_what_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        std::fs::write(&key, "hunter2\n").unwrap();
        let toml = format!(
            "resolve-hold-s = 60\nslow-after-s = 1800\nsite = \"https://fleet.example/\"\n\
             [limits.backlog]\nwarning = 10\ncritical = 20\nhold-s = 5\n\
             [limits.anomaly]\noff = true\n\
             [[channel]]\nname = \"ops\"\nkind = \"webhook\"\nurl = \"https://hooks.example/hunter2\"\n\
             secret-file = {key:?}\nseverities = [\"critical\"]\nmatch = [\"bot=scan*\"]\ngroup-by = [\"bot\"]\n\
             [[channel]]\nname = \"am\"\nkind = \"alertmanager\"\nurl = \"http://am:9093\"\n"
        );
        let config = checked(&toml).unwrap();
        let backlog = config.settings.limit(Name::Backlog);
        assert_eq!(
            (backlog.warning, backlog.critical),
            (Some(10.0), Some(20.0))
        );
        assert_eq!(config.settings.limit(Name::Anomaly).severity(99.0), None);
        let ops = &config.targets[0];
        assert_eq!(ops.secret.as_ref().unwrap().reveal(), "hunter2");
        assert_eq!(ops.channel.pace.group_by, [Label::Bot]);
        assert_eq!(
            config.targets[1].channel.pace.repeat,
            SignedDuration::from_secs(60)
        );
        let shown = toml::to_string(&config.shown()).unwrap();
        assert!(
            !shown.contains("hunter2") && shown.contains("https://hooks.example/***"),
            "{shown}"
        );
        let again = checked(&shown).unwrap();
        assert_eq!(again.settings, config.settings);
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_its_place() {
        let channel = |more: &str| format!("[[channel]]\nname = \"ops\"\nkind = \"slack\"\n{more}");
        let url = "url = \"https://hooks.example/hunter2\"\n";
        for (toml, place) in [
            ("[limits.bakclog]\nwarning = 1\n".to_owned(), "backlog"),
            (
                "[limits.backlog]\nwarning = nan\n".to_owned(),
                "limits.backlog",
            ),
            (
                "[limits.backlog]\nwarning = 2\ncritical = 1\n".to_owned(),
                "limits.backlog",
            ),
            ("resolve-hold-s = 700000\n".to_owned(), "resolve-hold-s"),
            ("site = \"fleet.example\"\n".to_owned(), "site"),
            (channel(""), "url"),
            (channel("url-file = \"/nowhere\"\n"), "/nowhere"),
            (channel("url = \"hunter2\"\n"), "ops"),
            (channel(&format!("{url}severities = [\"loud\"]\n")), "loud"),
            (channel(&format!("{url}match = [\"but=x\"]\n")), "but"),
            (channel(&format!("{url}interval-s = 1801\n")), "interval-s"),
            (channel(&format!("{url}repeat-s = 60\n")), "repeat-s"),
            (
                channel(&format!("{url}secret-file = \"/dev/null\"\n")),
                "ops",
            ),
            (format!("{0}{1}{0}{1}", channel(""), url), "same name"),
        ] {
            let refused = checked(&toml).unwrap_err();
            assert!(
                refused.contains(place) && !refused.contains("hunter2"),
                "{toml}: {refused}"
            );
        }
    }
}
