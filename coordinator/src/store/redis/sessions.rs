//! Sessions as lists of them are walked: the latest first, or the oldest.

use std::cmp::Ordering;
use std::collections::HashMap;

use fleet_worker_sdk::{Error, Partition, Repository, Result, SessionId};
use futures_util::future::try_join_all;

use super::{RedisStore, parse};
use crate::model::Session;
use crate::store::{SessionCursor, SessionQuery};

/// Sessions of a partition looked at in one step, when one repository's are looked for.
const SCAN: usize = 200;

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
                let id = match SessionId::new(&*session) {
                    Ok(id) => id,
                    Err(error) => {
                        self.leave_out(&session, &error);
                        continue;
                    }
                };
                let row = SessionCursor {
                    changed_ms: changed as i64,
                    session: id,
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

    /// Reads sessions of one partition in one round trip; those dropped meanwhile are left out, and
    /// those that cannot be read, which are told of.
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
        let read = present.filter_map(|(row, fields)| {
            let id = row.session.as_str();
            parse::session(&row.session, fields)
                .inspect(|_| self.unreadable.mended(id))
                .inspect_err(|error| self.leave_out(id, error))
                .ok()
        });
        Ok(read.collect())
    }

    /// Tells, once, of a session that cannot be read: it must not hide the others.
    fn leave_out(&self, session: &str, error: &Error) {
        let why = error.to_string();
        if self.unreadable.is_news(session, &why) {
            self.unreadable.told(session, &why);
            tracing::error!(
                session,
                why,
                "a session cannot be read; lists leave it out, and it is never retired"
            );
        }
    }

    /// Up to `limit` sessions of all partitions after the cursor; fewer only when there are no more.
    pub(super) async fn all_sessions(
        &self,
        order: Order,
        after: Option<&SessionCursor>,
        limit: usize,
    ) -> Result<Vec<Session>> {
        let mut sessions = Vec::new();
        let mut after = after.cloned();
        while sessions.len() < limit {
            let wanted = limit - sessions.len();
            let rows = self.all_pages(order, after.as_ref(), wanted).await?;
            let last = rows.last().filter(|_| rows.len() == wanted).cloned();
            sessions.extend(self.load_all(rows).await?);
            match last {
                Some(last) => after = Some(last),
                None => break,
            }
        }
        sessions.sort_by_cached_key(|s| (s.changed.as_millisecond(), s.id.clone()));
        if matches!(order, Order::Latest) {
            sessions.reverse();
        }
        Ok(sessions)
    }

    /// Where up to `limit` sessions of all partitions after the cursor are.
    async fn all_pages(
        &self,
        order: Order,
        after: Option<&SessionCursor>,
        limit: usize,
    ) -> Result<Vec<SessionCursor>> {
        let partitions = self.link.partitions().await?;
        let pages = partitions
            .iter()
            .map(|partition| self.page(partition, order, after, limit));
        let mut rows = try_join_all(pages).await?.concat();
        rows.sort_unstable_by(|a, b| order.compare(a, b));
        rows.truncate(limit);
        Ok(rows)
    }

    /// Reads sessions of any partitions, in no order.
    async fn load_all(&self, rows: Vec<SessionCursor>) -> Result<Vec<Session>> {
        let mut by_partition: HashMap<Partition, Vec<SessionCursor>> = HashMap::new();
        for row in rows {
            by_partition
                .entry(row.session.partition())
                .or_default()
                .push(row);
        }
        let loads = by_partition.values().map(|rows| self.load(rows));
        Ok(try_join_all(loads).await?.concat())
    }

    /// Up to `limit` sessions of one repository after the cursor.
    pub(super) async fn sessions_of(
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
