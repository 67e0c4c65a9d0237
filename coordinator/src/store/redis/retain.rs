//! Removing sessions from Redis.

use async_trait::async_trait;
use fleet_worker_sdk::keys::baseline_field;
use fleet_worker_sdk::transport::redis::fcall;
use fleet_worker_sdk::{Error, OpenSession, Result, SessionId, Version};

use super::sessions::Order;
use super::{RedisStore, parse};
use crate::model::Session;
use crate::store::SessionCursor;
use crate::store::retain::{Memory, Retain};

#[async_trait]
impl Retain for RedisStore {
    async fn oldest(&self, after: Option<&SessionCursor>, limit: usize) -> Result<Vec<Session>> {
        self.all_sessions(Order::Oldest, after, limit).await
    }

    async fn drop_session(&self, session: &SessionId, version: Version) -> Result<bool> {
        let (keys, partition) = (self.keys(), session.partition());
        let mut command = redis::cmd("HGETALL");
        command.arg(keys.session(session));
        let fields: parse::Fields = self.link.call(&command).await?;
        if fields.is_empty() {
            return Ok(false);
        }
        let stored = parse::session(session, &fields)?;
        let open = OpenSession {
            repository: stored.repository.clone(),
            git_ref: stored.git_ref.clone(),
            commit: stored.commit.clone(),
            run: stored.run.clone(),
            expect: Vec::new(),
            again: None,
        };
        let keys = [
            keys.session(session),
            keys.log(session),
            keys.index(session),
            keys.counts(session),
            keys.rules(session),
            keys.sessions(partition),
            keys.rollup(partition),
            keys.repository_quality(partition, &stored.repository),
            keys.open(partition, &open),
            keys.baselines(partition),
            keys.packed(session),
        ];
        let mut command = fcall("fleet_drop_1", &keys);
        command.arg(session.as_str()).arg(version.0);
        command.arg(self.keys().updates());
        for execution in &stored.executions {
            command.arg(baseline_field(
                &stored.repository,
                &execution.bot,
                &stored.git_ref,
            ));
        }
        let dropped: u8 = self.link.call(&command).await?;
        Ok(dropped == 1)
    }

    async fn memory(&self) -> Result<Option<Memory>> {
        let mut command = redis::cmd("INFO");
        command.arg("memory");
        let info: redis::Value = self.link.call(&command).await?;
        let all = texts(info).map_err(Error::protocol)?;
        Ok(all.iter().map(|info| memory(info)).max_by_key(|memory| {
            memory
                .used
                .saturating_mul(1_000)
                .checked_div(memory.limit)
                .unwrap_or(0)
        }))
    }

    async fn folded(&self) -> Option<Memory> {
        Some(self.folds.memory().await)
    }
}

/// The answers of all servers that were asked: one, or a map from each node of a cluster.
fn texts(answer: redis::Value) -> redis::RedisResult<Vec<String>> {
    match answer {
        redis::Value::Map(nodes) => nodes
            .into_iter()
            .map(|(_, info)| Ok(redis::from_redis_value(info)?))
            .collect(),
        one => Ok(vec![redis::from_redis_value(one)?]),
    }
}

fn memory(info: &str) -> Memory {
    let field = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|number| number.trim().parse().ok())
            .unwrap_or_default()
    };
    Memory {
        used: field("used_memory:"),
        limit: field("maxmemory:"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_info() {
        let info = "# Memory\r\nused_memory:1024\r\nused_memory_human:1K\r\nmaxmemory:2048\r\n";
        let expected = Memory {
            used: 1_024,
            limit: 2_048,
        };
        assert_eq!(memory(info), expected);
        assert_eq!(memory(""), Memory::default());
    }
}
