//! Health as it is asked for: of a bot, a tier, a repository; and explained.

use std::collections::BTreeMap;

use fleet_worker_sdk::{Bot, BotId, Error, Repository, Result, SessionId, Tier};
use serde::{Deserialize, Serialize};

use crate::health::{Explanation, Health, Settings, Subject, explain};
use crate::store::Speaker;
use crate::view::{FleetExplanation, FleetHealth, SessionExplanation, SessionHealth};

/// The health of a bot, or of a tier with its bots.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HealthOf {
    /// The bot's or tier's.
    #[serde(flatten)]
    pub health: Health,
    /// The tier's bots; none for a bot.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bots: BTreeMap<BotId, Health>,
    /// The store is away: this is what was known last.
    pub stale: bool,
}

impl HealthOf {
    /// The health of a tier, whose bots are among those `registered`.
    ///
    /// # Errors
    /// `Error::NotFound` when no bot is of the tier.
    pub fn tier(fleet: &FleetHealth, registered: Vec<Bot>, tier: Tier) -> Result<Self> {
        let health = fleet.tiers.get(&tier).cloned();
        let members = registered.into_iter().filter(|bot| bot.tier == tier);
        let bots = members.filter_map(|bot| {
            let health = fleet.bots.get(&bot.id).cloned()?;
            Some((bot.id, health))
        });
        Ok(Self {
            health: health.ok_or_else(|| Error::not_found("bot in tier", tier))?,
            bots: bots.collect(),
            stale: fleet.stale,
        })
    }

    /// The health of a bot.
    ///
    /// # Errors
    /// `Error::NotFound` when it is not registered.
    pub fn bot(fleet: &FleetHealth, bot: &BotId) -> Result<Self> {
        let health = fleet.bots.get(bot).cloned();
        Ok(Self {
            health: health.ok_or_else(|| Error::not_found("bot", bot))?,
            bots: BTreeMap::new(),
            stale: fleet.stale,
        })
    }
}

/// A health with, where it was asked for, how its scores were made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>, E: Deserialize<'de>"))]
pub struct Explained<T, E> {
    /// The health.
    #[serde(flatten)]
    pub health: T,
    /// How it was made; none unless asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<E>,
}

/// A repository's health: the quality of the session that speaks for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RepositoryHealth {
    /// Which repository.
    pub repository: Repository,
    /// Its latest-opened session of which a quality is known, on whatever ref: the one that the
    /// fleet's health counts.
    pub session: SessionId,
    /// Branch or tag of that session; empty when unknown.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// Its quality.
    #[serde(flatten)]
    pub health: Health,
    /// The store is away: this is what was known last.
    pub stale: bool,
}

impl RepositoryHealth {
    /// The quality that the session of `speaker`, whose health and ref are given, makes of its
    /// repository.
    pub fn of(
        repository: Repository,
        speaker: Speaker,
        git_ref: String,
        seen: &SessionHealth,
        settings: &Settings,
    ) -> Self {
        Self {
            repository,
            session: speaker.session,
            git_ref,
            health: seen.quality.clone().in_band(speaker.band, settings),
            stale: seen.stale,
        }
    }

    /// That nobody speaks for `repository`.
    pub fn missing(repository: &Repository) -> Error {
        Error::not_found("session of known quality of repository", repository)
    }
}

/// What can say how its scores were made.
pub trait Explain: Sized {
    /// What it says.
    type Explanation;

    /// How its scores were made; `settings` are those that made them.
    fn explanation(&self, settings: &Settings) -> Self::Explanation;

    /// It, and where that is `wanted` how its scores were made.
    fn explained(self, wanted: bool, settings: &Settings) -> Explained<Self, Self::Explanation> {
        let explanation = wanted.then(|| self.explanation(settings));
        Explained {
            health: self,
            explanation,
        }
    }
}

impl Explain for FleetHealth {
    type Explanation = FleetExplanation;

    fn explanation(&self, settings: &Settings) -> FleetExplanation {
        self.explain(settings)
    }
}

impl Explain for SessionHealth {
    type Explanation = SessionExplanation;

    fn explanation(&self, settings: &Settings) -> SessionExplanation {
        self.explain(settings)
    }
}

impl Explain for HealthOf {
    type Explanation = Explanation;

    /// A tier is told by its bots, of which each has some.
    fn explanation(&self, settings: &Settings) -> Explanation {
        let subject = if self.bots.is_empty() {
            Subject::Bot
        } else {
            Subject::Tier
        };
        explain(&self.health, subject, settings)
    }
}

impl Explain for RepositoryHealth {
    type Explanation = Explanation;

    fn explanation(&self, settings: &Settings) -> Explanation {
        explain(&self.health, Subject::Quality, settings)
    }
}

impl<T: Explain> Explain for std::sync::Arc<T> {
    type Explanation = T::Explanation;

    fn explanation(&self, settings: &Settings) -> T::Explanation {
        (**self).explanation(settings)
    }
}
