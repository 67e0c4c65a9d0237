//! A session's findings in memory: encoded bodies, hot columns, posting lists, counters, pages.
//!
//! A store folds a session's log into an [`Index`] and appends what comes later; findings are
//! never taken out, so that a position stays valid for the index's life. In reading order:
//! [`query`] is what callers ask and get; the rest is how it is answered.

pub mod query;

mod bodies;

mod members;

mod names;

mod counters;

mod text;

mod matcher;

mod page;

mod view;

use std::collections::BTreeMap;

use fleet_worker_sdk::finding::MAX_FINDING_BYTES;
use fleet_worker_sdk::wire::{self, Columns};
use fleet_worker_sdk::{
    Again, BotId, Error, Fingerprint, Level, Region, Result, Rule, Severity, WeightClass,
};
use jiff::Timestamp;

pub use query::{Cursor, Filter, FindingView, Page, PageQuery, Sort, Suppression};

use crate::model::{Counts, MAX_RULES, Tally};
use bodies::{Bodies, Body, Span};
use counters::Counters;
use members::Members;
use names::Names;

/// Most findings of one index: positions are 32 bits wide.
pub const MAX_FINDINGS: usize = u32::MAX as usize;

/// The columns a filter or a sort looks at, 32 bytes, in order of arrival.
#[derive(Clone, Copy, Debug)]
struct Row {
    bot: u32,
    category: u32,
    rule: u32,
    file: u32,
    element: u32,
    line: u32,
    occurrences: u32,
    severity: Severity,
    class: WeightClass,
    suppressed: bool,
}

/// Where a finding's encoding lies, and its message in it.
#[derive(Clone, Copy, Debug)]
struct Stored {
    body: Body,
    /// None where the message has to be decoded.
    message: Option<Span>,
}

/// Positions of findings, ascending, by the id of a name or the number of a word.
type Postings = Vec<Vec<u32>>;

/// The folded findings of a session.
#[derive(Debug, Default)]
pub struct Index {
    bodies: Bodies,
    members: Members,
    rows: Vec<Row>,
    stored: Vec<Stored>,
    /// Time of arrival from this position on: a batch has one, its findings need not repeat it.
    times: Vec<(u32, Timestamp)>,
    bots: Names,
    bot_ids: Vec<BotId>,
    categories: Names,
    rule_names: Names,
    files: Names,
    elements: Names,
    by_bot: Postings,
    by_category: Postings,
    by_rule: Postings,
    by_file: Postings,
    by_severity: Postings,
    by_class: Postings,
    counters: Counters,
    rules: BTreeMap<String, Rule>,
}

/// A finding as it came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival<'a> {
    /// Whose it is.
    pub(crate) bot: &'a BotId,
    /// When it came.
    pub(crate) at: Timestamp,
    /// Its encoding.
    pub(crate) body: &'a [u8],
    /// How often it has been seen by now.
    pub(crate) again: Again,
}

/// What is compared to tell an updated finding from an unchanged one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// SARIF level.
    pub level: Level,
    /// Message.
    pub message: String,
    /// Region in the primary file.
    pub region: Option<Region>,
    /// A suppression holds.
    pub suppressed: bool,
}

impl Index {
    /// An index without findings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Room for `more` findings, so that a long log is folded without growing again and again.
    pub(crate) fn reserve(&mut self, more: usize) {
        self.members.reserve(more);
        self.rows.reserve(more);
        self.stored.reserve(more);
    }

    /// Adds a finding of `bot` in the wire encoding, received at `at`. False, and nothing changes,
    /// when its fingerprint is known already.
    ///
    /// # Errors
    /// [`Error::Invalid`] when `body` is no finding, [`Error::TooLarge`] over the limits; nothing
    /// changes then either.
    pub fn add(&mut self, bot: &BotId, at: Timestamp, body: &[u8]) -> Result<bool> {
        self.add_read(bot, at, body, &wire::columns(body)?)
    }

