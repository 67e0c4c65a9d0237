//! Measures what an import costs: writes a SARIF log of 20,000 results and some 100 MB to a
//! temporary file, imports it into a store that forgets everything, and prints time and peak memory.
//!
//! `cargo run --release --example import_memory [RESULTS] [BYTES-A-RESULT]`

use std::io::{BufWriter, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use fleet_worker_sdk::import::{ImportOptions, Source, prepare};
use fleet_worker_sdk::{
    Batch, Beat, BeatAnswer, Bot, Change, Execution, ExecutionState, OpenSession, Opened,
    Partition, ProducerId, Progress, PushAnswer, Result, SessionId, SessionState, Transition,
    Version, Write,
};

/// Takes everything and keeps a count.
struct Forgetful {
    session: SessionId,
    pushed: AtomicU64,
}

#[async_trait]
impl Write for Forgetful {
    async fn register(&self, _: &Bot) -> Result<()> {
        Ok(())
    }

    async fn beat(&self, _: &Beat) -> Result<BeatAnswer> {
        Ok(BeatAnswer::default())
    }

    async fn open(&self, _: &OpenSession) -> Result<Opened> {
        let session = self.session.clone();
        Ok(Opened {
            session,
            created: true,
        })
    }

    async fn transition(&self, transition: &Transition) -> Result<Execution> {
        let ended = matches!(transition.change, Change::Complete { .. });
        Ok(Execution {
            bot: transition.bot.clone(),
            state: if ended {
                ExecutionState::Completed
            } else {
                ExecutionState::Running
            },
            attempt: 1,
            worker: None,
            started: None,
            ended: None,
            pushed: self.pushed.load(Ordering::Relaxed),
            partial: false,
            reason: None,
        })
    }

    async fn push(&self, batch: &Batch) -> Result<PushAnswer> {
        batch.check()?;
        let new = batch.findings.len() as u32;
        let total = self.pushed.fetch_add(u64::from(new), Ordering::Relaxed) + u64::from(new);
        Ok(PushAnswer {
            new,
            total,
            ..PushAnswer::default()
        })
    }

    async fn last_sequence(&self, _: &SessionId, _: &ProducerId) -> Result<u64> {
        Ok(0)
    }

    async fn progress(&self, session: &SessionId) -> Result<Progress> {
        Ok(Progress {
            session: session.clone(),
            state: SessionState::Open,
            version: Version(1),
            executions: Vec::new(),
            bots: Vec::new(),
        })
    }

    async fn changed(&self, _: &SessionId, known: Version, _: Duration) -> Result<Version> {
        Ok(known)
    }
}

/// Results before the tool, as half of the real tools write them.
fn write_log(into: impl std::io::Write, results: u64, bytes: usize) -> std::io::Result<()> {
    let mut out = BufWriter::new(into);
    let filler = "x".repeat(bytes.saturating_sub(400));
    write!(out, r#"{{"version":"2.1.0","runs":[{{"results":["#)?;
    for n in 0..results {
        let comma = if n == 0 { "" } else { "," };
        let (rule, file, line) = (n % 100, n % 700, n % 2_000 + 1);
        write!(
            out,
            r#"{comma}{{"ruleId":"rule-{rule}","message":{{"text":"Result {n} of many"}},"locations":[{{"physicalLocation":{{"artifactLocation":{{"uri":"src/{file}.c"}},"region":{{"startLine":{line},"snippet":{{"text":"call_{n}(x);"}}}}}}}}],"codeFlows":[{{"message":{{"text":"{filler}"}}}}]}}"#
        )?;
    }
    write!(out, r#"],"tool":{{"driver":{{"name":"Many","rules":["#)?;
    for rule in 0..100 {
        let comma = if rule == 0 { "" } else { "," };
        write!(
            out,
            r#"{comma}{{"id":"rule-{rule}","shortDescription":{{"text":"A rule"}}}}"#
        )?;
    }
    write!(out, "]}}}}}}]}}")?;
    out.flush()
}

/// Most memory this process ever held, as the kernel says; empty where it does not.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.unwrap_or("unknown").trim().to_owned()
}

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let results: u64 = arguments.next().map_or(Ok(20_000), |text| text.parse())?;
    let bytes: usize = arguments.next().map_or(Ok(5_000), |text| text.parse())?;
    let mut file = tempfile::NamedTempFile::new()?;
    write_log(&mut file, results, bytes)?;
    let size = file.as_file().metadata()?.len();
    let before = peak_memory();

    let store = Forgetful {
        session: SessionId::fresh(Partition(0)),
        pushed: AtomicU64::new(0),
    };
    let options = ImportOptions {
        open: OpenSession::new("acme/shop")?,
        bot: None,
        partial: false,
        worker: None,
    };
    let start = Instant::now();
    let source = Arc::new(Source::open(file.path())?);
    let imported = prepare(source, options)
        .await?
        .push(&store, &|_| {})
        .await?;
    let took = start.elapsed();
    writeln!(
        std::io::stdout().lock(),
        "{} results, {} MB: {took:.2?}, {:.0} MB/s, peak {} (before: {before})",
        imported.summary.received,
        size / 1_000_000,
        size as f64 / 1e6 / took.as_secs_f64(),
        peak_memory(),
    )?;
    Ok(())
}
