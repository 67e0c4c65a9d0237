//! Masters that die while bots push: behind Sentinels, and in a cluster.
//!
//! Before every second death the link to the replica is held: what the master acknowledges then dies
//! with it, and the producers have to send it again.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;
use fleet_worker_sdk::SessionId;
use fleet_worker_sdk::keys::Keys;
use rustix::process::Signal;
use tokio::time::{Instant, sleep, sleep_until};

use crate::checker::Reader;
use crate::fleet::{Fleet, Load};
use crate::journal::now_ms;
use crate::report::{Report, say};
use crate::servers::{self, Cluster, Node, Sentinels};

/// How long bots may take to come through after a master died, before that is called a fault.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long a master goes on without its replica before it dies.
const HELD: Duration = Duration::from_millis(300);
/// Sentinels let twice their failover timeout (3 s here) pass before they fail the same master over
/// again.
const APART: Duration = Duration::from_millis(6_500);

/// How the servers hang together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Topology {
    /// A master, a replica and three Sentinels.
    Sentinel,
    /// Three masters with a replica each.
    Cluster,
}

/// The servers.
enum Servers {
    Sentinel(Sentinels),
    Cluster(Cluster),
}

impl Servers {
    async fn start(topology: Topology) -> Self {
        match topology {
            Topology::Sentinel => Self::Sentinel(Sentinels::start().await),
            Topology::Cluster => Self::Cluster(Cluster::start(1).await),
        }
    }

    fn url(&self) -> String {
        match self {
            Self::Sentinel(sentinels) => sentinels.url(),
            Self::Cluster(cluster) => cluster.url(),
        }
    }

    fn nodes(&mut self) -> &mut Vec<Node> {
        match self {
            Self::Sentinel(sentinels) => &mut sentinels.nodes,
            Self::Cluster(cluster) => &mut cluster.nodes,
        }
    }
}

/// Kills `times` masters, one after the other.
pub(crate) async fn run(
    load: &Load,
    topology: Topology,
    times: u32,
    folder: &Path,
) -> Result<Report> {
    let mut servers = Servers::start(topology).await;
    let url = servers.url();
    let reader = Reader::open(&url)?;
    let fleet = Fleet::start(load, &url, &url, folder)?;
    fleet.all_push(PATIENCE).await?;
    let mut report = Report::new(&format!("failovers, {topology:?}"));
    let mut deaths = Vec::new();
    for number in 0..times {
        let earliest = Instant::now() + APART;
        let held = number % 2 == 1;
        let died = die(servers.nodes(), &fleet.session_of(number as usize)?, held)
            .await
            .with_context(|| format!("death {number}"))?;
        deaths.push((died.at, held));
        let through = fleet.all_pushed_since(died.at, PATIENCE).await;
        if let Err(error) = through {
            report
                .violations
                .push(format!("death {number} (link held: {held}): {error}"));
        }
        say(&format!(
            "death {number}: all push again after {} ms",
            now_ms() - died.at
        ));
        revive(servers.nodes(), &died).await?;
        fleet.all_push(PATIENCE).await?;
        sleep_until(earliest).await;
    }
    let history = fleet.judge(&reader, &mut report).await?;
    for (what, wanted) in [("link whole", false), ("link held", true)] {
        let all = deaths.iter().filter(|(_, held)| *held == wanted);
        let recoveries = all.filter_map(|(at, _)| history.recovery(*at).map(|(_, last)| last));
        let recoveries: Vec<u64> = recoveries.collect();
        report
            .counts
            .insert(format!("masters killed, {what}"), recoveries.len() as u64);
        report.time(
            format!("master killed ({what}) to acknowledged pushes of every bot"),
            recoveries,
        );
    }
    Ok(report)
}

struct Death {
    victim: usize,
    replica: usize,
    /// In milliseconds since 1970.
    at: u64,
}

async fn die(nodes: &mut [Node], session: &SessionId, held: bool) -> Result<Death> {
    let (victim, replica) = pair(nodes, session).await?;
    let node = |at: usize| nodes.get(at).context("there is no such server");
    if held {
        servers::signal(node(replica)?, Signal::STOP)?;
        // What its socket holds already it would still read after the master's death.
        let _closed: u32 = node(victim)?
            .ask(&["CLIENT", "KILL", "TYPE", "replica"])
            .await?;
        sleep(HELD).await;
    }
    let at = now_ms();
    nodes
        .get_mut(victim)
        .context("there is no such server")?
        .kill();
    if held {
        servers::signal(
            nodes.get(replica).context("there is no such server")?,
            Signal::CONT,
        )?;
    }
    Ok(Death {
        victim,
        replica,
        at,
    })
}

/// The master that holds the session, once it has a replica in step, and that replica.
async fn pair(nodes: &[Node], session: &SessionId) -> Result<(usize, usize)> {
    let key = Keys::default().session(session);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut roles = Vec::new();
        for node in nodes {
            roles.push(node.ask::<String>(&["INFO", "replication"]).await?);
        }
        for (victim, node) in nodes.iter().enumerate() {
            let is_master = roles
                .get(victim)
                .is_some_and(|role| role.contains("role:master"));
            // One of another slot answers with its place.
            if !is_master || node.ask::<u8>(&["EXISTS", &key]).await.is_err() {
                continue;
            }
            let link = format!("master_port:{}\r\nmaster_link_status:up", node.port);
            if let Some(replica) = roles.iter().position(|role| role.contains(&link)) {
                return Ok((victim, replica));
            }
        }
        anyhow::ensure!(Instant::now() < deadline, "no master has a replica in step");
        sleep(Duration::from_millis(100)).await;
    }
}

/// Starts the victim again when its replica has taken its place; it comes back as a replica.
async fn revive(nodes: &mut [Node], died: &Death) -> Result<()> {
    let heir = nodes.get(died.replica).context("there is no such server")?;
    let promoted = |info: &String| info.contains("role:master");
    heir.ask_until(&["INFO", "replication"], promoted).await;
    let node = nodes
        .get_mut(died.victim)
        .context("there is no such server")?;
    node.restart().await;
    let in_step =
        |info: &String| info.contains("role:slave") && info.contains("master_link_status:up");
    node.ask_until(&["INFO", "replication"], in_step).await;
    Ok(())
}
