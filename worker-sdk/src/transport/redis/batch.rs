//! A batch as the arguments of `fleet_push_4`.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use redis::Cmd;

use crate::error::{Error, Result};
use crate::finding::{Finding, Fingerprint};
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
    /// Number of its kind among those that a batch's fields are ordered by.
    fn kind(self) -> usize {
        match self {
            Self::Tally(_) => 0,
            Self::Bot(_) => 1,
            Self::Category(_) => 2,
            Self::Rule(..) => 3,
        }
    }

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

/// Kinds of fields: tallies, bots, categories and rules.
const KINDS: usize = 4;

/// Sums findings by field: a batch has many findings, some groups, few fields.
#[derive(Default)]
struct Tallies<'a> {
    groups: HashMap<Group<'a>, u16, RandomState>,
    /// Of each group, the numbers of its four fields from 1; 0 for none.
    fields_of: Vec<[u16; 4]>,
    numbers: HashMap<Counted<'a>, u16, RandomState>,
    fields: Vec<(Counted<'a>, u16)>,
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

    /// Orders the fields by their kinds, each kind as it came; how many there are of each.
    fn sort(&mut self) -> [u16; KINDS] {
        let mut of_kind = [0; KINDS];
        let mut order: Vec<u16> = (0..self.fields.len() as u16).collect();
        order.sort_by_key(|at| self.fields.get(usize::from(*at)).map(|(c, _)| c.kind()));
        let mut numbers = vec![0_u16; order.len() + 1];
        let mut fields = Vec::with_capacity(order.len());
        for (number, at) in (1..).zip(&order) {
            let Some(&field) = self.fields.get(usize::from(*at)) else {
                continue;
            };
            if let Some(place) = numbers.get_mut(usize::from(*at) + 1) {
                *place = number;
            }
            if let Some(kind) = of_kind.get_mut(field.0.kind()) {
                *kind += 1;
            }
            fields.push(field);
        }
        for field in self.fields_of.as_flattened_mut() {
            *field = numbers.get(usize::from(*field)).copied().unwrap_or(0);
        }
        self.fields = fields;
        of_kind
    }

    /// The weight class of each rule among the fields.
    fn rules_classes(&self) -> Vec<u8> {
        let class = |(counted, _): &(Counted<'_>, u16)| match counted {
            Counted::Rule(class, _) => Some(*class as u8),
            _ => None,
        };
        self.fields.iter().filter_map(class).collect()
    }
}

/// The score of a finding that a repair gives to its session's index: orders by severity, then by
/// `order`. A push's are made in Redis, of the class and the session's version, which lies above any
/// `order` here: what a push has added is told by its score.
pub fn score(class: WeightClass, order: u64) -> u64 {
    const CLASS: u64 = 1 << 50;
    const ORDERS: u64 = 1 << 40;
    u64::from(class as u8) * CLASS + order % ORDERS
}

/// Adds the arguments of `fleet_push_4` to `command`.
///
/// # Errors
/// [`Error::TooLarge`] when a finding or the whole is.
pub(super) fn arguments(command: &mut Cmd, batch: &Batch) -> Result<()> {
    let size = batch.findings.len();
    let mut tallies = Tallies::default();
    let mut groups = Vec::with_capacity(size * 2);
    let mut fingerprints = Vec::with_capacity(size * size_of::<Fingerprint>());
    let mut classes = Vec::with_capacity(size);
    let mut bodies = Vec::with_capacity(size * wire::TYPICAL_BYTES);
    for identified in &batch.findings {
        let group = tallies.add(&identified.finding);
        groups.extend_from_slice(&group.to_be_bytes());
        fingerprints.extend_from_slice(&identified.fingerprint.0);
        classes.push(identified.finding.weight_class() as u8);
        wire::join_encoded(identified, &mut bodies)?;
    }
    let bytes = bodies.len() - 4 * size;
    if bytes > MAX_BATCH_BYTES {
        let (size, limit) = (bytes as u64, MAX_BATCH_BYTES as u64);
        return Err(Error::TooLarge {
            what: "batch".to_owned(),
            size,
            limit,
        });
    }
    let of_kind = tallies.sort();
    let again: Vec<u8> = batch.again.iter().flat_map(wire::encode_again).collect();
    command
        .arg(batch.session.as_str())
        .arg(batch.bot.as_str())
        .arg(batch.sequence)
        .arg(batch.attempt);
    command
        .arg(wire::WIRE_VERSION)
        .arg(size)
        .arg(tallies.fields.len())
        .arg(batch.rules.len());
    let (packed, packing) = wire::pack(bodies);
    command.arg(again).arg(packed).arg(packing);
    command
        .arg(groups)
        .arg(big_endian(tallies.fields_of.as_flattened()));
    command.arg(trace::current().map_or(String::new(), String::from));
    command.arg(fingerprints).arg(classes);
    command
        .arg(big_endian(&of_kind))
        .arg(tallies.rules_classes());
    let counted: Vec<u16> = tallies.fields.iter().map(|(_, n)| *n).collect();
    command.arg(big_endian(&counted));
    for (counted, _) in &tallies.fields {
        command.arg(counted.field(&batch.bot));
    }
    for (rule, texts) in &batch.rules {
        command
            .arg(rule)
            .arg(serde_json::to_vec(texts).map_err(Error::protocol)?);
    }
    Ok(())
}

fn big_endian(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_be_bytes()).collect()
}

/// Reads the answer of `fleet_push_4`.
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
