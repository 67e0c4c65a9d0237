//! The fleet's HTTP API, WebSocket, pages and metrics.
//!
//! The map, in the order a request meets it:
//!
//! 1. [`config`]: flags, environment and file become one checked struct.
//! 2. [`context`]: what every handler works with; [`routes`] composes [`api`], [`pages`],
//!    [`probes`] and [`metrics`].

pub mod config;

pub mod context;

pub mod routes;

pub mod api;

pub mod pages;

pub mod probes;

pub mod metrics;
