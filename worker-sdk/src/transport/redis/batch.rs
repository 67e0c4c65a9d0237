//! A batch as the arguments of `fleet_push_1`.

use std::collections::HashMap;

use redis::Cmd;

use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::ids::BotId;
use crate::keys::count;
use crate::push::{Batch, MAX_BATCH_BYTES, PushAnswer};
use crate::session::Version;
use crate::severity::WeightClass;
use crate::wire;

/// What findings of one group are counted as.
#[derive(PartialEq, Eq, Hash)]
enum Group<'a> {
    Open {
        class: WeightClass,
        severity: crate::severity::Severity,
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

    /// Tally field, bot field, category field, rule field, field of the rules over the limit.
    fn fields(&self, bot: &BotId) -> [String; 5] {
        match self {
            Self::Suppressed => [
                "t:suppressed".to_owned(),
                count::bot(bot, None),
                String::new(),
                String::new(),
                String::new(),
            ],
            Self::Open {
                class,
                severity,
                category,
                rule,
            } => [
                format!("t:{severity}"),
                count::bot(bot, Some(*severity)),
                count::category(category),
                count::rule(*class, rule),
                count::rule(*class, "other"),
            ],
        }
    }
}

/// Adds the arguments of `fleet_push_1` to `command`.
///
/// # Errors
/// [`Error::TooLarge`] when a finding or the whole is.
pub(super) fn arguments(command: &mut Cmd, batch: &Batch) -> Result<()> {
    let mut groups: HashMap<Group<'_>, usize> = HashMap::new();
    let mut group_fields = Vec::new();
    let mut findings = Vec::with_capacity(batch.findings.len());
    let mut bytes = 0;
    for identified in &batch.findings {
        let group = Group::of(&identified.finding);
        let next = groups.len() + 1;
        let fields = || group.fields(&batch.bot);
        let number = if let Some(number) = groups.get(&group) {
            *number
        } else {
            group_fields.push(fields());
            groups.insert(group, next);
            next
        };
        let body = wire::encode(identified)?;
        bytes += body.len();
        let rank = identified.finding.weight_class() as u8;
        findings.push((
            identified.fingerprint,
            rank,
            number,
            wire::join([body.as_slice()]),
        ));
    }
    if bytes > MAX_BATCH_BYTES {
        let (size, limit) = (bytes as u64, MAX_BATCH_BYTES as u64);
        return Err(Error::TooLarge {
            what: "batch".to_owned(),
            size,
            limit,
        });
    }
    let again: Vec<u8> = batch.again.iter().flat_map(wire::encode_again).collect();
    command
        .arg(batch.session.as_str())
        .arg(batch.bot.as_str())
        .arg(batch.sequence)
        .arg(batch.attempt);
    command
        .arg(wire::WIRE_VERSION)
        .arg(findings.len())
        .arg(group_fields.len())
        .arg(batch.rules.len());
    command.arg(again);
    command.arg(group_fields.as_flattened());
    for (rule, texts) in &batch.rules {
        command
            .arg(rule)
            .arg(serde_json::to_vec(texts).map_err(Error::protocol)?);
    }
    for (fingerprint, rank, group, body) in findings {
        command.arg(&fingerprint.0).arg(rank).arg(group).arg(body);
    }
    Ok(())
}

/// Reads the answer of `fleet_push_1`.
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
