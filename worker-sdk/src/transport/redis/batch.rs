//! A batch as the arguments of `fleet_push_3`.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use redis::Cmd;

use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::ids::BotId;
use crate::keys::count;
use crate::push::{Batch, MAX_BATCH_BYTES, PushAnswer};
use crate::session::Version;
use crate::severity::{Severity, WeightClass};
use crate::trace;
use crate::wire;

/// Findings of one group are counted in the same fields.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Group<'a> {
    Open {
        class: WeightClass,
        severity: Severity,
        category: &'a str,
        rule: &'a str,
    },
    Suppressed,
}

impl<'a> Group<'a> {
    fn of(finding: &'a Finding) -> Self {
        if finding.is_suppressed() {
            return Self::Suppressed;
        }
        Self::Open {
            class: finding.weight_class(),
            severity: finding.severity(),
            category: &finding.category,
            rule: &finding.rule_id,
        }
    }
}

/// What a field of the counts counts.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Counted<'a> {
    Tally(Option<Severity>),
    Bot(Option<Severity>),
    Category(&'a str),
    Rule(WeightClass, &'a str),
}

impl Counted<'_> {
    fn field(self, bot: &BotId) -> String {
        match self {
            Self::Tally(severity) => {
                format!("t:{}", severity.map_or("suppressed", Severity::as_str))
            }
            Self::Bot(severity) => count::bot(bot, severity),
            Self::Category(category) => count::category(category),
            Self::Rule(class, rule) => count::rule(class, rule),
        }
    }
}

/// Sums findings by field: a batch has many findings, some groups, few fields.
#[derive(Default)]
struct Tallies<'a> {
    groups: HashMap<Group<'a>, u16, RandomState>,
    /// Of each group, the numbers of its four fields from 1; 0 for none.
    fields_of: Vec<[u16; 4]>,
    numbers: HashMap<Counted<'a>, u16, RandomState>,
    fields: Vec<(Counted<'a>, u32)>,
}

impl<'a> Tallies<'a> {
    /// Counts a finding; the number of its group, from 1.
    fn add(&mut self, finding: &'a Finding) -> u16 {
        let group = Group::of(finding);
        let known = self.groups.get(&group).copied();
        let number = known.unwrap_or_else(|| self.group(group));
        let fields = self.fields_of.get(usize::from(number) - 1);
        for field in fields.into_iter().flatten() {
            if let Some((_, findings)) = self.fields.get_mut(usize::from(*field).wrapping_sub(1)) {
                *findings += 1;
            }
        }
        number
    }

    fn group(&mut self, group: Group<'a>) -> u16 {
        let fields = match group {
            Group::Suppressed => [
                self.field(Counted::Tally(None)),
                self.field(Counted::Bot(None)),
                0,
                0,
            ],
            Group::Open {
                class,
                severity,
                category,
                rule,
            } => [
                self.field(Counted::Tally(Some(severity))),
                self.field(Counted::Bot(Some(severity))),
                self.field(Counted::Category(category)),
                self.field(Counted::Rule(class, rule)),
            ],
        };
        self.fields_of.push(fields);
        let number = self.fields_of.len() as u16;
        self.groups.insert(group, number);
        number
    }

    fn field(&mut self, counted: Counted<'a>) -> u16 {
        *self.numbers.entry(counted).or_insert_with(|| {
            self.fields.push((counted, 0));
            self.fields.len() as u16
        })
    }
}

/// The score of a finding in its session's index: orders by severity, then by `order`, its place among
/// those of its producer. Written out here, since Lua would print it and Redis read it again.
pub fn score(class: WeightClass, order: u64) -> u64 {
    const RANK: u64 = 1 << 40;
    u64::from(class as u8) * RANK + order % RANK
}

/// Adds the arguments of `fleet_push_3` to `command`.
///
/// # Errors
/// [`Error::TooLarge`] when a finding or the whole is.
pub(super) fn arguments(command: &mut Cmd, batch: &Batch) -> Result<()> {
    let mut tallies = Tallies::default();
    let mut numbers = Vec::with_capacity(batch.findings.len() * 2);
    let mut bodies = Vec::with_capacity(batch.findings.len() * wire::TYPICAL_BYTES);
    for identified in &batch.findings {
        let group = tallies.add(&identified.finding);
        wire::join_encoded(identified, &mut bodies)?;
        numbers.extend_from_slice(&group.to_be_bytes());
    }
    let bytes = bodies.len() - 4 * batch.findings.len();
    if bytes > MAX_BATCH_BYTES {
        let (size, limit) = (bytes as u64, MAX_BATCH_BYTES as u64);
        return Err(Error::TooLarge {
            what: "batch".to_owned(),
            size,
            limit,
        });
    }
    let again: Vec<u8> = batch.again.iter().flat_map(wire::encode_again).collect();
    let groups: Vec<u8> = tallies
        .fields_of
        .as_flattened()
        .iter()
        .flat_map(|field| field.to_be_bytes())
        .collect();
    command
        .arg(batch.session.as_str())
        .arg(batch.bot.as_str())
        .arg(batch.sequence)
        .arg(batch.attempt);
    command
        .arg(wire::WIRE_VERSION)
        .arg(batch.findings.len())
        .arg(tallies.fields.len())
        .arg(batch.rules.len());
    let (packed, packing) = wire::pack(bodies);
    command.arg(again).arg(packed).arg(packing);
    command.arg(numbers).arg(groups);
    command.arg(trace::current().map_or(String::new(), String::from));
    for (counted, findings) in &tallies.fields {
        command.arg(counted.field(&batch.bot)).arg(*findings);
    }
    for (rule, texts) in &batch.rules {
        command
            .arg(rule)
            .arg(serde_json::to_vec(texts).map_err(Error::protocol)?);
    }
    let first = batch.sequence.wrapping_mul(1_000);
    for (position, identified) in (0..).zip(&batch.findings) {
        let class = identified.finding.weight_class();
        command
            .arg(score(class, first.wrapping_add(position)))
            .arg(&identified.fingerprint.0);
    }
    Ok(())
}

/// Reads the answer of `fleet_push_3`.
///
/// # Errors
/// [`Error::Protocol`] when it is not one.
pub(super) fn answer(outcome: &str, text: &str) -> Result<PushAnswer> {
    let unreadable = || Error::protocol(format!("push answered `{text}`"));
    let mut parts = text.split(' ');
    let mut number = || {
        parts
            .next()
            .and_then(|part| part.parse::<u64>().ok())
            .ok_or_else(unreadable)
    };
    let (version, new, total) = (number()?, number()?, number()?);
    let known = parts
        .next()
        .unwrap_or_default()
        .split(',')
        .filter(|part| !part.is_empty());
    Ok(PushAnswer {
        version: Version(version),
        new: u32::try_from(new).map_err(Error::protocol)?,
        known: known
            .map(|part| part.parse().map_err(|_| unreadable()))
            .collect::<Result<_>>()?,
        total,
        duplicate: outcome != "applied",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_whole() {
        let read = answer("applied", "1764000000000123 2 7 0,3").unwrap();
        assert_eq!(read.version, Version(1_764_000_000_000_123));
        assert_eq!((read.new, read.total, read.known), (2, 7, vec![0, 3]));
        assert!(answer("again", "17 0 7 ").unwrap().duplicate);
        assert!(answer("applied", "x").is_err());
    }
}
