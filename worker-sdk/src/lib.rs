//! Link this into a bot: register it, beat, open sessions and push findings to a fleet.
//!
//! The map, in the order data flows:
//!
//! 1. [`error`], [`retry`]; [`ids`], [`severity`], [`fingerprint`], [`finding`], [`bot`], [`beat`], [`session`], [`push`]: the words, as types.
//! 2. [`identity`]: how a finding is recognised in the next scan.
//! 3. [`import`]: other tools' output (SARIF, JSON lines) becomes findings.
//! 4. [`wire`] and [`keys`]: how findings and everything else are stored.
//! 5. [`mod@write`]: what a bot asks of a fleet; [`transport`]: the ways to ask.
//! 6. [`spool`]: what outlives a process, in files of records.
//! 7. [`worker`]: the process of a bot, with its heartbeats, batches and drain; [`roster`]: the classic bots.

pub mod error;
pub mod ids;

pub mod retry;

pub mod severity;

pub mod fingerprint;

pub mod finding;

pub mod bot;

pub mod beat;

pub mod session;

pub mod push;

pub mod identity;

pub mod import;

pub mod wire;

pub mod keys;

pub mod write;

pub mod trace;

pub mod transport;

pub mod spool;

pub mod worker;

pub mod roster;

pub use beat::{Beat, BeatAnswer, Command, WorkerState};
pub use bot::{Bot, Tier};
pub use error::{Error, Result};
pub use finding::{Finding, Fingerprint, Location, Region, Suppression};
pub use ids::{BotId, Partition, Partitions, ProducerId, Repository, SessionId, WorkerId};
pub use push::{Again, Batch, Identified, PushAnswer, Rule};
pub use session::{
    Change, Execution, ExecutionState, Ongoing, OpenSession, Opened, Progress, SessionState,
    Transition, Version,
};
pub use severity::{Kind, Level, Severity, WeightClass};
pub use worker::{Fleet, Worker};
pub use write::Write;

/// The Redis client this crate speaks, for callers that need its types.
pub use redis;
