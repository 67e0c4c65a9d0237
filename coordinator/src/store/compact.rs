//! Rewriting sessions that nobody works at into what takes less memory.

use async_trait::async_trait;
use fleet_worker_sdk::{Result, SessionId, Version};

use super::Read;

/// What became of a session that was to be compacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compacted {
    /// It was rewritten; its findings took `before` bytes of the store and take `after` now, both
    /// 0 where the store does not tell.
    Done {
        /// Bytes before.
        before: u64,
        /// Bytes now.
        after: u64,
    },
    /// It was left as it is: compacted already, too small, or in a store that gains nothing by it.
    Left,
    /// It has moved on, or another was faster.
    Moved,
}

/// What compaction needs of a store.
#[async_trait]
pub trait Compact: Read {
    /// Rewrites a session into its compact form, if it is still at `version`. Whatever is read of it
    /// stays the same, and so does its version; it takes pushes as before.
    async fn compact_session(&self, session: &SessionId, version: Version) -> Result<Compacted>;
}
