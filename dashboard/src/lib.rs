//! The fleet's HTTP API, WebSocket, pages and metrics.
//!
//! The map, in the order a request meets it:
//!
//! 1. [`config`]: flags, environment and file become one checked struct.
//! 2. [`server`]: sockets, limits, deadlines, draining. It asks [`access`] whether a request may pass,
//!    hands `/ws` to [`ws`] and the rest to [`routes`].
//! 3. [`context`]: what every handler works with; [`routes`] composes [`api`], [`pages`],
//!    [`probes`] and [`metrics`].
//! 4. [`ws`]: one hub that watches the store, and its clients.
//! 5. [`demo`]: a fleet to look at, made of small checks; [`imports`]: reports taken along at start.
#![allow(
    rustdoc::private_intra_doc_links,
    reason = "its maintainers read it, with private items documented"
)]

pub mod config;

pub mod server;

pub mod access;

pub mod context;

pub mod routes;

pub mod api;

pub mod pages;

pub mod probes;

pub mod metrics;

pub mod ws;

pub mod demo;

pub mod imports;
