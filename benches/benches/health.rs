//! Health: a session from its facts, the fleet from what was read of it, an explanation.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a bench that cannot work should stop"
)]

use std::collections::HashMap;
use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fleet_benches::health::{facts, fleet_bots, fleet_runs, fleet_workers};
use fleet_benches::sampling;
use fleet_coordinator::health::fleet::{FleetFacts, Remembered, fleet};
use fleet_coordinator::health::{Alarms, Settings};
use fleet_coordinator::model::Rollup;
use fleet_coordinator::view::session_health;
use jiff::Timestamp;

/// Rules that a session has findings of.
const RULES: [usize; 3] = [10, 100, 1_000];

fn sessions(c: &mut Criterion) {
    let settings = Settings::default();
    let mut group = c.benchmark_group("session_health");
    group.throughput(Throughput::Elements(1));
    for rules in RULES {
        let facts = facts(rules);
        group.bench_function(format!("{rules}_rules"), |b| {
            b.iter(|| session_health(black_box(&facts), &settings));
        });
    }
    let health = session_health(&facts(100), &settings);
    group.bench_function("explain", |b| b.iter(|| health.explain(&settings)));
    group.finish();
}

fn fleets(c: &mut Criterion) {
    let settings = Settings::default();
    let (bots, workers) = (fleet_bots(20), fleet_workers(5_000, 20));
    let remembered: HashMap<_, _> = bots
        .iter()
        .map(|bot| {
            let runs = fleet_runs();
            (
                bot.id.clone(),
                Remembered {
                    runs,
                    ..Remembered::default()
                },
            )
        })
        .collect();
    let alarms = Alarms::default();
    let facts = FleetFacts {
        bots: &bots,
        remembered: &remembered,
        workers: &workers,
        rollup: Rollup {
            repositories: 10,
            quality_milli: 700_000,
            ..Rollup::default()
        },
        alarms: &alarms,
        now: Timestamp::UNIX_EPOCH,
    };
    let before = fleet(&facts, None, &settings);
    c.bench_function("fleet_health/20_bots_5000_workers", |b| {
        b.iter(|| fleet(black_box(&facts), Some(&before), &settings));
    });
}

criterion_group! {
    name = benches;
    config = sampling(20, Duration::from_millis(900));
    targets = sessions, fleets
}
criterion_main!(benches);
