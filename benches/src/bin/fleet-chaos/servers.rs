//! Redis processes, as the tests start them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a harness whose servers do not start should stop"
)]

#[path = "../../../../coordinator/tests/integration/support/cluster.rs"]
mod cluster;
#[path = "../../../../coordinator/tests/integration/support/node.rs"]
mod node;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

pub(crate) use cluster::{Cluster, Sentinels};
pub(crate) use node::Node;

/// Longest wait for a server: one that reads back an hour's append-only file takes seconds.
const LONGEST: Duration = Duration::from_mins(2);
/// Keeps everything but the last second of a power cut, as most deployments do.
const DURABLE: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "everysec"];

async fn within<T>(future: impl Future<Output = T>) -> T {
    let answer = tokio::time::timeout(LONGEST, future).await;
    answer.expect("Redis did not come to the state waited for")
}

/// A server with an append-only file.
pub(crate) async fn durable() -> Node {
    Node::start(&DURABLE).await
}

/// Sends a server a signal.
pub(crate) fn signal(node: &Node, signal: Signal) -> Result<()> {
    if let Some(pid) = i32::try_from(node.process.id())
        .ok()
        .and_then(Pid::from_raw)
    {
        kill_process(pid, signal)?;
    }
    Ok(())
}

/// Copies what a server has logged, in all its lives, into `folder`.
pub(crate) fn keep_log(node: &Node, folder: &Path) -> Result<()> {
    let to = folder.join(format!("redis-{}.log", node.port));
    std::fs::copy(node.log(), &to).with_context(|| format!("{}", to.display()))?;
    Ok(())
}

/// The part of its append-only file that is written to now.
pub(crate) fn tail_of(node: &Node) -> Result<PathBuf> {
    let folder = node.folder.path().join("appendonlydir");
    let mut parts = Vec::new();
    for entry in std::fs::read_dir(&folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(".incr.aof") {
            parts.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    let last = parts.into_iter().max();
    let (_, path) = last.with_context(|| format!("{} has no part", folder.display()))?;
    Ok(path)
}
