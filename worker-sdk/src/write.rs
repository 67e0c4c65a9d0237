//! What a bot asks of a fleet, whichever way it is reached.

use std::time::Duration;

use async_trait::async_trait;

use crate::beat::{Beat, BeatAnswer};
use crate::bot::Bot;
use crate::error::Result;
use crate::ids::{ProducerId, SessionId};
use crate::push::{Batch, PushAnswer};
use crate::session::{Execution, OpenSession, Opened, Progress, Transition, Version};

/// The writing half of a store. Implemented by the Redis and HTTP clients of this crate and by
/// the embedded store; every call may be repeated after a lost answer.
#[async_trait]
pub trait Write: Send + Sync {
    /// Registers or updates a bot.
    async fn register(&self, bot: &Bot) -> Result<()>;

    /// Says that a worker is alive; answers with a pending command.
    async fn beat(&self, beat: &Beat) -> Result<BeatAnswer>;

    /// Joins or creates a session, and adds the expected bots to it.
    async fn open(&self, open: &OpenSession) -> Result<Opened>;

    /// Changes an execution; answers with it as it stands then.
    async fn transition(&self, transition: &Transition) -> Result<Execution>;

    /// Applies a batch of findings, once.
    async fn push(&self, batch: &Batch) -> Result<PushAnswer>;

    /// The last sequence number applied of a producer in the session's partition, 0 if none.
    async fn last_sequence(&self, session: &SessionId, producer: &ProducerId) -> Result<u64>;

    /// A session's executions and the registered bots.
    async fn progress(&self, session: &SessionId) -> Result<Progress>;

    /// Returns when the session's version is no longer `known`, or after `wait`.
    async fn changed(&self, session: &SessionId, known: Version, wait: Duration)
    -> Result<Version>;
}
