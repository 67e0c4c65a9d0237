//! A batch while it fills: how much is in it, who waits for it.

use std::collections::{BTreeMap, HashMap};

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

use super::settings::Settings;
use crate::error::{Error, Result};
use crate::finding::Fingerprint;
use crate::push::{Again, Identified, Rule};

/// Told once what became of it.
pub(super) type Waiter = oneshot::Sender<Result<()>>;

/// What one batch carries.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Content {
    pub(super) findings: Vec<Identified>,
    pub(super) again: Vec<Again>,
    pub(super) rules: BTreeMap<String, Rule>,
    /// Encoded size, as far as it is counted.
    pub(super) bytes: usize,
}

/// One thing to send.
#[derive(Debug)]
pub(super) enum What {
    Finding(Box<Identified>),
    Again(Again),
    Rule(String, Box<Rule>),
}

/// One thing to send, the room it takes, and who waits for its acknowledgement.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) what: What,
    pub(super) bytes: usize,
    pub(super) room: OwnedSemaphorePermit,
    pub(super) waiter: Option<Waiter>,
}

/// A batch that fills. The room of its items is given back when it is dropped.
#[derive(Debug, Default)]
pub(super) struct Load {
    content: Content,
    room: Option<OwnedSemaphorePermit>,
    pub(super) waiters: Waiters,
    /// Some item has nobody who waits for it.
    unwatched: bool,
    /// When its first item came.
    begun: Option<Instant>,
    /// Position of each repeat: only its latest count is sent.
    repeats: HashMap<Fingerprint, usize>,
}

impl Load {
    pub(super) fn add(&mut self, item: Item, now: Instant) {
        self.begun.get_or_insert(now);
        self.content.bytes += item.bytes;
        match &mut self.room {
            Some(room) => room.merge(item.room),
            empty => *empty = Some(item.room),
        }
        self.unwatched |= item.waiter.is_none();
        self.waiters.pushes.extend(item.waiter);
        match item.what {
            What::Finding(finding) => self.content.findings.push(*finding),
            What::Again(again) => self.repeat(again),
            What::Rule(id, rule) => {
                self.content.rules.insert(id, *rule);
            }
        }
    }

    fn repeat(&mut self, again: Again) {
        let next = self.content.again.len();
        let position = *self.repeats.entry(again.fingerprint).or_insert(next);
        match self.content.again.get_mut(position) {
            Some(earlier) => *earlier = again,
            None => self.content.again.push(again),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.begun.is_none()
    }

    pub(super) fn is_full(&self, settings: &Settings) -> bool {
        let content = &self.content;
        content.findings.len() + content.again.len() >= settings.batch_findings
            || content.bytes >= settings.batch_bytes
    }

    /// When it must go even if it is not full.
    pub(super) fn due(&self, settings: &Settings) -> Option<Instant> {
        self.begun.map(|begun| begun + settings.linger)
    }

    /// What to send, and the rest, to be dropped once it is acknowledged.
    pub(super) fn take(&mut self) -> (Content, Sent) {
        let load = std::mem::take(self);
        let sent = Sent {
            _room: load.room,
            waiters: load.waiters,
            unwatched: load.unwatched,
        };
        (load.content, sent)
    }
}

/// What stays behind while a batch is on its way.
#[derive(Debug, Default)]
pub(super) struct Sent {
    _room: Option<OwnedSemaphorePermit>,
    pub(super) waiters: Waiters,
    /// A refusal must be kept for the next flush: nobody else hears of it.
    pub(super) unwatched: bool,
}

/// Who waits for a batch.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    /// For their own finding.
    pub(super) pushes: Vec<Waiter>,
    /// For everything up to here.
    pub(super) flushes: Vec<Waiter>,
}

impl Waiters {
    pub(super) fn is_empty(&self) -> bool {
        self.pushes.is_empty() && self.flushes.is_empty()
    }

    /// Tells those who wait for their own findings `result`, and those who flush `refused`,
    /// which remembers what nobody was told yet.
    pub(super) fn tell(self, result: &Result<()>, refused: &mut Option<Error>) {
        // A waiter that has gone gave up waiting; nothing is owed to it.
        for waiter in self.pushes {
            let _ = waiter.send(result.clone());
        }
        if self.flushes.is_empty() {
            return;
        }
        let outcome = refused.take().map_or(Ok(()), Err);
        for waiter in self.flushes {
            let _ = waiter.send(outcome.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;
    use crate::finding::Finding;

    fn item(what: What, bytes: usize, room: &Arc<Semaphore>) -> Item {
        let room = Arc::clone(room)
            .try_acquire_many_owned(bytes as u32)
            .unwrap();
        Item {
            what,
            bytes,
            room,
            waiter: None,
        }
    }

    fn finding(n: u8) -> What {
        What::Finding(Box::new(Identified {
            fingerprint: Fingerprint([n; 16]),
            finding: Finding::new("r", "m"),
        }))
    }

    #[tokio::test]
    async fn a_batch_is_full_by_count_or_by_bytes() {
        let room = Arc::new(Semaphore::new(1_000));
        let settings = Settings {
            batch_findings: 3,
            batch_bytes: 100,
            ..Settings::default()
        };
        let mut load = Load::default();
        for n in 0..3 {
            assert!(!load.is_full(&settings), "full after {n}");
            load.add(item(finding(n), 10, &room), Instant::now());
        }
        assert!(load.is_full(&settings));
        let mut heavy = Load::default();
        heavy.add(item(finding(9), 100, &room), Instant::now());
        assert!(heavy.is_full(&settings));
    }

    #[tokio::test]
    async fn room_comes_back_when_what_was_sent_is_dropped() {
        let room = Arc::new(Semaphore::new(100));
        let mut load = Load::default();
        load.add(item(finding(1), 40, &room), Instant::now());
        load.add(item(finding(2), 40, &room), Instant::now());
        let (content, sent) = load.take();
        assert_eq!((content.findings.len(), content.bytes), (2, 80));
        assert!(load.is_empty());
        assert_eq!(room.available_permits(), 20);
        drop(sent);
        assert_eq!(room.available_permits(), 100);
    }

    #[tokio::test]
    async fn only_the_latest_count_of_a_repeat_is_sent() {
        let room = Arc::new(Semaphore::new(100));
        let mut load = Load::default();
        for (n, occurrences) in [(1, 2), (2, 2), (1, 3), (1, 4)] {
            let again = Again {
                fingerprint: Fingerprint([n; 16]),
                occurrences,
            };
            load.add(item(What::Again(again), 1, &room), Instant::now());
        }
        let counts: Vec<_> = load.take().0.again.iter().map(|a| a.occurrences).collect();
        assert_eq!(counts, [4, 2]);
    }
}
