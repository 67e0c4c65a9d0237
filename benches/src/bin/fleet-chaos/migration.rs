//! Slots that move between the masters of a cluster while bots push into them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use fleet_worker_sdk::Partition;
use fleet_worker_sdk::keys::Keys;
use fleet_worker_sdk::redis;
use tokio::time::sleep;

use crate::checker::Reader;
use crate::fleet::{Fleet, Load};
use crate::journal::now_ms;
use crate::report::Report;
use crate::servers::{Cluster, Node};

/// How long bots may take to come through after a move.
const PATIENCE: Duration = Duration::from_mins(1);
/// Keys moved at once: few, so that the slot is torn for a while.
const KEYS: &str = "2";
/// Pause between two such steps: as long as a busy cluster takes for them.
const STEP: Duration = Duration::from_millis(20);

/// Moves `times` slots, those of the partitions in turn.
pub(crate) async fn run(load: &Load, times: u32, folder: &Path) -> Result<Report> {
    let cluster = Cluster::start(1).await;
    let url = cluster.url();
    let reader = Reader::open(&url)?;
    let fleet = Fleet::start(load, &url, &url, folder)?;
    fleet.all_push(PATIENCE).await?;
    let mut report = Report::new("slot migration");
    let (mut ends, mut keys) = (Vec::new(), 0);
    for number in 0..times {
        let feed = Keys::default().feed(Partition(number as u16 % 16));
        keys += migrate(&cluster.nodes, &feed)
            .await
            .with_context(|| format!("move {number}"))?;
        ends.push(now_ms());
        fleet.all_push(PATIENCE).await?;
    }
    let history = fleet.judge(&reader, None, &mut report).await?;
    let recoveries = ends
        .iter()
        .filter_map(|at| history.recovery(*at).map(|(_, last)| last));
    report.time(
        "slot moved to acknowledged pushes of every bot",
        recoveries.collect(),
    );
    report
        .counts
        .insert("slots moved".to_owned(), u64::from(times));
    report.counts.insert("keys moved".to_owned(), keys);
    for (error, count) in refusals(&cluster.nodes).await? {
        report.counts.insert(format!("answers {error}"), count);
    }
    Ok(report)
}

/// Moves the slot of `key` from the master that has it to the next one; answers how many keys.
async fn migrate(nodes: &[Node], key: &str) -> Result<u64> {
    let slot: u16 = first(nodes)?.ask(&["CLUSTER", "KEYSLOT", key]).await?;
    let slot = slot.to_string();
    let (from, to) = ends(nodes, key).await?;
    let from_id: String = from.ask(&["CLUSTER", "MYID"]).await?;
    let to_id: String = to.ask(&["CLUSTER", "MYID"]).await?;
    to.ask::<()>(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id])
        .await?;
    from.ask::<()>(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id])
        .await?;
    let mut moved = 0;
    loop {
        let keys: Vec<String> = from.ask(&["CLUSTER", "GETKEYSINSLOT", &slot, KEYS]).await?;
        if keys.is_empty() {
            break;
        }
        moved += keys.len() as u64;
        let port = to.port.to_string();
        let mut words = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
        words.extend(keys.iter().map(String::as_str));
        from.ask::<redis::Value>(&words).await?;
        sleep(STEP).await;
    }
    // The new owner first: no moment without one.
    for node in [to, from] {
        node.ask::<()>(&["CLUSTER", "SETSLOT", &slot, "NODE", &to_id])
            .await?;
    }
    Ok(moved)
}

fn first(nodes: &[Node]) -> Result<&Node> {
    nodes.first().context("the cluster has no nodes")
}

/// The master that has the slot of `key`, and another.
async fn ends<'a>(nodes: &'a [Node], key: &str) -> Result<(&'a Node, &'a Node)> {
    let mut masters = Vec::new();
    let mut owner = None;
    for node in nodes {
        let info: String = node.ask(&["INFO", "replication"]).await?;
        if info.contains("role:master") {
            if node.ask::<u8>(&["EXISTS", key]).await.is_ok() {
                owner = Some(masters.len());
            }
            masters.push(node);
        }
    }
    let owner = owner.context("no master has the slot")?;
    let next = (owner + 1) % masters.len();
    match (masters.get(owner), masters.get(next)) {
        (Some(from), Some(to)) if owner != next => Ok((from, to)),
        _ => bail!("there is only one master"),
    }
}

/// How often clients were sent elsewhere, or told to come again.
async fn refusals(nodes: &[Node]) -> Result<BTreeMap<&'static str, u64>> {
    let mut sums = BTreeMap::new();
    for node in nodes {
        let info: String = node.ask(&["INFO", "errorstats"]).await?;
        for error in ["MOVED", "ASK", "TRYAGAIN"] {
            let head = format!("errorstat_{error}:count=");
            let line = info.lines().find_map(|line| line.strip_prefix(&head));
            let count: u64 = line.map_or(Ok(0), str::parse)?;
            *sums.entry(error).or_default() += count;
        }
    }
    Ok(sums)
}
