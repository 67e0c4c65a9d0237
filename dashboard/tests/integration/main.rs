//! The dashboard's routes over an embedded store, as clients and browsers meet them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop where it is"
)]

mod support;

mod api;

mod observed;

mod alerting;

mod errors;

mod looks;
mod pages;
mod pages_of;

mod running;

mod server;

mod probes;

mod access;

mod documented;

mod ws;

mod sdk;

mod cli;

mod ingest;

mod together;

mod demo;

mod kept;

mod scraped;
mod seeds;

mod traced;
