//! Bots and coordinators around one store, and what they leave behind.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use fleet_worker_sdk::SessionId;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::bot::{self, BotArgs};
use crate::checker::{Reader, Seen, Verdict, judge};
use crate::children::Worker;
use crate::journal::{self, Event, History};
use crate::report::Report;
use crate::witness::Witness;

/// How long everything may take to be computed and settled once nothing is sent any more: an entry
/// of a dead coordinator is taken over after 30 s, looked for every 10 s.
const DRAIN: Duration = Duration::from_secs(90);

/// What bots are to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) bots: usize,
    pub(crate) coordinators: usize,
    /// Findings a second, of all bots together.
    pub(crate) rate: u64,
    /// Findings of a round.
    pub(crate) round: u64,
    /// Bots that share a session.
    pub(crate) group: usize,
    pub(crate) seed: u64,
    /// Findings that coordinators keep; none: all.
    pub(crate) keep: Option<u64>,
}

/// The processes of a run. Each behind a lock: one thing is done to it at a time.
pub(crate) struct Fleet {
    pub(crate) bots: Vec<Mutex<Worker>>,
    pub(crate) coordinators: Vec<Mutex<Worker>>,
    journals: Vec<PathBuf>,
}

impl Fleet {
    /// Starts coordinators and bots, each with its own way to the store.
    pub(crate) fn start(
        load: &Load,
        bots: &str,
        coordinators: &str,
        folder: &Path,
    ) -> Result<Self> {
        let mut fleet = Self {
            bots: Vec::new(),
            coordinators: Vec::new(),
            journals: Vec::new(),
        };
        for number in 0..load.coordinators {
            let mut worker = Worker::coordinator(number, coordinators, load.keep, folder)?;
            worker.start()?;
            fleet.coordinators.push(Mutex::new(worker));
        }
        for number in 0..load.bots {
            let journal = folder.join(format!("{}.journal", bot::name(number)));
            let args = BotArgs {
                store: bots.to_owned(),
                journal: journal.clone(),
                number,
                seed: load.seed,
                rate: (load.rate / load.bots as u64).max(1),
                round: load.round,
                group: load.group,
                bots: load.bots,
                rounds: None,
            };
            let mut worker = Worker::bot(&args, folder)?;
            worker.start()?;
            fleet.bots.push(Mutex::new(worker));
            fleet.journals.push(journal);
        }
        Ok(fleet)
    }

    /// Starts whatever does not run.
    pub(crate) async fn start_all(&self) -> Result<()> {
        for worker in self.bots.iter().chain(&self.coordinators) {
            worker.lock().await.start()?;
        }
        Ok(())
    }

    /// Ends the bots in order, waits until the coordinators are through with what they left, and
    /// compares; `witness` saw what retention has removed.
    pub(crate) async fn judge(
        &self,
        reader: &Reader,
        witness: Option<Witness>,
        report: &mut Report,
    ) -> Result<History> {
        for worker in &self.bots {
            worker.lock().await.end().await?;
        }
        let begun = Instant::now();
        if let Err(why) = drained(reader).await {
            report.violations.push(why);
        }
        report.time(
            "drained after the last push",
            vec![begun.elapsed().as_millis() as u64],
        );
        for worker in self.coordinators.iter().chain(&self.bots) {
            let mut worker = worker.lock().await;
            worker.end().await?;
            report.violations.append(&mut worker.crashes);
        }
        let history = self.history()?;
        let seen = match witness {
            Some(witness) => witness.end().await?,
            None => Seen::default(),
        };
        let verdict = judge(&history, &reader.fleet().await?, &seen);
        let counts = [
            ("attempts ended by others", history.superseded),
            ("executions completed", history.completed),
            ("sessions compacted", verdict.compacted),
            ("complete sessions removed", verdict.removed),
        ];
        report
            .counts
            .extend(counts.map(|(what, count)| (what.to_owned(), count)));
        report.verdict = Some(verdict);
        Ok(history)
    }

    /// The session that a bot of this number, of as many as there are, works on.
    pub(crate) fn session_of(&self, number: usize) -> Result<SessionId> {
        let path = self.journals.get(number % self.journals.len().max(1));
        let lines = journal::read(path.context("there are no bots")?)?;
        let mut opened = lines.into_iter().rev().filter_map(|line| match line.event {
            Event::Opened { session, .. } => Some(session),
            _ => None,
        });
        let session = opened.next().context("the bot has no session yet")?;
        Ok(session.parse()?)
    }

    /// What the bots wrote down so far.
    pub(crate) fn history(&self) -> Result<History> {
        let mut history = History::default();
        for (number, path) in self
            .journals
            .iter()
            .enumerate()
            .filter(|(_, path)| path.exists())
        {
            let lines = journal::read(path).context("a journal cannot be read")?;
            history.add(&bot::name(number), lines);
        }
        Ok(history)
    }

    /// Waits until every bot has something acknowledged that it sent from now on.
    pub(crate) async fn all_push(&self, limit: Duration) -> Result<()> {
        self.all_pushed_since(journal::now_ms(), limit).await
    }

    /// Waits until every bot has something acknowledged that it sent after `since`, in milliseconds
    /// since 1970.
    pub(crate) async fn all_pushed_since(&self, since: u64, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            let mut through = 0;
            for path in &self.journals {
                let last = journal::last_acknowledged(path)?;
                through += usize::from(last.is_some_and(|sent| sent >= since));
            }
            if through == self.journals.len() {
                return Ok(());
            }
            anyhow::ensure!(
                Instant::now() < deadline,
                "not every bot could push within {limit:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Waits until every session's health is of its present version and nothing is pending.
async fn drained(reader: &Reader) -> Result<(), String> {
    let deadline = Instant::now() + DRAIN;
    loop {
        let left = match (reader.outdated().await, reader.pending().await) {
            (Ok(0), Ok(0)) => return Ok(()),
            (Ok(outdated), Ok(pending)) => {
                format!("{outdated} sessions are not computed, {pending} changes are pending")
            }
            (Err(error), _) | (_, Err(error)) => format!("the store cannot be read: {error:#}"),
        };
        if Instant::now() > deadline {
            return Err(format!("after {DRAIN:?} without a push: {left}"));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Whether a verdict is clean, said of nothing as a fault: a run without findings shows nothing.
pub(crate) fn has_worked(verdict: &Verdict) -> bool {
    verdict.acknowledged > 0
}
