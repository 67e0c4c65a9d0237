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

/// Things to send that are handed over at once, the room they take, and who waits for their
/// acknowledgement.
#[derive(Debug)]
pub(super) struct Lot {
    /// Each with its encoded size.
    things: std::vec::IntoIter<(What, usize)>,
    room: OwnedSemaphorePermit,
    waiter: Option<Waiter>,
}

impl Lot {
    pub(super) fn new(
        things: Vec<(What, usize)>,
        room: OwnedSemaphorePermit,
        waiter: Option<Waiter>,
    ) -> Self {
        Self {
            things: things.into_iter(),
            room,
            waiter,
        }
    }
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
    /// Takes what fits of a lot; the rest of it, if there is one.
    pub(super) fn add(&mut self, mut lot: Lot, settings: &Settings, now: Instant) -> Option<Lot> {
        self.begun.get_or_insert(now);
        self.unwatched |= lot.waiter.is_none();
        let mut taken = 0;
        while !self.is_full(settings)
            && let Some((what, bytes)) = lot.things.next()
        {
            self.content.bytes += bytes;
            taken += settings.room_of(bytes);
            self.put(what);
        }
        if lot.things.as_slice().is_empty() {
            self.hold(lot.room);
            self.waiters.pushes.extend(lot.waiter);
            return None;
        }
        if let Some(room) = lot.room.split(taken) {
            self.hold(room);
        }
        Some(lot)
    }

    fn hold(&mut self, taken: OwnedSemaphorePermit) {
        match &mut self.room {
            Some(room) => room.merge(taken),
            empty => *empty = Some(taken),
        }
    }

    fn put(&mut self, what: What) {
        match what {
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

    fn lot(things: Vec<(What, usize)>, room: &Arc<Semaphore>) -> Lot {
        let bytes: usize = things.iter().map(|(_, bytes)| bytes).sum();
        let room = Arc::clone(room)
            .try_acquire_many_owned(bytes as u32)
            .unwrap();
        Lot::new(things, room, None)
    }

    /// Without a least room, so that each test sees its own numbers.
    fn settings() -> Settings {
        Settings {
            queue_bytes: 1_000,
            queue: 1_000,
            ..Settings::default()
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
            ..settings()
        };
        let mut load = Load::default();
        for n in 0..3 {
            assert!(!load.is_full(&settings), "full after {n}");
            let one = lot(vec![(finding(n), 10)], &room);
            assert!(load.add(one, &settings, Instant::now()).is_none());
        }
        assert!(load.is_full(&settings));
        let mut heavy = Load::default();
        let one = lot(vec![(finding(9), 100)], &room);
        assert!(heavy.add(one, &settings, Instant::now()).is_none());
        assert!(heavy.is_full(&settings));
    }

    #[tokio::test]
    async fn room_comes_back_when_what_was_sent_is_dropped() {
        let room = Arc::new(Semaphore::new(100));
        let mut load = Load::default();
        for n in 1..3 {
            load.add(
                lot(vec![(finding(n), 40)], &room),
                &settings(),
                Instant::now(),
            );
        }
        let (content, sent) = load.take();
        assert_eq!((content.findings.len(), content.bytes), (2, 80));
        assert!(load.is_empty());
        assert_eq!(room.available_permits(), 20);
        drop(sent);
        assert_eq!(room.available_permits(), 100);
    }

    #[tokio::test]
    async fn what_does_not_fit_waits_for_the_next_batch_with_its_room() {
        let room = Arc::new(Semaphore::new(100));
        let settings = Settings {
            batch_findings: 3,
            ..settings()
        };
        let five = (0..5).map(|n| (finding(n), 10)).collect();
        let mut load = Load::default();
        let rest = load.add(lot(five, &room), &settings, Instant::now());
        let (content, sent) = load.take();
        assert_eq!((content.findings.len(), content.bytes), (3, 30));
        drop(sent);
        assert_eq!(room.available_permits(), 80);
        assert!(
            load.add(rest.unwrap(), &settings, Instant::now()).is_none(),
            "the rest fits"
        );
        let (content, sent) = load.take();
        let numbers: Vec<u8> = content
            .findings
            .iter()
            .map(|f| f.fingerprint.0[0])
            .collect();
        assert_eq!(numbers, [3, 4]);
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
            let one = lot(vec![(What::Again(again), 1)], &room);
            load.add(one, &settings(), Instant::now());
        }
        let counts: Vec<_> = load.take().0.again.iter().map(|a| a.occurrences).collect();
        assert_eq!(counts, [4, 2]);
    }
}