    /// As [`add`](Self::add), of a body whose columns have been read.
    pub(crate) fn add_read(
        &mut self,
        bot: &BotId,
        at: Timestamp,
        body: &[u8],
        columns: &Columns<'_>,
    ) -> Result<bool> {
        let position = self.room_for(body)?;
        if !self.members.insert(columns.fingerprint) {
            return Ok(false);
        }
        let row = Row {
            bot: self.bot_id(bot),
            category: self.categories.intern(columns.category),
            rule: self.rule_names.intern(columns.rule_id),
            file: self.files.intern(columns.uri),
            element: self.elements.intern(columns.element.unwrap_or_default()),
            line: columns.region.map_or(0, |region| region.start_line),
            occurrences: columns.occurrence_count,
            severity: columns.severity(),
            class: columns.weight_class(),
            suppressed: columns.suppressed,
        };
        self.stored.push(Stored {
            message: bodies::span_of(body, columns.message),
            body: self.bodies.push(body),
        });
        if self.times.last().is_none_or(|(_, last)| *last != at) {
            self.times.push((position, at));
        }
        self.post(position, &row);
        self.counters.count(&row);
        self.rows.push(row);
        Ok(true)
    }

    /// The position of the next finding.
    fn room_for(&self, body: &[u8]) -> Result<u32> {
        let too_large = |what: &str, size: usize, limit: usize| Error::TooLarge {
            what: what.to_owned(),
            size: size as u64,
            limit: limit as u64,
        };
        if body.len() > MAX_FINDING_BYTES {
            return Err(too_large("finding", body.len(), MAX_FINDING_BYTES));
        }
        let position = self.rows.len();
        if position >= MAX_FINDINGS {
            return Err(too_large("session", position, MAX_FINDINGS));
        }
        Ok(position as u32)
    }

    fn bot_id(&mut self, bot: &BotId) -> u32 {
        let id = self.bots.intern(bot.as_str());
        if id as usize == self.bot_ids.len() {
            self.bot_ids.push(bot.clone());
        }
        id
    }

    fn post(&mut self, position: u32, row: &Row) {
        post(&mut self.by_bot, row.bot, position);
        post(&mut self.by_category, row.category, position);
        post(&mut self.by_rule, row.rule, position);
        post(&mut self.by_file, row.file, position);
        post(&mut self.by_severity, row.severity as u32, position);
        post(&mut self.by_class, row.class as u32, position);
    }

    /// Notes that a finding was seen again: its occurrences become those of `again`, if more.
    /// A fingerprint that is not here changes nothing.
    pub fn again(&mut self, again: &Again) {
        let position = self.members.position(&again.fingerprint);
        if let Some(row) = position.and_then(|at| self.rows.get_mut(at as usize)) {
            row.occurrences = row.occurrences.max(again.occurrences);
        }
    }

    /// Adds texts of rules, of the first [`MAX_RULES`] rules to come; the first of a rule stay, as
    /// in every store.
    pub fn set_rules(&mut self, rules: BTreeMap<String, Rule>) {
        for (id, rule) in rules {
            if self.rules.len() == MAX_RULES {
                return;
            }
            self.rules.entry(id).or_insert(rule);
        }
    }

    /// Texts of rules, by rule id.
    pub fn rules(&self) -> &BTreeMap<String, Rule> {
        &self.rules
    }

    /// Number of findings.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no finding.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether a finding is here.
    pub fn contains(&self, fingerprint: &Fingerprint) -> bool {
        self.members.position(fingerprint).is_some()
    }

    /// A finding, whole.
    pub fn get(&self, fingerprint: &Fingerprint) -> Option<FindingView> {
        self.view(self.members.position(fingerprint)?)
    }

