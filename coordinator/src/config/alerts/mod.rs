//! The `[alerts]` table of a configuration file: from when on what is an alert (`limit`), and who is
//! told (`channel`).

mod limit;

mod channel;

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

pub use channel::RawChannel;
pub use limit::RawLimit;

use super::ConfigError;
use crate::alert::settings::Limit;
use crate::alert::{AlertSettings, Name};
use crate::channel::{Sender, Target};

/// Most channels: each is told of every group apart.
const MAX_CHANNELS: usize = 16;
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
        let limits = settings
            .limits
            .iter()
            .map(|(name, limit)| (name.as_str().to_owned(), RawLimit::of(*limit)));
        let channels = self.written.iter().zip(&self.targets);
        RawAlerts {
            resolve_hold_s: whole(settings.resolve_hold),
            slow_after_s: settings.slow_after.and_then(whole),
            anomaly_for_s: whole(settings.anomaly_for),
            site: self.site.clone(),
            limits: limits.collect(),
            channel: channels.map(|(raw, target)| raw.hidden(target)).collect(),
        }
    }
}

fn refuse(why: impl Into<String>) -> ConfigError {
    ConfigError::invalid("alerts", why)
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

#[cfg(test)]
mod tests;
