//! Sequences: what makes a repeated call harmless.

use std::collections::HashMap;

use fleet_worker_sdk::{Error, Execution, Partition, ProducerId, PushAnswer, Result};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::journal::Entry;

/// A producer that comes back later than this starts anew.
const KEEP: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Producers from which on those not heard of are looked for: fewer are not worth the walk.
const WORTH_A_WALK: usize = 1_024;

/// The last answer of a producer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// To a push.
    Push(PushAnswer),
    /// To a transition.
    Execution(Box<Execution>),
}

/// Where a sequence number stands.
pub(super) enum Standing {
    /// It is the next one.
    Next,
    /// It was the last one applied, with this answer.
    Again(Answer),
    /// It was applied before the last one.
    Old,
}

/// Which producer, where: sequences count in each partition on their own.
pub(super) type Key = (Partition, ProducerId);

/// How far a producer is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Last {
    sequence: u64,
    answer: Answer,
    used: Timestamp,
}

/// The producers of the last seven days.
#[derive(Default)]
pub(super) struct Producers {
    last: HashMap<Key, Last>,
    walk_at: usize,
}

impl Producers {
    /// The last sequence number applied, 0 if none.
    pub(super) fn last(&self, key: &Key) -> u64 {
        self.last.get(key).map_or(0, |last| last.sequence)
    }

    /// A record for each.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        let last = self.last.iter();
        last.map(|((partition, producer), last)| Entry::Producer {
            partition: partition.0,
            producer: producer.clone(),
            last: Box::new(last.clone()),
        })
    }

    /// Takes one back.
    pub(super) fn restore(&mut self, key: Key, last: Last) {
        self.last.insert(key, last);
    }

    /// Where `sequence` stands; a gap is refused.
    pub(super) fn standing(&self, key: &Key, sequence: u64) -> Result<Standing> {
        let last = self.last(key);
        if sequence > last.saturating_add(1) {
            return Err(Error::Gap { last });
        }
        Ok(match self.last.get(key) {
            Some(last) if last.sequence == sequence => Standing::Again(last.answer.clone()),
            Some(last) if last.sequence > sequence => Standing::Old,
            _ => Standing::Next,
        })
    }

    /// Uses up a number.
    pub(super) fn remember(&mut self, key: Key, sequence: u64, answer: Answer, now: Timestamp) {
        let last = Last {
            sequence,
            answer,
            used: now,
        };
        self.last.insert(key, last);
        if self.last.len() >= self.walk_at.max(WORTH_A_WALK) {
            self.last
                .retain(|_, last| now.duration_since(last.used) < KEEP);
            self.walk_at = self.last.len() * 2;
        }
    }
}
