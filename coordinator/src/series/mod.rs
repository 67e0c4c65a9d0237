//! Series: what a bot usually does, in three numbers, and how unusual the next value is.
//!
//! A [`Series`] learns the level and the spread of a stream of values in constant time and space:
//! an exponentially weighted mean and mean absolute deviation, each step held to three spreads so
//! that one wild value cannot move them far. [`kind`] says which values of a run are followed and
//! on which scale; [`bot`] folds a bot's runs into its series.

pub mod kind;

pub mod bot;

use serde::{Deserialize, Serialize};

pub use bot::{BotSeries, Judged, Marker};
pub use kind::Kind;

/// Samples before a series judges: with fewer its spread is a guess.
pub const WARM_UP: u64 = 8;
/// Least weight of the latest sample: the last ten make up two thirds of the level, so that a new
/// level is the expected one after about twenty.
pub const LEAST_WEIGHT: f64 = 0.1;
/// Spreads that one sample may move the series by: a wild value counts as a large one.
pub const CLAMP: f64 = 3.0;
/// The mean absolute deviation of a normal distribution times this is its standard deviation:
/// the square root of pi/2.
const TO_DEVIATION: f64 = 1.2533;
/// From this |z| on a value is worth a warning.
pub const WARNING: f64 = 4.0;
/// From this |z| on a value is an error.
pub const ERROR: f64 = 6.0;
/// Up to this |z| a value is entirely normal: 19 of 20 are, of a normal distribution.
const NORMAL: f64 = 2.0;

/// The level and spread of a stream of values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Samples so far.
    n: u64,
    /// The level: their weighted mean.
    m: f64,
    /// Their weighted mean absolute deviation from the level before each.
    d: f64,
}

/// How unusual a value is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Spreads between the value and what was expected; 0 while the series warms up.
    pub z: f64,
    /// What was expected.
    pub expected: f64,
    /// How far from it values usually are: one standard deviation, or the floor.
    pub spread: f64,
    /// Samples that the expectation is made of.
    pub samples: u64,
    /// Whether somebody should be told.
    pub level: Level,
}

/// How much a deviation matters.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// It does not, or the series is still warming up.
    #[default]
    None,
    /// |z| is at least [`WARNING`].
    Warning,
    /// |z| is at least [`ERROR`].
    Error,
}

impl Level {
    /// The level of a deviation of `z` spreads.
    pub fn of(z: f64) -> Self {
        match z.abs() {
            z if z >= ERROR => Self::Error,
            z if z >= WARNING => Self::Warning,
            _ => Self::None,
        }
    }

    /// The word in every format.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl Series {
    /// Samples so far.
    pub fn samples(&self) -> u64 {
        self.n
    }

    /// The level.
    pub fn level(&self) -> f64 {
        self.m
    }

    /// The spread, at least `floor`: 1.2533 times the mean absolute deviation.
    pub fn spread(&self, floor: f64) -> f64 {
        (TO_DEVIATION * self.d).max(floor)
    }

    /// How unusual `x` would be, learning nothing. `floor` is the least spread, above 0.
    pub fn judge(&self, x: f64, floor: f64) -> Verdict {
        let spread = self.spread(floor);
        let z = if self.n < WARM_UP || !x.is_finite() {
            0.0
        } else {
            (x - self.m) / spread
        };
        Verdict {
            z,
            expected: self.m,
            spread,
            samples: self.n,
            level: Level::of(z),
        }
    }

    /// How unusual `x` is, and learns from it: a weight of 1/n, later [`LEAST_WEIGHT`]; a step of
    /// at most [`CLAMP`] spreads once warm. Before that the spread is not known and nothing is cut.
    /// A value that is no number is passed over.
    pub fn observe(&mut self, x: f64, floor: f64) -> Verdict {
        let verdict = self.judge(x, floor);
        if !x.is_finite() {
            return verdict;
        }
        let off = match self.n {
            0 => {
                self.m = x;
                0.0
            }
            n if n < WARM_UP => x - self.m,
            _ => (x - self.m).clamp(-CLAMP * verdict.spread, CLAMP * verdict.spread),
        };
        self.n = self.n.saturating_add(1);
        let weight = (1.0 / self.n as f64).max(LEAST_WEIGHT);
        self.m += weight * off;
        self.d += weight * (off.abs() - self.d);
        verdict
    }
}

/// How normal a deviation of `z` spreads is, for a bot's health: 100 up to |z| = 2, 0 from
/// |z| = 6 (an error) on, and `100 (6 - |z|) / 4` between; so 50 at |z| = 4, a warning.
pub fn normality(z: f64) -> f64 {
    100.0 * ((ERROR - z.abs()) / (ERROR - NORMAL)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod detection;

#[cfg(test)]
mod tests;
