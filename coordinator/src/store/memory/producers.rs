//! Sequences: what makes a repeated call harmless.

use std::collections::HashMap;

use fleet_worker_sdk::{Error, Execution, Partition, ProducerId, PushAnswer, Result};
use jiff::{SignedDuration, Timestamp};

/// A producer that comes back later than this starts anew.
const KEEP: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Producers from which on those not heard of are looked for: fewer are not worth the walk.
const WORTH_A_WALK: usize = 1_024;

/// The last answer of a producer.
#[derive(Clone)]
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

struct Last {
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
