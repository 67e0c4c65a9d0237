//! The sums that health is made of, kept as findings come and never recomputed.

use fleet_worker_sdk::{Severity, WeightClass};

use crate::health::Settings;
use crate::model::Tally;

/// Number of weight classes.
pub(super) const CLASSES: usize = WeightClass::ALL.len();
/// Number of severities.
pub(super) const SEVERITIES: usize = Severity::ALL.len();

/// 2^512, far from what a double cannot hold.
const LARGE: f64 = 1.340_780_792_994_259_7e154;
/// The exponent of [`LARGE`].
const LARGE_LOG2: f64 = 512.0;

/// Sum over rules of (1 + log2 n), for n open findings of a rule: a class's load before its weight.
///
/// The logarithms' sum is the logarithm of a product, to which a finding adds the factor (n + 1) / n:
/// one division a finding, and one logarithm when somebody asks.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Load {
    rules: u32,
    product: f64,
    /// How often [`LARGE`] was taken out of the product.
    taken: u32,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            rules: 0,
            product: 1.0,
            taken: 0,
        }
    }
}

impl Load {
    /// Counts a finding of a rule that had `n` of this class.
    #[inline]
    fn add(&mut self, n: u32) {
        if n == 0 {
            self.rules += 1;
            return;
        }
        self.product *= f64::from(n + 1) / f64::from(n);
        if self.product >= LARGE {
            self.product /= LARGE;
            self.taken += 1;
        }
    }

    fn sum(&self) -> f64 {
        f64::from(self.rules) + f64::from(self.taken) * LARGE_LOG2 + self.product.log2()
    }
}

/// Counts of findings, open and suppressed, and the load of the open ones.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sums {
    open: [u64; SEVERITIES],
    suppressed: u64,
    loads: [Load; CLASSES],
}

impl Sums {
    /// Counts a finding that is open; its rule had `n` open ones of its class.
    #[inline]
    pub(super) fn open(&mut self, severity: Severity, class: WeightClass, n: u32) {
        if let Some(count) = self.open.get_mut(severity as usize) {
            *count += 1;
        }
        if let Some(load) = self.loads.get_mut(class as usize) {
            load.add(n);
        }
    }

    /// Counts a finding that is suppressed.
    #[inline]
    pub(super) fn suppressed(&mut self) {
        self.suppressed += 1;
    }

    #[inline]
    pub(super) fn of(&self, severity: Severity) -> u64 {
        self.open
            .get(severity as usize)
            .copied()
            .unwrap_or_default()
    }

    pub(super) fn tally(&self) -> Tally {
        let [error, warning, info, suggestion] = self.open;
        Tally {
            error,
            warning,
            info,
            suggestion,
            suppressed: self.suppressed,
        }
    }

    /// L, the whole load, as [`crate::health::quality::total_load`] makes it from counts.
    #[inline]
    pub(super) fn load(&self, settings: &Settings) -> f64 {
        let classes = WeightClass::ALL.iter().zip(&self.loads);
        let loads = classes.filter(|(_, load)| load.rules > 0);
        loads
            .map(|(class, load)| settings.weight(*class) * load.sum())
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::quality;

    #[test]
    fn the_load_kept_is_the_load_computed() {
        let settings = Settings::default();
        let mut sums = Sums::default();
        let mut expected = 0.0;
        for rule in 1..=2_000_u32 {
            for n in 0..rule {
                sums.open(Severity::Warning, WeightClass::Warning, n);
            }
            expected += quality::load(WeightClass::Warning, u64::from(rule), &settings);
        }
        let load = sums.load(&settings);
        assert!((load - expected).abs() < 1e-6, "{load} is not {expected}");
        assert_eq!(sums.of(Severity::Warning), 2_000 * 2_001 / 2);
    }
}
