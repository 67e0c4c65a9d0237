//! What scores are made with. The defaults are those of the specification.

use fleet_worker_sdk::{Error, Result, WeightClass};
use jiff::SignedDuration;

/// Largest weight: far above any that says something about another, and sums of them stay exact.
const MAX_WEIGHT: f64 = 1_000.0;
/// Largest H: beyond it no number of findings costs a point.
const MAX_HALF: f64 = 1_000_000.0;

/// Weights, bands and times of every score.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Weight of a bot's recent success among its parts.
    pub success: f64,
    /// Weight of a bot's heartbeats among its parts.
    pub freshness: f64,
    /// Weight of how usual the duration of its latest complete run was.
    pub duration: f64,
    /// Weight of how usual the number of findings of its latest complete run was.
    pub output: f64,
    /// How much of the success average the latest run makes up, 0-1: at 0.2 the last ten runs are
    /// nine tenths of it.
    pub alpha: f64,
    /// What one finding weighs, of each class from critical to suggestion; a worse class never less.
    pub classes: [f64; 5],
    /// H in Q = 100 H / (H + L): the load at which quality is 50.
    pub half: f64,
    /// Scores from here on are healthy, degraded, unhealthy; below the last, critical.
    pub bands: [f64; 3],
    /// A bad band is left only this many points above its edge, so that a score on the edge does
    /// not flicker.
    pub hysteresis: f64,
    /// A heartbeat up to this old is fresh: three intervals.
    pub stale_after: SignedDuration,
    /// A worker not heard of for this long is dead.
    pub dead_after: SignedDuration,
    /// A worker that has sessions but made no progress for this long is stuck.
    pub stuck_after: SignedDuration,
    /// Living workers of one bot that run different versions for this long are no rollout any more.
    pub skew_after: SignedDuration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            success: 0.5,
            freshness: 0.2,
            duration: 0.15,
            output: 0.15,
            alpha: 0.2,
            classes: [10.0, 5.0, 3.0, 1.0, 0.0],
            half: 50.0,
            bands: [85.0, 60.0, 30.0],
            hysteresis: 3.0,
            stale_after: SignedDuration::from_secs(15),
            dead_after: SignedDuration::from_secs(60),
            stuck_after: SignedDuration::from_mins(10),
            skew_after: SignedDuration::from_mins(30),
        }
    }
}

impl Settings {
    /// Refuses settings that make no scores.
    ///
    /// # Errors
    /// `Error::Invalid` naming the setting, as it is written in a configuration file, and what is
    /// allowed.
    pub fn check(&self) -> Result<()> {
        match self.fault() {
            Some((setting, allowed)) => Err(Error::invalid(
                format!("health setting {setting}"),
                format!("it is out of range: {allowed}"),
            )),
            None => Ok(()),
        }
    }

    /// The first setting that makes no scores, and what is allowed.
    pub fn fault(&self) -> Option<(&'static str, &'static str)> {
        self.weight_fault().or_else(|| self.band_fault())
    }

    fn weight_fault(&self) -> Option<(&'static str, &'static str)> {
        let weights = [self.success, self.freshness, self.duration, self.output];
        let faults = [
            (
                "success, freshness, duration, output",
                "weights are numbers from 0 to 1000, of which one is more",
                weights.iter().all(|w| (0.0..=MAX_WEIGHT).contains(w))
                    && weights.iter().any(|w| *w > 0.0),
            ),
            (
                "alpha",
                "it is above 0 and at most 1",
                self.alpha > 0.0 && self.alpha <= 1.0,
            ),
            (
                "classes",
                "five weights from 0 to 1000, critical to suggestion, a worse class never less",
                self.classes.is_sorted_by(|worse, better| worse >= better)
                    && self.classes.iter().all(|w| (0.0..=MAX_WEIGHT).contains(w)),
            ),
            (
                "half",
                "it is above 0 and at most a million",
                self.half > 0.0 && self.half <= MAX_HALF,
            ),
        ];
        first_wrong(&faults)
    }

    fn band_fault(&self) -> Option<(&'static str, &'static str)> {
        let [healthy, degraded, unhealthy] = self.bands;
        let faults = [
            (
                "bands",
                "three scores up to 100, each above the next, the last above 0",
                100.0 >= healthy && healthy > degraded && degraded > unhealthy && unhealthy > 0.0,
            ),
            (
                "hysteresis",
                "it is from 0 to 20 points",
                (0.0..=20.0).contains(&self.hysteresis),
            ),
            (
                "stale-after-s and dead-after-s",
                "a worker is stale after more than 0 s, and dead later than that",
                self.stale_after > SignedDuration::ZERO && self.dead_after > self.stale_after,
            ),
            (
                "stuck-after-s and skew-after-s",
                "they are more than 0 s",
                self.stuck_after.min(self.skew_after) > SignedDuration::ZERO,
            ),
        ];
        first_wrong(&faults)
    }

    /// What one finding of a class weighs.
    pub fn weight(&self, class: WeightClass) -> f64 {
        let [critical, error, warning, info, suggestion] = self.classes;
        match class {
            WeightClass::Critical => critical,
            WeightClass::Error => error,
            WeightClass::Warning => warning,
            WeightClass::Info => info,
            WeightClass::Suggestion => suggestion,
        }
    }
}

/// The first of (setting, what is allowed, whether it is so) that is not so.
fn first_wrong(
    faults: &[(&'static str, &'static str, bool)],
) -> Option<(&'static str, &'static str)> {
    let wrong = faults.iter().find(|(.., right)| !right);
    wrong.map(|(setting, allowed, _)| (*setting, *allowed))
}
