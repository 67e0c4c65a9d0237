//! Quality: is the repository well?
//!
//! Q = 100 H / (H + L), with L the sum over rules and weight classes of w (1 + log2 n) for n open,
//! unsuppressed findings, and H = 50. L 0 makes 100, 10 makes 83.3, 50 makes 50, 1,000 makes 4.8: it
//! never saturates, and one noisy rule cannot own it.

use fleet_worker_sdk::WeightClass;

use super::weights::{Weights, log2};
use super::{Health, Part, Settings, Status};
use crate::model::Counts;

/// Rules named in a breakdown; the others are one part.
const NAMED: usize = 20;

/// What `n` findings of one rule and class weigh.
pub fn load(class: WeightClass, n: u64, settings: &Settings) -> f64 {
    match n {
        0 => 0.0,
        n => settings.weight(class) * (1.0 + log2(n)),
    }
}

/// Q of a load.
pub fn score(load: f64, settings: &Settings) -> f64 {
    100.0 * settings.half / (settings.half + load)
}

/// The whole load of a session.
pub fn total_load(counts: &Counts, settings: &Settings) -> f64 {
    Weights::of(counts).load(settings)
}

/// The quality that findings of these weights make, without a breakdown: it costs the same however
/// many there are.
pub fn summary(weights: &Weights, previous: Option<Status>, settings: &Settings) -> Health {
    let total = weights.load(settings);
    let score = score(total, settings);
    let status = Status::of(score, previous, settings);
    let (rules, open) = weights
        .weighing(settings)
        .fold((0, 0), |(rules, open), (_, class)| {
            (rules + class.rules, open + class.open)
        });
    let reason = if open == 0 {
        format!("{status} at {score:.1}: no open findings of weight")
    } else {
        format!("{status} at {score:.1}: {open} open findings of {rules} rules weigh {total:.1}")
    };
    Health {
        score: Some(score),
        status,
        band: status,
        reason,
        coverage: 1.0,
        breakdown: Vec::new(),
    }
}

/// The quality that `counts` make, explained rule by rule; the points lost are shared out by load.
pub fn quality(counts: &Counts, previous: Option<Status>, settings: &Settings) -> Health {
    let weights = Weights::of(counts);
    let summary = summary(&weights, previous, settings);
    let (total, lost) = (
        weights.load(settings),
        100.0 - summary.score.unwrap_or(100.0),
    );
    let mut loads: Vec<(f64, WeightClass, &str, u64)> = counts
        .by_rule
        .iter()
        .map(|((class, rule), n)| (load(*class, *n, settings), *class, rule.as_str(), *n))
        .filter(|(load, ..)| *load > 0.0)
        .collect();
    loads.sort_by(|a, b| {
        b.0.total_cmp(&a.0)
            .then_with(|| (a.1, a.2).cmp(&(b.1, b.2)))
    });
    let share = |load: f64| if total > 0.0 { load / total } else { 0.0 };
    let part = |name: String, load: f64, why: String| Part {
        part: name,
        value: Some(0.0),
        weight: share(load),
        points_lost: lost * share(load),
        why,
        link: None,
    };
    let mut breakdown: Vec<Part> = loads
        .iter()
        .take(NAMED)
        .map(|(load, class, rule, n)| {
            part(
                (*rule).to_owned(),
                *load,
                format!(
                    "{n} open of class {class}: {} x (1 + log2 {n}) = {load:.1}",
                    settings.weight(*class)
                ),
            )
        })
        .collect();
    let others = loads.get(NAMED..).unwrap_or_default();
    if !others.is_empty() {
        let load = others.iter().map(|(load, ..)| load).sum();
        breakdown.push(part(
            "other rules".to_owned(),
            load,
            format!("{} more rules weigh {load:.1}", others.len()),
        ));
    }
    Health {
        breakdown,
        ..summary
    }
}
