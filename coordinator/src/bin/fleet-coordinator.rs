//! The coordinator process: configuration, signals, drain and exit code.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use fleet_coordinator::config::{Args, Config};
use fleet_coordinator::logging;
use fleet_coordinator::maintain::{Coordinator, CoordinatorSettings};
use fleet_coordinator::process::{
    self, BAD_CONFIGURATION, FAILED, Signals, complain, print_settings,
};
use fleet_coordinator::telemetry::Exporter;
use fleet_coordinator::{ops, store};
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The process's name in what it says.
const NAME: &str = "fleet-coordinator";

fn main() -> ExitCode {
    process::use_small_pages();
    let args: Args = match process::arguments() {
        Ok(args) => args,
        Err(code) => return code,
    };
    let (print, healthcheck) = (args.print_config, args.healthcheck);
    let checked = args
        .checked()
        .and_then(|config| Ok((config.filter()?, config)));
    let (filter, config) = match checked {
        Ok(checked) => checked,
        Err(error) => return complain(NAME, error, BAD_CONFIGURATION),
    };
    let ended = if healthcheck {
        return asked(&config);
    } else if print {
        print_settings(&config.shown())
            .context("the settings cannot be written")
            .map(|()| ExitCode::SUCCESS)
    } else {
        match Exporter::from_environment(NAME) {
            Ok(spans) => {
                logging::start(filter, config.log_format, spans.as_ref());
                live(&config)
            }
            Err(why) => return complain(NAME, why, BAD_CONFIGURATION),
        }
    };
    ended.unwrap_or_else(|error| {
        // An address that only the store itself can find wrong is still a configuration.
        let wrong = error.downcast_ref::<fleet_worker_sdk::Error>();
        let refused = matches!(wrong, Some(fleet_worker_sdk::Error::Invalid { .. }));
        let code = if refused { BAD_CONFIGURATION } else { FAILED };
        complain(NAME, format!("{error:#}"), code)
    })
}

/// Whether the process that runs with this configuration is ready.
fn asked(config: &Config) -> ExitCode {
    let Some(address) = config.ops_listen else {
        let why = "--healthcheck asks at --ops-listen, which is not set";
        return complain(NAME, why, BAD_CONFIGURATION);
    };
    match ops::probe::ready(address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(NAME, format!("not ready: {error}"), FAILED),
    }
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
    let ops = match config.ops_listen {
        Some(address) => Some(ops::bind(address).await?),
        None => None,
    };
    tracing::info!(store = %store.address(), version = env!("CARGO_PKG_VERSION"), "coordinating");
    let shutdown = CancellationToken::new();
    tokio::spawn(signals.watch(shutdown.clone()));
    let settings = CoordinatorSettings {
        health: config.health.clone(),
        alerts: config.alerts.settings.clone(),
        sender: config.alerts.sender()?,
        keep: config.keep.clone(),
        ..CoordinatorSettings::default()
    };
    let coordinator = Arc::new(Coordinator::new(Arc::clone(&store), settings));
    if let Some(listener) = ops {
        // Answers to the end: a process that drains is alive.
        let answering = ops::serve(
            listener,
            Arc::clone(&coordinator),
            store,
            CancellationToken::new(),
        );
        tokio::spawn(answering);
    }
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
