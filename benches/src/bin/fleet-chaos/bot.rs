//! A bot: a process of its own that scans one made-up repository after the other, and keeps a
//! journal of it.
//!
//! A round is an execution in a session that the bots of a group share. It is complete when all of
//! them have completed theirs, but for one session in eight, which waits for somebody who never comes. A
//! bot that was killed mostly takes its last round over and sends all of it again, as a scanner would
//! that starts anew: what the session has already must not count twice.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use fleet_benches::Seeded;
use fleet_worker_sdk::retry::Backoff;
use fleet_worker_sdk::worker::{ActiveExecution, Session};
use fleet_worker_sdk::{
    Bot, BotId, Error, ExecutionState, Finding, Fleet, Level, OpenSession, Worker,
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Interval, interval};

use crate::journal::{self, Event, Journal};

/// Repositories of a group, used in turn: they lie in several partitions.
const REPOSITORIES: u64 = 8;
/// Who is expected in some sessions and never comes: a session that is not complete is not removed
/// when room is needed, so that whatever is missing of it at the end is lost.
pub(crate) const NEVER: &str = "auditor";
/// One session in so many stays open.
pub(crate) const OPEN_ONE_IN: u64 = 8;
/// Between two pieces.
const TICK: Duration = Duration::from_millis(100);

/// What a bot is started with.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct BotArgs {
    /// Where the fleet is.
    #[arg(long)]
    pub(crate) store: String,
    /// Where to write what is sent and acknowledged.
    #[arg(long)]
    pub(crate) journal: PathBuf,
    /// Which bot of the run.
    #[arg(long)]
    pub(crate) number: usize,
    /// Tells runs apart.
    #[arg(long)]
    pub(crate) seed: u64,
    /// Findings a second.
    #[arg(long)]
    pub(crate) rate: u64,
    /// Findings of a round.
    #[arg(long)]
    pub(crate) round: u64,
    /// Bots that share a session.
    #[arg(long)]
    pub(crate) group: usize,
    /// Bots of the run.
    #[arg(long)]
    pub(crate) bots: usize,
    /// After how many rounds to end; none: when told to.
    #[arg(long)]
    pub(crate) rounds: Option<u64>,
}

impl BotArgs {
    fn opens(&self, round: u64) -> Result<OpenSession, Error> {
        let size = self.group.max(1);
        let group = self.number / size;
        let named = format!("chaos/part-{group}-{}", round % REPOSITORIES);
        let members = (group * size..self.bots.min((group + 1) * size)).map(name);
        let never = self.stays_open(group, round).then(|| NEVER.to_owned());
        let expected = members.chain(never).map(BotId::new);
        let expected = expected.collect::<Result<Vec<_>, _>>()?;
        let run = format!("{}-{round}", self.seed);
        Ok(OpenSession::new(named)?.run(run).expect(expected))
    }

    /// Whether the session of this round waits for ever: the same for all of its bots.
    fn stays_open(&self, group: usize, round: u64) -> bool {
        let of = self
            .seed
            .wrapping_add((group as u64) << 32)
            .wrapping_add(round);
        Seeded::new(of).number().is_multiple_of(OPEN_ONE_IN)
    }

    fn piece(&self) -> u64 {
        (self.rate * TICK.as_millis() as u64 / 1000).max(1)
    }
}

/// The id of a bot of a run.
pub(crate) fn name(number: usize) -> String {
    format!("bot-{number}")
}

/// The finding of this number: which one it is stands in its message, so that the log tells.
pub(crate) fn finding(bot: &str, number: u64) -> Finding {
    let level = Level::ALL
        .get(number as usize % Level::ALL.len())
        .copied()
        .unwrap_or(Level::Warning);
    Finding::new(format!("rule-{}", number % 20), format!("{bot} {number}"))
        .level(level)
        .category(format!("category-{}", number % 6))
        .at(format!("src/{bot}/file-{number}.rs"), 1)
}

/// Whose finding it is and which, by its message.
pub(crate) fn read_message(message: &str) -> Option<(&str, u64)> {
    let (bot, number) = message.split_once(' ')?;
    Some((bot, number.parse().ok()?))
}

/// Why an attempt is not gone on with.
enum Stop {
    /// It is to be begun again.
    Anew,
    /// It is complete, as far as it came.
    Complete,
}

struct Life {
    args: BotArgs,
    bot: String,
    journal: Journal,
    ticks: Interval,
    told: Signal,
    ending: bool,
}

/// Works until it is told to end; then completes the execution it is in.
pub(crate) async fn run(args: BotArgs) -> Result<()> {
    let bot = name(args.number);
    let first = last_round(&args)?;
    let mut life = Life {
        journal: Journal::append(&args.journal)?,
        ticks: interval(TICK),
        told: signal(SignalKind::terminate())?,
        ending: false,
        bot,
        args,
    };
    let worker = life.join().await?;
    let mut round = first;
    let last = life.args.rounds;
    while !life.ending && last.is_none_or(|last| round < last) {
        life.round(&worker, round).await?;
        round += 1;
    }
    worker.stop().await?;
    Ok(())
}

