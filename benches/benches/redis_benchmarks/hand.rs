//! An execution that pushes, without the SDK's batching.

use std::collections::BTreeMap;

use fleet_coordinator::store::SharedStore;
use fleet_worker_sdk::{
    Batch, BotId, Change, Identified, OpenSession, ProducerId, SessionId, Transition,
};

/// An execution and the numbers it has used.
pub(crate) struct Hand {
    store: SharedStore,
    pub(crate) session: SessionId,
    bot: BotId,
    producer: ProducerId,
    sequence: u64,
    attempt: u32,
    pushed: u64,
}

impl Hand {
    /// Opens a session that nobody opened before, and starts in it.
    pub(crate) async fn start(store: &SharedStore) -> Self {
        let open = OpenSession::new("bench/measured").unwrap();
        let open = open.run(ProducerId::fresh().to_string());
        let mut hand = Self {
            session: store.open(&open).await.unwrap().session,
            store: store.clone(),
            bot: "scanner".parse().unwrap(),
            producer: ProducerId::fresh(),
            sequence: 0,
            attempt: 0,
            pushed: 0,
        };
        hand.attempt = hand
            .change(Change::Start {
                worker: None,
                reopen: false,
            })
            .await;
        hand
    }

    async fn change(&mut self, change: Change) -> u32 {
        self.sequence += 1;
        let transition = Transition {
            session: self.session.clone(),
            bot: self.bot.clone(),
            producer: self.producer.clone(),
            sequence: self.sequence,
            attempt: self.attempt,
            change,
        };
        self.store.transition(&transition).await.unwrap().attempt
    }

    /// Pushes one batch.
    pub(crate) async fn push(&mut self, findings: &[Identified]) {
        self.sequence += 1;
        self.pushed += findings.len() as u64;
        let batch = Batch {
            session: self.session.clone(),
            bot: self.bot.clone(),
            attempt: self.attempt,
            producer: self.producer.clone(),
            sequence: self.sequence,
            findings: findings.to_vec(),
            again: Vec::new(),
            rules: BTreeMap::new(),
        };
        self.store.push(&batch).await.unwrap();
    }

    /// Ends well.
    pub(crate) async fn complete(mut self) -> SessionId {
        let pushed = self.pushed;
        self.change(Change::Complete {
            pushed,
            partial: false,
        })
        .await;
        self.session
    }
}

/// A complete session of these findings.
pub(crate) async fn session(store: &SharedStore, findings: &[Identified]) -> SessionId {
    let mut hand = Hand::start(store).await;
    for batch in findings.chunks(fleet_benches::BATCH) {
        hand.push(batch).await;
    }
    hand.complete().await
}
