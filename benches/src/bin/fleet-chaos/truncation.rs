//! Append-only files that lose their end: what a power cut does, which kill -9 does not.
//!
//! What Redis reads back must be a prefix of what was pushed, with every sum right; then the
//! producers, which keep what was acknowledged, bring it to whole.

use std::fs::OpenOptions;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fleet_benches::Seeded;
use fleet_worker_sdk::worker::{ActiveExecution, Settings};
use fleet_worker_sdk::{Bot, Fleet, OpenSession, SessionId, Worker, transport};

use crate::bot::{finding, name};
use crate::checker::{Reader, Seen, Stored, Verdict, judge};
use crate::journal::{Event, History, Line};
use crate::proxy::Proxy;
use crate::report::{Report, say};
use crate::servers::{self, Node};

/// Producers of a round.
const PRODUCERS: usize = 3;
/// Findings of a call, and calls of a producer before and after the file is cut.
const PIECE: u64 = 10;
const PIECES: u64 = 20;
/// Longer than a round takes: what was acknowledged is still there to be sent again.
const KEEP: Duration = Duration::from_mins(10);

/// A producer at its execution.
struct Producer {
    bot: String,
    worker: Worker,
    execution: ActiveExecution,
}

impl Producer {
    async fn start(url: &str, number: usize, round: u32) -> Result<(Self, SessionId)> {
        let settings = Settings {
            keep: KEEP,
            keep_bytes: 64 * 1024 * 1024, // more than a round has
            batch_findings: PIECE as usize,
            ..Settings::default()
        };
        let fleet = Fleet::with(transport::connect(url).await?).settings(settings);
        let bot = name(number);
        let worker = fleet.worker(Bot::new(&bot)?).await?;
        let open = OpenSession::new("chaos/truncated")?.run(round.to_string());
        let session = worker.open(open).await?;
        let execution = session.start().await?;
        let id = session.id().clone();
        Ok((
            Self {
                bot,
                worker,
                execution,
            },
            id,
        ))
    }

    async fn push(&self, pieces: Range<u64>) -> Result<()> {
        for piece in pieces {
            let numbers = piece * PIECE..(piece + 1) * PIECE;
            let findings = numbers.map(|number| finding(&self.bot, number));
            self.execution.push_all(findings).await?;
        }
        Ok(())
    }
}

/// Cuts the file `times` times.
pub(crate) async fn run(seed: u64, times: u32) -> Result<Report> {
    let mut redis = servers::durable().await;
    let proxy = Proxy::start(redis.port).await?;
    let reader = Reader::open(&format!("redis://127.0.0.1:{}", redis.port))?;
    reader.store.check().await?;
    let mut report = Report::new("truncations");
    let mut seeded = Seeded::new(seed);
    let (mut cut, mut lost) = (Vec::new(), 0);
    for number in 0..times {
        let round = Round {
            redis: &mut redis,
            proxy: &proxy,
            reader: &reader,
        };
        let done = round
            .run(number, &mut seeded)
            .await
            .with_context(|| format!("truncation {number}"))?;
        cut.push(done.bytes);
        lost += done.lost;
        report.violations.extend(
            done.violations
                .into_iter()
                .map(|what| format!("truncation {number}: {what}")),
        );
    }
    report
        .counts
        .insert("truncations".to_owned(), u64::from(times));
    report
        .counts
        .insert("bytes cut off".to_owned(), cut.iter().sum());
    report.counts.insert(
        "acknowledged findings that were gone, and came back".to_owned(),
        lost,
    );
    Ok(report)
}

struct Round<'a> {
    redis: &'a mut Node,
    proxy: &'a Proxy,
    reader: &'a Reader,
}

#[derive(Default)]
struct Done {
    bytes: u64,
    lost: u64,
    violations: Vec<String>,
}

