//! Load on a fleet, and what it takes: `fleet-load --help`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a measurement that cannot work should stop"
)]

mod push;

mod metronome;

mod visible;

mod readers;

mod used;

mod result;

mod health;

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Puts load on a fleet and says what it took.
#[derive(Parser)]
#[command(name = "fleet-load", version)]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Findings through the SDK: as fast as they go, or at a rate.
    Push(Push),
    /// How soon health follows in a fleet of 5,000 workers and 10,000 sessions.
    Health {
        /// Where the fleet is.
        #[arg(long, default_value = "redis://127.0.0.1:6379")]
        store: String,
        /// How long to measure.
        #[arg(long, default_value_t = 30)]
        seconds: u64,
    },
}

/// What `fleet-load push` does.
#[derive(Args, Clone)]
struct Push {
    /// Where the workers push: `redis://…` or a dashboard's `http://…`.
    #[arg(long, default_value = "redis://127.0.0.1:6379")]
    store: String,
    /// Workers that push, each an execution.
    #[arg(long, default_value_t = 8)]
    workers: usize,
    /// Sessions they share.
    #[arg(long, default_value_t = 8)]
    sessions: usize,
    /// Findings in all.
    #[arg(long, default_value_t = 1_000_000)]
    findings: usize,
    /// Findings a second, each pushed and waited for alone; 0 for a flood.
    #[arg(long, default_value_t = 0)]
    rate: u64,
    /// Another bot completes its analysis of each session first: quality is known then, and health
    /// changes with every finding
    #[arg(long)]
    analysed: bool,
    /// Findings in a batch of a flood at most.
    #[arg(long, default_value_t = fleet_worker_sdk::worker::BATCH_FINDINGS)]
    batch: usize,
    /// A dashboard on whose WebSocket each finding of a rate is waited for.
    #[arg(long)]
    dashboard: Option<String>,
    /// WebSocket clients besides, which read and do nothing.
    #[arg(long = "ws-clients", alias = "clients", default_value_t = 0)]
    clients: usize,
    /// Clients that ask the dashboard for the fleet's health, each again as soon as it has an answer.
    #[arg(long, default_value_t = 0)]
    http_readers: usize,
    /// Processes whose time and memory are measured too, as `name=pid`.
    #[arg(long = "process", value_parser = used::parse)]
    processes: Vec<(String, u32)>,
    /// Writes what was measured here too, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().what {
        What::Push(push) => push::run(push).await?,
        What::Health { store, seconds } => health::run(&store, seconds).await,
    }
    Ok(())
}

fn say(line: &str) {
    writeln!(std::io::stdout().lock(), "{line}").unwrap();
}
