//! The bot that is killed: a process of its own, which reaches the fleet over HTTP as any bot would.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail};
use fleet_worker_sdk::worker::Fleet;
use serde::{Deserialize, Serialize};
use tokio::process::{Child, Command};

use super::checks::{self, KILLED};
use super::part::{Run, take_part};

/// What the process is told, as JSON.
#[derive(Serialize, Deserialize)]
struct Task {
    address: String,
    run: Run,
}

/// Starts the process; it ends with this one.
pub(super) fn start(program: &Path, address: &str, run: &Run) -> anyhow::Result<Child> {
    let mut task = Task {
        address: address.to_owned(),
        run: run.clone(),
    };
    // It stands where it looks: a folder's name may be no text, as JSON is.
    let root = std::mem::replace(&mut task.run.checkout.root, PathBuf::from("."));
    Command::new(program)
        .args(["--demo-task", &serde_json::to_string(&task)?])
        .current_dir(root)
        .env_remove("FLEET_CONFIG") // is this process's, and may be named from where that stands
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("{} cannot be started", program.display()))
}

/// Waits for its end.
pub(super) async fn ended(mut worker: Child) -> anyhow::Result<()> {
    let status = worker.wait().await?;
    if !status.success() {
        bail!("its process ended with {status}");
    }
    Ok(())
}

/// The process: takes part in one run.
///
/// # Errors
/// When `task` cannot be read, or its fleet not be reached.
pub async fn play(task: &str) -> anyhow::Result<()> {
    let task: Task = serde_json::from_str(task).context("the task cannot be read")?;
    let check = checks::ALL.iter().find(|check| check.bot == KILLED);
    let check = check.context("there is no such check")?;
    let fleet = Fleet::connect(&task.address).await?;
    let work = |worker| async move { take_part(&worker, check, &task.run, None, None).await };
    fleet.run(check.bot()?, work).await
}
