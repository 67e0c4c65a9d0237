//! `fleet run`: any tool becomes a bot, with heartbeats, duration, exit code and its findings.
//!
//! [`tool`] runs it, [`output`] takes what it writes to standard output, [`record`] is its execution
//! in the fleet. The tool never waits for the fleet, and its exit code is the command's.

mod output;

mod record;

mod tool;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use fleet_worker_sdk::{Bot, Error, Result, Tier};
use jiff::SignedDuration;

use crate::exit::{UNREACHABLE, USAGE};
use crate::later::SpoolArgs;
use crate::output::{Counts, complain, note, plain};
use crate::place::PlaceArgs;
use crate::store::StoreArgs;
use crate::upload::Terms;

use output::Capture;
use record::{Begun, Recording, Report};
use tool::{Ending, Tool};

pub(crate) const EXAMPLES: &str = "\
Examples:
  fleet run --bot clippy --clippy -- cargo clippy
  fleet run --bot zizmor --sarif - -- zizmor --format sarif .github
  fleet run --bot ruff --sarif ruff.sarif --success-codes 0,1 -- \\
      ruff check --output-format sarif -o ruff.sarif
  fleet run --bot nightly --timeout 10m -- ./scan.sh

Exit codes: the tool's own; 128 + N when signal N ended it, 124 when it ran out of time, 127 or 126
when it cannot be found or started. Before the tool starts:";

/// What `fleet run` is given.
#[derive(Args)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "these are the flags as people write them"
)]
pub(crate) struct Run {
    /// Bot that the tool is
    #[arg(long, env = "FLEET_BOT")]
    bot: String,
    /// Its tier: engine, verifier, finisher, specialist, executor or custom
    #[arg(long, default_value = "custom", value_name = "TIER")]
    tier: String,
    #[command(flatten)]
    place: PlaceArgs,
    /// SARIF report that the tool writes; `-` is its standard output, which is passed on, too
    #[arg(long, value_name = "FILE", group = "report")]
    sarif: Option<PathBuf>,
    /// Findings as JSON lines that the tool writes; `-` is its standard output
    #[arg(long, value_name = "FILE", group = "report")]
    jsonl: Option<PathBuf>,
    /// Take Cargo's messages: the tool is `cargo clippy`, `cargo check` or `cargo build`
    #[arg(long, group = "report")]
    clippy: bool,
    /// End the tool after this time, such as 90s or 10m; it has 10 s to do so
    #[arg(long, value_name = "TIME")]
    timeout: Option<SignedDuration>,
    /// Exit codes that mean success, such as 0,1 for scanners that exit with 1 on findings
    #[arg(long, value_name = "CODES", value_delimiter = ',', default_value = "0")]
    success_codes: Vec<u8>,
    /// Do not start the tool unless the fleet can record it
    #[arg(long)]
    require_fleet: bool,
    /// Say nothing of what was recorded
    #[arg(long, short)]
    quiet: bool,
    /// Say what was recorded as JSON
    #[arg(long)]
    json: bool,
    /// The tool and its arguments
    #[arg(required = true, last = true, value_name = "CMD")]
    command: Vec<std::ffi::OsString>,
    #[command(flatten)]
    spool: SpoolArgs,
    #[command(flatten)]
    store: StoreArgs,
}

impl Run {
    /// Runs the tool; answers with the exit code.
    pub(crate) async fn run(self) -> u8 {
        match self.ready() {
            Ok((recording, tool)) => Box::pin(self.live(recording, tool)).await,
            Err(error) => {
                complain(&error.to_string());
                USAGE
            }
        }
    }

    /// Checks what was given before anything is started.
    fn ready(&self) -> Result<(Recording, Tool)> {
        let mut bot = Bot::new(&self.bot)?.tier(self.tier.parse::<Tier>()?);
        let program = self
            .command
            .first()
            .map(|program| program.to_string_lossy());
        bot.description = format!("runs {}", plain(&program.unwrap_or_default()));
        let terms = Terms {
            open: self.place.session()?,
            bot: Some(bot.id.clone()),
            partial: false,
            continued: None,
        };
        let timeout = self.timeout.map(Duration::try_from).transpose();
        let timeout = timeout.map_err(|_| Error::invalid("timeout", "it is negative"))?;
        let (report, capture) = self.report()?;
        let recording =
            Recording::new(self.store.target()?, bot, terms, report, self.spool.clone());
        Ok((recording, Tool::new(&self.command, capture, timeout)?))
    }

    /// Where the findings are to come from.
    fn report(&self) -> Result<(Report, Capture)> {
        if self.clippy {
            return Ok((Report::Output, Capture::Cargo));
        }
        Ok(match self.sarif.as_ref().or(self.jsonl.as_ref()) {
            None => (Report::None, Capture::None),
            Some(path) if path.as_os_str() == "-" => (Report::Output, Capture::Copy),
            Some(path) => (Report::file(path)?, Capture::None),
        })
    }

    async fn live(&self, recording: Recording, tool: Tool) -> u8 {
        let mut beginning = std::pin::pin!(recording.begin());
        let mut begun = None;
        if self.require_fleet {
            match record::soon(beginning.as_mut()).await {
                Ok(there) => begun = Some(Ok(there)),
                Err(error) => {
                    complain(&format!("the tool was not started: {error}"));
                    return UNREACHABLE;
                }
            }
        }
        let ended = {
            let mut running = std::pin::pin!(tool.run(self.success_codes.clone()));
            loop {
                tokio::select! {
                    ended = running.as_mut() => break ended,
                    there = beginning.as_mut(), if begun.is_none() => {
                        if let Ok(there) = &there {
                            tool.obey(&there.worker);
                        }
                        begun = Some(there);
                    }
                }
            }
        };
        let begun = match begun {
            Some(begun) => begun,
            None => record::soon(beginning).await,
        };
        Box::pin(self.conclude(&recording, begun, &ended)).await;
        ended.code
    }

    /// Records how it ended, and says what was recorded. Nothing of this changes the exit code.
    async fn conclude(&self, recording: &Recording, begun: Result<Begun>, ended: &Ending) {
        let recorded = match begun {
            Ok(begun) => recording.end(begun, ended).await,
            Err(error) => Err(error),
        };
        match recorded {
            Ok(recorded) if !self.quiet => self.say(&recorded, ended),
            Ok(_) => {}
            Err(error) => {
                complain(&format!("{} was not recorded whole: {error}", self.bot));
                if error.is_retryable() {
                    recording.keep(ended);
                }
            }
        }
    }

    fn say(&self, recorded: &record::Recorded, ended: &Ending) {
        if self.json {
            let line = serde_json::json!({
                "bot": self.bot,
                "outcome": recorded.outcome(),
                "reason": recorded.reason,
                "exit_code": ended.code,
                "summary": recorded.summary,
            });
            return note(&line.to_string());
        }
        let outcome = recorded.outcome();
        let mut text = format!("{} {outcome}", plain(&self.bot));
        if let Some(reason) = &recorded.reason {
            let _ = write!(text, " ({})", plain(reason));
        }
        if !recorded.summary.is_null() {
            text = Counts::of(&recorded.summary).text(&text);
        }
        if outcome == "partial" && ended.is_unsure() && !self.clippy {
            let code = ended.code;
            let _ = write!(
                text,
                "\n  it closes nothing, for exit code {code} may mean anything; where it means findings, say --success-codes 0,{code}"
            );
        }
        note(&text);
    }
}
