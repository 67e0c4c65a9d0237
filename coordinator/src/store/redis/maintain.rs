//! What coordinators write.

use std::time::Duration;

use async_trait::async_trait;
use fleet_worker_sdk::trace;
use fleet_worker_sdk::transport::redis::fcall;
use fleet_worker_sdk::{Command, Error, Result, SessionId, WorkerId};

use super::{RedisStore, backlog};
use crate::health::Status;
use crate::model::{Derived, FeedEntry, Update};
use crate::store::{Backlog, Maintain};

#[async_trait]
impl Maintain for RedisStore {
    async fn changes(&self, consumer: &str, wait: Duration) -> Result<Vec<FeedEntry>> {
        self.feed.next(consumer, wait).await
    }

    async fn settle(&self, entries: &[FeedEntry]) -> Result<()> {
        self.feed.settle(entries).await
    }

    async fn backlog(&self) -> Result<Backlog> {
        backlog::read(&self.link).await
    }

    async fn derive(&self, session: &SessionId, derived: &Derived) -> Result<bool> {
        let (keys, partition) = (self.keys(), session.partition());
        let repository = self.repository_of(session).await?;
        let keys = [
            keys.session(session),
            keys.repository_quality(partition, &repository),
            keys.rollup(partition),
        ];
        let mut command = fcall("fleet_derive_1", &keys);
        command.arg(session.as_str()).arg(derived.version.0);
        command.arg(serde_json::to_vec(derived).map_err(Error::protocol)?);
        command.arg(
            derived
                .quality
                .map_or(String::new(), |q| format!("{:.0}", (q * 1000.0).round())),
        );
        command.arg(self.keys().updates());
        command.arg(derived.band.map_or("", Status::as_str));
        command.arg(trace::current().map_or(String::new(), String::from));
        let stored: u8 = self.link.call(&command).await?;
        Ok(stored == 1)
    }

    async fn command(&self, worker: &WorkerId, command: Command) -> Result<()> {
        let mut call = fcall("fleet_command_1", &[self.keys().worker(worker)]);
        call.arg(command.as_str()).arg(self.keys().updates());
        let known: u8 = self.link.call(&call).await?;
        if known == 1 {
            Ok(())
        } else {
            Err(Error::not_found("worker", worker))
        }
    }

    async fn forget(&self, worker: &WorkerId) -> Result<()> {
        let mut pipeline = redis::pipe();
        pipeline
            .zrem(self.keys().workers(), worker.as_str())
            .ignore();
        pipeline.del(self.keys().worker(worker)).ignore();
        self.link.pipeline::<()>(&pipeline).await
    }

    async fn announce(&self, update: Update) -> Result<()> {
        let mut command = redis::cmd("PUBLISH");
        command.arg(self.keys().updates());
        command.arg(serde_json::to_vec(&update).map_err(Error::protocol)?);
        let _heard: u64 = self.link.call(&command).await?;
        Ok(())
    }
}
