//! The SDK from outside: what a bot sees, against stores that misbehave.

#![allow(
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing test says so by panicking, and nothing here is anybody's interface"
)]

mod flaky;

mod beats;
mod executions;
mod losses;
mod reports;
mod spool;
