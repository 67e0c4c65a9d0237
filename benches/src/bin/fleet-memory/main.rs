//! What a finding takes of Redis memory, open and compacted, key by key: `fleet-memory --help`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a measurement that cannot work should stop"
)]

mod made;

mod taken;

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use fleet_coordinator::store::{Compacted, OpenOptions, SharedStore, open};
use fleet_worker_sdk::{SessionId, wire};

use taken::Taken;

/// Fills sessions of a fleet in Redis, measures what each of their keys takes, compacts them and
/// measures again. Give it a Redis of its own: what it makes stays there.
#[derive(Parser)]
#[command(name = "fleet-memory", version)]
struct Cli {
    /// Where the fleet is.
    #[arg(long, default_value = "redis://127.0.0.1:6379")]
    store: String,
    /// Findings of each session, made as scanners make them.
    #[arg(long, value_delimiter = ',', default_value = "100,1000,10000")]
    findings: Vec<usize>,
    /// Reports to import, each into a session of its own.
    #[arg(long)]
    report: Vec<PathBuf>,
}

#[tokio::main]
async fn main() {
    let cli = Cli::parse();
    let store = open(&cli.store, &OpenOptions::default()).unwrap();
    store.check().await.unwrap();
    say("bytes a finding; body: its encoding, whole: all keys of its session");
    for count in cli.findings {
        let session = made::session(&*store, count).await;
        measure(&store, &cli.store, &session, &format!("{count} made")).await;
    }
    for report in cli.report {
        let session = made::imported(&*store, &report).await;
        let name = report.file_name().unwrap_or_default().to_string_lossy();
        measure(&store, &cli.store, &session, &name).await;
    }
}

/// Measures a session, compacts it, and measures it again.
async fn measure(store: &SharedStore, address: &str, session: &SessionId, name: &str) {
    let facts = store.facts(session).await.unwrap();
    let findings = facts.session.total;
    let body = body_bytes(store, session).await / findings.max(1) as f64;
    let open = Taken::read(address, session).await;
    open.show(&format!("{name}, open"), findings, body);
    let begun = Instant::now();
    let compacted = store.compact_session(session, facts.session.version).await;
    let took = begun.elapsed();
    if matches!(compacted.unwrap(), Compacted::Done { .. }) {
        let now = Taken::read(address, session).await;
        now.show(&format!("{name}, compacted"), findings, body);
        let share = now.whole() as f64 / open.whole() as f64;
        say(&format!(
            "  {:.2} of what it took; made in {:.1} us a finding",
            share,
            took.as_secs_f64() * 1e6 / findings as f64
        ));
    } else {
        say(&format!("{name}: too small to be compacted"));
    }
}

async fn body_bytes(store: &SharedStore, session: &SessionId) -> f64 {
    let findings = store.findings(session).await.unwrap();
    let index = findings.read().await;
    let views = index.fingerprints(None).filter_map(|one| index.get(&one));
    views
        .map(|view| wire::encode(&view.identified).unwrap().len() as f64)
        .sum()
}

fn say(line: &str) {
    writeln!(std::io::stdout().lock(), "{line}").unwrap();
}
