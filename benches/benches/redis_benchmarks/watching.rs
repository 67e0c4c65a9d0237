//! From a change of a session to the last of many who look at the fleet.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use fleet_benches::findings;
use fleet_coordinator::maintain::{Coordinator, CoordinatorSettings};
use fleet_dashboard::config::Settings;
use fleet_dashboard::context::Context;
use fleet_dashboard::{routes, server};
use futures_util::StreamExt as _;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_util::sync::CancellationToken;

use crate::Bench;
use crate::hand::Hand;

/// Longest wait for a frame at all clients.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a frame has to hold: part of a session's row, and the session.
type Wanted = [String; 2];

/// WebSocket clients that read all they are sent, and count themselves when that is what is wanted.
struct Crowd {
    wanted: watch::Sender<Wanted>,
    seen: Arc<AtomicU64>,
    all: Arc<Notify>,
    size: u64,
}

impl Crowd {
    async fn at(address: &str, size: u64) -> Self {
        let (to, wanted) = watch::channel(["snapshot".to_owned(), String::new()]);
        let crowd = Self {
            wanted: to,
            seen: Arc::default(),
            all: Arc::default(),
            size,
        };
        for _ in 0..size {
            let (mut socket, _) = connect_async(address).await.unwrap();
            let (wanted, seen, all) = (
                wanted.clone(),
                Arc::clone(&crowd.seen),
                Arc::clone(&crowd.all),
            );
            tokio::spawn(async move {
                let mut last = Wanted::default();
                while let Some(Ok(message)) = socket.next().await {
                    let Ok(frame) = message.to_text() else {
                        continue;
                    };
                    let wanted = wanted.borrow().clone();
                    if wanted != last && wanted.iter().all(|part| frame.contains(part)) {
                        last = wanted;
                        if seen.fetch_add(1, Relaxed) + 1 == size {
                            all.notify_one();
                        }
                    }
                }
            });
        }
        crowd.wait().await;
        crowd
    }

    /// From now on clients wait for a frame with these.
    fn expect(&self, wanted: Wanted) {
        self.seen.store(0, Relaxed);
        self.wanted.send_replace(wanted);
    }

    async fn wait(&self) {
        let waited = timeout(PATIENCE, self.all.notified()).await;
        let (seen, size) = (self.seen.load(Relaxed), self.size);
        assert!(waited.is_ok(), "{seen} of {size} clients saw the change");
    }
}

/// A dashboard on the bench's store; the address of its WebSocket.
async fn dashboard(bench: &Bench, stop: &CancellationToken) -> String {
    let settings = Settings {
        max_clients: 10_000,
        max_clients_per_address: 10_000,
        ..Settings::default()
    };
    let context = Context::new(bench.store.clone(), settings).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("ws://{}/ws", listener.local_addr().unwrap());
    let (routes, stop) = (routes::all(&context), stop.clone());
    tokio::spawn(async move { server::serve(listener, routes, &context, stop).await });
    address
}

/// A finding pushed, its session's health computed, and the frame at every client.
pub(crate) fn fan_out(c: &mut Criterion, bench: &Bench) {
    let mut group = c.benchmark_group("websocket");
    let coordinator = Coordinator::new(bench.store.clone(), CoordinatorSettings::default());
    let stock = findings(50_000);
    for size in [1, 100, 1_000] {
        let stop = CancellationToken::new();
        let crowd = bench.runtime.block_on(async {
            let address = dashboard(bench, &stop).await;
            Crowd::at(&address, size).await
        });
        group.throughput(Throughput::Elements(size));
        group.bench_function(BenchmarkId::new("fan_out", size), |b| {
            b.iter_custom(|iterations| {
                bench.runtime.block_on(async {
                    let mut hand = Hand::start(&bench.store).await;
                    coordinator.recompute(&hand.session).await.unwrap();
                    let mut taken = Duration::ZERO;
                    for (number, finding) in (1..=iterations).zip(stock.chunks(1)) {
                        let row = format!("\"total\":{number},\"tally\"");
                        crowd.expect([row, hand.session.to_string()]);
                        let begun = Instant::now();
                        hand.push(finding).await;
                        coordinator.recompute(&hand.session).await.unwrap();
                        crowd.wait().await;
                        taken += begun.elapsed();
                    }
                    taken
                })
            });
        });
        stop.cancel();
    }
    group.finish();
}
