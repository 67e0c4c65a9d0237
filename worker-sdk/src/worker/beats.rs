//! The heartbeat of a worker.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::process::Shared;
use super::retry::unanswered;
use crate::beat::{Beat, BeatAnswer, Command, WorkerState};
use crate::error::Result;

/// Longest wait for the answer to a beat: one that takes longer than the next beat's due time
/// says no more than that one will.
const BEAT_TIMEOUT: Duration = Duration::from_secs(4);

/// Beats until the worker has stopped or was dropped, and at once when its state changes.
/// A failing beat stops nothing: it is said once, and when beats come through again, executions
/// learn that the store was away.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut state = shared.pulse.watch();
    let mut failing = false;
    loop {
        let reported = *state.borrow_and_update();
        match beat(&shared, reported).await {
            Ok(answer) => {
                if std::mem::take(&mut failing) {
                    tracing::info!(worker = %shared.id, "heartbeats come through again");
                    shared.recovered.send_modify(|times| *times += 1);
                }
                obey(&shared, answer.command);
            }
            Err(error) if !failing => {
                failing = true;
                tracing::warn!(worker = %shared.id, %error, "heartbeats fail; trying on");
            }
            Err(_) => {}
        }
        if reported == WorkerState::Stopped {
            return;
        }
        tokio::select! {
            changed = state.changed() => if changed.is_err() { return },
            () = sleep(jittered(shared.settings.beat)) => {}
            () = shared.dropped.cancelled() => return,
        }
    }
}

/// A tenth less at most, so that workers started together drift apart and none is ever late.
fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(fastrand::f64().mul_add(-0.1, 1.0))
}

async fn beat(shared: &Shared, state: WorkerState) -> Result<BeatAnswer> {
    let beat = Beat {
        worker: shared.id.clone(),
        bot: shared.bot.id.clone(),
        version: shared.bot.version.clone(),
        sdk: env!("CARGO_PKG_VERSION").to_owned(),
        host: shared.host.clone(),
        pid: std::process::id(),
        started: shared.started,
        state,
        sessions: shared.pulse.sessions(),
        progress: shared.pulse.done(),
    };
    let answer = timeout(BEAT_TIMEOUT, shared.store.beat(&beat)).await;
    answer.unwrap_or_else(|_| Err(unanswered(BEAT_TIMEOUT)))
}

fn obey(shared: &Shared, command: Option<Command>) {
    let Some(command) = command else { return };
    shared.commands.send_if_modified(|last| {
        let fresh = *last != Some(command);
        *last = Some(command);
        fresh
    });
    match command {
        Command::Quiet => shared.pulse.advance(WorkerState::Quiet),
        Command::Terminate => shared.terminate(),
    }
}
