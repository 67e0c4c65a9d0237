//! Health: pure functions of stored state and time.

use serde::{Deserialize, Serialize};

/// How well something is.
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

/// A score that explains itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// 0-100; none when nothing is known.
    pub score: Option<f64>,
    /// The band the score is in, or worse.
    pub status: Status,
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