/// The round to go on with: after a kill the last one begun, or, every other time, the next: then
/// what was sent and not acknowledged may be there or not.
fn last_round(args: &BotArgs) -> Result<u64> {
    if !args.journal.exists() {
        return Ok(0);
    }
    let lines = journal::read(&args.journal)?;
    let begun = lines.iter().rev().find_map(|line| match line.event {
        Event::Round(round) => Some(round),
        _ => None,
    });
    let skipped = u64::from(lines.len() % 2 == 1);
    Ok(begun.map_or(0, |round| round + skipped))
}

/// Calls until the store takes it.
async fn insist<T, F: Future<Output = Result<T, Error>>>(
    mut call: impl FnMut() -> F,
) -> Result<T, Error> {
    let mut backoff = Backoff::new();
    loop {
        match call().await {
            // No fleet yet: a coordinator makes it.
            Err(error) if error.is_retryable() || matches!(error, Error::Incompatible { .. }) => {
                backoff.wait().await;
            }
            done => return done,
        }
    }
}

impl Life {
    async fn join(&self) -> Result<Worker, Error> {
        let fleet = insist(|| Fleet::connect(&self.args.store)).await?;
        let bot = Bot::new(&self.bot)?;
        insist(|| fleet.worker(bot.clone())).await
    }

    async fn round(&mut self, worker: &Worker, round: u64) -> Result<()> {
        self.journal.note(Event::Round(round))?;
        let open = self.args.opens(round)?;
        loop {
            let session = insist(|| worker.open(open.clone())).await?;
            let id = session.id().to_string();
            let opened = Event::Opened { round, session: id };
            self.journal.note(opened)?;
            // Anew where the session itself is gone.
            while let Some(execution) = self.start(&session).await? {
                match self.attempt(&session, &execution).await? {
                    Stop::Anew => {}
                    Stop::Complete => return Ok(()),
                }
            }
        }
    }

    async fn start(&mut self, session: &Session) -> Result<Option<ActiveExecution>> {
        match insist(|| session.start_over()).await {
            Ok(execution) => Ok(Some(execution)),
            Err(error @ Error::NotFound { .. }) => {
                let (session, why) = (session.id().to_string(), error.to_string());
                self.journal.note(Event::Gone { session, why })?;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Sends the round's findings, piece by piece, each acknowledged before the next.
    async fn attempt(&mut self, session: &Session, execution: &ActiveExecution) -> Result<Stop> {
        let id = session.id().to_string();
        let attempt = execution.started().attempt;
        self.journal.note(Event::Started {
            session: id.clone(),
            attempt,
        })?;
        let mut next = 0;
        while next < self.args.round && !self.ending {
            tokio::select! {
                _ = self.ticks.tick() => {}
                _ = self.told.recv() => { self.ending = true; continue; }
            }
            let end = (next + self.args.piece()).min(self.args.round);
            self.journal.note(Event::Sending {
                session: id.clone(),
                attempt,
                end,
            })?;
            if let Err(error) = self.send(execution, next..end).await {
                return self.stopped(session, attempt, &error).await;
            }
            self.journal.note(Event::Acknowledged {
                session: id.clone(),
                attempt,
                end,
            })?;
            next = end;
        }
        match insist(|| execution.complete()).await {
            Ok(summary) => {
                self.journal.note(Event::Completed {
                    session: id,
                    attempt,
                    lost: summary.lost,
                })?;
                Ok(Stop::Complete)
            }
            Err(error) => self.stopped(session, attempt, &error).await,
        }
    }

    async fn send(
        &self,
        execution: &ActiveExecution,
        numbers: std::ops::Range<u64>,
    ) -> Result<(), Error> {
        for number in numbers {
            insist(|| execution.queue(finding(&self.bot, number))).await?;
        }
        insist(|| execution.flush()).await
    }

    /// A final error. If the store still says that this attempt runs, it had to take what it
    /// refused.
    async fn stopped(&mut self, session: &Session, attempt: u32, error: &Error) -> Result<Stop> {
        let id = session.id().to_string();
        let progress = insist(|| session.progress()).await;
        let bot: BotId = self.bot.parse()?;
        let runs = progress.as_ref().is_ok_and(|progress| {
            progress.execution(&bot).is_some_and(|execution| {
                execution.state == ExecutionState::Running && execution.attempt == attempt
            })
        });
        let why = error.to_string();
        let event = if runs || progress.is_err() {
            Event::Refused { session: id, why }
        } else {
            Event::Superseded { session: id, why }
        };
        self.journal.note(event)?;
        Ok(Stop::Anew)
    }
}
