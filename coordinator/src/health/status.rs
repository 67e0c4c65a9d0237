//! The band a score is in.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Settings;

/// How well something is, best first.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// 85 and above.
    Healthy,
    /// 60 to 85.
    Degraded,
    /// 30 to 60.
    Unhealthy,
    /// Below 30, or everything failed.
    Critical,
    /// Nothing is known.
    #[default]
    Unknown,
}

impl Status {
    /// The status's word in every format.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
            Self::Critical => "critical",
            Self::Unknown => "unknown",
        }
    }

    /// Reads the word back.
    pub fn parse(word: &str) -> Option<Self> {
        let all = [
            Self::Healthy,
            Self::Degraded,
            Self::Unhealthy,
            Self::Critical,
            Self::Unknown,
        ];
        all.into_iter().find(|status| status.as_str() == word)
    }

    /// The worse of two; what is unknown is worse than nothing that is known.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown, known) | (known, Self::Unknown) => known,
            (one, other) => one.max(other),
        }
    }

    /// The band of `score`; a band worse than it, if that was the `previous` one, is left only
    /// some points above its edge.
    pub fn of(score: f64, previous: Option<Self>, settings: &Settings) -> Self {
        let plain = Self::band(score, settings);
        match previous {
            Some(previous) if previous > plain && previous != Self::Unknown => plain
                .max(Self::band(score - settings.hysteresis, settings))
                .min(previous),
            _ => plain,
        }
    }

    fn band(score: f64, settings: &Settings) -> Self {
        let [healthy, degraded, unhealthy] = settings.bands;
        if score >= healthy {
            Self::Healthy
        } else if score >= degraded {
            Self::Degraded
        } else if score >= unhealthy {
            Self::Unhealthy
        } else {
            Self::Critical
        }
    }
}

/// The worst alert that fires about something, as its status takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Firing {
    /// What the status is at best while it fires.
    pub status: Status,
    /// The alert in one sentence.
    pub reason: String,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
