//! Rounds of the demonstration: every minute all bots look again, tier by tier.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fleet_coordinator::store::SharedStore;
use fleet_worker_sdk::worker::{Fleet, Worker};
use fleet_worker_sdk::{BotId, ExecutionState, SessionId, Write};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::check::{Check, Look};
use super::checkout::Checkout;
use super::checks::{self, FAILING, KILLED};
use super::part::{Run, take_part};
use super::victim;

/// Sessions of a demonstration: the runs use them in turn, so that it may go on for ever.
const RING: u64 = 10;
/// Every so many rounds the failing bot fails, and the other one is killed.
const FAILS_EVERY: u64 = 3;
const KILLED_EVERY: u64 = 2;
/// Why it fails.
const WHY: &str = "on purpose: this bot fails every third run of the demonstration";

/// What a demonstration is run with.
#[derive(Clone, Debug)]
pub struct Pace {
    /// From the start of one round to the next.
    pub every: Duration,
    /// Between two portions of findings.
    pub pause: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            every: Duration::from_mins(1),
            pause: Duration::from_millis(400),
        }
    }
}

/// A demonstration under way.
pub(super) struct Demo {
    pub(super) store: SharedStore,
    pub(super) checkout: Checkout,
    pub(super) pace: Pace,
    /// The program that plays the bot that is killed, and where it finds the fleet.
    pub(super) program: PathBuf,
    pub(super) address: String,
}

/// The bots that have ended in this round.
type Ended = watch::Sender<BTreeSet<&'static str>>;

impl Demo {
    /// Runs rounds until `stop`; what fails is said, and the next round tries again.
    pub(super) async fn run(self, stop: CancellationToken) {
        let demo = Arc::new(self);
        let writer: Arc<dyn Write> = demo.store.clone();
        let fleet = Fleet::with(writer);
        let mut crew = Vec::new();
        for check in checks::ALL.iter().filter(|check| check.bot != KILLED) {
            match demo.hire(&fleet, check).await {
                Ok(worker) => crew.push((check, worker)),
                Err(error) => tracing::error!(bot = check.bot, %error, "a demo bot cannot start"),
            }
        }
        let rounds = async {
            for number in 0.. {
                let next = Instant::now() + demo.pace.every;
                demo.round(number, &crew).await;
                sleep_until(next).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = rounds => {}
        }
        for (_, worker) in crew {
            // The process ends: what could not be said is nobody's any more.
            let _ = worker.stop().await;
        }
    }

    async fn hire(&self, fleet: &Fleet, check: &Check) -> anyhow::Result<Worker> {
        Ok(fleet.worker(check.bot()?).await?)
    }

    /// One round: all bots at once, each waiting for those it depends on.
    async fn round(self: &Arc<Self>, number: u64, crew: &[(&'static Check, Worker)]) {
        let run = Run {
            checkout: self.checkout.clone(),
            name: format!("demo-{}", number % RING + 1),
            pause: self.pace.pause,
        };
        let Some(session) = self.opened(&run).await else {
            return;
        };
        let ended = Arc::new(Ended::default());
        let mut parts = JoinSet::new();
        for (check, worker) in crew {
            let fails =
                (check.bot == FAILING && number % FAILS_EVERY == FAILS_EVERY - 1).then_some(WHY);
            let (demo, run, ended) = (Arc::clone(self), run.clone(), Arc::clone(&ended));
            let (check, worker) = (*check, worker.clone());
            parts.spawn(async move {
                turn(check, &ended).await;
                let done = take_part(&worker, check, &run, fails, Some(&demo.store)).await;
                said(check.bot, done);
                ended.send_if_modified(|ended| ended.insert(check.bot));
            });
        }
        let (demo, ended) = (Arc::clone(self), Arc::clone(&ended));
        parts.spawn(async move {
            if let Some(check) = checks::ALL.iter().find(|check| check.bot == KILLED) {
                turn(check, &ended).await;
                let dies = number % KILLED_EVERY == KILLED_EVERY - 1;
                said(check.bot, demo.play_victim(&run, &session, dies).await);
            }
            ended.send_if_modified(|ended| ended.insert(KILLED));
        });
        while parts.join_next().await.is_some() {}
    }

    /// Opens the round's session with all bots expected in it.
    async fn opened(&self, run: &Run) -> Option<SessionId> {
        let open = async {
            let bots = checks::ALL.iter().map(|check| BotId::new(check.bot));
            let bots = bots.collect::<fleet_worker_sdk::Result<Vec<_>>>()?;
            self.store
                .open(&run.checkout.session(&run.name)?.expect(bots))
                .await
        };
        match open.await {
            Ok(opened) => Some(opened.session),
            Err(error) => {
                tracing::error!(%error, "a round of the demonstration cannot begin");
                None
            }
        }
    }

    /// A process of its own for the bot that may be killed; if it was, another takes its place.
    async fn play_victim(&self, run: &Run, session: &SessionId, dies: bool) -> anyhow::Result<()> {
        let mut worker = victim::start(&self.program, &self.address, run)?;
        if dies && self.begun(session, &mut worker).await? {
            worker.kill().await?;
            sleep(self.pace.pause * 2).await;
            worker = victim::start(&self.program, &self.address, run)?;
        }
        victim::ended(worker).await
    }

    /// Returns when the victim's execution runs; false when the victim ended before.
    async fn begun(
        &self,
        session: &SessionId,
        worker: &mut tokio::process::Child,
    ) -> anyhow::Result<bool> {
        let bot = BotId::new(KILLED)?;
        loop {
            let progress = self.store.progress(session).await?;
            let execution = progress.execution(&bot);
            if execution.is_some_and(|execution| execution.state == ExecutionState::Running) {
                return Ok(true);
            }
            tokio::select! {
                _ = worker.wait() => return Ok(false),
                changed = self.store.changed(session, progress.version, self.pace.every) => { changed?; }
            }
        }
    }
}

/// Waits until those that `check` depends on have ended in this round; the finisher, which sums up,
/// for all others that look.
async fn turn(check: &Check, ended: &Ended) {
    let sums_up = matches!(check.look, Look::Others);
    let before =
        |other: &&Check| check.after.contains(&other.bot) || (sums_up && other.bot != check.bot);
    let before: Vec<_> = checks::ALL
        .iter()
        .filter(before)
        .map(|other| other.bot)
        .collect();
    let mut ended = ended.subscribe();
    // Whoever sends outlives those who wait.
    let _ = ended
        .wait_for(|ended| before.iter().all(|bot| ended.contains(bot)))
        .await;
}

fn said(bot: &str, done: anyhow::Result<()>) {
    if let Err(error) = done {
        tracing::warn!(
            bot,
            error = format!("{error:#}"),
            "a demo bot did not finish"
        );
    }
}
