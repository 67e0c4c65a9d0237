//! What is followed of a bot's runs: on which scale, with which least spread, in which words.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Verdict;

/// A shared machine makes equal work a tenth slower or faster; a finer floor would report that.
const DURATION_FLOOR: f64 = 0.1;
/// Two scans of code that people work on differ by a few in a hundred findings.
const FINDINGS_FLOOR: f64 = 0.05;
/// Half of what chance alone does to a count: `ln(1 + x)` of a Poisson count of mean c has a
/// standard deviation of about `1 / sqrt(1 + c)`. It keeps a first finding from being an anomaly.
const COUNTING_NOISE: f64 = 0.5;
/// Five points in a hundred.
const SHARE_FLOOR: f64 = 0.05;
/// The largest standard deviation of a share of n findings is `0.5 / sqrt(n)`: one finding, which
/// is an error or is not, says little about a share.
const SHARE_NOISE: f64 = 0.5;
/// People and schedules make gaps vary by half as a matter of course: a z of 4 is 7 times the
/// usual gap, a z of 6 is 20 times.
const INTERVAL_FLOOR: f64 = 0.5;
/// Half a failure: for a bot that never fails, three in a row are a warning and four an error,
/// and a single one, which has an alert of its own, is neither.
const FAILURES_FLOOR: f64 = 0.5;
/// Gaps below a second are one second: a burst is a burst.
const LEAST_INTERVAL: f64 = 1.0;

/// What of a run a series follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// How long a complete run took, in seconds; on the scale of ln.
    Duration,
    /// How many findings a complete run had; on the scale of ln(1 + x).
    Findings,
    /// Which share of them were errors, 0-1.
    ErrorShare,
    /// Seconds from the end of one run to the end of the next; on the scale of ln.
    Interval,
    /// How many runs have failed in a row, this one included.
    Failures,
}

impl Kind {
    /// `observed` on the scale of the series.
    pub fn scaled(self, observed: f64) -> f64 {
        match self {
            // A run of less than a millisecond took a millisecond: clocks tell no more.
            Self::Duration => observed.max(0.001).ln(),
            Self::Findings => observed.max(0.0).ln_1p(),
            Self::Interval => observed.max(LEAST_INTERVAL).ln(),
            Self::ErrorShare | Self::Failures => observed,
        }
    }

    fn unscaled(self, x: f64) -> f64 {
        match self {
            Self::Duration | Self::Interval => x.exp(),
            Self::Findings => x.exp_m1().max(0.0),
            Self::ErrorShare | Self::Failures => x,
        }
    }

    /// The least spread on the series's scale, at a level of `level`, for a value made of `parts`
    /// findings.
    pub fn floor(self, level: f64, parts: f64) -> f64 {
        match self {
            Self::Duration => DURATION_FLOOR,
            // exp(level) is 1 + the expected count.
            Self::Findings => (COUNTING_NOISE / level.max(0.0).exp().sqrt()).max(FINDINGS_FLOOR),
            Self::ErrorShare => (SHARE_NOISE / parts.max(1.0).sqrt()).max(SHARE_FLOOR),
            Self::Interval => INTERVAL_FLOOR,
            Self::Failures => FAILURES_FLOOR,
        }
    }

    /// A verdict in original units: the spread becomes half the width of what lies within one
    /// spread of what was expected.
    pub fn unscale(self, verdict: Verdict) -> Verdict {
        let low = self.unscaled(verdict.expected - verdict.spread);
        let high = self.unscaled(verdict.expected + verdict.spread);
        Verdict {
            expected: self.unscaled(verdict.expected),
            spread: (high - low) / 2.0,
            ..verdict
        }
    }

    /// An observation and a verdict in original units, for people:
    /// `findings 146, expected 102 +- 5 (z = 8.8, 121 samples)`.
    pub fn text(self, observed: f64, verdict: &Verdict) -> String {
        let Verdict {
            z,
            expected,
            spread,
            samples,
            ..
        } = *verdict;
        let (name, unit) = match self {
            Self::Duration => ("duration", Unit::of(observed.max(expected))),
            Self::Findings => ("findings", Unit::PLAIN),
            Self::ErrorShare => ("share of errors", Unit::PERCENT),
            Self::Interval => ("time between runs", Unit::of(observed.max(expected))),
            Self::Failures => ("failed runs in a row", Unit::PLAIN),
        };
        format!(
            "{name} {}{unit}, expected {} +- {}{unit} (z = {z:.1}, {samples} samples)",
            unit.number(observed),
            unit.number(expected),
            unit.number(spread),
        )
    }
}

/// A unit that numbers are shown in.
#[derive(Clone, Copy)]
struct Unit {
    size: f64,
    name: &'static str,
}

impl Unit {
    const PLAIN: Self = Self::new(1.0, "");
    const PERCENT: Self = Self::new(0.01, " %");

    const fn new(size: f64, name: &'static str) -> Self {
        Self { size, name }
    }

    /// The largest unit of time in which `seconds` are at least two.
    fn of(seconds: f64) -> Self {
        let units = [
            Self::new(86_400.0, " d"),
            Self::new(3_600.0, " h"),
            Self::new(60.0, " min"),
            Self::new(1.0, " s"),
        ];
        let fits = units.into_iter().find(|unit| seconds >= 2.0 * unit.size);
        fits.unwrap_or(Self::new(0.001, " ms"))
    }

    /// Whole numbers from ten on, one digit after the point below unless it is 0.
    fn number(self, value: f64) -> String {
        let value = value / self.size;
        let tenths = format!("{value:.1}");
        match tenths.strip_suffix(".0") {
            Some(whole) => whole.to_owned(),
            None if value.abs() >= 10.0 => format!("{value:.0}"),
            None => tenths,
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Seconds for people, in the largest unit of which there are at least two: `5 min`.
pub fn seconds(value: f64) -> String {
    let unit = Unit::of(value);
    format!("{}{unit}", unit.number(value))
}
