//! Health: pure functions of stored state and time.
//!
//! Three things are scored apart and then rolled up, each with its breakdown: whether a *bot* is
//! well ([`bot`]), whether a *repository* is well ([`quality`]), and what that makes of sessions,
//! tiers and the fleet ([`rollup`]). What is unknown is left out, never counted as well; the
//! coverage says how much was known. [`explain`](mod@explain) shows a score as the sum it is.

pub mod settings;

pub mod status;

pub mod parts;

pub mod weights;

pub mod quality;

pub mod bot;

pub mod rollup;

pub mod fleet;

pub mod explain;

use serde::{Deserialize, Serialize};

pub use explain::{Explanation, Subject, explain};
pub use fleet::{Alarms, FleetExplanation, FleetHealth};
pub use settings::Settings;
pub use status::{Firing, Status};
pub use weights::Weights;

/// A score that explains itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// 0-100; none when nothing is known.
    pub score: Option<f64>,
    /// The worst of the band, the worst alert that fires, and critical where everything failed.
    pub status: Status,
    /// The band of the score alone, left only some points above its edge: what the next band is
    /// computed from.
    #[serde(default)]
    pub band: Status,
    /// Why the status is what it is, in one sentence.
    pub reason: String,
    /// Share of the parts' weight that was known, 0-1.
    pub coverage: f64,
    /// Where the points went: `points_lost` sums to `100 - score`.
    pub breakdown: Vec<Part>,
}

/// One part of a score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// What it is: `success`, `quality`, a bot's or rule's name.
    pub part: String,
    /// Its own value, 0-100; none when unknown.
    pub value: Option<f64>,
    /// Its weight among the known parts, 0-1.
    pub weight: f64,
    /// Points it takes from the score.
    pub points_lost: f64,
    /// Why, for people.
    pub why: String,
    /// API path with more, if there is any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

impl Health {
    /// The health of what nothing is known about.
    pub fn unknown(reason: impl Into<String>) -> Self {
        Self {
            score: None,
            status: Status::Unknown,
            band: Status::Unknown,
            reason: reason.into(),
            coverage: 0.0,
            breakdown: Vec::new(),
        }
    }

    /// With the status of the worst alert that fires about it, where that is worse. An alert about
    /// something of which nothing else is known makes its status known, not its score.
    #[must_use]
    pub fn alerted(mut self, firing: Option<&Firing>) -> Self {
        if let Some(firing) = firing
            && firing.status.worse(self.status) != self.status
        {
            self.status = firing.status;
            self.reason = format!("{} because of an alert: {}", firing.status, firing.reason);
        }
        self
    }
}

#[cfg(test)]
mod laws;

#[cfg(test)]
mod tests;
