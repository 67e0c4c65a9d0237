//! Counters kept with every finding, so that reading them does not look at the findings.

use fleet_worker_sdk::{BotId, Severity, WeightClass};

use super::Row;
use super::names::Names;
use super::query::Suppression;
use crate::model::{Counts, MAX_CATEGORIES, MAX_RULES, OTHER, Tally};

const SEVERITIES: usize = Severity::ALL.len();
const CLASSES: usize = WeightClass::ALL.len();

/// Findings of one bot by severity, open and suppressed.
#[derive(Clone, Copy, Debug, Default)]
struct OfBot {
    open: [u64; SEVERITIES],
    suppressed: [u64; SEVERITIES],
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    bots: Vec<OfBot>,
    all: OfBot,
    categories: Limited<1>,
    rules: Limited<CLASSES>,
}

/// Counts by the id of a name in `N` columns; pairs over a limit are counted together.
#[derive(Debug)]
struct Limited<const N: usize> {
    cells: Vec<[u64; N]>,
    other: [u64; N],
    used: usize,
}

impl<const N: usize> Default for Limited<N> {
    fn default() -> Self {
        Self {
            cells: Vec::new(),
            other: [0; N],
            used: 0,
        }
    }
}

impl<const N: usize> Limited<N> {
    /// The first `limit` pairs to come have a count of their own, as in every store.
    fn count(&mut self, name: u32, column: usize, limit: usize) {
        let name = name as usize;
        if name >= self.cells.len() {
            self.cells.resize(name + 1, [0; N]);
        }
        let cell = self.cells.get_mut(name).and_then(|row| row.get_mut(column));
        let Some(cell) = cell else { return };
        if *cell > 0 || self.used < limit {
            self.used += usize::from(*cell == 0);
            *cell += 1;
        } else if let Some(other) = self.other.get_mut(column) {
            *other += 1;
        }
    }

    /// Name, column and count of all that is not 0.
    fn counted<'a>(&'a self, names: &'a Names) -> impl Iterator<Item = (&'a str, usize, u64)> {
        let own = self.cells.iter().enumerate().flat_map(|(id, row)| {
            let name = names.text(id as u32).unwrap_or(OTHER);
            row.iter().enumerate().map(move |(c, n)| (name, c, *n))
        });
        let other = self.other.iter().enumerate().map(|(c, n)| (OTHER, c, *n));
        own.chain(other).filter(|(_, _, count)| *count > 0)
    }
}

fn bump(counts: &mut [u64; SEVERITIES], severity: Severity) {
    if let Some(count) = counts.get_mut(severity as usize) {
        *count += 1;
    }
}

impl OfBot {
    fn count(&mut self, row: &Row) {
        let counts = if row.suppressed {
            &mut self.suppressed
        } else {
            &mut self.open
        };
        bump(counts, row.severity);
    }

    fn tally(&self) -> Tally {
        let [error, warning, info, suggestion] = self.open;
        Tally {
            error,
            warning,
            info,
            suggestion,
            suppressed: self.suppressed.iter().sum(),
        }
    }

    fn total(&self, severities: [bool; SEVERITIES], suppression: Suppression) -> u64 {
        let both = self.open.iter().zip(&self.suppressed).zip(severities);
        both.filter(|(_, wanted)| *wanted)
            .map(|((open, suppressed), _)| match suppression {
                Suppression::Open => *open,
                Suppression::Suppressed => *suppressed,
                Suppression::All => open + suppressed,
            })
            .sum()
    }
}

impl Counters {
    pub(super) fn count(&mut self, row: &Row) {
        self.all.count(row);
        let bot = row.bot as usize;
        if bot >= self.bots.len() {
            self.bots.resize(bot + 1, OfBot::default());
        }
        if let Some(of_bot) = self.bots.get_mut(bot) {
            of_bot.count(row);
        }
        if !row.suppressed {
            self.categories.count(row.category, 0, MAX_CATEGORIES);
            self.rules.count(row.rule, row.class as usize, MAX_RULES);
        }
    }

    pub(super) fn tally(&self) -> Tally {
        self.all.tally()
    }

    /// Findings of these severities and this suppression, of some bots or of all.
    pub(super) fn total(
        &self,
        bots: Option<&[bool]>,
        severities: [bool; SEVERITIES],
        suppression: Suppression,
    ) -> u64 {
        let Some(bots) = bots else {
            return self.all.total(severities, suppression);
        };
        let wanted = self.bots.iter().zip(bots).filter(|(_, wanted)| **wanted);
        wanted
            .map(|(bot, _)| bot.total(severities, suppression))
            .sum()
    }

    pub(super) fn counts(&self, bots: &[BotId], categories: &Names, rules: &Names) -> Counts {
        let mut counts = Counts::default();
        for (bot, of_bot) in bots.iter().zip(&self.bots) {
            counts.by_bot.insert(bot.clone(), of_bot.tally());
        }
        for (name, _, count) in self.categories.counted(categories) {
            *counts.by_category.entry(name.to_owned()).or_default() += count;
        }
        for (name, class, count) in self.rules.counted(rules) {
            if let Some(class) = WeightClass::ALL.get(class) {
                let key = (*class, name.to_owned());
                *counts.by_rule.entry(key).or_default() += count;
            }
        }
        counts
    }
}
