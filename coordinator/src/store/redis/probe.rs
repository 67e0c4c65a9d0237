//! Whether the store takes writes: what readiness asks, however often it is asked.

use std::time::{Duration, Instant};

use fleet_worker_sdk::transport::redis::RedisLink;
use fleet_worker_sdk::{Error, Partition, Result};
use futures_util::future::try_join_all;
use tokio::sync::Mutex;

/// A write that went well answers for so long: probes of many kinds may ask, and each write is in
/// the append-only file and with the replicas.
const GOOD_FOR: Duration = Duration::from_secs(1);
/// Seconds that a probe's key lives: long enough that it is rather overwritten than expired.
const EXPIRES: u64 = 3_600;

/// When a write went well last. Whoever asks while another does waits for the same answer.
#[derive(Debug, Default)]
pub(super) struct Probe {
    good: Mutex<Option<Instant>>,
}

impl Probe {
    /// Whether every server takes writes; the error says why not. A refusal writes nothing, and
    /// is asked for anew each time, so that a store that is back is found at once.
    pub(super) async fn check(&self, link: &RedisLink) -> Result<()> {
        let mut good = self.good.lock().await;
        if good.is_some_and(|at| at.elapsed() < GOOD_FOR) && link.refusal().is_none() {
            let lives: Result<()> = link.call(&redis::cmd("PING")).await;
            if lives.is_err() {
                *good = None;
            }
            return lives;
        }
        *good = None;
        link.forgive();
        let partitions = link.partitions().await?;
        if link.is_cluster() {
            // Where its partitions lie is the cluster's to say: one write each meets every master.
            let writes = partitions
                .iter()
                .map(|partition| async move { write(link, partition).await });
            try_join_all(writes).await?;
        } else {
            write(link, Partition(0)).await?;
        }
        *good = Some(Instant::now());
        Ok(())
    }
}

async fn write(link: &RedisLink, partition: Partition) -> Result<()> {
    let mut command = redis::cmd("SET");
    command.arg(link.keys().probe(partition)).arg("1");
    command.arg("EX").arg(EXPIRES);
    let written: Result<()> = link.call(&command).await;
    if !link.is_cluster() {
        return written;
    }
    written.map_err(|error| named(error, partition))
}

/// Says of which partition's master it is true.
fn named(error: Error, partition: Partition) -> Error {
    let at = |why: String| format!("{why} (the master of partition {})", partition.0);
    match error {
        Error::Full { why } => Error::Full { why: at(why) },
        Error::Unavailable { store, why } => Error::Unavailable {
            store,
            why: at(why),
        },
        other => other,
    }
}
