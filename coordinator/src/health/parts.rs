//! Weighted means of known parts, and where their points went.

use super::{Health, Part, Settings, Status};

/// A part before it is weighed against the others.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// What it is.
    pub part: String,
    /// Its value, 0-100; none when unknown.
    pub value: Option<f64>,
    /// Its weight, relative to the others, known or not.
    pub weight: f64,
    /// Why, for people.
    pub why: String,
    /// API path with more.
    pub link: Option<String>,
}

impl Share {
    /// A part without a link.
    pub fn new(
        part: impl Into<String>,
        value: Option<f64>,
        weight: f64,
        why: impl Into<String>,
    ) -> Self {
        Self {
            part: part.into(),
            value,
            weight,
            why: why.into(),
            link: None,
        }
    }

    /// With an API path that says more.
    #[must_use]
    pub fn link(mut self, link: impl Into<String>) -> Self {
        self.link = Some(link.into());
        self
    }
}

/// Rounding noise that is not worth a point.
const NOISE: f64 = 1e-9;

/// The mean of the known parts by weight: score = sum(w v) / sum(w), each part losing
/// (w / sum(w)) (100 - v) points. Nothing known: no score, status unknown.
pub fn weigh(shares: Vec<Share>, previous: Option<Status>, settings: &Settings) -> Health {
    let all: f64 = shares.iter().map(|share| share.weight).sum();
    let known: f64 = shares
        .iter()
        .filter(|s| s.value.is_some())
        .map(|share| share.weight)
        .sum();
    if known <= 0.0 {
        let mut health = Health::unknown("nothing is known yet");
        health.breakdown = shares.into_iter().map(|share| share.among(1.0)).collect();
        return health;
    }
    let breakdown: Vec<Part> = shares.into_iter().map(|share| share.among(known)).collect();
    let lost: f64 = breakdown.iter().map(|part| part.points_lost).sum();
    let score = (100.0 - lost).clamp(0.0, 100.0);
    let status = Status::of(score, previous, settings);
    Health {
        score: Some(score),
        status,
        band: status,
        reason: reason(score, status, &breakdown),
        coverage: known / all,
        breakdown,
    }
}

impl Share {
    fn among(self, known: f64) -> Part {
        let weight = if self.value.is_some() {
            self.weight / known
        } else {
            0.0
        };
        Part {
            part: self.part,
            value: self.value,
            weight,
            points_lost: self.value.map_or(0.0, |value| weight * (100.0 - value)),
            why: self.why,
            link: self.link,
        }
    }
}

fn reason(score: f64, status: Status, breakdown: &[Part]) -> String {
    let worst = breakdown
        .iter()
        .max_by(|a, b| a.points_lost.total_cmp(&b.points_lost));
    match worst.filter(|part| part.points_lost > NOISE) {
        Some(part) => format!(
            "{status} at {score:.1}: most points are lost by {} ({:.1}): {}",
            part.part, part.points_lost, part.why
        ),
        None => format!("{status} at {score:.1}: no points are lost"),
    }
}
