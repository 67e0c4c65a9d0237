//! Removing sessions whole.

use async_trait::async_trait;
use fleet_worker_sdk::{Result, SessionId, Version};
use serde::{Deserialize, Serialize};

use super::{Read, SessionCursor};
use crate::model::Session;

/// Memory of a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Bytes in use.
    pub used: u64,
    /// Bytes it may use at most; 0 where there is no limit.
    pub limit: u64,
}

/// What retention needs of a store.
#[async_trait]
pub trait Retain: Read {
    /// Sessions from the longest unchanged on, after a place in that order.
    async fn oldest(&self, after: Option<&SessionCursor>, limit: usize) -> Result<Vec<Session>>;

    /// Removes a session with everything that is its own, if it is still at `version`; says whether
    /// it did. What it counted leaves the fleet's sums, and where it spoke for its repository or was
    /// a baseline, nothing takes its place. Announced as a change of it.
    async fn drop_session(&self, session: &SessionId, version: Version) -> Result<bool>;

    /// Its memory; none where it has no measure of its own. Of several servers, the fullest.
    async fn memory(&self) -> Result<Option<Memory>>;

    /// What this process holds of folded sessions, and may hold; none where every reader asks the
    /// store's own index.
    async fn folded(&self) -> Option<Memory> {
        None
    }
}
