//! What an alert is about: its identity is its label set.

use std::collections::BTreeMap;
use std::fmt;

use fleet_worker_sdk::{BotId, Repository, Tier};
use serde::{Deserialize, Serialize};

use crate::health::Status;

/// Makes an enum with a word for each variant.
macro_rules! words {
    ($type:ident { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl $type {
            /// Each of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word in every format.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// Reads the word back.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == word)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

/// What is wrong: the kinds of alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Name {
    /// The process cannot reach the store.
    StoreUnreachable,
    /// Counts that must agree do not: findings were lost or doubled.
    ConservationMismatch,
    /// Every bot of a tier fails.
    TierDown,
    /// A bot fails run after run.
    BotFailing,
    /// Too large a share of a bot's latest runs failed.
    HighErrorRate,
    /// The store's memory is nearly used up.
    ResourceExhaustion,
    /// Inputs that could not be applied wait for somebody.
    DeadLetters,
    /// Coordinators do not keep up with what changes.
    Backlog,
    /// A worker beats and gets nothing done.
    WorkerStuck,
    /// A bot that used to run does not.
    BotSilent,
    /// A bot's runs take far longer than they did.
    SlowExecution,
    /// Something else is unusual about a bot's runs.
    Anomaly,
    /// Somebody tests a channel.
    Test,
}

words!(Name {
    StoreUnreachable => "store_unreachable",
    ConservationMismatch => "conservation_mismatch",
    TierDown => "tier_down",
    BotFailing => "bot_failing",
    HighErrorRate => "high_error_rate",
    ResourceExhaustion => "resource_exhaustion",
    DeadLetters => "dead_letters",
    Backlog => "backlog",
    WorkerStuck => "worker_stuck",
    BotSilent => "bot_silent",
    SlowExecution => "slow_execution",
    Anomaly => "anomaly",
    Test => "test",
});

/// How soon somebody must act, most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// At once.
    Critical,
    /// Today.
    Warning,
    /// When there is time.
    Info,
}

words!(Severity {
    Critical => "critical",
    Warning => "warning",
    Info => "info",
});

impl Severity {
    /// What the status of what it is about is at best while such an alert fires.
    pub const fn status(self) -> Option<Status> {
        match self {
            Self::Critical => Some(Status::Critical),
            Self::Warning => Some(Status::Degraded),
            Self::Info => None,
        }
    }
}

/// The label set that is an alert's identity. Ordered most urgent first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Labels {
    /// How soon somebody must act.
    pub severity: Severity,
    /// What is wrong.
    pub alertname: Name,
    /// About which tier, if it is about one or a bot of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// About which bot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bot: Option<BotId>,
    /// About which repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<Repository>,
}

impl Labels {
    /// About the fleet as a whole.
    pub fn new(alertname: Name, severity: Severity) -> Self {
        Self {
            severity,
            alertname,
            tier: None,
            bot: None,
            repo: None,
        }
    }

    /// About a tier.
    #[must_use]
    pub fn tier(mut self, tier: Tier) -> Self {
        self.tier = Some(tier);
        self
    }

    /// About a bot.
    #[must_use]
    pub fn bot(mut self, bot: &BotId) -> Self {
        self.bot = Some(bot.clone());
        self
    }

    /// The value of a label; empty where it has none, as Alertmanager has it.
    pub fn get(&self, label: Label) -> &str {
        match label {
            Label::Alertname => self.alertname.as_str(),
            Label::Severity => self.severity.as_str(),
            Label::Bot => self.bot.as_ref().map_or("", BotId::as_str),
            Label::Tier => self.tier.map_or("", Tier::as_str),
            Label::Repo => self.repo.as_ref().map_or("", Repository::as_str),
        }
    }

    /// The labels that have a value, by name.
    pub fn map(&self) -> BTreeMap<&'static str, &str> {
        let all = Label::ALL.iter();
        all.map(|label| (label.as_str(), self.get(*label)))
            .filter(|(_, value)| !value.is_empty())
            .collect()
    }

    /// Whether both are about the same, whatever is wrong with it.
    pub fn same_subject(&self, other: &Self) -> bool {
        (&self.bot, self.tier, &self.repo) == (&other.bot, other.tier, &other.repo)
    }
}

impl fmt::Display for Labels {
    /// `bot_failing{severity="warning",bot="scan"}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rest = self
            .map()
            .into_iter()
            .filter(|(name, _)| *name != "alertname");
        let rest: Vec<String> = rest
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect();
        write!(f, "{}{{{}}}", self.alertname, rest.join(","))
    }
}

/// The name of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// What is wrong.
    Alertname,
    /// How soon somebody must act.
    Severity,
    /// About which bot.
    Bot,
    /// About which tier.
    Tier,
    /// About which repository.
    Repo,
}

words!(Label {
    Alertname => "alertname",
    Severity => "severity",
    Bot => "bot",
    Tier => "tier",
    Repo => "repo",
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_and_are_those_of_json() {
        for name in Name::ALL {
            assert_eq!(Name::parse(name.as_str()), Some(*name));
            assert_eq!(serde_json::to_value(name).unwrap(), name.as_str());
        }
        assert_eq!(Severity::parse("loud"), None);
    }

    #[test]
    fn labels_are_shown_as_prometheus_does_and_only_those_with_a_value() {
        let bot = "scan".parse().unwrap();
        let labels = Labels::new(Name::BotFailing, Severity::Warning).bot(&bot);
        assert_eq!(
            labels.to_string(),
            "bot_failing{bot=\"scan\",severity=\"warning\"}"
        );
        assert_eq!(labels.map().len(), 3);
        assert_eq!(labels.get(Label::Repo), "");
    }
}
