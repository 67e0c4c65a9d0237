//! A bot's part in one run: wait for its turn, look, push what it finds bit by bit.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use fleet_coordinator::store::{Read, SharedStore};
use fleet_worker_sdk::worker::{Session, Worker};
use fleet_worker_sdk::{Bot, ExecutionState, SessionId};
use serde::{Deserialize, Serialize};

use super::check::{Check, Found, Look};
use super::checkout::Checkout;
use super::checks::hot_spots;

/// Portions in which findings are pushed, so that a person sees them come in.
const PORTIONS: usize = 10;
/// Longest wait for a bot's turn: a run is over by then.
const TURN: Duration = Duration::from_secs(50);

/// One run of the demonstration.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) checkout: Checkout,
    /// Its name; the sessions of a few runs are used in turn.
    pub(super) name: String,
    /// Time between two portions.
    pub(super) pause: Duration,
}

impl Check {
    /// The bot that makes this check.
    pub(super) fn bot(&self) -> fleet_worker_sdk::Result<Bot> {
        let mut bot = Bot::new(self.bot)?
            .tier(self.tier)
            .version(env!("CARGO_PKG_VERSION"))
            .categories([self.category])
            .depends_on(self.after)?;
        self.description.clone_into(&mut bot.description);
        Ok(bot)
    }
}

/// Takes part; `fails` says why it fails at last. `others` is asked what was found before.
pub(super) async fn take_part(
    worker: &Worker,
    check: &'static Check,
    run: &Run,
    fails: Option<&str>,
    others: Option<&SharedStore>,
) -> anyhow::Result<()> {
    let session = worker.open(run.checkout.session(&run.name)?).await?;
    let ready = session.wait_ready(&worker.bot().id, TURN).await?;
    ensure!(ready, "{} waits for {:?} in vain", check.bot, check.after);
    let execution = match state(&session, worker).await? {
        None | Some(ExecutionState::Pending) => session.start().await?,
        Some(_) => session.start_over().await?,
    };
    for rule in check.rules {
        execution.describe(rule.id, rule.rule()).await?;
    }
    let found = look(check, run, session.id(), others).await?;
    let portion = found.findings.len().div_ceil(PORTIONS).max(1);
    for findings in found.findings.chunks(portion) {
        if worker.is_cancelled() {
            break;
        }
        execution.push_all(findings.iter().cloned()).await?;
        tokio::time::sleep(run.pause).await;
    }
    match fails {
        _ if worker.is_cancelled() => execution.fail("the demonstration was stopped").await?,
        Some(why) => execution.fail(why).await?,
        None if found.cut => execution.complete_partial().await?,
        None => execution.complete().await?,
    };
    Ok(())
}

async fn state(session: &Session, worker: &Worker) -> anyhow::Result<Option<ExecutionState>> {
    let progress = session.progress().await?;
    Ok(progress
        .execution(&worker.bot().id)
        .map(|execution| execution.state))
}

async fn look(
    check: &'static Check,
    run: &Run,
    session: &SessionId,
    others: Option<&SharedStore>,
) -> anyhow::Result<Found> {
    if let (Look::Others, Some(store)) = (check.look, others) {
        return found_by_others(&**store, session).await;
    }
    let checkout = run.checkout.clone();
    let looking = tokio::task::spawn_blocking(move || checkout.look(check.look, check.category));
    looking.await.context("the files cannot be read")
}

async fn found_by_others(
    store: &(impl Read + ?Sized),
    session: &SessionId,
) -> anyhow::Result<Found> {
    let findings = store.findings(session).await?;
    let index = findings.read().await;
    let views: Vec<_> = index
        .fingerprints(None)
        .filter_map(|id| index.get(&id))
        .collect();
    Ok(hot_spots(
        views
            .iter()
            .map(|view| (&view.bot, view.identified.finding.path())),
    ))
}
