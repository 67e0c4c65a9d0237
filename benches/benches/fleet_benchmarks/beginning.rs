//! Contexts and their bots, before there are findings.

use std::hint::black_box;

use criterion::{BatchSize, Criterion};
use fleet_benches::local::{bots, repository};
use fleet_benches::reference;
use fleet_coordinator::context::{Context, End};

use crate::now;

fn fresh() -> Context {
    Context::new(repository(), now())
}

/// Of the same repository as another.
fn fresh_with_bots(other: &Context) -> Context {
    let mut context = Context::new(other.repository().clone(), now());
    context.register_all().unwrap();
    context
}

fn reference_fresh() -> reference::Context {
    reference::Context::new("acme/shop", "/srv/shop")
}

pub(crate) fn context_creation(c: &mut Criterion) {
    let mut group = c.benchmark_group("context_creation");
    let name = repository();
    group.bench_function("context_new", |b| {
        b.iter(|| Context::new(black_box(&name).clone(), now()));
    });
    group.bench_function("reference/context_new", |b| b.iter(reference_fresh));
    group.finish();
}

pub(crate) fn bot_registration(c: &mut Criterion) {
    let mut group = c.benchmark_group("bot_registration");
    let bot = fleet_worker_sdk::roster::all().unwrap().swap_remove(0);
    let bot = std::sync::Arc::new(bot);
    group.bench_function("register_single", |b| {
        let one = |context: &mut Context| context.register(black_box(&bot).clone()).unwrap();
        b.iter_batched_ref(fresh, one, BatchSize::SmallInput);
    });
    group.bench_function("reference/register_single", |b| {
        let one = |context: &mut reference::Context| context.register(reference::Bot::Patterns);
        b.iter_batched_ref(reference_fresh, one, BatchSize::SmallInput);
    });
    group.bench_function("register_all", |b| {
        let all = |context: &mut Context| context.register_all().unwrap();
        b.iter_batched_ref(fresh, all, BatchSize::SmallInput);
    });
    group.bench_function("reference/register_all", |b| {
        b.iter_batched_ref(
            reference_fresh,
            reference::Context::register_all,
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

pub(crate) fn bot_execution(c: &mut Criterion) {
    let mut group = c.benchmark_group("bot_execution");
    let mut context = fresh();
    context.register_all().unwrap();
    let bot = bots(&context)[0];
    group.bench_function("start_complete_cycle", |b| {
        b.iter(|| {
            let mut context = fresh_with_bots(black_box(&context));
            context.start(bot, now()).unwrap();
            context.end(bot, End::Complete, now()).unwrap();
            context
        });
    });
    let mut theirs = reference_fresh();
    theirs.register_all();
    let first = reference::Bot::Patterns;
    group.bench_function("reference/start_complete_cycle", |b| {
        b.iter(|| {
            let mut context = reference_fresh();
            context.register(first);
            context.start(first);
            context.complete(first, 100);
            context
        });
    });
    context.start(bot, now()).unwrap();
    context.end(bot, End::Complete, now()).unwrap();
    theirs.start(first);
    theirs.complete(first, 100);
    group.bench_function("ready_bots_calculation", |b| {
        b.iter(|| black_box(&context).ready_bots().count());
    });
    group.bench_function("reference/ready_bots_calculation", |b| {
        b.iter(|| black_box(&theirs).ready_bots());
    });
    group.finish();
}
