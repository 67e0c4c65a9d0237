//! The local path: a context beside the reference, the same work in the same run.
//!
//! `GROUP/NAME` is a context, `GROUP/reference/NAME` the reference of `fleet_benches::reference`;
//! where the work grows, the number of findings stands at the end.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench that cannot work should stop"
)]

mod beginning;

mod findings;

mod queries;

mod worth;

mod shown;

use std::time::Duration;

use criterion::{criterion_group, criterion_main};
use fleet_benches::sampling;
use jiff::Timestamp;

/// What a program that adds one finding asks the clock for.
fn now() -> Timestamp {
    Timestamp::now()
}

criterion_group! {
    name = benches;
    config = sampling(20, Duration::from_millis(900));
    targets = beginning::context_creation, beginning::bot_registration, findings::findings,
        queries::finding_queries, beginning::bot_execution, worth::health, shown::reporting,
        shown::summary, shown::serialization
}
criterion_main!(benches);
