//! Counters kept with every finding, so that reading them does not look at the findings.

use fleet_worker_sdk::{BotId, Severity, WeightClass};

use super::Row;
use super::names::Names;
use super::query::Suppression;
use crate::model::{Counts, MAX_CATEGORIES, MAX_RULES, OTHER, Tally};

const SEVERITIES: usize = Severity::ALL.len();
const CLASSES: usize = WeightClass::ALL.len();
/// Pairs of a bot and a category counted apart, 64 bytes each. Sessions have some dozens.
const MAX_PAIRS: usize = 16_384;

/// Findings of one kind by severity, open and suppressed.
#[derive(Clone, Copy, Debug, Default)]
struct BySeverity {
    open: [u64; SEVERITIES],
    suppressed: [u64; SEVERITIES],
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    all: BySeverity,
    bots: Vec<BySeverity>,
    pairs: Pairs,
    categories: Limited<1>,
    rules: Limited<CLASSES>,
}

/// Findings of each bot in each category.
#[derive(Debug, Default)]
struct Pairs {
    bots: Vec<Vec<BySeverity>>,
    used: usize,
    /// There are too many: none is counted any more.
    over: bool,
}

impl Pairs {
    fn count(&mut self, row: &Row) {
        if self.over {
            return;
        }
        let (bot, category) = (row.bot as usize, row.category as usize);
        if bot >= self.bots.len() {
            self.bots.resize_with(bot + 1, Vec::new);
        }
        let Some(of_bot) = self.bots.get_mut(bot) else {
            return;
        };
        if category >= of_bot.len() {
            self.used += category + 1 - of_bot.len();
            if self.used > MAX_PAIRS {
                (self.bots, self.over) = (Vec::new(), true);
                return;
            }
            of_bot.resize(category + 1, BySeverity::default());
        }
        if let Some(counts) = of_bot.get_mut(category) {
            counts.count(row);
        }
    }

    /// Those of some bots, or of all, in some categories; none where they are not counted.
    fn wanted<'a>(
        &'a self,
        bots: Option<&'a [bool]>,
        categories: &'a [bool],
    ) -> Option<impl Iterator<Item = &'a BySeverity>> {
        let of_bots = self.bots.iter().enumerate();
        let of_bots =
            of_bots.filter(move |(bot, _)| bots.is_none_or(|bots| bots.get(*bot) == Some(&true)));
        let counts = of_bots.flat_map(move |(_, of_bot)| {
            let counts = of_bot.iter().zip(categories);
            counts
                .filter(|(_, wanted)| **wanted)
                .map(|(counts, _)| counts)
        });
        (!self.over).then_some(counts)
    }
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

impl BySeverity {
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
            self.bots.resize(bot + 1, BySeverity::default());
        }
        if let Some(of_bot) = self.bots.get_mut(bot) {
            of_bot.count(row);
        }
        self.pairs.count(row);
        if !row.suppressed {
            self.categories.count(row.category, 0, MAX_CATEGORIES);
            self.rules.count(row.rule, row.class as usize, MAX_RULES);
        }
    }

    pub(super) fn tally(&self) -> Tally {
        self.all.tally()
    }

    /// Findings of these severities and this suppression, of some bots or of all, in some categories
    /// or in all; none where they are not counted.
    pub(super) fn total(
        &self,
        bots: Option<&[bool]>,
        categories: Option<&[bool]>,
        severities: [bool; SEVERITIES],
        suppression: Suppression,
    ) -> Option<u64> {
        let total = |counts: &BySeverity| counts.total(severities, suppression);
        match (bots, categories) {
            (None, None) => Some(total(&self.all)),
            (Some(bots), None) => {
                let counts = self.bots.iter().zip(bots);
                let wanted = counts.filter(|(_, wanted)| **wanted);
                Some(wanted.map(|(counts, _)| total(counts)).sum())
            }
            (bots, Some(categories)) => {
                let wanted = self.pairs.wanted(bots, categories)?;
                Some(wanted.map(total).sum())
            }
        }
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
