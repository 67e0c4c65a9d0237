//! The dashboard process: configuration, sockets, signals and exit codes.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser;
use fleet_coordinator::config::shared::filter;
use fleet_coordinator::logging;
use fleet_coordinator::maintain::{Coordinator, CoordinatorSettings};
use fleet_coordinator::store::memory::MemoryStore;
use fleet_coordinator::store::{OpenOptions, SharedStore};
use fleet_dashboard::config::{Args, Settings};
use fleet_dashboard::context::Context;
use fleet_dashboard::{routes, server};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The configuration cannot be used: `EX_USAGE` of sysexits, so that a supervisor can tell it
/// from a crash that a restart may cure.
const BAD_CONFIGURATION: u8 = 64;
/// Something failed at start, or connections had to be cut at the end.
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
        .settings()
        .map_err(anyhow::Error::from)
        .and_then(|settings| Ok((filter(&settings.log)?, settings)));
    let (filter, settings) = match checked {
        Ok(checked) => checked,
        Err(error) => return complain(&error, BAD_CONFIGURATION),
    };
    let done = if print {
        print_config(&settings)
    } else {
        logging::start(filter, settings.log_format);
        live(settings)
    };
    done.unwrap_or_else(|error| complain(&error, FAILED))
}

fn complain(error: &anyhow::Error, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "fleet-dashboard: {error:#}");
    ExitCode::from(code)
}

fn print_config(settings: &Settings) -> anyhow::Result<ExitCode> {
    let text = toml::to_string(&settings.shown()).context("the settings cannot be written")?;
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// From the runtime to the exit code.
fn live(settings: Settings) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be built")?;
    let ended = runtime.block_on(run(settings));
    // Blocking reads of spooled files may still run; they hold nothing that has to be saved.
    runtime.shutdown_background();
    ended
}

async fn run(settings: Settings) -> anyhow::Result<ExitCode> {
    let store = match store(&settings) {
        Ok(store) => store,
        Err(error) => return Ok(complain(&error, BAD_CONFIGURATION)),
    };
    let listener = bind(&settings).await?;
    let address = listener.local_addr()?;
    let embedded = settings.store.is_none();
    let mut context = Context::new(store, settings)?;
    let ended = CancellationToken::new();
    let coordinating = embedded.then(|| coordinate(&mut context, &ended));
    let shutdown = CancellationToken::new();
    tokio::spawn(watch_signals(shutdown.clone()));
    tracing::info!(url = %format!("http://{address}/"), store = %context.store.address(), "listening");
    let filter = routes::all(&context);
    let drained = server::serve(listener, filter, &context, shutdown).await;
    // The coordinator ends last: what was pushed while draining is still looked at.
    ended.cancel();
    if let Some(coordinating) = coordinating {
        coordinating.await?;
    }
    Ok(match drained {
        server::Drained::Clean => {
            tracing::info!("stopped; every request was answered");
            ExitCode::SUCCESS
        }
        server::Drained::Cut(left) => {
            tracing::warn!(left, "stopped; connections were cut");
            ExitCode::from(FAILED)
        }
    })
}

fn store(settings: &Settings) -> anyhow::Result<SharedStore> {
    let Some(address) = &settings.store else {
        return Ok(Arc::new(MemoryStore::new(settings.partitions)));
    };
    let options = OpenOptions {
        partitions: settings.partitions,
        namespace: settings.namespace.clone(),
        ..OpenOptions::default()
    };
    Ok(fleet_coordinator::store::open(address.secret(), &options)?)
}

/// Starts the coordinator that an embedded store has to itself.
fn coordinate(context: &mut Context, ended: &CancellationToken) -> JoinHandle<()> {
    let store = Arc::clone(&context.store);
    let settings = CoordinatorSettings {
        health: context.settings.health.clone(),
        ..CoordinatorSettings::default()
    };
    let coordinator = Arc::new(Coordinator::new(store, settings));
    *context = context.clone().coordinated_by(Arc::clone(&coordinator));
    let ended = ended.clone();
    tokio::spawn(async move { coordinator.run(ended).await })
}

async fn bind(settings: &Settings) -> anyhow::Result<TcpListener> {
    let address = settings.listen;
    TcpListener::bind(address).await.map_err(|error| {
        let advice = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                "another process listens there; stop it, or choose another port with --listen"
            }
            std::io::ErrorKind::PermissionDenied => {
                "ports below 1024 need a right; choose a higher one with --listen"
            }
            _ => "choose another address with --listen",
        };
        anyhow::Error::new(error).context(format!("cannot listen on {address}: {advice}"))
    })
}

/// The first signal drains, the second exits at once.
async fn watch_signals(shutdown: CancellationToken) {
    let both = signal(SignalKind::terminate())
        .and_then(|term| Ok((term, signal(SignalKind::interrupt())?)));
    let (mut term, mut int) = match both {
        Ok(both) => both,
        Err(error) => {
            tracing::error!(%error, "signals cannot be watched; the process has to be killed");
            return;
        }
    };
    for first in [true, false] {
        let name = tokio::select! {
            _ = term.recv() => "SIGTERM",
            _ = int.recv() => "SIGINT",
        };
        if first {
            tracing::info!(signal = name, "draining; a second signal exits now");
            shutdown.cancel();
        } else {
            tracing::warn!(signal = name, "exiting without waiting");
            std::process::exit(i32::from(FAILED));
        }
    }
}
