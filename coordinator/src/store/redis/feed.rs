//! Reading the feeds of all partitions as a member of the coordinators' group: together where one
//! server holds them all, one by one in a cluster.

mod spread;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use fleet_worker_sdk::keys::Keys;
use fleet_worker_sdk::transport::redis::{Connection, RedisLink};
use fleet_worker_sdk::{Partition, Partitions, Result, SessionId};
use futures_util::future::try_join_all;
use redis::streams::{StreamAutoClaimReply, StreamId, StreamPendingCountReply, StreamReadReply};
use tokio::sync::{Mutex, OnceCell};
use tokio::time::Instant;

use spread::Spread;

use super::{dead, rights};
use crate::model::FeedEntry;

/// Entries read at once: they are coalesced by session, so more only saves round trips.
const COUNT: usize = 1_000;
/// Longest block of one read, so that a shutdown is noticed.
const MAX_BLOCK: Duration = Duration::from_secs(2);
/// An entry that a coordinator has held for this long is taken over.
const TAKEOVER_AFTER: Duration = Duration::from_secs(30);
/// How often to look for such entries: what a dead coordinator held is taken over within 34 s. It costs
/// a call a partition.
const TAKEOVER_EVERY: Duration = Duration::from_secs(3);

/// Why an entry is dead that cannot be read.
const NO_SESSION: &str = "it names no session of its partition";

/// The feed, as one consumer sees it.
pub(super) struct Feed {
    link: Arc<RedisLink>,
    /// Set once the user is known to have a coordinator's rights.
    allowed: OnceCell<()>,
    reader: Mutex<Reader>,
}

/// A blocking read has a connection of its own.
#[derive(Default)]
struct Reader {
    connection: Option<Connection>,
    /// In a cluster, instead of the connection.
    spread: Option<Spread>,
    last_takeover: Option<Instant>,
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed")
            .field("link", &self.link)
            .finish_non_exhaustive()
    }
}

impl Feed {
    pub(super) fn new(link: Arc<RedisLink>) -> Self {
        Self {
            link,
            allowed: OnceCell::new(),
            reader: Mutex::default(),
        }
    }

    /// Entries of dead coordinators first, then new ones; waits up to `wait` for one.
    pub(super) async fn next(&self, consumer: &str, wait: Duration) -> Result<Vec<FeedEntry>> {
        let partitions = self.link.partitions().await?;
        let needed = || async {
            self.link
                .demand(&rights::coordinator(self.link.keys()))
                .await
        };
        self.allowed.get_or_try_init(needed).await?;
        let mut reader = self.reader.lock().await;
        if reader
            .last_takeover
            .is_none_or(|last| last.elapsed() >= TAKEOVER_EVERY)
        {
            reader.last_takeover = Some(Instant::now());
            let taken = self.take_over(partitions, consumer).await?;
            if !taken.is_empty() {
                return Ok(taken);
            }
        }
        let wait = wait.min(MAX_BLOCK);
        if self.link.is_cluster() {
            let fresh = || Spread::new(&self.link, partitions, consumer);
            return reader.spread.get_or_insert_with(fresh).next(wait).await;
        }
        let read = self.read(&mut reader, partitions, consumer, wait).await;
        if read.is_err() {
            reader.connection = None;
        }
        read
    }

    async fn read(
        &self,
        reader: &mut Reader,
        partitions: Partitions,
        consumer: &str,
        block: Duration,
    ) -> Result<Vec<FeedEntry>> {
        let connection = match &mut reader.connection {
            Some(connection) => connection,
            empty => {
                for partition in partitions.iter() {
                    create_group(&self.link, partition).await?;
                }
                empty.insert(self.link.dedicated(MAX_BLOCK).await?)
            }
        };
        let feeds: Vec<(Partition, String)> = partitions
            .iter()
            .map(|partition| (partition, self.link.keys().feed(partition)))
            .collect();
        read_group(&self.link, connection, consumer, &feeds, block).await
    }

    async fn take_over(&self, partitions: Partitions, consumer: &str) -> Result<Vec<FeedEntry>> {
        // Together, for the feed waits meanwhile.
        let each = partitions
            .iter()
            .map(|partition| self.take_over_in(partition, consumer));
        Ok(try_join_all(each).await?.concat())
    }

    async fn take_over_in(&self, partition: Partition, consumer: &str) -> Result<Vec<FeedEntry>> {
        let mut command = redis::cmd("XAUTOCLAIM");
        command
            .arg(self.link.keys().feed(partition))
            .arg(Keys::GROUP)
            .arg(consumer);
        command
            .arg(TAKEOVER_AFTER.as_millis() as u64)
            .arg("0-0")
            .arg("COUNT")
            .arg(COUNT);
        let reply: Option<StreamAutoClaimReply> =
            self.link.call_unless(&command, "NOGROUP").await?;
        // No group yet: nothing to take over.
        let Some(reply) = reply.filter(|reply| !reply.claimed.is_empty()) else {
            return Ok(Vec::new());
        };
        let times = self.deliveries(partition, consumer).await?;
        let redelivered = |id: &str| times.get(id).copied().unwrap_or(1);
        readable(&self.link, partition, &reply.claimed, redelivered).await
    }