impl Round<'_> {
    async fn run(self, round: u32, seeded: &mut Seeded) -> Result<Done> {
        let (mut producers, mut session) = (Vec::new(), None);
        for number in 0..PRODUCERS {
            let (producer, id) = Producer::start(&self.proxy.url(), number, round).await?;
            producers.push(Arc::new(producer));
            session = Some(id);
        }
        let session = session.context("there are producers")?;
        let file = servers::tail_of(self.redis)?;
        let safe = std::fs::metadata(&file)?.len();
        all_push(&producers, 0..PIECES).await?;
        self.proxy.set(|weather| weather.refuse = true);
        self.redis.kill();
        let length = std::fs::metadata(&file)?.len();
        ensure!(length > safe, "nothing was written to {}", file.display());
        let keep = safe + seeded.number() % (length - safe);
        OpenOptions::new().write(true).open(&file)?.set_len(keep)?;
        self.redis.restart().await;
        let mut done = Done {
            bytes: length - keep,
            ..Done::default()
        };
        let after = self.reader.session(&session).await?;
        done.lost = PRODUCERS as u64 * PIECES * PIECE - after.logged();
        done.violations.extend(faults_of_prefix(&after));
        self.proxy.heal();
        all_push(&producers, PIECES..2 * PIECES).await?;
        for producer in &producers {
            let summary = producer.execution.complete().await?;
            done.lost(summary.lost);
            producer.worker.stop().await?;
        }
        say(&format!(
            "truncation {round}: {} of {} bytes cut off, {} findings gone and back",
            done.bytes,
            length - safe,
            done.lost
        ));
        let verdict = self.verdict(&session).await?;
        if !verdict.is_clean() {
            done.violations.push(verdict.to_string());
        }
        Ok(done)
    }

    /// Everything was pushed and acknowledged; sums over other sessions are theirs.
    async fn verdict(&self, session: &SessionId) -> Result<Verdict> {
        let mut history = History::default();
        for number in 0..PRODUCERS {
            history.add(&name(number), journal(session));
        }
        let mut fleet = self.reader.fleet().await?;
        let all: u64 = fleet.sessions.values().map(|stored| stored.total).sum();
        ensure!(
            all == fleet.counted,
            "the fleet counts {} findings, {all} are there",
            fleet.counted
        );
        fleet.sessions.retain(|id, _| id == session.as_str());
        fleet.counted = fleet.sessions.values().map(|stored| stored.total).sum();
        fleet.counted_sessions = fleet.sessions.len() as u64;
        let mut verdict = judge(&history, &fleet, &Seen::new());
        // Nobody computes it here.
        verdict.unhealthy = crate::checker::Faults::default();
        Ok(verdict)
    }
}

impl Done {
    fn lost(&mut self, batches: u64) {
        if batches > 0 {
            self.violations
                .push(format!("a producer could not send {batches} batches again"));
        }
    }
}

async fn all_push(producers: &[Arc<Producer>], pieces: Range<u64>) -> Result<()> {
    let pushes = producers
        .iter()
        .map(|producer| producer.push(pieces.clone()));
    futures_util::future::try_join_all(pushes).await?;
    Ok(())
}

/// Of each producer the first batches, whole, and nothing after them; and every sum is right.
fn faults_of_prefix(stored: &Stored) -> Vec<String> {
    let mut faults = Vec::new();
    for (bot, times) in &stored.times {
        if times.iter().any(|times| *times != 1) || !(times.len() as u64).is_multiple_of(PIECE) {
            faults.push(format!("what is left of {bot} is no prefix: {times:?}"));
        }
        let mut executions = stored.executions.iter();
        let execution = executions.find(|execution| execution.bot.as_str() == bot);
        let received = execution.map(|execution| execution.pushed);
        if received != Some(times.len() as u64) {
            faults.push(format!(
                "{bot}: {} are left, {received:?} count as received",
                times.len()
            ));
        }
    }
    let wrong = stored.sums.iter().filter(|(_, is)| *is != stored.total);
    faults.extend(wrong.map(|(what, is)| format!("{is} {what}, the total is {}", stored.total)));
    faults
}

/// What a producer's journal would say.
fn journal(session: &SessionId) -> Vec<Line> {
    let (session, attempt) = (session.to_string(), 1);
    let end = 2 * PIECES * PIECE;
    let events = [
        Event::Started {
            session: session.clone(),
            attempt,
        },
        Event::Sending {
            session: session.clone(),
            attempt,
            end,
        },
        Event::Acknowledged {
            session: session.clone(),
            attempt,
            end,
        },
        Event::Completed {
            session,
            attempt,
            lost: 0,
        },
    ];
    events.map(|event| Line { ms: 0, event }).to_vec()
}
