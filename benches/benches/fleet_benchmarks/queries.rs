//! What is asked of findings.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use fleet_benches::local::{ASKED, CATEGORY, Sample, bots, context, reference, samples};
use fleet_benches::reference::Bot;

/// Sizes at which lists are asked for.
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];

pub(crate) fn finding_queries(c: &mut Criterion) {
    let all = samples(100_000);
    for size in SIZES {
        ours(c, &all[..size]);
        theirs(c, &all[..size]);
    }
}

fn ours(c: &mut Criterion, some: &[Sample]) {
    let mut group = c.benchmark_group("finding_queries");
    let (context, size) = (context(some), some.len());
    let bot = bots(&context)[ASKED];
    group.throughput(Throughput::Elements(context.by_bot(bot).len() as u64));
    group.bench_function(BenchmarkId::new("query_by_bot", size), |b| {
        b.iter(|| {
            black_box(&context)
                .by_bot(bot)
                .fold(0, |sum, entry| sum ^ entry.line())
        });
    });
    group.throughput(Throughput::Elements(
        context.by_category(CATEGORY).len() as u64
    ));
    group.bench_function(BenchmarkId::new("query_by_category", size), |b| {
        b.iter(|| black_box(&context).by_category(black_box(CATEGORY)).len());
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function(BenchmarkId::new("check_has_errors", size), |b| {
        b.iter(|| black_box(&context).has_errors());
    });
    group.bench_function(BenchmarkId::new("check_blocks_release", size), |b| {
        b.iter(|| black_box(&context).blocks_release());
    });
    let middle = context.iter().nth(size / 2).unwrap().id();
    group.bench_function(BenchmarkId::new("find_by_id", size), |b| {
        b.iter(|| black_box(&context).find(black_box(middle)).unwrap().line());
    });
    group.throughput(Throughput::Elements(size as u64));
    group.bench_function(BenchmarkId::new("sorted_iteration", size), |b| {
        b.iter(|| {
            black_box(&context)
                .sorted()
                .fold(0, |sum, entry| sum ^ entry.line())
        });
    });
    group.finish();
}

fn theirs(c: &mut Criterion, some: &[Sample]) {
    let mut group = c.benchmark_group("finding_queries");
    let (context, size) = (reference(some), some.len());
    let name = |name: &str| BenchmarkId::new(format!("reference/{name}"), size);
    let line = |sum: usize, line: Option<usize>| sum ^ line.unwrap_or_default();
    group.bench_function(name("query_by_bot"), |b| {
        b.iter(|| {
            let found = black_box(&context).by_bot(Bot::ALL[ASKED]);
            found.iter().fold(0, |sum, finding| line(sum, finding.line))
        });
    });
    group.bench_function(name("query_by_category"), |b| {
        b.iter(|| black_box(&context).by_category(black_box(CATEGORY)).len());
    });
    group.bench_function(name("check_has_errors"), |b| {
        b.iter(|| black_box(&context).has_errors());
    });
    group.bench_function(name("check_blocks_release"), |b| {
        b.iter(|| black_box(&context).blocks_release());
    });
    let middle = context.findings[size / 2].id;
    group.bench_function(name("find_by_id"), |b| {
        b.iter(|| black_box(&context).find(black_box(middle)).unwrap().line);
    });
    group.bench_function(name("sorted_iteration"), |b| {
        b.iter(|| {
            let sorted = black_box(&context).sorted();
            sorted
                .iter()
                .fold(0, |sum, finding| line(sum, finding.line))
        });
    });
    group.finish();
}
