//! Feeds that lie on several servers: one task reads each partition's, over a connection of its own.

use std::sync::Arc;
use std::time::Duration;

use fleet_worker_sdk::retry::Backoff;
use fleet_worker_sdk::transport::redis::RedisLink;
use fleet_worker_sdk::{Error, Partition, Partitions, Result};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{MAX_BLOCK, create_group, read_group};
use crate::model::FeedEntry;

/// Answers waiting to be worked on: one. A reader with a second waits, and leaves the rest of its
/// feed to other coordinators.
const WAITING: usize = 1;

/// Readers of all partitions, for as long as this lives. What one has read and not handed over
/// when it ends is pending, and taken over as a dead coordinator's.
pub(super) struct Spread {
    answers: mpsc::Receiver<Result<Vec<FeedEntry>>>,
    _readers: JoinSet<()>,
}

impl Spread {
    pub(super) fn new(link: &Arc<RedisLink>, partitions: Partitions, consumer: &str) -> Self {
        let (to, answers) = mpsc::channel(WAITING);
        let mut readers = JoinSet::new();
        for partition in partitions.iter() {
            let reader = Reader {
                link: Arc::clone(link),
                partition,
                consumer: consumer.to_owned(),
                to: to.clone(),
            };
            readers.spawn(reader.run());
        }
        Self {
            answers,
            _readers: readers,
        }
    }

    /// What a reader found, none within `wait`.
    pub(super) async fn next(&mut self, wait: Duration) -> Result<Vec<FeedEntry>> {
        let Ok(answer) = timeout(wait, self.answers.recv()).await else {
            return Ok(Vec::new());
        };
        let mut found = answer.unwrap_or_else(|| Err(ended()))?;
        // What the others have by now is worked on together.
        while let Ok(answer) = self.answers.try_recv() {
            found.extend(answer?);
        }
        Ok(found)
    }
}

fn ended() -> Error {
    Error::Unavailable {
        store: "the feeds".to_owned(),
        why: "their readers have ended".to_owned(),
    }
}

struct Reader {
    link: Arc<RedisLink>,
    partition: Partition,
    consumer: String,
    to: mpsc::Sender<Result<Vec<FeedEntry>>>,
}

impl Reader {
    /// Reads until nobody listens; a failure is told, and the next connection waits a little longer.
    async fn run(self) {
        let mut backoff = Backoff::new();
        loop {
            let Err(error) = self.read(&mut backoff).await else {
                return;
            };
            if self.to.send(Err(error)).await.is_err() {
                return;
            }
            backoff.wait().await;
        }
    }

    /// Reads over one connection; ends well when nobody listens.
    async fn read(&self, backoff: &mut Backoff) -> Result<()> {
        create_group(&self.link, self.partition).await?;
        let mut connection = self.link.dedicated(MAX_BLOCK).await?;
        let feed = [(self.partition, self.link.keys().feed(self.partition))];
        loop {
            let read = read_group(
                &self.link,
                &mut connection,
                &self.consumer,
                &feed,
                MAX_BLOCK,
            );
            let entries = read.await?;
            *backoff = Backoff::new();
            if !entries.is_empty() && self.to.send(Ok(entries)).await.is_err() {
                return Ok(());
            }
        }
    }
}
