//! Stores, index, health, lifecycle and reports of a fleet.
//!
//! The map, in the order data flows:
//!
//! 1. [`model`]: what is read back from a store.
//! 2. [`index`]: a session's findings in memory; [`series`]: what a bot usually does; [`history`]: how a
//!    score went; [`trend`]: how runs went; [`health`], [`lifecycle`], [`retention`], [`anomaly`], [`alert`], [`summary`], [`report`]: pure functions of stored state and time.
//!    [`context`]: one analysis in this process alone, from all of these.
//! 3. [`store`]: the traits and the two stores, embedded and Redis; [`acl`]: who may do what in Redis;
//!    [`doctor`]: what is wrong with a store; [`place`]: where a report belongs;
//!    [`import`]: a report into one.
//! 4. [`channel`]: how alerts reach people; [`maintain`]: the loops that recompute what changed.
//! 5. [`view`]: the cached view that dashboards read; [`answer`]: the shapes of what is asked and
//!    answered; [`client`]: both, for the `fleet` command.
//! 6. [`config`], [`logging`], [`telemetry`], [`process`]: what processes are started with and ended by; [`access`]: who
//!    may ask them for what; [`ops`]: what their probes and Prometheus are told.

pub mod model;

pub mod index;

pub mod series;

pub mod history;

pub mod trend;

pub mod anomaly;
pub mod health;
pub mod lifecycle;

pub mod retention;

pub mod conserve;

pub mod alert;

pub mod report;
pub mod summary;

pub mod context;

pub mod store;

pub mod acl;

pub mod doctor;

pub mod place;

pub mod import;

pub mod channel;

pub mod maintain;

mod told;

pub mod view;

pub mod answer;

pub mod client;

pub mod config;

pub mod logging;

pub mod telemetry;

pub mod process;

pub mod access;

pub mod ops;
