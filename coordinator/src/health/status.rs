//! The band a score is in.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Settings;

/// How well something is, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
