//! What operators do with a fleet in Redis.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use fleet_worker_sdk::transport::redis::{RedisLink, fcall_ro, stored};
use fleet_worker_sdk::{Error, Result};
use jiff::Timestamp;
use redis::Value;

use super::{RedisStore, dead, libraries, rights};
use crate::model::FeedEntry;
use crate::store::operate::{
    Consumers, Layout, LetterId, Letters, MAX_LETTERS_READ, OpenedLetter, Operate, Server,
};

#[async_trait]
impl Operate for RedisStore {
    async fn letters(&self, after: Option<&LetterId>, limit: usize) -> Result<Letters> {
        dead::letters(&self.link, after, limit.min(MAX_LETTERS_READ)).await
    }

    async fn letter(&self, id: &LetterId) -> Result<OpenedLetter> {
        dead::opened(&self.link, id).await
    }

    async fn requeue(&self, id: &LetterId) -> Result<()> {
        dead::requeue(&self.link, id).await
    }

    async fn discard(&self, id: &LetterId) -> Result<bool> {
        dead::discard(&self.link, id).await
    }

    async fn give_up(&self, entries: &[FeedEntry], reason: &str) -> Result<u64> {
        dead::give_up(&self.link, entries, reason).await
    }

    async fn reap(&self, idle: Duration) -> Result<u64> {
        dead::reap(&self.link, idle).await
    }

    async fn servers(&self) -> Result<Vec<Server>> {
        servers(&self.link).await
    }

    async fn consumers(&self) -> Result<Consumers> {
        dead::consumers(&self.link).await
    }

    async fn layout(&self) -> Result<Layout> {
        let command = fcall_ro("fleet_hello_1", &[self.keys().meta()]);
        let (schema, partitions) = self.link.call(&command).await?;
        Ok(Layout { schema, partitions })
    }

    async fn rights(&self) -> Result<()> {
        self.link.demand(&rights::coordinator(self.keys())).await
    }
}

/// What every master says of itself.
async fn servers(link: &RedisLink) -> Result<Vec<Server>> {
    let before = Instant::now();
    link.on_masters(&redis::cmd("PING")).await?;
    let first = before.elapsed();
    let (before, asked_from) = (Instant::now(), Timestamp::now());
    let clocks = link.on_masters(&redis::cmd("TIME")).await?;
    let latency = before.elapsed().min(first);
    let asked = asked_from + latency / 2;
    let infos = by_address(link.on_masters(&redis::cmd("INFO")).await?, lines)?;
    let config = allowed(link, &config(), pairs).await?;
    let cluster = if link.is_cluster() {
        let mut command = redis::cmd("CLUSTER");
        command.arg("INFO");
        allowed(link, &command, lines).await?
    } else {
        None
    };
    let mut list = redis::cmd("FUNCTION");
    list.arg("LIST")
        .arg("LIBRARYNAME")
        .arg("fleet_*")
        .arg("WITHCODE");
    let functions = allowed(link, &list, foreign).await?;
    let mut servers = Vec::new();
    for (address, clock) in clocks {
        let (seconds, micros): (u64, u64) =
            redis::from_redis_value(clock).map_err(Error::protocol)?;
        servers.push(Server {
            clock: stored::timestamp(seconds * 1_000 + micros / 1_000)?,
            info: infos.get(&address).cloned().unwrap_or_default(),
            config: config.as_ref().and_then(|all| all.get(&address).cloned()),
            cluster: cluster.as_ref().and_then(|all| all.get(&address).cloned()),
            foreign_functions: functions
                .as_ref()
                .and_then(|all| all.get(&address).cloned()),
            asked,
            latency,
            address,
        });
    }
    Ok(servers)
}

fn config() -> redis::Cmd {
    let mut command = redis::cmd("CONFIG");
    command
        .arg("GET")
        .arg("appendfsync")
        .arg("min-replicas-to-write");
    command
}

/// What masters answer, by address; none where the user may not ask.
async fn allowed<T>(
    link: &RedisLink,
    command: &redis::Cmd,
    read: impl Fn(Value) -> Result<T>,
) -> Result<Option<BTreeMap<String, T>>> {
    match link.on_masters(command).await {
        Ok(answers) => by_address(answers, read).map(Some),
        Err(Error::Incompatible { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn by_address<T>(
    answers: Vec<(String, Value)>,
    read: impl Fn(Value) -> Result<T>,
) -> Result<BTreeMap<String, T>> {
    let answers = answers.into_iter();
    answers
        .map(|(address, answer)| Ok((address, read(answer)?)))
        .collect()
}

fn pairs(answer: Value) -> Result<BTreeMap<String, String>> {
    redis::from_redis_value(answer).map_err(Error::protocol)
}

/// `name:value` lines.
fn lines(answer: Value) -> Result<BTreeMap<String, String>> {
    let text: String = redis::from_redis_value(answer).map_err(Error::protocol)?;
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    Ok(pairs
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect())
}

/// The libraries that are not loaded as this software has them.
fn foreign(answer: Value) -> Result<Vec<String>> {
    let loaded: Vec<BTreeMap<String, Value>> =
        redis::from_redis_value(answer).map_err(Error::protocol)?;
    let mut codes = Vec::new();
    for mut library in loaded {
        let code = library.remove("library_code").unwrap_or(Value::Nil);
        codes.push(redis::from_redis_value::<String>(code).map_err(Error::protocol)?);
    }
    let ours = libraries()?.into_iter();
    let missing = ours.filter(|ours| !codes.iter().any(|code| code == ours.code()));
    Ok(missing.map(|ours| ours.name().to_owned()).collect())
}
