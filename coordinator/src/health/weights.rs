//! What a session's findings weigh, class by class: all of them that a quality score needs.
//!
//! L is the sum over rules of w (1 + log2 n). Of a class, whose rules share w, that is
//! w (R + S): R rules, and S the sum of their logarithms. Logarithms are kept as whole billionths, so
//! that S is the same in whatever order findings came and whoever adds it up, a store with each push or
//! a reader from all counts.

use std::fmt;
use std::str::FromStr;

use fleet_worker_sdk::{Error, WeightClass};

use super::Settings;
use crate::model::Counts;

/// Parts of one in which logarithms are kept.
const PARTS: f64 = 1e9;

/// log2 n in billionths, rounded; 0 of 0.
///
/// As the function that counts pushes in Redis makes it: a quotient of natural logarithms.
pub fn log2_billionths(n: u64) -> u64 {
    let log = (n.max(1) as f64).ln() / std::f64::consts::LN_2;
    (log * PARTS + 0.5).floor() as u64
}

/// log2 n as it is added up: to a billionth.
pub(super) fn log2(n: u64) -> f64 {
    log2_billionths(n) as f64 / PARTS
}

/// The open findings of a weight class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassWeight {
    /// Rules that have some.
    pub rules: u64,
    /// Findings.
    pub open: u64,
    /// Sum over these rules of log2 of their findings, in billionths.
    pub logs: u64,
}

impl ClassWeight {
    /// Its load before the weight of the class: R + S.
    fn load(&self) -> f64 {
        self.rules as f64 + self.logs as f64 / PARTS
    }
}

/// The open findings of a session by weight class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weights([ClassWeight; WeightClass::ALL.len()]);

impl Weights {
    /// Of counts: adds up all rules.
    pub fn of(counts: &Counts) -> Self {
        let mut weights = Self::default();
        for ((class, _), open) in &counts.by_rule {
            weights.add(*class, *open);
        }
        weights
    }

    fn add(&mut self, class: WeightClass, open: u64) {
        if open > 0 {
            let of_class = self.class_mut(class);
            of_class.rules += 1;
            of_class.open += open;
            of_class.logs += log2_billionths(open);
        }
    }

    /// Open findings of all classes.
    pub fn open(&self) -> u64 {
        self.0.iter().map(|class| class.open).sum()
    }

    /// L, the whole load.
    pub fn load(&self, settings: &Settings) -> f64 {
        let loads = self.weighing(settings);
        loads
            .map(|(class, of_class)| settings.weight(class) * of_class.load())
            .sum()
    }

    /// The classes that weigh something, and have findings.
    pub(super) fn weighing(
        &self,
        settings: &Settings,
    ) -> impl Iterator<Item = (WeightClass, &ClassWeight)> {
        let classes = WeightClass::ALL.iter().copied().zip(&self.0);
        classes.filter(|(class, of_class)| of_class.open > 0 && settings.weight(*class) > 0.0)
    }

    fn class_mut(&mut self, class: WeightClass) -> &mut ClassWeight {
        let [critical, error, warning, info, suggestion] = &mut self.0;
        match class {
            WeightClass::Critical => critical,
            WeightClass::Error => error,
            WeightClass::Warning => warning,
            WeightClass::Info => info,
            WeightClass::Suggestion => suggestion,
        }
    }
}

/// As stored: `class=rules/findings/billionths` for each class with findings, with spaces between.
impl fmt::Display for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let classes = WeightClass::ALL.iter().zip(&self.0);
        let some = classes.filter(|(_, of_class)| of_class.open > 0);
        for (place, (class, ClassWeight { rules, open, logs })) in some.enumerate() {
            let gap = if place > 0 { " " } else { "" };
            write!(f, "{gap}{class}={rules}/{open}/{logs}")?;
        }
        Ok(())
    }
}

/// Reads what [`Display`](fmt::Display) writes, in any order of classes.
impl FromStr for Weights {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut weights = Self::default();
        for word in text.split_ascii_whitespace() {
            let read = || {
                let (class, numbers) = word.split_once('=')?;
                let mut numbers = numbers.splitn(3, '/').map(str::parse);
                let mut number = || numbers.next()?.ok();
                let (rules, open, logs) = (number()?, number()?, number()?);
                Some((class.parse().ok()?, ClassWeight { rules, open, logs }))
            };
            let (class, of_class) =
                read().ok_or_else(|| Error::protocol(format!("`{word}` is no weight")))?;
            *weights.class_mut(class) = of_class;
        }
        Ok(weights)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn logarithms_are_rounded_to_billionths() {
        assert_eq!(log2_billionths(0), 0);
        assert_eq!(log2_billionths(1), 0);
        assert_eq!(log2_billionths(2), 1_000_000_000);
        assert_eq!(log2_billionths(3), 1_584_962_501);
        assert_eq!(log2_billionths(1_048_576), 20_000_000_000);
    }

    #[test]
    fn what_is_no_weight_is_refused() {
        for text in [
            "error",
            "error=1/2",
            "error=1/2/x",
            "blue=1/2/3",
            "error=1/2/3/4",
        ] {
            assert!(text.parse::<Weights>().is_err(), "{text}");
        }
        assert_eq!("".parse::<Weights>().unwrap(), Weights::default());
    }

    fn any_counts() -> impl Strategy<Value = Counts> {
        let class = prop::sample::select(WeightClass::ALL.to_vec());
        let rules = prop::collection::btree_map((class, "[a-d]"), 0_u64..5_000, 0..20);
        rules.prop_map(|by_rule| Counts {
            by_rule,
            ..Counts::default()
        })
    }

    proptest! {
        #[test]
        fn the_load_is_the_sum_over_rules(counts in any_counts()) {
            let settings = Settings::default();
            let exact: f64 = counts
                .by_rule
                .iter()
                .filter(|(_, n)| **n > 0)
                .map(|((class, _), n)| settings.weight(*class) * (1.0 + (*n as f64).log2()))
                .sum();
            let load = Weights::of(&counts).load(&settings);
            prop_assert!((load - exact).abs() < 1e-6, "{load} is not {exact}");
        }

        #[test]
        fn what_is_written_is_read_again(counts in any_counts()) {
            let weights = Weights::of(&counts);
            prop_assert_eq!(weights.to_string().parse::<Weights>().unwrap(), weights);
        }
    }
}
