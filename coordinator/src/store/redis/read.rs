//! What is read of a fleet in Redis.

use std::collections::HashMap;

use async_trait::async_trait;
use fleet_worker_sdk::keys::baseline_field;
use fleet_worker_sdk::transport::redis::{fcall_ro, stored};
use fleet_worker_sdk::{Bot, BotId, Error, Repository, Result, SessionId, WorkerId};
use futures_util::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::broadcast;

use super::sessions::Order;
use super::{RedisStore, parse};
use crate::model::{Rollup, Run, Session, SessionFacts, Update, Worker};
use crate::store::{Findings, Read, SessionQuery};

/// Workers whose hashes are read in one round trip.
const WORKERS_AT_ONCE: usize = 500;
/// Workers heard of within this time are listed.
const WORKERS_SINCE: SignedDuration = SignedDuration::from_hours(24);

#[async_trait]
impl Read for RedisStore {
    async fn sessions(&self, query: &SessionQuery) -> Result<Vec<Session>> {
        match &query.repository {
            Some(repository) => self.sessions_of(repository, query).await,
            None => {
                self.all_sessions(Order::Latest, query.after.as_ref(), query.limit)
                    .await
            }
        }
    }

    async fn session(&self, session: &SessionId) -> Result<Session> {
        let mut command = redis::cmd("HGETALL");
        command.arg(self.keys().session(session));
        let fields: parse::Fields = self.link.call(&command).await?;
        parse::session(session, &fields)
    }

    async fn facts(&self, session: &SessionId) -> Result<SessionFacts> {
        self.facts_of(session).await
    }

    async fn findings(&self, session: &SessionId) -> Result<Findings> {
        self.folds.current(session).await
    }

    async fn bots(&self) -> Result<Vec<Bot>> {
        let mut command = redis::cmd("HVALS");
        command.arg(self.keys().bots());
        let bots: Vec<Vec<u8>> = self.link.call(&command).await?;
        let read = |json: &Vec<u8>| serde_json::from_slice(json).map_err(Error::protocol);
        let mut bots = bots.iter().map(read).collect::<Result<Vec<Bot>>>()?;
        bots.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(bots)
    }

    async fn workers(&self) -> Result<Vec<Worker>> {
        let since = self.now().await? - WORKERS_SINCE;
        let mut command = redis::cmd("ZRANGEBYSCORE");
        command
            .arg(self.keys().workers())
            .arg(since.as_millisecond())
            .arg("+inf")
            .arg("WITHSCORES");
        let rows: Vec<(String, f64)> = self.link.call(&command).await?;
        let mut workers = Vec::with_capacity(rows.len());
        for rows in rows.chunks(WORKERS_AT_ONCE) {
            let mut pipeline = redis::pipe();
            for (id, _) in rows {
                pipeline.hgetall(
                    self.keys()
                        .worker(&WorkerId::new(id).map_err(Error::protocol)?),
                );
            }
            let all: Vec<parse::Fields> = self.link.pipeline(&pipeline).await?;
            for ((_, last_beat), fields) in rows.iter().zip(&all) {
                workers.extend(parse::worker(
                    fields,
                    stored::timestamp(*last_beat as u64)?,
                )?);
            }
        }
        workers.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(workers)
    }

    async fn runs(&self, bot: &BotId) -> Result<Vec<Run>> {
        self.runs.latest(bot).await
    }

    async fn baseline(
        &self,
        repository: &Repository,
        bot: &BotId,
        git_ref: &str,
    ) -> Result<Option<SessionId>> {
        let partition = self.link.partitions().await?.of(repository);
        let mut command = redis::cmd("HGET");
        command
            .arg(self.keys().baselines(partition))
            .arg(baseline_field(repository, bot, git_ref));
        let session: Option<String> = self.link.call(&command).await?;
        session
            .map(|id| SessionId::new(id).map_err(Error::protocol))
            .transpose()
    }

    async fn rollup(&self) -> Result<Rollup> {
        let partitions = self.link.partitions().await?;
        let read = partitions.iter().map(|partition| async move {
            let mut command = redis::cmd("HGETALL");
            command.arg(self.keys().rollup(partition));
            self.link.call::<HashMap<String, u64>>(&command).await
        });
        let mut sum = Rollup::default();
        for fields in try_join_all(read).await? {
            let field = |name: &str| fields.get(name).copied().unwrap_or_default();
            sum.sessions += field("sessions");
            sum.repositories += field("repositories");
            sum.quality_milli += field("quality");
            sum.findings += field("findings");
            sum.dropped += field("dropped");
        }
        Ok(sum)
    }

    async fn now(&self) -> Result<Timestamp> {
        let command = fcall_ro("fleet_now_1", &[self.keys().meta()]);
        let (seconds, microseconds): (u64, u64) = self.link.call(&command).await?;
        stored::timestamp(seconds * 1000 + microseconds / 1000)
    }

    fn updates(&self) -> broadcast::Receiver<Update> {
        self.updates.subscribe()
    }

    async fn check(&self) -> Result<()> {
        self.probe.check(&self.link).await
    }

    fn address(&self) -> String {
        self.link.address().to_owned()
    }
}
