//! A bot's hand on a store: it counts its sequence as a client does.

use std::time::Duration;

use fleet_coordinator::model::FeedEntry;
use fleet_coordinator::store::Maintain;
use fleet_worker_sdk::{
    Batch, BotId, Change, Execution, Identified, ProducerId, PushAnswer, Result, SessionId,
    Transition,
};

use super::{bot, open, worker};

/// One producer, at the execution of one bot in one session.
pub(crate) struct Hand<'a> {
    pub(crate) store: &'a dyn Maintain,
    pub(crate) session: SessionId,
    pub(crate) bot: BotId,
    pub(crate) attempt: u32,
    pub(crate) producer: ProducerId,
    /// The last sequence number that was taken.
    pub(crate) sequence: u64,
}

impl<'a> Hand<'a> {
    /// A fresh producer of `bot_id`, which has not started.
    pub(crate) fn new(store: &'a dyn Maintain, session: &SessionId, bot_id: &str) -> Self {
        Self {
            store,
            session: session.clone(),
            bot: bot(bot_id),
            attempt: 0,
            producer: ProducerId::fresh(),
            sequence: 0,
        }
    }

    /// Opens a session of `acme/shop` and starts `bot_id` in it.
    pub(crate) async fn started(store: &'a dyn Maintain, bot_id: &str) -> Self {
        let opened = store.open(&open("acme/shop")).await.unwrap();
        let mut hand = Self::new(store, &opened.session, bot_id);
        hand.start().await.unwrap();
        hand
    }

    /// The next transition it would send.
    pub(crate) fn transition(&self, change: Change) -> Transition {
        Transition {
            session: self.session.clone(),
            bot: self.bot.clone(),
            attempt: self.attempt,
            producer: self.producer.clone(),
            sequence: self.sequence + 1,
            change,
        }
    }

    /// The next batch it would send.
    pub(crate) fn batch(&self, findings: Vec<Identified>) -> Batch {
        Batch {
            session: self.session.clone(),
            bot: self.bot.clone(),
            attempt: self.attempt,
            producer: self.producer.clone(),
            sequence: self.sequence + 1,
            findings,
            again: Vec::new(),
            rules: std::collections::BTreeMap::new(),
        }
    }

    /// Sends a change; the number is used up if it is taken.
    pub(crate) async fn change(&mut self, change: Change) -> Result<Execution> {
        let transition = self.transition(change);
        let execution = self.store.transition(&transition).await?;
        self.sequence += 1;
        Ok(execution)
    }

    pub(crate) async fn start(&mut self) -> Result<Execution> {
        self.start_as(None, false).await
    }

    pub(crate) async fn reopen(&mut self) -> Result<Execution> {
        self.start_as(None, true).await
    }

    pub(crate) async fn start_as(&mut self, by: Option<&str>, reopen: bool) -> Result<Execution> {
        let worker = by.map(worker);
        let execution = self.change(Change::Start { worker, reopen }).await?;
        self.attempt = execution.attempt;
        Ok(execution)
    }

    pub(crate) async fn complete(&mut self, pushed: u64) -> Result<Execution> {
        let partial = false;
        self.change(Change::Complete { pushed, partial }).await
    }

    pub(crate) async fn fail(&mut self, reason: &str) -> Result<Execution> {
        let reason = reason.to_owned();
        self.change(Change::Fail { reason }).await
    }

    pub(crate) async fn skip(&mut self, reason: &str) -> Result<Execution> {
        let reason = reason.to_owned();
        self.change(Change::Skip { reason }).await
    }

    /// Sends a batch; the number is used up if it is taken.
    pub(crate) async fn send(&mut self, batch: &Batch) -> Result<PushAnswer> {
        let answer = self.store.push(batch).await?;
        self.sequence = self.sequence.max(batch.sequence);
        Ok(answer)
    }

    pub(crate) async fn push(&mut self, findings: Vec<Identified>) -> Result<PushAnswer> {
        let batch = self.batch(findings);
        self.send(&batch).await
    }
}

/// What `future` answers; a store that never answers fails the test instead of hanging it.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(20);
    let answer = tokio::time::timeout(limit, future).await;
    answer.expect("no answer within 20 s")
}

/// The next changes there are, however long they take.
pub(crate) async fn next_changes(store: &dyn Maintain, consumer: &str) -> Vec<FeedEntry> {
    within(async {
        loop {
            let entries = store
                .changes(consumer, Duration::from_secs(1))
                .await
                .unwrap();
            if !entries.is_empty() {
                return entries;
            }
        }
    })
    .await
}
