//! What is read of a fleet in Redis.

use std::cmp::Ordering;
use std::collections::HashMap;

use async_trait::async_trait;
use fleet_worker_sdk::keys::baseline_field;
use fleet_worker_sdk::transport::redis::{fcall_ro, stored};
use fleet_worker_sdk::{Bot, BotId, Error, Partition, Repository, Result, SessionId, WorkerId};
use futures_util::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::broadcast;

use super::{RedisStore, parse};
use crate::model::{Rollup, Run, Session, SessionFacts, Update, Worker};
use crate::store::{Findings, Read, SessionCursor, SessionQuery};

/// Workers whose hashes are read in one round trip.
const WORKERS_AT_ONCE: usize = 500;
/// Sessions of a partition looked at in one step, when one repository's are looked for.
const SCAN: usize = 200;
/// Workers heard of within this time are listed.
const WORKERS_SINCE: SignedDuration = SignedDuration::from_hours(24);

/// In which order sessions are walked.
#[derive(Clone, Copy)]
pub(super) enum Order {
    /// Latest change first.
    Latest,
    /// Longest unchanged first.
    Oldest,
}

impl Order {
    /// The range from a time on, none for all.
    fn range(self, key: &str, from: Option<i64>) -> redis::Cmd {
        let (name, all, end) = match self {
            Self::Latest => ("ZREVRANGEBYSCORE", "+inf", "-inf"),
            Self::Oldest => ("ZRANGEBYSCORE", "-inf", "+inf"),
        };
        let mut command = redis::cmd(name);
        command.arg(key);
        command.arg(from.map_or(all.to_owned(), |ms| ms.to_string()));
        command.arg(end).arg("WITHSCORES");
        command
    }

    /// Which of two comes first.
    fn compare(self, one: &SessionCursor, other: &SessionCursor) -> Ordering {
        match self {
            Self::Latest => other.cmp(one),
            Self::Oldest => one.cmp(other),
        }
    }
}

impl RedisStore {
    /// Up to `limit` sessions of a partition after the cursor.
    async fn page(
        &self,
        partition: Partition,
        order: Order,
        after: Option<&SessionCursor>,
        limit: usize,
    ) -> Result<Vec<SessionCursor>> {
        let key = self.keys().sessions(partition);
        let mut found = Vec::new();
        let mut offset = 0;
        while found.len() < limit {
            let mut command = order.range(&key, after.map(|cursor| cursor.changed_ms));
            command.arg("LIMIT").arg(offset).arg(limit);
            let rows: Vec<(String, f64)> = self.link.call(&command).await?;
            let read = rows.len();
            offset += read;
            for (session, changed) in rows {
                let session = SessionId::new(session).map_err(Error::protocol)?;
                let row = SessionCursor {
                    changed_ms: changed as i64,
                    session,
                };
                if after.is_none_or(|cursor| order.compare(cursor, &row).is_lt()) {
                    found.push(row);
                }
            }
            if read < limit {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    /// Reads sessions of one partition in one round trip; those dropped meanwhile are left out.
    async fn load(&self, rows: &[SessionCursor]) -> Result<Vec<Session>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        for row in rows {
            pipeline.hgetall(self.keys().session(&row.session));
        }
        let all: Vec<parse::Fields> = self.link.pipeline(&pipeline).await?;
        let present = rows
            .iter()
            .zip(&all)
            .filter(|(_, fields)| !fields.is_empty());
        present
            .map(|(row, fields)| parse::session(&row.session, fields))
            .collect()
    }

    /// Up to `limit` sessions of all partitions after the cursor.
    pub(super) async fn all_sessions(
        &self,
        order: Order,
        after: Option<&SessionCursor>,
        limit: usize,
    ) -> Result<Vec<Session>> {
        let partitions = self.link.partitions().await?;
        let pages = partitions
            .iter()
            .map(|partition| self.page(partition, order, after, limit));
        let mut rows = try_join_all(pages).await?.concat();
        rows.sort_unstable_by(|a, b| order.compare(a, b));
        rows.truncate(limit);
        let mut by_partition: HashMap<Partition, Vec<SessionCursor>> = HashMap::new();
        for row in rows {
            by_partition
                .entry(row.session.partition())
                .or_default()
                .push(row);
        }
        let loads = by_partition.values().map(|rows| self.load(rows));
        let mut sessions = try_join_all(loads).await?.concat();
        sessions.sort_by_cached_key(|s| (s.changed.as_millisecond(), s.id.clone()));
        if matches!(order, Order::Latest) {
            sessions.reverse();
        }
        Ok(sessions)
    }

    async fn sessions_of(
        &self,
        repository: &Repository,
        query: &SessionQuery,
    ) -> Result<Vec<Session>> {
        let partition = self.link.partitions().await?.of(repository);
        let mut found = Vec::new();
        let mut after = query.after.clone();
        while found.len() < query.limit {
            let rows = self
                .page(partition, Order::Latest, after.as_ref(), SCAN)
                .await?;
            let sessions = self.load(&rows).await?;
            found.extend(
                sessions
                    .into_iter()
                    .filter(|session| session.repository == *repository),
            );
            match rows.last() {
                Some(last) if rows.len() == SCAN => after = Some(last.clone()),
                _ => break,
            }
        }
        found.truncate(query.limit);
        Ok(found)
    }
}

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
