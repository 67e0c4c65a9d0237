//! Which sessions go, and in which order. Pure: time and memory come in as values.
//!
//! What nobody compares with any more goes first, the longest unchanged before the others; then,
//! only when room is needed, baselines; never a session in which bots are at work.

use fleet_worker_sdk::{Error, Result, SessionState};
use jiff::{SignedDuration, Timestamp};

use crate::model::{Rollup, Session};
use crate::store::retain::Memory;

/// What is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Keep {
    /// Complete sessions unchanged for longer go, but for baselines; none keeps them.
    pub age: Option<SignedDuration>,
    /// Most findings stored; above, the oldest sessions go. None: as many as memory takes.
    pub findings: Option<u64>,
    /// Share of the store's memory limit that is used at most, 0-1, where it has a limit.
    pub memory: f64,
    /// A session that is open but has not changed for this long has been left behind by its bots.
    pub abandoned: SignedDuration,
    /// A session that nobody works at and that has not changed for this long is compacted; none
    /// leaves all as they came.
    pub compact_after: Option<SignedDuration>,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            // A quarter: longer than a sprint, a release or a holiday.
            age: Some(SignedDuration::from_hours(90 * 24)),
            findings: None,
            // A rewrite of the append-only file and the clients' buffers need the rest.
            memory: 0.8,
            // A producer that comes back later starts anew, so nobody can continue.
            abandoned: SignedDuration::from_hours(7 * 24),
            // A scan that is repeated or taken over comes back within minutes, and folds that are
            // read have been dropped by then.
            compact_after: Some(SignedDuration::from_mins(10)),
        }
    }
}

/// How pressing it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Only what is too old goes.
    None,
    /// Room is needed: findings to be freed at least, 0 when memory is measured.
    Room(u64),
}

impl Keep {
    /// Refuses what cannot be kept to.
    ///
    /// # Errors
    /// `Error::Invalid` naming the setting.
    pub fn check(&self) -> Result<()> {
        let wrong = |what: &str, why: &str| Err(Error::invalid(what, why));
        if self.age.is_some_and(|age| age <= SignedDuration::ZERO) {
            return wrong("keep-days", "it is not positive; leave it out to keep all");
        }
        if !(self.memory > 0.0 && self.memory <= 1.0) {
            return wrong("keep-memory", "it is no share between 0 and 1");
        }
        let negative = |after: SignedDuration| after < SignedDuration::ZERO;
        if self.compact_after.is_some_and(negative) {
            return wrong("compact-after-minutes", "it is negative");
        }
        Ok(())
    }

    /// Whether the store holds too much.
    pub fn need(&self, rollup: &Rollup, memory: Option<Memory>) -> Need {
        let stored = rollup.stored();
        let over = self.findings.map_or(0, |most| stored.saturating_sub(most));
        if over > 0 {
            // A tenth more, so that the next push does not ask again.
            return Need::Room(over + self.findings.unwrap_or_default() / 10);
        }
        let full = |memory: Memory| memory.used as f64 > memory.limit as f64 * self.memory;
        match memory.filter(|memory| memory.limit > 0) {
            Some(memory) if full(memory) => Need::Room(0),
            _ => Need::None,
        }
    }

    /// Whether bots may still be at work in it.
    pub fn is_at_work(&self, session: &Session, now: Timestamp) -> bool {
        let quiet = now.duration_since(session.changed);
        session.state == SessionState::Open && quiet < self.abandoned
    }

    /// Whether it has been quiet for long enough to be compacted.
    pub fn is_quiet(&self, session: &Session, now: Timestamp) -> bool {
        self.compact_after
            .is_some_and(|after| now.duration_since(session.changed) >= after)
    }

    /// Whether it has been there long enough.
    pub fn is_old(&self, session: &Session, now: Timestamp) -> bool {
        self.age
            .is_some_and(|age| now.duration_since(session.changed) > age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollup(findings: u64, dropped: u64) -> Rollup {
        Rollup {
            findings,
            dropped,
            ..Rollup::default()
        }
    }

    #[test]
    fn room_is_needed_beyond_a_bound_only() {
        let keep = Keep {
            findings: Some(1_000),
            ..Keep::default()
        };
        assert_eq!(keep.need(&rollup(1_500, 500), None), Need::None);
        assert_eq!(keep.need(&rollup(1_500, 400), None), Need::Room(200));
        let memory = |used, limit| Some(Memory { used, limit });
        assert_eq!(keep.need(&rollup(0, 0), memory(80, 100)), Need::None);
        assert_eq!(keep.need(&rollup(0, 0), memory(81, 100)), Need::Room(0));
        assert_eq!(keep.need(&rollup(0, 0), memory(81, 0)), Need::None);
    }

    #[test]
    fn what_cannot_be_kept_to_is_refused() {
        assert!(Keep::default().check().is_ok());
        let none = Keep {
            age: Some(SignedDuration::ZERO),
            ..Keep::default()
        };
        assert!(none.check().is_err());
        let all = Keep {
            memory: 1.5,
            ..Keep::default()
        };
        assert!(all.check().is_err());
    }
}
