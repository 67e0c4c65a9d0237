//! What scores are made with. The defaults are those of the specification.

use fleet_worker_sdk::{Error, Result, WeightClass};
use jiff::SignedDuration;

/// Weights, bands and times of every score.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Weight of a bot's recent success among its parts.
    pub success: f64,
    /// Weight of a bot's heartbeats among its parts.
    pub freshness: f64,
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
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            success: 0.5,
            freshness: 0.2,
            alpha: 0.2,
            classes: [10.0, 5.0, 3.0, 1.0, 0.0],
            half: 50.0,
            bands: [85.0, 60.0, 30.0],
            hysteresis: 3.0,
            stale_after: SignedDuration::from_secs(15),
            dead_after: SignedDuration::from_secs(60),
            stuck_after: SignedDuration::from_mins(10),
        }
    }
}

impl Settings {
    /// Refuses settings that make no scores.
    ///
    /// # Errors
    /// `Error::Invalid` naming the setting.
    pub fn check(&self) -> Result<()> {
        let [healthy, degraded, unhealthy] = self.bands;
        let faults = [
            (
                "success and freshness",
                !(self.success >= 0.0
                    && self.freshness >= 0.0
                    && self.success + self.freshness > 0.0
                    && (self.success + self.freshness).is_finite()),
            ),
            ("alpha", !(self.alpha > 0.0 && self.alpha <= 1.0)),
            (
                "classes",
                !(self.classes.is_sorted_by(|worse, better| worse >= better)
                    && self.classes.iter().all(|w| *w >= 0.0 && w.is_finite())),
            ),
            ("half", !(self.half > 0.0 && self.half.is_finite())),
            (
                "bands",
                !(100.0 >= healthy
                    && healthy > degraded
                    && degraded > unhealthy
                    && unhealthy > 0.0),
            ),
            ("hysteresis", !(0.0..=20.0).contains(&self.hysteresis)),
            (
                "stale_after and dead_after",
                self.stale_after <= SignedDuration::ZERO || self.dead_after <= self.stale_after,
            ),
            ("stuck_after", self.stuck_after <= SignedDuration::ZERO),
        ];
        match faults.iter().find(|(_, wrong)| *wrong) {
            Some((setting, _)) => Err(Error::invalid(
                format!("health setting {setting}"),
                "it is out of range",
            )),
            None => Ok(()),
        }
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
