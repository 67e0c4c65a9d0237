//! From a bot to derived health.

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use fleet_benches::{BATCH, findings};
use fleet_coordinator::maintain::{Coordinator, CoordinatorSettings};
use fleet_worker_sdk::{redis, wire};

use crate::Bench;
use crate::hand::Hand;

/// Findings to push; they are pushed again into another session when there are no more.
const STOCK: usize = 20_000;
/// Longest wait for the feed, which has an entry already.
const WAIT: Duration = Duration::from_secs(1);

pub(crate) fn push(c: &mut Criterion, bench: &Bench) {
    let mut group = c.benchmark_group("push");
    let stock = findings(STOCK);
    let body = wire::encode(&stock[0]).unwrap();
    group.throughput(Throughput::Elements(1));
    group.bench_function("raw_xadd", |b| {
        b.iter_custom(|iterations| {
            bench.runtime.block_on(async {
                let client = redis::Client::open(bench.address.as_str()).unwrap();
                let mut connection = client.get_multiplexed_async_connection().await.unwrap();
                let begun = Instant::now();
                for _ in 0..iterations {
                    let mut add = redis::cmd("XADD");
                    add.arg("bench:raw")
                        .arg("MAXLEN")
                        .arg("~")
                        .arg(10_000)
                        .arg("*");
                    add.arg("b").arg(&body);
                    let _: String = add.query_async(&mut connection).await.unwrap();
                }
                begun.elapsed()
            })
        });
    });
    for (name, size) in [("single", 1), ("batched", BATCH)] {
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(name, |b| {
            b.iter_custom(|iterations| {
                bench.runtime.block_on(async {
                    let (mut taken, mut hand) = (Duration::ZERO, Hand::start(&bench.store).await);
                    let mut batches = stock.chunks_exact(size);
                    for _ in 0..iterations {
                        let Some(batch) = batches.next() else {
                            (batches, hand) =
                                (stock.chunks_exact(size), Hand::start(&bench.store).await);
                            continue;
                        };
                        let begun = Instant::now();
                        hand.push(batch).await;
                        taken += begun.elapsed();
                    }
                    taken
                })
            });
        });
    }
    group.finish();
}

pub(crate) fn feed(c: &mut Criterion, bench: &Bench) {
    let mut group = c.benchmark_group("feed");
    let stock = findings(STOCK);
    let coordinator = Coordinator::new(bench.store.clone(), CoordinatorSettings::default());
    group.bench_function("push_to_health", |b| {
        b.iter_custom(|iterations| {
            bench.runtime.block_on(async {
                let mut hand = Hand::start(&bench.store).await;
                let mut taken = Duration::ZERO;
                for number in 0..iterations as usize {
                    drain(&coordinator).await;
                    let begun = Instant::now();
                    hand.push(&stock[number % STOCK..=number % STOCK]).await;
                    coordinator.follow_feed(WAIT).await.unwrap();
                    taken += begun.elapsed();
                }
                taken
            })
        });
    });
    group.bench_function("consume", |b| {
        b.iter_custom(|iterations| {
            bench.runtime.block_on(async {
                let mut hand = Hand::start(&bench.store).await;
                let mut taken = Duration::ZERO;
                for number in 0..iterations as usize {
                    drain(&coordinator).await;
                    hand.push(&stock[number % STOCK..=number % STOCK]).await;
                    let begun = Instant::now();
                    let entries = bench.store.changes("bench", WAIT).await.unwrap();
                    bench.store.settle(&entries).await.unwrap();
                    taken += begun.elapsed();
                }
                taken
            })
        });
    });
    let session = bench.runtime.block_on(async {
        let mut hand = Hand::start(&bench.store).await;
        for batch in stock[..1_000].chunks(BATCH) {
            hand.push(batch).await;
        }
        hand.complete().await
    });
    group.bench_function("apply", |b| {
        b.to_async(&bench.runtime)
            .iter(|| async { coordinator.recompute(&session).await.unwrap() });
    });
    group.finish();
}

/// Takes what the feed has from before.
async fn drain(coordinator: &Coordinator) {
    while coordinator
        .follow_feed(Duration::from_millis(1))
        .await
        .unwrap()
        > 0
    {}
}

pub(crate) fn lifecycle(c: &mut Criterion, bench: &Bench) {
    let mut group = c.benchmark_group("lifecycle");
    group.bench_function(BenchmarkId::new("open_start_complete", 1), |b| {
        b.to_async(&bench.runtime)
            .iter(|| async { Hand::start(&bench.store).await.complete().await });
    });
    group.finish();
}
