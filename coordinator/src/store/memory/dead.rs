//! Dead letters in memory.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use async_trait::async_trait;
use fleet_worker_sdk::keys::SCHEMA_VERSION;
use fleet_worker_sdk::{BotId, Error, Result, SessionId, wire};
use jiff::Timestamp;

use super::{MemoryStore, State};
use crate::model::FeedEntry;
use crate::store::Findings;
use crate::store::operate::{
    Consumers, Layout, Letter, LetterId, LetterKind, Letters, MAX_LETTERS, MAX_LETTERS_READ,
    OpenedLetter, Operate, Server, session_of,
};

/// Letters in the order they came, the latest at the end.
#[derive(Default)]
pub(super) struct Dead {
    letters: VecDeque<OpenedLetter>,
    written: u64,
}

/// What a letter is made of.
pub(super) struct Poison {
    pub(super) kind: LetterKind,
    pub(super) session: SessionId,
    pub(super) reason: String,
    pub(super) source: String,
    pub(super) delivered: u64,
    pub(super) findings: u64,
    pub(super) fields: BTreeMap<String, Vec<u8>>,
}

impl Dead {
    /// Adds a letter; the oldest goes where there are too many.
    pub(super) fn add(&mut self, poison: Poison, now: Timestamp) {
        let ms = u64::try_from(now.as_millisecond()).unwrap_or(0);
        self.written += 1;
        let letter = Letter {
            id: LetterId {
                partition: poison.session.partition(),
                ms,
                number: self.written,
            },
            kind: poison.kind,
            session: poison.session.to_string(),
            reason: poison.reason,
            since: now,
            source: poison.source,
            delivered: poison.delivered,
            findings: poison.findings,
            bytes: poison.fields.values().map(|value| value.len() as u64).sum(),
        };
        let fields = poison.fields;
        self.letters.push_back(OpenedLetter { letter, fields });
        if self.letters.len() > MAX_LETTERS {
            self.letters.pop_front();
        }
    }

    fn page(&self, after: Option<&LetterId>, limit: usize) -> Letters {
        let mut letters: Vec<Letter> = self
            .letters
            .iter()
            .map(|opened| opened.letter.clone())
            .filter(|letter| after.is_none_or(|after| letter.id.order() < after.order()))
            .collect();
        letters.sort_by_key(|letter| std::cmp::Reverse(letter.id.order()));
        letters.truncate(limit.min(MAX_LETTERS_READ));
        Letters {
            letters,
            total: self.letters.len() as u64,
        }
    }

    fn find(&self, id: &LetterId) -> Result<&OpenedLetter> {
        let found = self.letters.iter().find(|opened| opened.letter.id == *id);
        found.ok_or_else(|| Error::not_found("letter", id))
    }

    fn take(&mut self, id: &LetterId) -> Option<OpenedLetter> {
        let at = self
            .letters
            .iter()
            .position(|opened| opened.letter.id == *id)?;
        self.letters.remove(at)
    }
}

impl MemoryStore {
    /// Indexes a batch's findings again; what still cannot be read is a letter again.
    async fn requeue_batch(
        &self,
        session: &SessionId,
        findings: &Findings,
        id: &LetterId,
    ) -> Result<()> {
        let mut index = findings.write().await;
        let (mut state, now) = self.lock();
        let opened = state
            .dead
            .take(id)
            .ok_or_else(|| Error::not_found("letter", id))?;
        let field = |name: &str| opened.fields.get(name).map(Vec::as_slice);
        let bot = BotId::new(String::from_utf8_lossy(field("b").unwrap_or_default()))?;
        let (mut left, mut reason) = (Vec::new(), String::new());
        for body in wire::split(field("f").unwrap_or_default())? {
            if let Err(error) = index.add(&bot, now, body) {
                reason = error.to_string();
                left.push(body.to_vec());
            }
        }
        state.release(session, opened.letter.findings, now)?;
        if !left.is_empty() {
            state.quarantine(session, &bot, &left, reason, now);
        }
        Ok(())
    }
}

impl State {
    /// Puts findings that the index could not read with the dead letters. They stay counted.
    pub(super) fn quarantine(
        &mut self,
        session: &SessionId,
        bot: &BotId,
        bodies: &[Vec<u8>],
        reason: String,
        now: Timestamp,
    ) {
        let findings = bodies.len() as u64;
        self.hold_back(session, findings);
        let fields = BTreeMap::from([
            ("b".to_owned(), bot.as_str().as_bytes().to_vec()),
            ("f".to_owned(), wire::join(bodies.iter().map(Vec::as_slice))),
        ]);
        let poison = Poison {
            kind: LetterKind::Batch,
            session: session.clone(),
            reason,
            source: String::new(),
            delivered: 0,
            findings,
            fields,
        };
        self.dead.add(poison, now);
    }
}

#[async_trait]
impl Operate for MemoryStore {
    async fn letters(&self, after: Option<&LetterId>, limit: usize) -> Result<Letters> {
        Ok(self.state().dead.page(after, limit))
    }

    async fn letter(&self, id: &LetterId) -> Result<OpenedLetter> {
        self.state().dead.find(id).cloned()
    }

    async fn requeue(&self, id: &LetterId) -> Result<()> {
        let letter = self.state().dead.find(id)?.letter.clone();
        let session = session_of(&letter)?;
        match letter.kind {
            LetterKind::Change => {
                let (mut state, now) = self.lock();
                let there = state.dead.take(id);
                there.ok_or_else(|| Error::not_found("letter", id))?;
                state.feed.add(&session, now);
                Ok(())
            }
            LetterKind::Batch => {
                let findings = std::sync::Arc::clone(&self.state().session(&session)?.index);
                self.requeue_batch(&session, &findings, id).await
            }
        }
    }

    async fn discard(&self, id: &LetterId) -> Result<bool> {
        Ok(self.state().dead.take(id).is_some())
    }

    async fn give_up(&self, entries: &[FeedEntry], reason: &str) -> Result<u64> {
        let (mut state, now) = self.lock();
        let mut moved = 0;
        for entry in entries {
            if !state.feed.settle_one(entry) {
                continue;
            }
            let poison = Poison {
                kind: LetterKind::Change,
                session: entry.session.clone(),
                reason: reason.to_owned(),
                source: entry.receipt.clone(),
                delivered: u64::from(entry.redelivered) + 1,
                findings: 0,
                fields: BTreeMap::from([(
                    "s".to_owned(),
                    entry.session.as_str().as_bytes().to_vec(),
                )]),
            };
            state.dead.add(poison, now);
            moved += 1;
        }
        Ok(moved)
    }

    async fn reap(&self, _idle: Duration) -> Result<u64> {
        // Who takes from the feed is not written down here.
        Ok(0)
    }

    async fn servers(&self) -> Result<Vec<Server>> {
        Ok(Vec::new())
    }

    async fn consumers(&self) -> Result<Consumers> {
        Ok(Consumers::default())
    }

    async fn layout(&self) -> Result<Layout> {
        Ok(Layout {
            schema: SCHEMA_VERSION,
            partitions: self.state().partitions(),
        })
    }

    async fn rights(&self) -> Result<()> {
        Ok(())
    }
}
