//! The latest runs of a bot, of which only what came since is read.
//!
//! A bot has a stream of runs in every partition. Reading the latest of each anew for every look at
//! the fleet would be thousands of entries a bot; what came since the last look is a few.

use std::collections::HashMap;
use std::sync::Arc;

use fleet_worker_sdk::transport::redis::RedisLink;
use fleet_worker_sdk::{BotId, Partition, Result};
use futures_util::future::try_join_all;
use moka::future::Cache;
use redis::Cmd;
use tokio::sync::Mutex;

use super::parse;
use crate::model::Run;
use crate::store::MAX_RUNS;

/// Bots whose runs are remembered, at 40 KB each: more than a fleet registers. Those of others are
/// read whole.
const BOTS: u64 = 1_000;

/// An entry of a stream: its id and fields.
type Entry = (String, parse::Fields);

/// The latest runs of bots.
#[derive(Debug)]
pub(super) struct Runs {
    link: Arc<RedisLink>,
    bots: Cache<BotId, Arc<Mutex<Recent>>>,
}

/// The latest runs of a bot.
#[derive(Debug, Default)]
struct Recent {
    /// The last entry read of each partition.
    last: HashMap<Partition, String>,
    /// The latest [`MAX_RUNS`] of all partitions, oldest first.
    runs: Vec<Run>,
}

impl Runs {
    pub(super) fn new(link: Arc<RedisLink>) -> Self {
        Self {
            link,
            bots: Cache::new(BOTS),
        }
    }

    /// The latest runs of `bot`, oldest first. Those who ask together wait for one read.
    pub(super) async fn latest(&self, bot: &BotId) -> Result<Vec<Run>> {
        let recent = self.bots.get_with_by_ref(bot, async { Arc::default() });
        let recent: Arc<Mutex<Recent>> = recent.await;
        let mut recent = recent.lock().await;
        if !self.read_on(bot, &mut recent).await? {
            // A stream does not have the entry any more that it was read up to: it was trimmed
            // beyond, or Redis lost its end. What is remembered may be wrong, so nothing of it is
            // kept.
            *recent = Recent::default();
            self.read_on(bot, &mut recent).await?;
        }
        Ok(recent.runs.clone())
    }

    /// Reads what came since; says whether each stream still has what it was read up to.
    async fn read_on(&self, bot: &BotId, recent: &mut Recent) -> Result<bool> {
        let partitions: Vec<Partition> = self.link.partitions().await?.iter().collect();
        let commands = partitions.iter().map(|partition| {
            let key = self.link.keys().runs(*partition, bot);
            command(&key, recent.last.get(partition))
        });
        let answers = self.ask(commands.collect()).await?;
        for (partition, entries) in partitions.iter().zip(answers) {
            if !recent.take(*partition, &entries)? {
                return Ok(false);
            }
        }
        let place = |run: &Run| (run.ended, run.session.clone(), run.attempt);
        recent.runs.sort_by_cached_key(place);
        let old = recent.runs.len().saturating_sub(MAX_RUNS);
        recent.runs.drain(..old);
        Ok(true)
    }

    /// All at once where one server has all partitions.
    async fn ask(&self, commands: Vec<Cmd>) -> Result<Vec<Vec<Entry>>> {
        if self.link.is_cluster() {
            return try_join_all(commands.iter().map(|command| self.link.call(command))).await;
        }
        let mut pipeline = redis::pipe();
        for command in commands {
            pipeline.add_command(command);
        }
        self.link.pipeline(&pipeline).await
    }
}

/// The entries from `last` on, that included; the latest, latest first, where nothing was read yet.
fn command(key: &str, last: Option<&String>) -> Cmd {
    let mut command = redis::cmd(if last.is_some() {
        "XRANGE"
    } else {
        "XREVRANGE"
    });
    command.arg(key);
    match last {
        Some(last) => command.arg(last).arg("+"),
        None => command.arg("+").arg("-").arg("COUNT").arg(MAX_RUNS),
    };
    command
}

impl Recent {
    /// Takes what a stream answered; says whether it began where the last read ended.
    fn take(&mut self, partition: Partition, entries: &[Entry]) -> Result<bool> {
        let (fresh, latest) = match self.last.get(&partition) {
            Some(last) => match entries.split_first() {
                Some(((first, _), fresh)) if first == last => (fresh, fresh.last()),
                _ => return Ok(false),
            },
            None => (entries, entries.first()),
        };
        for (id, fields) in fresh {
            self.runs.push(parse::run(id, fields)?);
        }
        if let Some((id, _)) = latest {
            self.last.insert(partition, id.clone());
        }
        Ok(true)
    }
}