    /// What is compared of a finding between two sessions.
    pub fn observed(&self, fingerprint: &Fingerprint) -> Option<Observed> {
        let position = self.members.position(fingerprint)?;
        let stored = self.stored.get(position as usize)?;
        let columns = wire::columns(self.bodies.get(stored.body)).ok()?;
        Some(Observed {
            level: columns.level,
            message: columns.message.to_owned(),
            region: columns.region,
            suppressed: columns.suppressed,
        })
    }

    /// Whether a finding is the same in `other`; none when it is not in both.
    pub fn agrees_with(&self, other: &Self, fingerprint: &Fingerprint) -> Option<bool> {
        let body = |index: &Self| {
            let position = index.members.position(fingerprint)?;
            Some(index.stored.get(position as usize)?.body)
        };
        let (here, there) = (body(self)?, body(other)?);
        // Most are the same to the byte, which needs no decoding.
        let same_bytes = self.bodies.get(here) == other.bodies.get(there);
        Some(same_bytes || self.observed(fingerprint) == other.observed(fingerprint))
    }

    /// A page of the findings that pass a filter, sorted.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the cursor belongs to another sort, or to a finding that is not here.
    pub fn query(&self, query: &PageQuery) -> Result<Page> {
        page::of(self, query)
    }

    /// The counters, at a cost that does not grow with the findings.
    pub fn counts(&self) -> Counts {
        self.counters
            .counts(&self.bot_ids, &self.categories, &self.rule_names)
    }

    /// Findings by severity, at a constant cost.
    pub fn tally(&self) -> Tally {
        self.counters.tally()
    }

    /// Fingerprints in order of arrival: of one bot, or of all.
    pub fn fingerprints(&self, bot: Option<&BotId>) -> impl Iterator<Item = Fingerprint> + '_ {
        let of_bot = bot.map(|bot| {
            let id = self.bots.id(bot.as_str());
            id.and_then(|id| self.by_bot.get(id as usize))
                .map_or(&[][..], Vec::as_slice)
        });
        let all = if bot.is_none() {
            self.members.all()
        } else {
            &[]
        };
        let one = of_bot.unwrap_or_default().iter();
        let one = one.filter_map(|at| self.members.all().get(*at as usize));
        all.iter().chain(one).copied()
    }

    /// Every finding as it came, in order of arrival.
    pub(crate) fn arrivals(&self) -> impl Iterator<Item = Arrival<'_>> {
        let mut times = self.times.iter().peekable();
        let mut at = Timestamp::UNIX_EPOCH;
        let findings = self.rows.iter().zip(&self.stored).zip(self.members.all());
        (0_u32..)
            .zip(findings)
            .filter_map(move |(position, ((row, stored), fingerprint))| {
                while let Some((_, time)) = times.next_if(|(from, _)| *from <= position) {
                    at = *time;
                }
                Some(Arrival {
                    bot: self.bot_ids.get(row.bot as usize)?,
                    at,
                    body: self.bodies.get(stored.body),
                    again: Again {
                        fingerprint: *fingerprint,
                        occurrences: row.occurrences,
                    },
                })
            })
    }

    /// Bytes it takes, about: what a cache weighs it by.
    pub fn weight(&self) -> usize {
        /// The columns, where it is stored, and six posting lists with their spare room.
        const PER_FINDING: usize = 32 + 20 + 6 * 6;
        /// A rule's name and texts, when they are short.
        const PER_RULE: usize = 256;
        let few = self.bots.weight() + self.categories.weight() + self.rule_names.weight();
        let names = few + self.files.weight() + self.elements.weight();
        size_of::<Self>()
            + self.bodies.weight()
            + self.members.weight()
            + names
            + self.rows.capacity() * PER_FINDING
            + self.rules.len() * PER_RULE
    }
}

fn post(postings: &mut Postings, list: u32, position: u32) {
    let list = list as usize;
    if list >= postings.len() {
        postings.resize_with(list + 1, Vec::new);
    }
    if let Some(list) = postings.get_mut(list) {
        list.push(position);
    }
}

#[cfg(test)]
mod tests;
