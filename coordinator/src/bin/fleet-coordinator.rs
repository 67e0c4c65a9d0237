//! The coordinator process: configuration, signals, drain and exit code.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use fleet_coordinator::config::{Args, Config};
use fleet_coordinator::logging;
use fleet_coordinator::maintain::{Coordinator, CoordinatorSettings};
use fleet_coordinator::store;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The configuration cannot be used: `EX_USAGE` of sysexits, so that a supervisor can tell it
/// from a crash that a restart may cure.
const BAD_CONFIGURATION: u8 = 64;
/// Something failed at start, or the drain took too long.
const FAILED: u8 = 1;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(answer) => {
            // Help and version are answers, everything else a mistake.
            let mistaken = answer.use_stderr();
            let _ = answer.print();
            return ExitCode::from(if mistaken { BAD_CONFIGURATION } else { 0 });
        }
    };
    let print = args.print_config;
    let checked = args
        .checked()
        .and_then(|config| Ok((config.filter()?, config)));
    let (filter, config) = match checked {
        Ok(checked) => checked,
        Err(error) => return complain(&error.into(), BAD_CONFIGURATION),
    };
    let ended = if print {
        print_config(&config)
    } else {
        logging::start(filter, config.log_format);
        live(&config)
    };
    ended.unwrap_or_else(|error| {
        // An address that only the store itself can find wrong is still a configuration.
        let wrong = error.downcast_ref::<fleet_worker_sdk::Error>();
        let refused = matches!(wrong, Some(fleet_worker_sdk::Error::Invalid { .. }));
        complain(&error, if refused { BAD_CONFIGURATION } else { FAILED })
    })
}

fn complain(error: &anyhow::Error, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "fleet-coordinator: {error:#}");
    ExitCode::from(code)
}

fn print_config(config: &Config) -> anyhow::Result<ExitCode> {
    let text = toml::to_string(&config.shown()).context("the settings cannot be written")?;
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// From the runtime to the exit code.
fn live(config: &Config) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be built")?;
    runtime.block_on(run(config))
}

async fn run(config: &Config) -> anyhow::Result<ExitCode> {
    // Taken before anything is opened: a signal must never meet its default and cut a write.
    let signals = Signals::new().context("signals cannot be watched")?;
    let store = store::open(config.store.secret(), &config.open)?;
    tracing::info!(store = %store.address(), version = env!("CARGO_PKG_VERSION"), "coordinating");
    let shutdown = CancellationToken::new();
    tokio::spawn(signals.watch(shutdown.clone()));
    let settings = CoordinatorSettings {
        health: config.health.clone(),
        keep: config.keep.clone(),
        ..CoordinatorSettings::default()
    };
    let coordinator = Coordinator::new(store, settings);
    let drained = tokio::select! {
        () = coordinator.run(shutdown.clone()) => true,
        () = too_late(&shutdown, config) => false,
    };
    let totals = coordinator.totals();
    if drained {
        tracing::info!(?totals, "stopped; nothing was left in hand");
        return Ok(ExitCode::SUCCESS);
    }
    // What was in hand stays on the feed, and another coordinator takes it over.
    tracing::warn!(
        ?totals,
        "stopped; what was in hand is left to other coordinators"
    );
    Ok(ExitCode::from(FAILED))
}

/// Ends when the time to drain has passed since `shutdown`.
async fn too_late(shutdown: &CancellationToken, config: &Config) {
    shutdown.cancelled().await;
    tokio::time::sleep(config.drain).await;
}

/// What tells the process to stop.
struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
        })
    }

    /// The first signal drains, the second exits at once.
    async fn watch(mut self, shutdown: CancellationToken) {
        let name = self.next().await;
        tracing::info!(signal = name, "draining; a second signal exits now");
        shutdown.cancel();
        let name = self.next().await;
        tracing::warn!(signal = name, "exiting without waiting");
        std::process::exit(i32::from(FAILED));
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.int.recv() => "SIGINT",
        }
    }
}
