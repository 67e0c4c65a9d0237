//! Findings as they come, one by one and in bulk.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use fleet_benches::local::{Sample, bots, repository, samples};
use fleet_benches::reference;
use fleet_coordinator::context::{Context, Handle};

use crate::now;

/// Sizes of a bulk.
const BULKS: [usize; 5] = [10, 100, 1_000, 10_000, 100_000];

pub(crate) fn findings(c: &mut Criterion) {
    let mut group = c.benchmark_group("findings");
    let all = samples(100_000);
    let mut empty = Context::new(repository(), now());
    empty.register_all().unwrap();
    let bots = bots(&empty);
    group.throughput(Throughput::Elements(1));
    group.bench_function("add_single_finding", |b| {
        b.iter(|| {
            let mut context = Context::new(empty.repository().clone(), now());
            context.register_all().unwrap();
            context
                .add(bots[0], &black_box(&all[0]).draft(), now())
                .unwrap();
            context
        });
    });
    group.bench_function("reference/add_single_finding", |b| {
        b.iter(|| {
            let mut context = reference::Context::new("acme/shop", "/srv/shop");
            context.add(black_box(&all[0]).owned());
            context
        });
    });
    for size in BULKS {
        let some = &all[..size];
        group.throughput(Throughput::Elements(size as u64));
        group.bench_with_input(BenchmarkId::new("add_bulk", size), some, |b, some| {
            b.iter_with_large_drop(|| bulk(&empty, bots[0], some));
        });
        group.bench_with_input(
            BenchmarkId::new("reference/add_bulk", size),
            some,
            |b, some| {
                b.iter_with_large_drop(|| reference_bulk(some));
            },
        );
    }
    group.finish();
}

fn bulk(empty: &Context, bot: Handle, samples: &[Sample]) -> Context {
    let mut context = empty.clone();
    let drafts = samples.iter().map(Sample::draft);
    context.add_all(bot, drafts, now()).unwrap();
    context
}

fn reference_bulk(samples: &[Sample]) -> reference::Context {
    let mut context = reference::Context::new("acme/shop", "/srv/shop");
    for sample in samples {
        context.add(sample.owned());
    }
    context
}
