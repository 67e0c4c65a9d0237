//! The feed: which sessions changed, handed to whoever asks until it is settled.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use fleet_worker_sdk::SessionId;
use fleet_worker_sdk::trace::{self, TraceContext};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

use crate::model::FeedEntry;
use crate::store::Backlog;

/// Entries handed out in one call: a consumer comes back for more before its hold runs out.
const MAX_TAKEN: usize = 1_024;
/// How long an entry is held before somebody else may take it: longer than any recomputation.
const HOLD: SignedDuration = SignedDuration::from_secs(30);

/// Changed sessions. Bounded by the number of sessions: one is queued once, and held once.
pub(super) struct Feed {
    queue: VecDeque<(SessionId, Timestamp)>,
    /// What waits, with the trace of the first of its changes that is part of one.
    queued: HashMap<SessionId, Option<TraceContext>>,
    held: HashMap<SessionId, Held>,
    next_receipt: u64,
    fed: Arc<Notify>,
}

/// A change that is about to be held.
struct Waiting {
    session: SessionId,
    changed: Timestamp,
    trace: Option<TraceContext>,
}

struct Held {
    receipt: u64,
    since: Timestamp,
    changed: Timestamp,
    redelivered: u32,
}

impl Feed {
    /// An empty feed that wakes those waiting on `fed`.
    pub(super) fn new(fed: Arc<Notify>) -> Self {
        Self {
            queue: VecDeque::new(),
            queued: HashMap::new(),
            held: HashMap::new(),
            next_receipt: 1,
            fed,
        }
    }

    /// Adds a change of `session`, unless one waits already; it is part of the task's trace.
    pub(super) fn add(&mut self, session: &SessionId, now: Timestamp) {
        let trace = trace::current();
        if let Some(waiting) = self.queued.get_mut(session) {
            *waiting = waiting.or(trace);
        } else {
            self.queued.insert(session.clone(), trace);
            self.queue.push_back((session.clone(), now));
            self.fed.notify_waiters();
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.queue.clear();
        self.queued.clear();
        self.held.clear();
    }

    /// Hands out what was held for too long, then what is new.
    pub(super) fn take(&mut self, consumer: &str, now: Timestamp) -> Vec<FeedEntry> {
        let mut overdue: Vec<(u64, SessionId, u32, Timestamp)> = self
            .held
            .iter()
            .filter(|(_, held)| now.duration_since(held.since) >= HOLD)
            .map(|(session, held)| {
                let (receipt, redelivered) = (held.receipt, held.redelivered);
                (receipt, session.clone(), redelivered, held.changed)
            })
            .collect();
        overdue.sort_unstable();
        overdue.truncate(MAX_TAKEN);
        let mut taken = Vec::new();
        for (_, session, redelivered, changed) in overdue {
            tracing::debug!(consumer, %session, "a change was not settled in time and is handed out again");
            let waiting = Waiting {
                session,
                changed,
                trace: None,
            };
            taken.push(self.hold(waiting, redelivered.saturating_add(1), now));
        }
        while taken.len() < MAX_TAKEN
            && let Some((session, changed)) = self.queue.pop_front()
        {
            let waiting = Waiting {
                trace: self.queued.remove(&session).flatten(),
                session,
                changed,
            };
            taken.push(self.hold(waiting, 0, now));
        }
        taken
    }

    /// Holds `session` for whoever asked. It may have been held by somebody who looked at an
    /// older state: the newer look replaces that one, since both recompute the whole.
    fn hold(&mut self, waiting: Waiting, redelivered: u32, since: Timestamp) -> FeedEntry {
        let Waiting {
            session,
            changed,
            trace,
        } = waiting;
        let receipt = self.next_receipt;
        self.next_receipt += 1;
        let held = Held {
            receipt,
            since,
            changed,
            redelivered,
        };
        self.held.insert(session.clone(), held);
        FeedEntry {
            receipt: receipt.to_string(),
            session,
            redelivered,
            trace,
        }
    }

    /// What is held or waits, as of `now`.
    pub(super) fn backlog(&self, now: Timestamp) -> Backlog {
        let held = self.held.values().map(|held| held.changed).min();
        let waits = self.queue.front().map(|(_, changed)| *changed);
        let oldest = held.into_iter().chain(waits).min();
        let age = oldest.map(|changed| now.duration_since(changed));
        Backlog {
            entries: (self.held.len() + self.queue.len()) as u64,
            oldest: age
                .and_then(|age| age.try_into().ok())
                .unwrap_or(Duration::ZERO),
        }
    }

    /// Takes entries off; those taken over by somebody else stay.
    pub(super) fn settle(&mut self, entries: &[FeedEntry]) {
        for entry in entries {
            self.settle_one(entry);
        }
    }

    /// Takes an entry off, unless it was taken over by somebody else; says whether it did.
    pub(super) fn settle_one(&mut self, entry: &FeedEntry) -> bool {
        let held = self.held.get(&entry.session);
        let ours = held.is_some_and(|held| held.receipt.to_string() == entry.receipt);
        if ours {
            self.held.remove(&entry.session);
        }
        ours
    }
}
