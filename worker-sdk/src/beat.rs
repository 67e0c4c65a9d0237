//! Heartbeats: what a worker says of itself, and what it is told in return.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{BotId, SessionId, WorkerId};
use crate::severity::words;

/// Time between two beats of a worker.
///
/// 5 s: three missed ones make a worker stale within a quarter of a minute, and 5,000 workers
/// cost a store 1,000 small calls a second.
pub const BEAT_INTERVAL: std::time::Duration = std::time::Duration::from_secs(5);

words!(
    /// What a worker reports of itself; never backwards.
    WorkerState, "worker state" {
        /// Connecting, registering.
        Starting = "starting",
        /// Taking work.
        Running = "running",
        /// Finishing what it has, taking nothing new.
        Quiet = "quiet",
        /// Ending: flushing what is left.
        Terminating = "terminating",
        /// Gone, by its own word.
        Stopped = "stopped",
    }
);

words!(
    /// What an operator asks of a worker; it learns so with its next beat.
    Command, "command" {
        /// Take nothing new.
        Quiet = "quiet",
        /// Drain and exit.
        Terminate = "terminate",
    }
);

/// One heartbeat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Beat {
    /// Who.
    pub worker: WorkerId,
    /// Of which bot.
    pub bot: BotId,
    /// Version of the bot.
    #[serde(default)]
    pub version: String,
    /// Version of the SDK that the bot was built with; empty from one that does not say.
    #[serde(default)]
    pub sdk: String,
    /// Host name.
    #[serde(default)]
    pub host: String,
    /// Process id.
    #[serde(default)]
    pub pid: u32,
    /// When the process started, by its own clock.
    pub started: Timestamp,
    /// Where it is in its life.
    pub state: WorkerState,
    /// Sessions it has an execution in now (at most [`Beat::MAX_SESSIONS`] are kept).
    #[serde(default)]
    pub sessions: Vec<SessionId>,
    /// Counts up whenever the worker gets something done: a beating worker can be stuck.
    #[serde(default)]
    pub progress: u64,
}

impl Beat {
    /// Most sessions one beat names.
    pub const MAX_SESSIONS: usize = 64;
}

/// The store's answer to a beat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeatAnswer {
    /// A pending command; repeated with every beat until the worker reports the state it asks for.
    pub command: Option<Command>,
}