    /// How often what this consumer holds has been handed out before.
    async fn deliveries(
        &self,
        partition: Partition,
        consumer: &str,
    ) -> Result<HashMap<String, u32>> {
        let mut command = redis::cmd("XPENDING");
        command
            .arg(self.link.keys().feed(partition))
            .arg(Keys::GROUP);
        command.arg("-").arg("+").arg(COUNT).arg(consumer);
        let reply: StreamPendingCountReply = self.link.call(&command).await?;
        let before = |times: usize| u32::try_from(times.saturating_sub(1)).unwrap_or(u32::MAX);
        Ok(reply
            .ids
            .into_iter()
            .map(|id| (id.id, before(id.times_delivered)))
            .collect())
    }

    /// Takes entries off the feed.
    pub(super) async fn settle(&self, entries: &[FeedEntry]) -> Result<()> {
        let mut by_partition: HashMap<Partition, Vec<&str>> = HashMap::new();
        for entry in entries {
            by_partition
                .entry(entry.session.partition())
                .or_default()
                .push(&entry.receipt);
        }
        let settling = by_partition
            .into_iter()
            .map(|(partition, receipts)| async move {
                let mut command = redis::cmd("XACK");
                command
                    .arg(self.link.keys().feed(partition))
                    .arg(Keys::GROUP)
                    .arg(receipts);
                self.link.call::<u64>(&command).await
            });
        try_join_all(settling).await.map(drop)
    }
}

/// Creates the group where it is missing, at 0: what was announced before is looked at too.
async fn create_group(link: &RedisLink, partition: Partition) -> Result<()> {
    let mut command = redis::cmd("XGROUP");
    command
        .arg("CREATE")
        .arg(link.keys().feed(partition))
        .arg(Keys::GROUP);
    command.arg("0").arg("MKSTREAM");
    let _there_already = link.call_unless::<String>(&command, "BUSYGROUP").await?;
    Ok(())
}

/// New entries of `feeds`, which lie on one server; waits up to `block` for one.
async fn read_group(
    link: &RedisLink,
    connection: &mut Connection,
    consumer: &str,
    feeds: &[(Partition, String)],
    block: Duration,
) -> Result<Vec<FeedEntry>> {
    let mut command = redis::cmd("XREADGROUP");
    command.arg("GROUP").arg(Keys::GROUP).arg(consumer);
    command.arg("COUNT").arg(COUNT);
    // 0 would block for ever.
    command.arg("BLOCK").arg(block.as_millis().max(1) as u64);
    command.arg("STREAMS");
    for (_, feed) in feeds {
        command.arg(feed);
    }
    for _ in feeds {
        command.arg(">");
    }
    let reply: Option<StreamReadReply> = command
        .query_async(connection)
        .await
        .map_err(|error| link.explain(&error))?;
    let streams = reply.map(|reply| reply.keys).unwrap_or_default();
    let mut entries = Vec::new();
    for stream in streams {
        let feed = feeds.iter().find(|(_, key)| *key == stream.key);
        if let Some((partition, _)) = feed {
            entries.extend(readable(link, *partition, &stream.ids, |_| 0).await?);
        }
    }
    Ok(entries)
}

/// The entries that name a session of their partition. The others will never be of use to anybody,
/// and go to the dead letters.
async fn readable(
    link: &RedisLink,
    partition: Partition,
    ids: &[StreamId],
    redelivered: impl Fn(&str) -> u32,
) -> Result<Vec<FeedEntry>> {
    let (mut entries, mut unreadable) = (Vec::new(), Vec::new());
    for id in ids {
        match entry(id, partition, redelivered(&id.id)) {
            Some(entry) => entries.push(entry),
            None => unreadable.push(id.id.as_str()),
        }
    }
    if !unreadable.is_empty() {
        tracing::error!(
            partition = partition.0,
            entries = unreadable.len(),
            "changes name no session of their partition and go to the dead letters"
        );
        dead::give_up_in(link, partition, &unreadable, NO_SESSION).await?;
    }
    Ok(entries)
}

fn entry(id: &StreamId, partition: Partition, redelivered: u32) -> Option<FeedEntry> {
    let session: String = id.get("s")?;
    let session = SessionId::new(session).ok()?;
    if session.partition() != partition {
        return None;
    }
    Some(FeedEntry {
        receipt: id.id.clone(),
        session,
        redelivered,
        trace: id.get::<String>("t").and_then(|text| text.parse().ok()),
    })
}
