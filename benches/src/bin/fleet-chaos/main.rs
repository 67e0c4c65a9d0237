//! Breaks a fleet while bots push into it, and checks that nothing was lost, counted twice or
//! invented: `scripts/chaos.sh` builds and runs it.
//!
//! The map: [`schedule`] says which fault happens when, [`run`] does them to [`children`],
//! [`servers`] and a [`proxy`] while each [`bot`] keeps a [`journal`]; at the end the [`checker`]
//! compares the journals with the store, and with what a [`witness`] saw of sessions that retention has
//! removed, and the [`report`] says what it came to.

mod schedule;

mod proxy;

mod servers;

mod children;

mod journal;

mod bot;

mod witness;

mod fleet;

mod run;

mod failovers;

mod migration;

mod takeover;

mod truncation;

mod backlog;

mod checker;

mod report;

#[cfg(test)]
mod mutants;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use bot::BotArgs;
use failovers::Topology;
use fleet::Load;
use report::say;

/// Breaks a fleet on purpose and checks what is left.
#[derive(Parser)]
#[command(name = "fleet-chaos")]
struct Args {
    #[command(subcommand)]
    part: Option<Part>,
    /// Minutes of faults.
    #[arg(long, default_value_t = 1.0, value_name = "N")]
    minutes: f64,
    /// What the schedule is made from [default: of the clock].
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Instead: masters that die behind Sentinels or in a cluster.
    #[arg(long, value_name = "KIND")]
    topology: Option<Topology>,
    /// How many masters die.
    #[arg(long, default_value_t = 20, value_name = "N", requires = "topology")]
    failovers: u32,
    /// Instead: slots of a cluster that move.
    #[arg(long, value_name = "N", conflicts_with = "topology")]
    migrations: Option<u32>,
    /// Instead: coordinators that die with changes in hand.
    #[arg(long, value_name = "N", conflicts_with_all = ["topology", "migrations"])]
    takeovers: Option<u32>,
    /// Instead: append-only files that lose their end.
    #[arg(long, value_name = "N", conflicts_with_all = ["topology", "migrations", "takeovers"])]
    truncations: Option<u32>,
    /// Instead: changes that wait until a coordinator is started.
    #[arg(long, value_name = "N", conflicts_with_all = ["topology", "migrations", "takeovers", "truncations"])]
    backlog: Option<u64>,
    /// Findings a second, of all bots together.
    #[arg(long, default_value_t = 2_000, value_name = "N")]
    rate: u64,
    /// Findings of a bot in a session [default: what the mode needs].
    #[arg(long, value_name = "N")]
    round: Option<u64>,
    /// Bots.
    #[arg(long, default_value_t = 8, value_name = "N")]
    bots: usize,
    /// Coordinators.
    #[arg(long, default_value_t = 3, value_name = "N")]
    coordinators: usize,
    /// Where reports, logs and journals go.
    #[arg(long, default_value = "chaos-results", value_name = "FOLDER")]
    results: PathBuf,
}

#[derive(Subcommand)]
enum Part {
    /// What this program starts itself as.
    #[command(hide = true)]
    Bot(BotArgs),
}

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Runtime::new().context("the runtime cannot be built");
    match runtime.and_then(|runtime| runtime.block_on(live(args))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("fleet-chaos: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether all was as it must be.
async fn live(args: Args) -> Result<bool> {
    if let Some(Part::Bot(bot)) = args.part {
        tracing_subscriber::fmt()
            .with_writer(std::io::stderr)
            .with_ansi(false)
            .init();
        bot::run(bot).await?;
        return Ok(true);
    }
    let seed = args.seed.unwrap_or_else(journal::now_ms);
    let mode = args.mode();
    let folder = args.results.join(format!("{}-{seed}", mode.name()));
    // What a run of the same seed left would be taken for this one's.
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("{}", folder.display()))?;
    say(&format!(
        "seed {seed}; logs and journals in {}",
        folder.display()
    ));
    let load = args.load(mode, seed);
    let mut report = match mode {
        Mode::Chaos(length) => run::run(&load, length, &folder).await?,
        Mode::Failovers(topology, times) => failovers::run(&load, topology, times, &folder).await?,
        Mode::Migrations(times) => migration::run(&load, times, &folder).await?,
        Mode::Takeovers(times) => takeover::run(&load, times, &folder).await?,
        Mode::Truncations(times) => truncation::run(seed, times).await?,
        Mode::Backlog(changes) => backlog::run(changes.max(1), &folder).await?,
    };
    let settings = [
        ("seed", seed),
        ("bots", load.bots as u64),
        ("coordinators", load.coordinators as u64),
        ("findings a second asked for", load.rate),
    ];
    report
        .settings
        .extend(settings.map(|(name, value)| (name, value.to_string())));
    report.deliver(&folder)?;
    Ok(report.is_clean())
}

/// What is done.
#[derive(Clone, Copy)]
enum Mode {
    Chaos(Duration),
    Failovers(Topology, u32),
    Migrations(u32),
    Takeovers(u32),
    Truncations(u32),
    Backlog(u64),
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Chaos(_) => "chaos",
            Self::Failovers(Topology::Sentinel, _) => "sentinel",
            Self::Failovers(Topology::Cluster, _) => "cluster",
            Self::Migrations(_) => "migrations",
            Self::Takeovers(_) => "takeovers",
            Self::Truncations(_) => "truncations",
            Self::Backlog(_) => "backlog",
        }
    }
}

impl Args {
    fn mode(&self) -> Mode {
        let others = [
            self.topology
                .map(|topology| Mode::Failovers(topology, self.failovers)),
            self.migrations.map(Mode::Migrations),
            self.takeovers.map(Mode::Takeovers),
            self.truncations.map(Mode::Truncations),
            self.backlog.map(Mode::Backlog),
        ];
        let chaos = Mode::Chaos(Duration::from_secs_f64(self.minutes.max(0.0) * 60.0));
        others.into_iter().flatten().next().unwrap_or(chaos)
    }

    fn load(&self, mode: Mode, seed: u64) -> Load {
        // Where slots matter, each bot has a session of its own, so that many partitions are at
        // work at once; it stays there long enough to live through what happens.
        let (round, group) = match mode {
            Mode::Failovers(..) => (2_000, 1),
            Mode::Migrations(_) => (500, 1),
            _ => (500, 4),
        };
        Load {
            bots: self.bots.max(1),
            coordinators: self.coordinators.max(1),
            rate: self.rate,
            round: self.round.unwrap_or(round).max(1),
            group,
            seed,
            keep: match mode {
                Mode::Chaos(length) => Some(run::keep(self.rate, length)),
                _ => None,
            },
        }
    }
}
