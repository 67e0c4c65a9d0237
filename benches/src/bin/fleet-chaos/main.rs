//! Breaks a fleet while bots push into it, and checks that nothing was lost, counted twice or
//! invented: `scripts/chaos.sh` builds and runs it.
//!
//! The map: [`schedule`] says which fault happens when, [`run`] does them to [`children`],
//! [`servers`] and a [`proxy`] while each [`bot`] keeps a [`journal`]; at the end the [`checker`]
//! compares the journals with the store, and the [`report`] says what it came to.

mod schedule;

mod proxy;

mod servers;

mod children;

mod journal;

mod bot;

mod fleet;

mod run;

mod checker;

mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use bot::BotArgs;
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
    /// Findings a second, of all bots together.
    #[arg(long, default_value_t = 2_000, value_name = "N")]
    rate: u64,
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
    let load = Load {
        bots: args.bots.max(1),
        coordinators: args.coordinators.max(1),
        rate: args.rate,
        round: 500,
        seed,
    };
    let folder = args.results.join(format!("chaos-{seed}"));
    // What a run of the same seed left would be taken for this one's.
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("{}", folder.display()))?;
    say(&format!(
        "seed {seed}; logs and journals in {}",
        folder.display()
    ));
    let length = Duration::from_secs_f64(args.minutes * 60.0);
    let mut report = run::run(&load, length, &folder).await?;
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
