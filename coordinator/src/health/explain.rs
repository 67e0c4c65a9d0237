//! A score as a sum that a person can follow by hand.
//!
//! Every score but quality is a weighted mean of its known parts:
//!
//! `score = sum(value x weight)`, the weights of the known parts made to sum to 1.
//!
//! Quality is `Q = 100 H / (H + L)`, where L is the sum of what each rule weighs:
//! `w (1 + log2 n)` for n open findings of it, w by their class.

use serde::{Deserialize, Serialize};

use super::{Health, Part, Settings, Status};

/// What a [`Health`] is of, since each kind has its formula.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The fleet: bots and quality, half each.
    Fleet,
    /// A tier: its bots, equally.
    Tier,
    /// A bot: success, heartbeats, duration, output.
    Bot,
    /// A session: executions and quality, half each.
    Session,
    /// A session's executions, equally.
    Executions,
    /// What a repository's or session's findings make.
    Quality,
}

/// How a score was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// What the score is of.
    pub subject: Subject,
    /// The formula in words.
    pub formula: String,
    /// What went into it, part by part, and what was left out.
    pub parts: Vec<Term>,
    /// The formula with the numbers in it: `50 x 0.5 + 92.31 x 0.5 = 71.15`. Values are rounded to
    /// two digits after the point, weights to six.
    pub arithmetic: String,
    /// How the number, the bands and alerts make the status.
    pub status: String,
}

/// A part of a score within its sum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Term {
    /// What it is.
    pub part: String,
    /// Its value, 0-100, or what a rule weighs; none when unknown.
    pub value: Option<f64>,
    /// What the value is multiplied by: its weight among the known parts, 0-1; 1 for a rule, whose
    /// weights are added.
    pub weight: f64,
    /// Value times weight: what it adds to the score, or to L.
    pub product: f64,
    /// Points that the score would have more if the part were perfect.
    pub points_lost: f64,
    /// Why, for people.
    pub why: String,
    /// API path with more, if there is any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

/// Explains `health`, which `settings` made.
pub fn explain(health: &Health, subject: Subject, settings: &Settings) -> Explanation {
    let load = quality_load(health, subject, settings);
    let parts: Vec<Term> = health
        .breakdown
        .iter()
        .map(|part| term(part, load))
        .collect();
    Explanation {
        subject,
        formula: formula(subject, settings),
        arithmetic: arithmetic(health, &parts, load, settings),
        parts,
        status: status(health, settings),
    }
}

impl Explanation {
    /// It as lines of text, the formula first.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.formula.clone()];
        lines.extend(self.parts.iter().map(Term::line));
        lines.push(self.arithmetic.clone());
        lines.push(self.status.clone());
        lines
    }
}

impl Term {
    fn line(&self) -> String {
        match self.value {
            None => format!("{}: unknown, left out: {}", self.part, self.why),
            Some(value) => format!(
                "{}: {} x {} = {}: {}",
                self.part,
                short(value, VALUE_DIGITS),
                short(self.weight, WEIGHT_DIGITS),
                short(self.product, VALUE_DIGITS),
                self.why
            ),
        }
    }
}

/// L of a quality; none for a weighted mean. It is what the formula gives back: H (100 - Q) / Q.
fn quality_load(health: &Health, subject: Subject, settings: &Settings) -> Option<f64> {
    let score = health.score.filter(|score| *score > 0.0)?;
    (subject == Subject::Quality).then(|| settings.half * (100.0 - score) / score)
}

fn term(part: &Part, load: Option<f64>) -> Term {
    // A rule's weight is its share of L.
    let (value, weight) = match load {
        Some(load) => (Some(load * part.weight), 1.0),
        None => (part.value, part.weight),
    };
    Term {
        part: part.part.clone(),
        value,
        weight,
        product: value.unwrap_or(0.0) * weight,
        points_lost: part.points_lost,
        why: part.why.clone(),
        link: part.link.clone(),
    }
}

fn formula(subject: Subject, settings: &Settings) -> String {
    let words = match subject {
        Subject::Fleet => "half the mean of the bots, half the mean quality of the repositories",
        Subject::Tier => "the mean of the tier's bots",
        Subject::Bot => "the mean of success, heartbeats, duration and output by weight",
        Subject::Executions => "the mean of the executions that have ended",
        Subject::Session => "half the mean of the executions, half the quality of the findings",
        Subject::Quality => return quality_formula(settings),
    };
    let rest = "what is unknown is left out, and the weights of the rest made to sum to 1";
    if subject == Subject::Bot {
        let Settings {
            success,
            freshness,
            duration,
            output,
            ..
        } = settings;
        return format!("{words} ({success}, {freshness}, {duration}, {output}); {rest}");
    }
    format!("{words}; {rest}")
}

fn quality_formula(settings: &Settings) -> String {
    let half = settings.half;
    let [critical, error, warning, info, suggestion] = settings.classes;
    format!(
        "100 x {half} / ({half} + L); L is the sum of w x (1 + log2 n) over rules with n open \
         findings, w by class: critical {critical}, error {error}, warning {warning}, info {info}, \
         suggestion {suggestion}"
    )
}

fn arithmetic(health: &Health, parts: &[Term], load: Option<f64>, settings: &Settings) -> String {
    let Some(score) = health.score else {
        return "nothing is known, so there is no score".to_owned();
    };
    let score = short(score, VALUE_DIGITS);
    let known = parts
        .iter()
        .filter_map(|part| Some((part.value?, part.weight)));
    if load.is_some() {
        let half = settings.half;
        let loads: Vec<String> = known.map(|(v, _)| short(v, VALUE_DIGITS)).collect();
        let sum = if loads.is_empty() {
            "0".to_owned()
        } else {
            loads.join(" + ")
        };
        return format!("100 x {half} / ({half} + {sum}) = {score}");
    }
    let products: Vec<String> = known
        .map(|(v, w)| format!("{} x {}", short(v, VALUE_DIGITS), short(w, WEIGHT_DIGITS)))
        .collect();
    format!("{} = {score}", products.join(" + "))
}

fn status(health: &Health, settings: &Settings) -> String {
    let [healthy, degraded, unhealthy] = settings.bands;
    let bands = format!(
        "bands: healthy from {healthy}, degraded from {degraded}, unhealthy from {unhealthy}, \
         critical below; a band is left for a better one {} points above its edge",
        settings.hysteresis
    );
    let known = (100.0 * health.coverage).round();
    let why = &health.reason;
    if health.status == health.band || health.band == Status::Unknown {
        return format!("{why}; {known:.0} % of the weight is known; {bands}");
    }
    format!(
        "{why}; the number alone makes it {}; {known:.0} % of the weight is known; {bands}",
        health.band
    )
}

/// Digits after the point of values, scores and loads.
const VALUE_DIGITS: usize = 2;
/// Digits after the point of weights: six, so that a sum of hundreds of parts is right to 0.05.
const WEIGHT_DIGITS: usize = 6;

/// A number with so many digits after the point, but no zeros at its end.
fn short(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    let cut = text.trim_end_matches('0').trim_end_matches('.');
    cut.to_owned()
}

#[cfg(test)]
mod tests;
