//! From Redis to a page.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use fleet_benches::{BATCH, bot, findings};
use fleet_coordinator::index::{Filter, PageQuery, Sort};
use fleet_coordinator::store::{OpenOptions, open as open_store};
use fleet_coordinator::view::{View, ViewSettings};
use fleet_worker_sdk::Severity;

use crate::Bench;
use crate::hand::{Hand, session};

/// Findings of the sessions that are opened.
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];

pub(crate) fn open(c: &mut Criterion, bench: &Bench) {
    let mut group = c.benchmark_group("open");
    let stock = findings(100_000 + 20_000);
    for size in SIZES {
        let opened = bench
            .runtime
            .block_on(session(&bench.store, &stock[..size]));
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(BenchmarkId::new("cold", size), |b| {
            b.iter_custom(|iterations| {
                bench.runtime.block_on(async {
                    let mut taken = Duration::ZERO;
                    for _ in 0..iterations {
                        let fresh = open_store(&bench.address, &OpenOptions::default()).unwrap();
                        fresh.check().await.unwrap();
                        let begun = Instant::now();
                        let findings = fresh.findings(&opened).await.unwrap();
                        assert_eq!(findings.read().await.len(), size);
                        taken += begun.elapsed();
                    }
                    taken
                })
            });
        });
        let query = page();
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("filtered_page", size), |b| {
            b.to_async(&bench.runtime).iter(|| async {
                let findings = bench.store.findings(&opened).await.unwrap();
                findings.read().await.query(black_box(&query)).unwrap()
            });
        });
    }
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function(BenchmarkId::new("catch_up", BATCH), |b| {
        b.iter_custom(|iterations| {
            bench.runtime.block_on(async {
                let other = open_store(&bench.address, &OpenOptions::default()).unwrap();
                let mut hand = Hand::start(&bench.store).await;
                let mut taken = Duration::ZERO;
                for batch in stock.chunks_exact(BATCH).cycle().take(iterations as usize) {
                    hand.push(batch).await;
                    let begun = Instant::now();
                    black_box(other.findings(&hand.session).await.unwrap());
                    taken += begun.elapsed();
                }
                taken
            })
        });
    });
    group.finish();
}

fn page() -> PageQuery {
    PageQuery {
        filter: Filter {
            bots: vec![bot(0), "scanner".parse().unwrap()],
            severities: vec![Severity::Error, Severity::Warning],
            categories: vec!["security".to_owned(), "style".to_owned()],
            ..Filter::default()
        },
        sort: Sort::Severity,
        after: None,
        limit: 100,
    }
}

pub(crate) fn health(c: &mut Criterion, bench: &Bench) {
    let mut group = c.benchmark_group("health_read");
    let read = bench
        .runtime
        .block_on(session(&bench.store, &findings(1_000)));
    let _entered = bench.runtime.enter();
    for (name, ttl) in [("hit", Duration::from_hours(1)), ("miss", Duration::ZERO)] {
        let settings = ViewSettings {
            ttl,
            grace: Duration::ZERO,
            ..ViewSettings::default()
        };
        let view = View::new(bench.store.clone(), settings);
        group.bench_function(name, |b| {
            b.to_async(&bench.runtime)
                .iter(|| async { view.session(&read).await.unwrap() });
        });
    }
    group.finish();
}
