//! What a fleet promises, tested on every store; the stores compared over random histories.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of this is tests; clippy sees only the functions marked so"
)]

mod support;

mod conformance;

mod histories;
mod kept;

mod redis_store;

mod functions;

mod pushed;

mod weights;

mod compaction;
mod conserving;
mod imports;

mod outages;

mod topologies;

mod secured;

mod guarded;

mod operating;

mod damaged;

mod process;

mod cli;

mod run;

mod spooled;

mod later;
