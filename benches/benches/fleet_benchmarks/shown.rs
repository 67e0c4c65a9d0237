//! Reports, summaries and documents.

use std::hint::black_box;
use std::io::{self, Write};

use criterion::{BenchmarkId, Criterion, Throughput};
use fleet_benches::local::{SIZES, context, reference, samples};
use fleet_benches::reference as plain;
use fleet_coordinator::context::{Context, Format};
use fleet_coordinator::health::Settings;

/// A format of the reference.
type Written = fn(&plain::Context) -> String;

const FORMATS: [(&str, Format, Written); 3] = [
    (
        "generate_markdown",
        Format::Markdown,
        plain::Context::markdown,
    ),
    ("generate_json", Format::Json, plain::Context::json),
    ("generate_html", Format::Html, plain::Context::html),
];

pub(crate) fn reporting(c: &mut Criterion) {
    let mut group = c.benchmark_group("reporting");
    let (all, settings) = (samples(100_000), Settings::default());
    for size in SIZES {
        let (ours, theirs) = (context(&all[..size]), reference(&all[..size]));
        for (name, format, reference) in FORMATS {
            group.bench_function(BenchmarkId::new(name, size), |b| {
                b.iter(|| black_box(&ours).report(format, &settings));
            });
            group.bench_function(BenchmarkId::new(format!("reference/{name}"), size), |b| {
                b.iter(|| reference(black_box(&theirs)));
            });
        }
    }
    let ours = context(&all);
    for (name, format, _) in FORMATS {
        let mut counted = Counted(0);
        ours.write_report(format, &settings, &mut counted).unwrap();
        group.throughput(Throughput::Bytes(counted.0));
        group.bench_function(
            BenchmarkId::new(format!("{name}_with_findings"), all.len()),
            |b| {
                b.iter(|| {
                    black_box(&ours)
                        .write_report(format, &settings, &mut Counted(0))
                        .unwrap()
                });
            },
        );
    }
    group.finish();
}

/// Counts what is written, so that writing is not part of what is measured.
struct Counted(u64);

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += black_box(bytes).len() as u64;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn summary(c: &mut Criterion) {
    let mut group = c.benchmark_group("summary");
    let (all, settings) = (samples(100_000), Settings::default());
    for size in SIZES {
        let (ours, theirs) = (context(&all[..size]), reference(&all[..size]));
        group.bench_function(BenchmarkId::new("generate_summary", size), |b| {
            b.iter(|| black_box(&ours).summary(&settings).total);
        });
        group.bench_function(BenchmarkId::new("reference/generate_summary", size), |b| {
            b.iter(|| black_box(&theirs).summary());
        });
    }
    group.finish();
}

pub(crate) fn serialization(c: &mut Criterion) {
    let mut group = c.benchmark_group("serialization");
    let all = samples(100_000);
    for size in SIZES {
        let (ours, theirs) = (context(&all[..size]), reference(&all[..size]));
        let (text, plain_text) = (ours.to_json().unwrap(), theirs.to_json());
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(BenchmarkId::new("serialize_context", size), |b| {
            b.iter(|| black_box(&ours).to_json().unwrap());
        });
        group.bench_function(BenchmarkId::new("reference/serialize_context", size), |b| {
            b.iter(|| black_box(&theirs).to_json());
        });
        group.bench_function(BenchmarkId::new("deserialize_context", size), |b| {
            b.iter_with_large_drop(|| Context::from_json(black_box(&text)).unwrap());
        });
        group.bench_function(
            BenchmarkId::new("reference/deserialize_context", size),
            |b| {
                b.iter_with_large_drop(|| plain::Context::from_json(black_box(&plain_text)));
            },
        );
    }
    group.finish();
}
