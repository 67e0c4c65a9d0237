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
use crate::journal::{History, now_ms};
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

    /// Copies what the servers logged into `folder`.
    fn keep_logs(&self, folder: &Path) -> Result<()> {
        let (nodes, watchers) = match self {
            Self::Sentinel(sentinels) => (&sentinels.nodes, Some(&sentinels.watchers)),
            Self::Cluster(cluster) => (&cluster.nodes, None),
        };
        for node in nodes.iter().chain(watchers.into_iter().flatten()) {
            servers::keep_log(node, folder)?;
        }
        Ok(())
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
        let mut died = die(servers.nodes(), &fleet.session_of(number as usize)?, held)
            .await
            .with_context(|| format!("death {number}"))?;
        let (replaced, through) = tokio::join!(
            replaced(servers.nodes(), &died),
            fleet.all_pushed_since(died.at, PATIENCE)
        );
        died.replaced = replaced?;
        if let Err(error) = through {
            report
                .violations
                .push(format!("death {number} (link held: {held}): {error}"));
        }
        say(&format!(
            "death {number}: replaced after {} ms, all push again after {} ms",
            died.replaced - died.at,
            now_ms() - died.at
        ));
        revive(servers.nodes(), &died).await?;
        deaths.push(died);
        fleet.all_push(PATIENCE).await?;
        sleep_until(earliest).await;
    }
    servers.keep_logs(folder)?;
    let history = fleet.judge(&reader, None, &mut report).await?;
    describe(&deaths, &history, &mut report);
    Ok(report)
}

/// How long it took, and whose time that was: the servers' until the replica had taken over, the bots'
/// from then on.
fn describe(deaths: &[Death], history: &History, report: &mut Report) {
    let kinds = [
        ("link whole", Some(false)),
        ("link held", Some(true)),
        ("all", None),
    ];
    for (what, held) in kinds {
        let (mut replaced, mut through, mut after) = (Vec::new(), Vec::new(), Vec::new());
        for death in deaths
            .iter()
            .filter(|death| held.is_none_or(|held| death.held == held))
        {
            replaced.push(death.replaced - death.at);
            if let Some((_, last)) = history.recovery(death.at) {
                through.push(last);
                after.push((death.at + last).saturating_sub(death.replaced));
            }
        }
        report
            .counts
            .insert(format!("masters killed, {what}"), through.len() as u64);
        let times = [
            ("killed to its replica in its place", replaced),
            ("killed to acknowledged pushes of every bot", through),
            ("replaced to acknowledged pushes of every bot", after),
        ];
        for (span, times) in times {
            report.time(format!("master ({what}) {span}"), times);
        }
    }
}

struct Death {
    victim: usize,
    replica: usize,
    /// Whether the link to the replica was held before.
    held: bool,
    /// In milliseconds since 1970.
    at: u64,
    /// When the replica was seen to have taken its place.
    replaced: u64,
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
        held,
        at,
        replaced: at,
    })
}

/// When the replica has taken its master's place, in milliseconds since 1970.
async fn replaced(nodes: &[Node], died: &Death) -> Result<u64> {
    let heir = nodes.get(died.replica).context("there is no such server")?;
    let promoted = |info: &String| info.contains("role:master");
    heir.ask_until(&["INFO", "replication"], promoted).await;
    Ok(now_ms())
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

/// Starts the victim again, whose replica has taken its place; it comes back as a replica.
async fn revive(nodes: &mut [Node], died: &Death) -> Result<()> {
    let node = nodes
        .get_mut(died.victim)
        .context("there is no such server")?;
    node.restart().await;
    let in_step =
        |info: &String| info.contains("role:slave") && info.contains("master_link_status:up");
    node.ask_until(&["INFO", "replication"], in_step).await;
    Ok(())
}
