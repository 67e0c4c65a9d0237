//! The dashboard process: configuration, sockets, signals and exit codes.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use fleet_coordinator::channel::Sender;
use fleet_coordinator::config::shared::filter;
use fleet_coordinator::maintain::{Coordinator, CoordinatorSettings};
use fleet_coordinator::process::{
    self, BAD_CONFIGURATION, FAILED, Signals, complain, print_settings,
};
use fleet_coordinator::store::memory::MemoryStore;
use fleet_coordinator::store::memory::journal::{Durable, Replayed};
use fleet_coordinator::store::{OpenOptions, SharedStore};
use fleet_coordinator::telemetry::Exporter;
use fleet_coordinator::{logging, ops};
use fleet_dashboard::config::{Args, Settings};
use fleet_dashboard::context::Context;
use fleet_dashboard::demo::{self, Pace};
use fleet_dashboard::{imports, routes, server};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The process's name in what it says.
const NAME: &str = "fleet-dashboard";
/// What is logged of a demonstration unless told otherwise.
const DEMO_LOG: &str = "warn";

fn main() -> ExitCode {
    process::use_small_pages();
    let args: Args = match process::arguments() {
        Ok(args) => args,
        Err(code) => return code,
    };
    let done = match start(args) {
        Ok(Start::Printed) => Ok(ExitCode::SUCCESS),
        Ok(Start::Asked(address)) => {
            let asked = ops::probe::ready(address).context("not ready");
            asked.map(|()| ExitCode::SUCCESS)
        }
        Ok(Start::Part(task)) => {
            on_runtime(async move { demo::play(&task).await.map(|()| ExitCode::SUCCESS) })
        }
        Ok(Start::Live(settings, extras, spans)) => {
            let ended = on_runtime(run(*settings, extras));
            // Sends the last spans; not on the runtime, which it would block.
            drop(spans);
            ended
        }
        Err(error) => return complain(NAME, format!("{error:#}"), BAD_CONFIGURATION),
    };
    done.unwrap_or_else(|error| complain(NAME, format!("{error:#}"), FAILED))
}

/// What is asked for beside the settings.
struct Extras {
    demo: Option<PathBuf>,
    import: Vec<PathBuf>,
}

/// What the process is to be.
enum Start {
    /// Nothing more: the settings were printed.
    Printed,
    /// A question to the process that listens there.
    Asked(SocketAddr),
    /// A bot of a demonstration.
    Part(String),
    /// A dashboard, and what sends its spans.
    Live(Box<Settings>, Extras, Option<Exporter>),
}

/// Checks what was asked for before anything is opened.
fn start(mut args: Args) -> anyhow::Result<Start> {
    let task = args.demo_task.take();
    let extras = Extras {
        demo: args.demo.take(),
        import: std::mem::take(&mut args.import),
    };
    let healthcheck = args.healthcheck;
    let (print, quiet) = (
        args.print_config,
        extras.demo.is_some() && args.raw.log.is_none(),
    );
    let settings = args.settings()?;
    if print {
        print_settings(&settings.shown()).context("the settings cannot be written")?;
        return Ok(Start::Printed);
    }
    if healthcheck {
        return Ok(Start::Asked(settings.ops_listen.unwrap_or(settings.listen)));
    }
    if extras.demo.is_some() && settings.tokens.is_some() {
        anyhow::bail!("the bots of --demo have no tokens; leave out --tokens-file");
    }
    if let (Some(_), Some(store)) = (&extras.demo, &settings.store) {
        anyhow::bail!(
            "--demo shows a fleet of its own, which is kept in this process; leave out the store {}",
            store.shown()
        );
    }
    if extras.demo.is_some() && settings.data.is_some() {
        anyhow::bail!(
            "--demo shows a fleet of its own, which ends with this process; leave out --data-dir"
        );
    }
    // A demonstration says in its own words what happens.
    let log = if quiet || task.is_some() {
        DEMO_LOG
    } else {
        &settings.log
    };
    let spans = Exporter::from_environment(NAME).map_err(anyhow::Error::msg)?;
    logging::start(filter(log)?, settings.log_format, spans.as_ref());
    Ok(match task {
        Some(task) => Start::Part(task),
        None => Start::Live(Box::new(settings), extras, spans),
    })
}

/// From the runtime to the exit code.
fn on_runtime(life: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be built")?;
    let ended = runtime.block_on(life);
    // Blocking reads of spooled files may still run; they hold nothing that has to be saved.
    runtime.shutdown_background();
    ended
}

