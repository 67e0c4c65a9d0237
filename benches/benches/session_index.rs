//! The index of a stored session: folding a log into it, asking it, writing reports of it.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench that cannot work should stop"
)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use fleet_benches::{bodies, bot, fold, report_head, sampling};
use fleet_coordinator::index::{Filter, FindingView, Index, PageQuery, Sort};
use fleet_coordinator::report::{Format, Report};
use fleet_coordinator::summary;
use fleet_worker_sdk::Severity;
use jiff::Timestamp;

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];

fn index(c: &mut Criterion) {
    let mut group = c.benchmark_group("index");
    group.bench_function("new", |b| b.iter(Index::new));
    for size in SIZES {
        let bodies = bodies(size);
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(format!("fold/{size}"), |b| {
            b.iter_with_large_drop(|| fold(black_box(&bodies)));
        });
    }
    group.throughput(Throughput::Elements(1));
    let (base, extra) = (fold(&bodies(1_000)), bodies(101_000));
    group.bench_function("add", |b| {
        let mut next = extra.iter().skip(base.len()).cycle();
        let (bot, at) = (bot(0), Timestamp::UNIX_EPOCH);
        let mut index = Index::new();
        b.iter(|| {
            if index.len() == 100_000 {
                index = Index::new();
            }
            index.add(&bot, at, next.next().unwrap()).unwrap()
        });
    });
    group.bench_function("add_known", |b| {
        let mut index = fold(&extra);
        let mut next = extra.iter().cycle();
        let (bot, at) = (bot(0), Timestamp::UNIX_EPOCH);
        b.iter(|| index.add(&bot, at, next.next().unwrap()).unwrap());
    });
    group.finish();
}

fn page(filter: Filter, sort: Sort) -> PageQuery {
    PageQuery {
        filter,
        sort,
        after: None,
        limit: 100,
    }
}

fn text(text: &str) -> Filter {
    Filter {
        text: Some(text.to_owned()),
        ..Filter::default()
    }
}

fn narrow() -> Filter {
    Filter {
        bots: vec![bot(0), bot(1), bot(2)],
        severities: vec![Severity::Error, Severity::Warning],
        categories: vec!["security".to_owned(), "style".to_owned()],
        ..Filter::default()
    }
}

fn finding_queries(c: &mut Criterion) {
    let mut group = c.benchmark_group("index_queries");
    let bodies = bodies(100_000);
    let index = fold(&bodies);
    let folder = Filter {
        file: Some("services/part-7/".to_owned()),
        ..Filter::default()
    };
    let cases = [
        ("first_page", page(Filter::default(), Sort::Severity)),
        ("newest", page(Filter::default(), Sort::Newest)),
        ("by_path", page(Filter::default(), Sort::Path)),
        ("by_rule", page(Filter::default(), Sort::Rule)),
        ("filtered", page(narrow(), Sort::Severity)),
        ("filtered_by_path", page(narrow(), Sort::Path)),
        ("folder_by_path", page(folder, Sort::Path)),
        ("text_common", page(text("CREDENTIAL"), Sort::Severity)),
        ("text_rare", page(text("module_4242 near"), Sort::Path)),
        ("text_absent", page(text("nowhere at all"), Sort::Severity)),
    ];
    for (name, query) in &cases {
        group.bench_function(format!("{name}/100000"), |b| {
            b.iter(|| index.query(black_box(query)).unwrap());
        });
    }
    let far = far_cursor(&index);
    group.bench_function("far_page/100000", |b| {
        b.iter(|| index.query(black_box(&far)).unwrap());
    });
    for size in [50, 100_000] {
        let index = fold(&bodies[..size]);
        group.bench_function(format!("tally/{size}"), |b| b.iter(|| index.tally()));
        group.bench_function(format!("counts/{size}"), |b| b.iter(|| index.counts()));
    }
    let other = fold(&bodies[1_000..]);
    group.bench_function("compare/100000", |b| {
        b.iter(|| summary::compare(black_box(&other), black_box(&index)));
    });
    group.finish();
}

fn far_cursor(index: &Index) -> PageQuery {
    let mut query = page(Filter::default(), Sort::Severity);
    for _ in 0..500 {
        query.after = index.query(&query).unwrap().next;
    }
    query
}

fn views(index: &Index, limit: usize) -> Vec<FindingView> {
    let mut query = page(Filter::default(), Sort::Severity);
    query.limit = limit;
    index.query(&query).unwrap().findings
}

fn reporting(c: &mut Criterion) {
    let mut group = c.benchmark_group("index_reports");
    let index = fold(&bodies(100_000));
    let (head, hundred, thousand) = (
        report_head(&index),
        views(&index, 100),
        views(&index, 1_000),
    );
    for &format in Format::ALL {
        let whole = |pages: usize, findings: &[FindingView]| {
            let mut report = Report::new(format, head.clone());
            let mut bytes = report.begin().len();
            for _ in 0..pages {
                bytes += report.rows(black_box(findings)).len();
            }
            bytes + report.end(None).len()
        };
        group.throughput(Throughput::Bytes(whole(1, &hundred) as u64));
        group.bench_function(format!("{format}/100"), |b| b.iter(|| whole(1, &hundred)));
        group.throughput(Throughput::Bytes(whole(100, &thousand) as u64));
        group.bench_function(format!("{format}/100000"), |b| {
            b.iter(|| whole(100, &thousand));
        });
        group.bench_function(format!("{format}_from_index/100000"), |b| {
            b.iter_batched(
                || (),
                |()| from_index(&index, format),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// As a server does it: page after page out of the index.
fn from_index(index: &Index, format: Format) -> usize {
    let mut report = Report::new(format, report_head(index));
    let mut query = page(Filter::default(), Sort::Severity);
    query.limit = 1_000;
    let mut bytes = report.begin().len();
    loop {
        let page = index.query(&query).unwrap();
        bytes += report.rows(&page.findings).len();
        query.after = page.next;
        if query.after.is_none() {
            return bytes + report.end(None).len();
        }
    }
}

criterion_group! {
    name = benches;
    config = sampling(10, Duration::from_secs(2));
    targets = index, finding_queries, reporting
}
criterion_main!(benches);
