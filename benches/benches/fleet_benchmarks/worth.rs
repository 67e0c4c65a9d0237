//! Health: the number alone, and with its reasons.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion};
use fleet_benches::local::{context, reference, samples};
use fleet_coordinator::health::Settings;

use crate::now;

/// Findings at which health is asked for.
const SIZES: [usize; 4] = [50, 1_000, 10_000, 100_000];

pub(crate) fn health(c: &mut Criterion) {
    let mut group = c.benchmark_group("health");
    let (all, settings) = (samples(100_000), Settings::default());
    for size in SIZES {
        let (ours, theirs) = (context(&all[..size]), reference(&all[..size]));
        let at = now();
        group.bench_function(BenchmarkId::new("full_health_check", size), |b| {
            b.iter(|| black_box(&ours).standing(&settings));
        });
        group.bench_function(
            BenchmarkId::new("health_with_breakdown_and_alerts", size),
            |b| {
                b.iter(|| {
                    let context = black_box(&ours);
                    let alerts = context.alerts(at, &settings).len();
                    (context.breakdown(&settings).rules.len(), alerts)
                });
            },
        );
        group.bench_function(BenchmarkId::new("reference/full_health_check", size), |b| {
            b.iter(|| black_box(&theirs).health());
        });
    }
    group.finish();
}