async fn run(settings: Settings, extras: Extras) -> anyhow::Result<ExitCode> {
    let signals = Signals::new().context("signals cannot be watched")?;
    let store = match store(&settings) {
        Ok(store) => store,
        Err(error) => return Ok(complain(NAME, format!("{error:#}"), BAD_CONFIGURATION)),
    };
    let listener = bind(&settings).await?;
    let address = listener.local_addr()?;
    let ops = match settings.ops_listen {
        Some(address) => Some(ops::bind(address).await?),
        None => None,
    };
    let embedded = settings.store.is_none();
    let sender = match settings.alerts.sender() {
        Ok(sender) => sender,
        Err(error) => return Ok(complain(NAME, error, BAD_CONFIGURATION)),
    };
    let mut context = Context::new(store, settings)?;
    let ended = CancellationToken::new();
    let coordinating = embedded.then(|| coordinate(&mut context, sender, &ended));
    let shutdown = CancellationToken::new();
    tokio::spawn(signals.watch(shutdown.clone()));
    tracing::info!(url = %format!("http://{address}/"), store = %context.store.address(), "listening");
    let beside = match beside(&context, address, extras, &ended) {
        Ok(beside) => beside,
        Err(error) => return Ok(complain(NAME, format!("{error:#}"), BAD_CONFIGURATION)),
    };
    look_after(&context, ops, &ended);
    let filter = routes::all(&context);
    let drained = server::serve(listener, filter, &context, shutdown).await;
    // The coordinator ends last: what was pushed while draining is still looked at.
    ended.cancel();
    for task in beside {
        task.await?;
    }
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

/// Begins what lasts to the end: the answers to probes, and the look at the tokens.
fn look_after(context: &Context, ops: Option<TcpListener>, ended: &CancellationToken) {
    if let Some(listener) = ops {
        let (context, ended) = (context.clone(), ended.clone());
        tokio::spawn(async move {
            let filter = routes::ops(&context);
            server::serve_ops(listener, filter, &context, ended).await;
        });
    }
    match &context.settings.tokens {
        Some(tokens) => drop(tokio::spawn(tokens.clone().watch(ended.clone()))),
        None if context.settings.insecure_open => {
            tracing::warn!("everybody who reaches this address may read and push everything");
        }
        None => {}
    }
}

/// Begins what runs beside the server: the demonstration, and reports taken along.
fn beside(
    context: &Context,
    address: SocketAddr,
    extras: Extras,
    ended: &CancellationToken,
) -> anyhow::Result<Vec<JoinHandle<()>>> {
    let mut tasks = Vec::new();
    let root = extras.demo.clone().unwrap_or_else(|| PathBuf::from("."));
    if let Some(root) = &extras.demo {
        let store = Arc::clone(&context.store);
        let demo = demo::prepare(
            root,
            store,
            format!("http://{address}"),
            None,
            Pace::default(),
        )?;
        std::io::stdout()
            .lock()
            .write_all(demo.words().as_bytes())?;
        tasks.push(demo.begin(ended.clone()));
    }
    if !extras.import.is_empty() {
        let (store, ended) = (Arc::clone(&context.store), ended.clone());
        tasks.push(tokio::spawn(async move {
            let taking = imports::take_along(&store, &extras.import, &root);
            tokio::select! {
                () = ended.cancelled() => tracing::warn!("stopped before every report was imported"),
                taken = taking => tracing::info!(taken, "reports were imported"),
            }
        }));
    }
    Ok(tasks)
}

fn store(settings: &Settings) -> anyhow::Result<SharedStore> {
    let Some(address) = &settings.store else {
        return embedded(settings);
    };
    let options = OpenOptions {
        partitions: settings.partitions,
        namespace: settings.namespace.clone(),
        ..OpenOptions::default()
    };
    Ok(fleet_coordinator::store::open(address.secret(), &options)?)
}

/// A fleet in this process: the one that is kept, if one is.
fn embedded(settings: &Settings) -> anyhow::Result<SharedStore> {
    let Some(folder) = &settings.data else {
        return Ok(Arc::new(MemoryStore::new(settings.partitions)));
    };
    let durable = Durable {
        sync: settings.data_sync,
        ..Durable::new(folder)
    };
    let begun = Instant::now();
    let (store, replayed) = MemoryStore::durable(settings.partitions, &durable)?;
    let Replayed {
        sessions,
        findings,
        records,
        torn,
    } = replayed;
    tracing::info!(folder = %folder.display(), sessions, findings, records,
        took_ms = begun.elapsed().as_millis() as u64, "what was kept of the fleet is here again");
    if torn > 0 {
        tracing::warn!(
            bytes = torn,
            "the last write before the end of the process before was cut off, and is left out; it had not been acknowledged, or the power was lost"
        );
    }
    Ok(store)
}

/// Starts the coordinator that an embedded store has to itself.
fn coordinate(context: &mut Context, sender: Sender, ended: &CancellationToken) -> JoinHandle<()> {
    let store = Arc::clone(&context.store);
    let settings = CoordinatorSettings {
        health: context.settings.health.clone(),
        alerts: context.settings.alerts.settings.clone(),
        sender,
        keep: context.settings.keep.clone(),
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
