//! One hot function at a time, for valgrind to count its instructions: `scripts/bench-count.sh`.
//!
//! Counts do not depend on what else a machine does, so that a check can fail on a few per cent.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a measurement that cannot work should stop"
)]

use std::hint::black_box;
use std::io::Write as _;

use fleet_benches::local::{Sample, bots, context, repository, samples};
use fleet_benches::{bodies, findings};
use fleet_coordinator::context::{Context, Format};
use fleet_coordinator::health::Settings;
use fleet_worker_sdk::wire;
use jiff::Timestamp;

/// Findings that each works on.
const FINDINGS: usize = 1_000;

/// Hot functions by name.
const WORK: &[(&str, fn())] = &[
    ("context_add", context_add),
    ("context_standing", context_standing),
    ("context_breakdown", context_breakdown),
    ("context_markdown", context_markdown),
    ("context_write", context_write),
    ("context_read", context_read),
    ("wire_encode", wire_encode),
    ("wire_decode", wire_decode),
];

fn main() {
    let wanted = std::env::args().nth(1);
    let work = WORK
        .iter()
        .find(|(name, _)| Some(*name) == wanted.as_deref());
    if let Some((_, work)) = work {
        return work();
    }
    let mut out = std::io::stdout().lock();
    for (name, _) in WORK {
        writeln!(out, "{name}").unwrap();
    }
}

/// What is done in here is counted; what is made before is not.
#[inline(never)]
fn counted<T>(work: impl FnOnce() -> T) {
    drop(black_box(work()));
}

fn context_add() {
    let all = samples(FINDINGS);
    let mut context = Context::new(repository(), Timestamp::UNIX_EPOCH);
    context.register_all().unwrap();
    let bot = bots(&context)[0];
    counted(move || {
        let drafts = all.iter().map(Sample::draft);
        context.add_all(bot, drafts, Timestamp::UNIX_EPOCH).unwrap()
    });
}

fn context_standing() {
    let (context, settings) = (context(&samples(FINDINGS)), Settings::default());
    counted(|| context.standing(&settings));
}

fn context_breakdown() {
    let (context, settings) = (context(&samples(FINDINGS)), Settings::default());
    counted(|| context.breakdown(&settings).rules.len());
}

fn context_markdown() {
    let (context, settings) = (context(&samples(FINDINGS)), Settings::default());
    counted(|| context.report(Format::Markdown, &settings));
}

fn context_write() {
    let context = context(&samples(FINDINGS));
    counted(|| context.to_json().unwrap());
}

fn context_read() {
    let text = context(&samples(FINDINGS)).to_json().unwrap();
    counted(|| Context::from_json(&text).unwrap());
}

fn wire_encode() {
    let findings = findings(FINDINGS);
    counted(|| {
        findings
            .iter()
            .map(|finding| wire::encode(finding).unwrap().len())
            .sum::<usize>()
    });
}

fn wire_decode() {
    let bodies = bodies(FINDINGS);
    counted(|| {
        bodies
            .iter()
            .map(|body| wire::decode_listed(body).unwrap())
            .collect::<Vec<_>>()
    });
}
