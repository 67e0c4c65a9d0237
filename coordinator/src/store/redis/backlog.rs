//! How much waits on the feeds, and for how long. Reads only: whoever may not ask (a user with
//! fewer rights) lacks these numbers and nothing else.

use std::collections::HashMap;
use std::time::Duration;

use fleet_worker_sdk::keys::Keys;
use fleet_worker_sdk::transport::redis::RedisLink;
use fleet_worker_sdk::{Error, Partition, Result};
use redis::Value;
use redis::streams::StreamRangeReply;

use crate::store::Backlog;

/// What one feed's group says of itself.
struct Group {
    pending: u64,
    /// Entries not handed out; none where Redis lost count of them.
    lag: Option<u64>,
    last: String,
}

/// The backlog of all partitions: sums, and the oldest of all.
pub(super) async fn read(link: &RedisLink) -> Result<Backlog> {
    let mut entries = 0;
    let mut oldest: Option<u64> = None;
    for partition in link.partitions().await?.iter() {
        let waiting = feed(link, partition).await?;
        entries += waiting.0;
        oldest = oldest.into_iter().chain(waiting.1).min();
    }
    let age = match oldest {
        None => Duration::ZERO,
        Some(since) => {
            let (seconds, micros): (u64, u64) = link.call(&redis::cmd("TIME")).await?;
            Duration::from_millis((seconds * 1_000 + micros / 1_000).saturating_sub(since))
        }
    };
    Ok(Backlog {
        entries,
        oldest: age,
    })
}

/// Entries of one feed that are not settled, and the time of the oldest in milliseconds.
async fn feed(link: &RedisLink, partition: Partition) -> Result<(u64, Option<u64>)> {
    let key = link.keys().feed(partition);
    let mut command = redis::cmd("XINFO");
    command.arg("GROUPS").arg(&key);
    // No feed: Redis says so with an error.
    let groups: Vec<HashMap<String, Value>> =
        link.call_unless(&command, "ERR").await?.unwrap_or_default();
    let group = groups.into_iter().find_map(|fields| group(fields).ok());
    let Some(group) = group else {
        let length = length(link, &key).await?;
        return Ok((length, first_after(link, &key, "0-0").await?));
    };
    let lag = match group.lag {
        Some(lag) => lag,
        None => length(link, &key).await?.saturating_sub(group.pending),
    };
    let held = match group.pending {
        0 => None,
        _ => first_pending(link, &key).await?,
    };
    let waits = match lag {
        0 => None,
        _ => first_after(link, &key, &group.last).await?,
    };
    Ok((group.pending + lag, held.into_iter().chain(waits).min()))
}

/// The coordinators' group, of its fields.
fn group(mut fields: HashMap<String, Value>) -> Result<Group> {
    let mut take = |name: &str| fields.remove(name).unwrap_or(Value::Nil);
    let name: String = redis::from_redis_value(take("name")).map_err(Error::protocol)?;
    if name != Keys::GROUP {
        return Err(Error::not_found("group", name));
    }
    Ok(Group {
        pending: redis::from_redis_value(take("pending")).map_err(Error::protocol)?,
        lag: redis::from_redis_value(take("lag")).map_err(Error::protocol)?,
        last: redis::from_redis_value(take("last-delivered-id")).map_err(Error::protocol)?,
    })
}

async fn length(link: &RedisLink, key: &str) -> Result<u64> {
    let mut command = redis::cmd("XLEN");
    command.arg(key);
    link.call(&command).await
}

/// When the first entry after `id` came.
async fn first_after(link: &RedisLink, key: &str, id: &str) -> Result<Option<u64>> {
    let mut command = redis::cmd("XRANGE");
    command.arg(key).arg(format!("({id}")).arg("+");
    command.arg("COUNT").arg(1);
    let reply: StreamRangeReply = link.call(&command).await?;
    Ok(reply.ids.first().and_then(|entry| came(&entry.id)))
}

/// When the first entry came that is handed out and not settled.
async fn first_pending(link: &RedisLink, key: &str) -> Result<Option<u64>> {
    let mut command = redis::cmd("XPENDING");
    command.arg(key).arg(Keys::GROUP);
    let (_count, first, _last, _consumers): (u64, Option<String>, Value, Value) =
        link.call(&command).await?;
    Ok(first.as_deref().and_then(came))
}

/// Milliseconds since 1970 of a stream's entry.
fn came(id: &str) -> Option<u64> {
    id.split_once('-')?.0.parse().ok()
}
