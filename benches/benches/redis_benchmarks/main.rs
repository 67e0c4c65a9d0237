//! What goes through Redis: pushes, the feed, opening sessions, health, imports, and who looks.
//!
//! On the Redis that `FLEET_REDIS_URL` names, else in a container, else a redis-server process;
//! with none of these nothing is measured.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench that cannot work should stop"
)]

mod server;

mod hand;

mod pushing;

mod reading;

mod importing;

mod watching;

use std::io::Write as _;
use std::time::Duration;

use fleet_benches::sampling;
use fleet_coordinator::store::{OpenOptions, SharedStore, open};
use tokio::runtime::Runtime;

use server::Server;

/// What every group measures on.
struct Bench {
    runtime: Runtime,
    address: String,
    store: SharedStore,
}

fn main() {
    // First: arguments that are wrong end the process, and would leave a server behind.
    let mut criterion = sampling(10, Duration::from_secs(2));
    let mut out = std::io::stdout().lock();
    let Some(server) = Server::find() else {
        let why = "no FLEET_REDIS_URL, no container and no redis-server: nothing is measured";
        writeln!(out, "redis_benchmarks: {why}").unwrap();
        return;
    };
    writeln!(
        out,
        "redis_benchmarks: on {}, {}",
        server.what, server.address
    )
    .unwrap();
    drop(out);
    let runtime = Runtime::new().unwrap();
    let store = runtime.block_on(async {
        let store = open(&server.address, &OpenOptions::default()).unwrap();
        store.check().await.unwrap();
        store
    });
    let bench = Bench {
        runtime,
        address: server.address.clone(),
        store,
    };
    pushing::push(&mut criterion, &bench);
    pushing::feed(&mut criterion, &bench);
    pushing::lifecycle(&mut criterion, &bench);
    reading::open(&mut criterion, &bench);
    reading::health(&mut criterion, &bench);
    importing::import(&mut criterion, &bench);
    watching::fan_out(&mut criterion, &bench);
    criterion.final_summary();
}
