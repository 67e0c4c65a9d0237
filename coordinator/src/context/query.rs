//! What is asked of findings: lists that are there already, walked.

use std::fmt;

use fleet_worker_sdk::{Severity, WeightClass};
use jiff::Timestamp;

use super::draft::{Draft, Marks};
use super::findings::{Findings, Row};
use super::names::{Kind, Postings};
use super::{Context, FindingId, Handle};

/// A finding of a context: a row to look into, not a copy.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    context: &'a Context,
    findings: &'a Findings,
    row: &'a Row,
    position: u32,
}

impl<'a> Entry<'a> {
    /// Its id.
    pub fn id(&self) -> FindingId {
        self.context.id.finding(self.position)
    }

    /// The bot that found it.
    pub fn bot(&self) -> Handle {
        self.row.bot
    }

    /// The name of the bot that found it.
    pub fn bot_name(&self) -> &'a str {
        self.context.name(self.row.bot).unwrap_or_default()
    }

    /// How bad it is.
    #[inline]
    pub fn severity(&self) -> Severity {
        self.row.severity
    }

    /// What it weighs.
    pub fn class(&self) -> WeightClass {
        WeightClass::of(self.row.severity, self.security_severity())
    }

    /// The rule that was broken.
    pub fn rule(&self) -> &'a str {
        self.name(self.row.rule)
    }

    /// What kind of problem.
    pub fn category(&self) -> &'a str {
        self.name(self.row.category)
    }

    /// What is wrong.
    pub fn message(&self) -> &'a str {
        self.findings.texts.get(self.row.message)
    }

    /// Path from the repository's root; empty where there is none.
    pub fn file(&self) -> &'a str {
        self.name(self.row.file)
    }

    /// Line, counting from 1; 0 where there is none.
    #[inline]
    pub fn line(&self) -> u32 {
        self.row.line
    }

    /// Name of the function, class or package; empty where there is none.
    pub fn element(&self) -> &'a str {
        self.name(self.row.element)
    }

    /// CVSS-like score 0-10.
    pub fn security_severity(&self) -> Option<f32> {
        known(self.row.security_severity)
    }

    /// How sure the bot is, 0-1.
    pub fn confidence(&self) -> Option<f32> {
        known(self.row.confidence)
    }

    /// What else is so of it.
    pub fn marks(&self) -> Marks {
        self.row.marks
    }

    /// When it came.
    pub fn first_seen(&self) -> Timestamp {
        let times = &self.findings.times;
        let batch = times.partition_point(|(first, _)| *first <= self.position);
        let time = batch.checked_sub(1).and_then(|batch| times.get(batch));
        time.map_or(self.context.opened, |(_, time)| *time)
    }

    /// It as it was given.
    pub fn draft(&self) -> Draft<'a> {
        Draft {
            rule: self.rule(),
            severity: self.severity(),
            category: self.category(),
            message: self.message(),
            file: self.file(),
            line: self.line(),
            element: self.element(),
            security_severity: self.security_severity(),
            confidence: self.confidence(),
            marks: self.marks(),
        }
    }

    fn name(&self, id: u32) -> &'a str {
        self.findings.names.text(id, &self.findings.texts)
    }
}

impl fmt::Debug for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&(self.id(), self.bot_name(), self.draft()), f)
    }
}

/// None for what is not a number.
fn known(value: f32) -> Option<f32> {
    (!value.is_nan()).then_some(value)
}

/// Stands in for the row of a position that has none, so that a list is as long as it says; every
/// position in a list has one.
static NO_ROW: Row = Row::EMPTY;

impl Context {
    /// The finding with this id, whatever their number at the same cost.
    #[inline]
    pub fn find(&self, id: FindingId) -> Option<Entry<'_>> {
        let position = id.position(self.id)?;
        let findings = self.findings();
        Some(Entry {
            context: self,
            findings,
            row: findings.rows.get(position as usize)?,
            position,
        })
    }

    /// All findings, in order of arrival.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Entry<'_>> {
        let findings = self.findings();
        let rows = findings.rows.iter().enumerate();
        rows.map(move |(position, row)| Entry {
            context: self,
            findings,
            row,
            position: position as u32,
        })
    }

    /// All findings, worst weight class first, in each by order of arrival.
    pub fn sorted(&self) -> impl Iterator<Item = Entry<'_>> {
        let findings = self.findings();
        let rest = findings.by_severity.iter();
        let rest = rest.flat_map(|list| self.listed(list));
        let rest = rest.filter(|entry| entry.class() != WeightClass::Critical);
        self.listed(&findings.critical).chain(rest)
    }

    /// Findings of a bot, in order of arrival.
    #[inline]
    pub fn by_bot(&self, bot: Handle) -> impl ExactSizeIterator<Item = Entry<'_>> {
        let of_bot = self.findings().of_bots.get(bot.place());
        self.listed(of_bot.map_or(&[], |of_bot| of_bot.postings.as_slice()))
    }

    /// Findings of a severity, in order of arrival.
    #[inline]
    pub fn by_severity(&self, severity: Severity) -> impl ExactSizeIterator<Item = Entry<'_>> {
        let list = self.findings().by_severity.get(severity as usize);
        self.listed(list.map_or(&[], Postings::as_slice))
    }

    /// Findings in a category, in order of arrival.
    #[inline]
    pub fn by_category<'a>(
        &'a self,
        category: &str,
    ) -> impl ExactSizeIterator<Item = Entry<'a>> + use<'a> {
        self.named(Kind::Category, category)
    }

    /// Findings of a rule, in order of arrival.
    pub fn by_rule<'a>(&'a self, rule: &str) -> impl ExactSizeIterator<Item = Entry<'a>> + use<'a> {
        self.named(Kind::Rule, rule)
    }

    /// Findings in a file, in order of arrival.
    pub fn by_file<'a>(&'a self, file: &str) -> impl ExactSizeIterator<Item = Entry<'a>> + use<'a> {
        self.named(Kind::File, file)
    }

    #[inline]
    fn named<'a>(
        &'a self,
        kind: Kind,
        text: &str,
    ) -> impl ExactSizeIterator<Item = Entry<'a>> + use<'a> {
        let findings = self.findings();
        let id = findings.names.id(kind, text, &findings.texts);
        let entry = id.and_then(|id| findings.names.entry(id));
        self.listed(entry.map_or(&[], |entry| entry.postings.as_slice()))
    }

    #[inline]
    fn listed<'a>(&'a self, list: &'a [u32]) -> impl ExactSizeIterator<Item = Entry<'a>> + use<'a> {
        let findings = self.findings();
        let rows = findings.rows.as_slice();
        list.iter().map(move |&position| Entry {
            context: self,
            findings,
            row: rows.get(position as usize).unwrap_or(&NO_ROW),
            position,
        })
    }
}
