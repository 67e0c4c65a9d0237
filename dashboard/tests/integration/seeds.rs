//! The seeds of the fuzz targets, and what small damage makes of them, through the same checks that
//! `scripts/fuzz.sh` runs for hours.

#![allow(
    clippy::duplicate_mod,
    reason = "each target is whole without the others, and two of them ask a site"
)]

#[path = "../../../fuzz/checks/address.rs"]
mod address;
#[path = "../../../fuzz/checks/body.rs"]
mod body;
#[path = "../../../fuzz/checks/chunk.rs"]
mod chunk;
#[path = "../../../fuzz/checks/config.rs"]
mod config;
#[path = "../../../fuzz/checks/query.rs"]
mod query;
#[path = "../../../fuzz/checks/record.rs"]
mod record;
#[path = "../../../fuzz/checks/report.rs"]
mod report;
#[path = "../../../fuzz/checks/wire.rs"]
mod wire;
#[path = "../../../fuzz/checks/ws.rs"]
mod ws;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Looks at an input of a target; panics where that shows a fault.
type Check = fn(&[u8]);

/// Damaged copies made of each seed.
const COPIES: usize = 150;

#[test]
fn seeds_of_every_target_and_damaged_ones_pass() {
    let targets: [(&str, Check); 9] = [
        ("wire", wire::check),
        ("report", report::check),
        ("config", config::check),
        ("address", address::check),
        ("query", query::check),
        ("body", body::check),
        ("ws", ws::check),
        ("chunk", chunk::check),
        ("record", record::check),
    ];
    for (target, check) in targets {
        let seeds = seeds(target);
        assert!(seeds.len() > 1, "{target} has no seeds");
        let mut random = fastrand::Rng::with_seed(11);
        for (name, seed) in &seeds {
            passes(target, name, check, seed);
            for _ in 0..COPIES {
                let other = &seeds[random.usize(..seeds.len())].1;
                passes(target, name, check, &damaged(seed, other, &mut random));
            }
        }
    }
}

#[track_caller]
fn passes(target: &str, name: &str, check: Check, data: &[u8]) {
    let result = catch_unwind(AssertUnwindSafe(|| check(data)));
    let shown = String::from_utf8_lossy(data);
    assert!(result.is_ok(), "{target}, made of {name}: {shown:?}");
}

fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(target);
    let mut seeds: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
        .collect();
    seeds.sort();
    seeds
}

/// The seed with a byte changed, a piece cut out, repeated, or taken from another seed.
fn damaged(seed: &[u8], other: &[u8], random: &mut fastrand::Rng) -> Vec<u8> {
    let mut data = seed.to_vec();
    for _ in 0..random.usize(1..4) {
        let (from, to) = piece(&data, random);
        match random.u8(0..5) {
            0 if from < data.len() => data[from] = random.u8(..),
            1 => drop(data.drain(from..to)),
            2 => data.truncate(from),
            3 => {
                let again = data[from..to].to_vec();
                data.splice(from..from, again);
            }
            _ => {
                let (start, end) = piece(other, random);
                data.splice(from..to, other[start..end].iter().copied());
            }
        }
    }
    data
}

fn piece(data: &[u8], random: &mut fastrand::Rng) -> (usize, usize) {
    let from = random.usize(..=data.len());
    let length = random.usize(..32).min(data.len() - from);
    (from, from + length)
}
