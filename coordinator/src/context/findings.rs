//! Findings in columns, with what is asked most kept as they come.

use fleet_worker_sdk::{Error, Result, Severity, WeightClass};
use jiff::Timestamp;
use smallvec::SmallVec;

use super::draft::{Draft, Marks};
use super::fleet::Handle;
use super::load::{SEVERITIES, Sums};
use super::names::{Kind, NAMELESS, Names, Postings};
use super::texts::{Span, Texts};

/// Most findings of one context: it is held in memory, about 250 bytes each.
pub const MAX_FINDINGS: usize = 10_000_000;
/// Most bytes of one finding's texts together, as in every store.
const MAX_TEXT: usize = fleet_worker_sdk::finding::MAX_FINDING_BYTES;

/// Bots whose findings need no allocation of their own: a small context is made often.
const FEW_BOTS: usize = 2;

/// A finding's columns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) message: Span,
    pub(super) category: u32,
    pub(super) rule: u32,
    pub(super) file: u32,
    pub(super) element: u32,
    pub(super) line: u32,
    /// Not a number where there is none.
    pub(super) security_severity: f32,
    /// Not a number where there is none.
    pub(super) confidence: f32,
    pub(super) bot: Handle,
    pub(super) severity: Severity,
    pub(super) marks: Marks,
}

impl Row {
    pub(super) const EMPTY: Self = Self {
        message: Span::EMPTY,
        category: NAMELESS,
        rule: NAMELESS,
        file: NAMELESS,
        element: NAMELESS,
        line: 0,
        security_severity: f32::NAN,
        confidence: f32::NAN,
        bot: Handle::NOBODY,
        severity: Severity::Suggestion,
        marks: Marks {
            suppressed: true,
            fixable: false,
            fixed: false,
        },
    };
}

/// Everything that grows with findings.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    pub(super) rows: Vec<Row>,
    pub(super) texts: Texts,
    pub(super) names: Names,
    /// By place; as long as the last bot that has a finding.
    pub(super) of_bots: SmallVec<[OfBot; FEW_BOTS]>,
    pub(super) by_severity: [Postings; SEVERITIES],
    /// Those of weight class critical, whatever their severity.
    pub(super) critical: Postings,
    pub(super) sums: Sums,
    /// Time of arrival from this position on: a batch has one.
    pub(super) times: SmallVec<[(u32, Timestamp); 1]>,
}

/// A bot's findings, and what is counted of them.
#[derive(Clone, Debug, Default)]
pub(super) struct OfBot {
    pub(super) postings: Postings,
    pub(super) open: u32,
    pub(super) errors: u32,
    pub(super) suppressed: u32,
}

impl OfBot {
    /// Open ones, errors among them, suppressed ones.
    pub(super) fn counts(&self) -> [u32; 3] {
        [self.open, self.errors, self.suppressed]
    }
}

impl Findings {
    /// Room for `more` findings.
    pub(super) fn reserve(&mut self, more: usize) {
        self.rows.reserve(more);
    }

    /// Adds a finding of `bot` that came at `now`; its position.
    #[inline]
    pub(super) fn add_at(&mut self, bot: Handle, draft: &Draft<'_>, now: Timestamp) -> Result<u32> {
        let position = self.add(bot, draft)?;
        if self.times.last().is_none_or(|(_, last)| *last != now) {
            self.times.push((position, now));
        }
        Ok(position)
    }

    /// Adds a finding of `bot`, whose time of arrival is noted by the caller; its position.
    #[inline]
    pub(super) fn add(&mut self, bot: Handle, draft: &Draft<'_>) -> Result<u32> {
        self.check(draft)?;
        let position = self.rows.len() as u32;
        let (names, texts) = (&mut self.names, &mut self.texts);
        let rule = names.intern(Kind::Rule, draft.rule, texts);
        let row = Row {
            rule,
            category: names.intern_category(rule, draft.category, texts),
            file: names.intern(Kind::File, draft.file, texts),
            element: match draft.element {
                "" => NAMELESS,
                element => names.intern(Kind::Element, element, texts),
            },
            message: texts.push(draft.message),
            line: draft.line,
            security_severity: draft.security_severity.unwrap_or(f32::NAN),
            confidence: draft.confidence.unwrap_or(f32::NAN),
            bot,
            severity: draft.severity,
            marks: draft.marks,
        };
        self.post(position, &row, draft.class());
        self.rows.push(row);
        Ok(position)
    }

    #[inline]
    fn check(&self, draft: &Draft<'_>) -> Result<()> {
        let names = draft.rule.len() + draft.category.len() + draft.file.len();
        let size = names + draft.element.len() + draft.message.len();
        let fits = size <= MAX_TEXT && self.rows.len() < MAX_FINDINGS;
        if fits && !draft.rule.is_empty() && !draft.category.is_empty() {
            return Ok(());
        }
        Err(self.fault(draft, size))
    }

    #[cold]
    fn fault(&self, draft: &Draft<'_>, size: usize) -> Error {
        let too_large = |what: &str, size: usize, limit: usize| Error::TooLarge {
            what: what.to_owned(),
            size: size as u64,
            limit: limit as u64,
        };
        if size > MAX_TEXT {
            too_large("finding", size, MAX_TEXT)
        } else if self.rows.len() >= MAX_FINDINGS {
            too_large("context", self.rows.len(), MAX_FINDINGS)
        } else if draft.rule.is_empty() {
            Error::invalid("rule", "it is empty")
        } else {
            Error::invalid("category", "it is empty")
        }
    }

    /// Puts a finding into every list and sum.
    #[inline]
    fn post(&mut self, position: u32, row: &Row, class: WeightClass) {
        let bot = row.bot.place();
        if bot >= self.of_bots.len() {
            self.of_bots.resize_with(bot + 1, OfBot::default);
        }
        if let Some(list) = self.by_severity.get_mut(row.severity as usize) {
            list.push(position);
        }
        if class == WeightClass::Critical {
            self.critical.push(position);
        }
        let open = u32::from(!row.marks.suppressed);
        if let Some(category) = self.names.entry_mut(row.category) {
            category.postings.push(position);
            if let Some(count) = category.open.first_mut() {
                *count += open;
            }
        }
        if let Some(file) = self.names.entry_mut(row.file) {
            file.postings.push(position);
        }
        let mut before = 0;
        if let Some(rule) = self.names.entry_mut(row.rule) {
            rule.postings.push(position);
            if let Some(count) = rule.open.get_mut(class as usize) {
                before = *count;
                *count += open;
            }
        }
        if let Some(of_bot) = self.of_bots.get_mut(bot) {
            of_bot.postings.push(position);
            of_bot.open += open;
            of_bot.errors += open * u32::from(row.severity == Severity::Error);
            of_bot.suppressed += 1 - open;
        }
        if open == 1 {
            self.sums.open(row.severity, class, before);
        } else {
            self.sums.suppressed();
        }
    }

    /// Bytes it takes, about.
    pub(super) fn weight(&self) -> usize {
        let lists = self.of_bots.iter().map(|of_bot| &of_bot.postings);
        let lists = lists.chain(&self.by_severity);
        let listed: usize = lists.map(|list| list.capacity() * 4).sum();
        self.rows.capacity() * size_of::<Row>() + listed + self.texts.weight() + self.names.weight()
    }
}
