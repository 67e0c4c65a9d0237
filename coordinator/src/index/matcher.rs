//! A filter made ready for one index: names become numbers, text becomes a searcher.

use std::ops::Range;
use std::sync::Arc;

use super::names::{Names, Order};
use super::query::{Filter, Suppression};
use super::text::Text;
use super::{Index, Postings, Row};
use fleet_worker_sdk::{BotId, Severity};

/// Decides about findings one by one. Cheap questions come first.
pub(super) struct Matcher<'a> {
    index: &'a Index,
    bots: Option<Vec<bool>>,
    severities: [bool; Severity::ALL.len()],
    categories: Option<Vec<bool>>,
    rules: Option<Vec<bool>>,
    files: Option<Files>,
    suppression: Suppression,
    text: Option<Text<'a>>,
}

/// Files between two places of the alphabetical order.
struct Files {
    order: Arc<Order>,
    places: Range<u32>,
}

impl<'a> Matcher<'a> {
    pub(super) fn new(index: &'a Index, filter: &Filter) -> Self {
        let all = filter.severities.is_empty();
        let mut severities = [all; Severity::ALL.len()];
        for severity in &filter.severities {
            if let Some(wanted) = severities.get_mut(*severity as usize) {
                *wanted = true;
            }
        }
        let text = filter.text.as_deref().filter(|text| !text.is_empty());
        Self {
            index,
            bots: wanted(&index.bots, filter.bots.iter().map(BotId::as_str)),
            severities,
            categories: wanted(
                &index.categories,
                filter.categories.iter().map(String::as_str),
            ),
            rules: wanted(&index.rule_names, filter.rules.iter().map(String::as_str)),
            files: filter.file.as_deref().map(|file| files(&index.files, file)),
            suppression: filter.suppression,
            text: text.map(|text| Text::new(index, text)),
        }
    }

    pub(super) fn accepts(&mut self, position: u32, row: &Row) -> bool {
        let suppressed_fits = match self.suppression {
            Suppression::Open => !row.suppressed,
            Suppression::Suppressed => row.suppressed,
            Suppression::All => true,
        };
        suppressed_fits
            && has(&self.severities, row.severity as u32)
            && self.bots.as_ref().is_none_or(|ids| has(ids, row.bot))
            && self
                .categories
                .as_ref()
                .is_none_or(|ids| has(ids, row.category))
            && self.rules.as_ref().is_none_or(|ids| has(ids, row.rule))
            && self.files.as_ref().is_none_or(|files| files.has(row.file))
            && self
                .text
                .as_mut()
                .is_none_or(|text| text.is_in(position, row))
    }

    /// How many findings it accepts, where counters say so.
    pub(super) fn counted(&self) -> Option<u64> {
        if self.rules.is_some() || self.files.is_some() || self.text.is_some() {
            return None;
        }
        let (bots, categories) = (self.bots.as_deref(), self.categories.as_deref());
        let counters = &self.index.counters;
        counters.total(bots, categories, self.severities, self.suppression)
    }

    /// What holds all it accepts, and as little else as one field can say.
    pub(super) fn candidates(&self) -> Candidates<'a> {
        let index = self.index;
        let mut choices = Vec::new();
        choices.extend(self.bots.as_ref().map(|ids| lists(&index.by_bot, ids)));
        choices.extend(
            self.categories
                .as_ref()
                .map(|ids| lists(&index.by_category, ids)),
        );
        choices.extend(self.rules.as_ref().map(|ids| lists(&index.by_rule, ids)));
        choices.extend(self.files.as_ref().map(|files| files.lists(&index.by_file)));
        if self.severities.contains(&false) {
            choices.push(lists(&index.by_severity, &self.severities));
        }
        let size = |lists: &Vec<&[u32]>| lists.iter().map(|list| list.len()).sum::<usize>();
        let choices = choices.into_iter().map(|lists| (size(&lists), lists));
        match choices.min_by_key(|(findings, _)| *findings) {
            Some((findings, lists)) => Candidates {
                findings,
                lists: Some(lists),
            },
            None => Candidates {
                findings: index.rows.len(),
                lists: None,
            },
        }
    }
}

/// Findings to look at one by one.
pub(super) struct Candidates<'a> {
    /// How many they are.
    pub(super) findings: usize,
    /// Posting lists that together hold them; none when it is every finding.
    pub(super) lists: Option<Vec<&'a [u32]>>,
}

fn has(wanted: &[bool], id: u32) -> bool {
    wanted.get(id as usize).copied().unwrap_or(false)
}

/// By id: whether a name is wanted; none when all are.
fn wanted<'n>(names: &Names, list: impl Iterator<Item = &'n str>) -> Option<Vec<bool>> {
    let mut wanted = None;
    for name in list {
        let flags = wanted.get_or_insert_with(|| vec![false; names.len()]);
        if let Some(flag) = names.id(name).and_then(|id| flags.get_mut(id as usize)) {
            *flag = true;
        }
    }
    wanted
}

fn files(names: &Names, file: &str) -> Files {
    let order = names.order();
    let places = if file.ends_with('/') {
        names.with_prefix(&order, file)
    } else {
        let rank = names.id(file).and_then(|id| order.rank.get(id as usize));
        rank.map_or(0..0, |rank| *rank..*rank + 1)
    };
    Files { order, places }
}

impl Files {
    fn has(&self, file: u32) -> bool {
        let rank = self.order.rank.get(file as usize);
        rank.is_some_and(|rank| self.places.contains(rank))
    }

    fn lists<'a>(&self, postings: &'a Postings) -> Vec<&'a [u32]> {
        let range = self.places.start as usize..self.places.end as usize;
        let ids = self.order.sorted.get(range).unwrap_or_default();
        ids.iter()
            .filter_map(|id| postings.get(*id as usize))
            .map(Vec::as_slice)
            .collect()
    }
}

fn lists<'a>(postings: &'a Postings, wanted: &[bool]) -> Vec<&'a [u32]> {
    let pairs = postings.iter().zip(wanted);
    pairs
        .filter(|(_, wanted)| **wanted)
        .map(|(list, _)| list.as_slice())
        .collect()
}
